"""Commands of one's own, from the settings to the trail: never through a shell, and ended with all they started."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psycopg
import pytest

from app.commanding import check_commands
from app.settings import load
from backends.own_commands import run
from controlplane.errors import Usage
from screens.dialogs.output import Output
from tests.postgres import Database
from tests.screens.console import console, text, until

PROGRAM = "import sys, os; print('ARGS', sys.argv[1:], sorted(os.environ), chr(27) + '[31m')"
SETTINGS = """
[commands.echo]
noun = "tenants"
key = "L"
run = [{python}, "-c", "{program}", "{{id}}; id", "$HOME"]
what = "say what it was given"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(path))
    path.write_text(SETTINGS.format(python=repr(sys.executable), program=PROGRAM))
    return path


async def test_it_is_run_on_the_row_and_recorded_without_its_output(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "not for it")
    async with console(database, settings=load(), size=(100, 30)) as (app, pilot):
        check_commands(app.settings)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Your commands: a, then" in text(pilot))
        assert "echo: say what it was given" in text(pilot)
        await pilot.press("escape", "a")
        await until(pilot, lambda: "L  echo" in text(pilot))
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Output) and "ended with 0" in text(pilot))
        screen = app.screen
        assert isinstance(screen, Output)
        assert "ARGS ['default; id', '$HOME']" in screen.written and "PGPASSWORD" not in screen.written
        assert "\x1b" not in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "echo: ended with 0" in text(pilot))
    with psycopg.connect(database.owner) as owner:
        rows = owner.execute(
            "SELECT actor, operation, thing, after::text FROM wf.audit WHERE operation = 'commands.run'"
        ).fetchall()
    assert [row[:3] for row in rows] == [("t_admin", "commands.run", "echo")]
    assert '"row": "default"' in rows[0][3] and "ARGS" not in rows[0][3] and "python" not in rows[0][3]


async def test_it_is_run_on_each_marked_row_after_their_number_was_typed(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 0.0)
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('zed', 'Zed')")
    async with console(database, settings=load(), size=(100, 30)) as (app, pilot):
        await until(pilot, lambda: "Zed" in text(pilot))
        await pilot.press("space", "space", "a")
        await until(pilot, lambda: "2 marked" in text(pilot) and "L  echo" in text(pilot))
        await pilot.press("L")
        await until(pilot, lambda: "echo on 2 tenants" in text(pilot) and "Type 2" in text(pilot))
        await pilot.press("2", "enter")
        await until(pilot, lambda: isinstance(app.screen, Output) and "2 ended with 0" in text(pilot))
        assert isinstance(app.screen, Output)
        written = app.screen.written
        assert written.index("acme:") < written.index("ARGS ['acme; id'") < written.index("ARGS ['default; id'")
    with psycopg.connect(database.owner) as owner:
        rows = owner.execute("SELECT after ->> 'row' FROM wf.audit WHERE operation = 'commands.run' ORDER BY seq")
        assert [row for (row,) in rows] == ["acme", "default"]


def test_a_fault_is_said_with_its_line(file: Path) -> None:
    file.write_text(file.read_text().replace('"L"', '"s"').replace("{id}", "{nosuch}"))
    with pytest.raises(Usage) as found:
        check_commands(load())
    assert f"{file}:4: commands.echo.key: s is tenants.suspend" in str(found.value)
    assert f"{file}:5: commands.echo.run: tenants have no field {{nosuch}}" in str(found.value)
    file.write_text(file.read_text().replace('"s"', '"too long"'))
    with pytest.raises(Usage, match=r"commands\.echo\.key: expected one letter"):
        load()


async def test_its_time_limit_ends_it_with_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    program = (
        "import subprocess; p = subprocess.Popen(['sleep', '600']);"
        f" open({str(child)!r}, 'w').write(str(p.pid)); print('up', flush=True); p.wait()"
    )
    taken: list[str] = []
    up = asyncio.Event()

    def take(piece: str) -> None:
        taken.append(piece)
        up.set()

    task = asyncio.ensure_future(run([sys.executable, "-c", program], 600, take))
    await up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _is_gone(int(child.read_text()))
    assert await run(["sleep", "600"], 0.05, taken.append) == "killed after 0.05 s"
    assert await run(["/nowhere/at all"], 1, taken.append) == "cannot be started: No such file or directory"


def _is_gone(pid: int) -> bool:
    """Dead, though nobody may have waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z" or os.kill(pid, 0) is not None
    except (FileNotFoundError, ProcessLookupError):
        return True
