"""The overview is read by another process while the console loads, and shown until the console has read it itself."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app import ahead
from app.ahead import Ahead
from app.console import Watchfloor
from app.embedded import bring_up
from app.homes import HomeChoice
from app.settings import Settings
from app.start import Start
from backends.embedded.server import EmbeddedHome
from controlplane.errors import NotPermitted
from controlplane.overview.entries import PARTS
from controlplane.overview.model import TenantFigures
from tests.postgres import scratch_folder
from tests.screens.console import text, until
from tests.terminal.console import CHECKOUT
from tests.terminal.driver import Terminal

# The tests' own process has threads, and a thread's locks are not released in a child.
READ = """
import asyncio, json, os, signal, sys
from app import ahead
from app.homes import HomeChoice
from app.start import Start

home, of, then = sys.argv[1:]
ahead.processor_free = lambda: True
ahead.WAIT_SECONDS = 0.1 if then == "stop" else 60
reading = ahead.begin(Start(home=home))
if then == "stop":
    os.kill(reading._child, signal.SIGSTOP)
answers = asyncio.run(reading.answers(HomeChoice("folder", of, None, "--home")))
try:
    os.waitpid(-1, 0)
    left = True
except ChildProcessError:
    left = False
said = answers.get("failing", ())
print(json.dumps({"parts": sorted(answers), "failing": [each.id for each in said], "left": left}))
"""
CONSOLE = """
import sys
from app import ahead, switching

def opener(*_):
    async def never(report):
        import asyncio
        await asyncio.Event().wait()
    return never

ahead.processor_free = lambda: True
ahead.WAIT_SECONDS = 60
switching.opener = opener
from app.__main__ import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def home() -> Iterator[EmbeddedHome]:
    """A running home with a tenant that fails."""
    folder = scratch_folder()
    made = EmbeddedHome(folder / "home")
    known = bring_up(made)
    with psycopg.connect(known.owner_conninfo()) as connection:
        connection.execute("INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'pro')")
        connection.execute(
            "UPDATE wf.tenant_activity SET per_minute = 9, error_share = 0.5, p95_ms = 70, until = now()"
            " WHERE tenant_id = 'acme'"
        )
    yield made
    made.destroy()
    shutil.rmtree(folder)


def environment(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(CHECKOUT), "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def read(home: str, of: str, then: str = "") -> dict[str, Any]:
    more = environment(Path(of).parent)
    done = subprocess.run(
        [sys.executable, "-c", READ, home, of, then], env={**os.environ, **more}, capture_output=True, timeout=100
    )
    assert not done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


NOTHING = {"parts": [], "failing": [], "left": False}


def test_what_the_child_reads_is_the_homes_and_the_child_is_gone_afterwards(home: EmbeddedHome) -> None:
    folder = str(home.folder)
    found = read(folder, folder)
    assert found["parts"] == sorted(part.name for part in PARTS if not part.loads)
    assert found["failing"] == ["acme"] and not found["left"]


def test_nothing_is_shown_of_another_home_of_one_that_is_not_there_or_too_late(home: EmbeddedHome) -> None:
    folder = str(home.folder)
    assert read(folder, f"{folder}-2") == NOTHING
    assert read(f"{folder}-2", f"{folder}-2") == NOTHING
    assert not Path(f"{folder}-2").exists(), "it is not made"
    assert read(folder, folder, "stop") == NOTHING


def test_a_home_on_a_server_is_not_read_ahead(home: EmbeddedHome) -> None:
    known = home.known()
    assert known is not None
    assert ahead._overview(Start(home=f"postgresql://{known.login_user}@127.0.0.1:1/x")) == b""


@pytest.mark.parametrize("start", [Start(link="home/tenants"), Start(accessible=True)])
def test_only_the_overview_of_a_console_that_anybody_watches_is_read(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "processor_free", lambda: True)
    assert ahead.begin(start) is None


def test_where_no_processor_is_free_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [(1, {0, 1}), (2, {0, 1}), (1, {0}), (3, {0, 1})]
    for place, (running, processors) in enumerate(free):
        monkeypatch.setattr(Path, "read_text", lambda *_, running=running: f"0.2 0.1 0.1 {running}/80 11206\n")
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, processors=processors: processors)
        assert ahead.processor_free() == (place < 2)
    assert ahead.begin(Start()) is None


def test_the_console_shows_it_before_it_is_connected(home: EmbeddedHome) -> None:
    argv = [sys.executable, "-c", CONSOLE, "--home", str(home.folder)]
    with Terminal(argv, columns=120, env=environment(home.folder.parent), cwd=str(CHECKOUT)) as t:
        t.see("acme")
        t.see("connecting")
        assert "50.00 %" in "".join(t.screen()) and "not read yet" in "".join(t.screen())
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0


class There(Ahead):
    """Answers that are there already."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(0, -1)
        self._answers = answers

    async def answers(self, choice: HomeChoice) -> Mapping[str, Any]:
        return self._answers


async def test_it_goes_again_when_the_home_refuses_the_person(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()  # the home was made before
    may = asyncio.Event()

    async def refused(report: object) -> Any:
        await may.wait()
        raise NotPermitted("not_an_operator", "The login has no role in this home.")

    choice = HomeChoice("folder", str(tmp_path), None, "--home")
    app = Watchfloor(Settings(Path("/nowhere/settings.toml")), refused, choice=choice)
    app.ahead = There({"failing": [TenantFigures("acme", 9.0, 0.5, 70.0, None)]})
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "acme" in text(pilot))
        may.set()
        await until(pilot, lambda: "no role in this home" in text(pilot))
        assert "acme" not in text(pilot)
