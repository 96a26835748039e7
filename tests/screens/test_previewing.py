"""The preview beside a list: wide terminals only, remembered, and never in the cursor's way."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from app.settings import load
from tests.postgres import Database
from tests.screens.console import command, console, shown, text, until


async def test_a_preview_stands_beside_a_wide_list_and_is_remembered(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(tmp_path / "settings.toml"))
    (tmp_path / "settings.toml").write_text("")
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme Rockets'), ('beta', 'Beta Balloons')")
    async with console(database, settings=load(), size=(120, 30)) as (app, pilot):
        await pilot.press("v")
        await until(pilot, lambda: "Acme Rockets" in "".join(line[74:] for line in shown(pilot)[2:20]))
        await pilot.press("j")
        await until(pilot, lambda: "Beta Balloons" in "".join(line[74:] for line in shown(pilot)[2:20]))
        assert "beta" in next(line for line in shown(pilot) if line.startswith("›")), "the list keeps the keys"
        await command(pilot, "jobs")  # has none of its own
        assert not app.screen.query_one("#preview").display
        await pilot.resize_terminal(100, 30)
        await pilot.press("v")
        assert "a preview needs 120 columns" in text(pilot)
    assert load().previews == {"tenants"}
    async with console(database, settings=load(), size=(120, 30)) as (app, pilot):
        await until(pilot, lambda: "Acme Rockets" in "".join(line[74:] for line in shown(pilot)[2:20]))
        await pilot.press("v")
        assert not app.screen.query_one("#preview").display
    assert not load().previews
