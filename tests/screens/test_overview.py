"""The overview in the console, by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from textual.pilot import Pilot

from app.console import Watchfloor
from controlplane.live import LinkState
from controlplane.overview.entries import PARTS, Entry
from controlplane.text import cells
from screens.dialogs.viewer import Viewer
from screens.overview import OverviewScreen
from screens.telemetry.screen import TelemetryScreen
from screens.tenants.detail import TenantScreen
from screens.tenants.list import TenantsScreen
from screens.widgets.glance import Block, Fault, Glance
from tests.postgres import Database
from tests.screens.console import command, console, quiet, shown, text, until
from tests.screens.desk import Desk


@asynccontextmanager
async def looking(database: Database, **more: Any) -> AsyncIterator[tuple[Watchfloor, Pilot[None]]]:
    async with console(database, link="", **more) as (app, pilot):
        await until(pilot, lambda: all_read(app))
        yield app, pilot


def all_read(app: Watchfloor) -> bool:
    """Also those parts that are below the screen: keys go there, too."""
    return isinstance(app.screen, OverviewScreen) and all(map(app.screen._known, PARTS))


def line_of(pilot: Pilot[None], words: str) -> str:
    """The first line with these words; empty while there is none."""
    return next((line for line in shown(pilot) if words in line), "")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_whole_fleet_is_on_the_first_screen(fleet: Database, size: tuple[int, int]) -> None:
    async with looking(fleet, role="viewer", size=size) as (app, pilot):
        assert isinstance(app.screen, OverviewScreen)
        assert "4.0/m" in line_of(pilot, "requests  ") and "█" in line_of(pilot, "requests  ")
        assert "✕ 25.00 %" in line_of(pilot, "errors") and "2.0 × that of a week ago" in line_of(pilot, "p95  ")
        assert "✕ 12.00 %" in line_of(pilot, "umbrella") and "1.2s" in line_of(pilot, "1.2s")
        for words in ("old keys still in use", "stale keys", "trials ending", "quotas near their limit"):
            assert words in text(pilot)
        assert "◐ 1 alive, 1 gone" in line_of(pilot, "workers") and "✕ 2" in line_of(pilot, "dead letters")
        assert "✕ failing" in line_of(pilot, "eu-west-1") and "? unknown" in line_of(pilot, "us-east-1")
        assert "in the last hour" in text(pilot) and "…" not in line_of(pilot, "in the last hour")


async def test_every_line_opens_what_is_behind_it_and_escape_comes_back(fleet: Database) -> None:
    with psycopg.connect(fleet.owner) as owner:
        owner.execute("INSERT INTO wf.incidents (title, severity) VALUES ('half of it fails', 'SEV-1')")
    async with looking(fleet) as (app, pilot):
        glance = app.screen.query_one(Glance)
        expected = {
            ("incidents", "incidents"): (None, "half of it fails"),
            ("alerts", "open"): ("detectors", "burn_rate"),
            ("gates", "gates"): ("gates", "No gates yet"),
            ("traffic", "errors"): (TelemetryScreen, "error share 3/7"),
            ("failing", "umbrella"): (TenantScreen, "umbrella"),
            ("keys", "late"): (None, "rotations"),
            ("keys", "stale"): (None, "/level:stale"),
            ("plans", "trials"): ("subscriptions", "/trial<7d"),
            ("plans", "quotas"): (Viewer, "acme  exports 95 of 100"),
            ("stray", "stray"): (Viewer, "raw      1,000+"),
            ("work", "workers"): ("workers", "box-2"),
            ("work", "dead"): ("queues", "jobs 2"),
            ("runs", "waiting"): (None, "/state:paused"),
            ("runs", "refused"): (None, "/refused>0"),
            ("regions", "eu-west-1"): (TenantsScreen, "/region:eu-west-1"),
            ("changes", "number"): (None, "/at<1h"),
        }
        for spot, (kind, words) in expected.items():
            glance.cursor = spot
            await pilot.press("enter")
            await until(pilot, lambda words=words: words in text(pilot))
            noun = isinstance(kind, str)
            assert kind is None or (app.screen.noun == kind if noun else isinstance(app.screen, kind)), spot
            for _ in range(3):
                if not isinstance(app.screen, OverviewScreen):
                    await pilot.press("escape")
                    await quiet(pilot)
            assert isinstance(app.screen, OverviewScreen), spot
        glance.cursor = next(each.spot for each in glance._stops() if each.spot and each.spot[1].isdigit())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Viewer) and "out of band" in text(pilot))


async def test_the_arrows_go_from_part_to_part_and_the_cursor_stays_with_its_line(fleet: Database) -> None:
    async with looking(fleet) as (app, pilot):
        glance = app.screen.query_one(Glance)
        await pilot.press("down", "down", "down", "down", "down")
        assert glance.cursor == ("failing", "umbrella")
        await pilot.press("right")
        assert glance.cursor == ("slowest", "globex")
        await pilot.press("tab", "left", "j")
        assert glance.cursor == ("keys", "stale")
        await pilot.press("G")
        assert glance.cursor is not None and glance.cursor[0] in ("regions", "changes")
        await pilot.press("g", "shift+tab")
        assert glance.cursor is not None and glance.cursor[0] == "changes"
        glance.cursor = ("slowest", "acme")
        with psycopg.connect(fleet.owner) as owner:
            owner.execute("LOCK TABLE wf.tenant_activity")  # so that the answer comes after the key is done with
            owner.execute("UPDATE wf.tenant_activity SET p95_ms = 9000 WHERE tenant_id = 'acme'")
            await pilot.press("r")
        await until(pilot, lambda: "9.0s" in line_of(pilot, "acme  "))
        assert line_of(pilot, "9.0s").count("›") == 1


async def test_what_another_person_does_is_seen_without_a_key(fleet: Database) -> None:
    async with looking(fleet) as (_, pilot):
        with psycopg.connect(fleet.owner) as owner:
            owner.execute(
                "UPDATE wf.subscriptions SET trial_end = now() + interval '9 days' WHERE tenant_id = 'initech'"
            )
        await until(pilot, lambda: "0" in line_of(pilot, "trials ending").split("jobs")[0], seconds=5)


async def test_a_part_that_fails_says_so_and_the_others_stand(fleet: Database) -> None:
    with psycopg.connect(fleet.owner) as owner:
        owner.execute("REVOKE SELECT ON wf.tenant_list FROM wf_viewer")
    try:
        async with looking(fleet, role="viewer") as (_, pilot):
            assert "✕ failing most not read" in text(pilot) and "✕ regions not read" in text(pilot)
            assert "✕ 2" in line_of(pilot, "dead letters")
            await pilot.press("w")
            await until(pilot, lambda: "failing most: not read" in text(pilot))
    finally:
        with psycopg.connect(fleet.owner) as owner:
            owner.execute("GRANT SELECT ON wf.tenant_list TO wf_viewer")


async def test_while_the_home_is_away_what_was_read_stays(fleet: Database) -> None:
    async with looking(fleet) as (app, pilot):
        assert app.context is not None
        app.workers.cancel_group(app, "link")
        await app.context.home.pool.close()
        app._link_changed(LinkState("offline", retry_in=8))
        await pilot.press("r")
        await quiet(pilot)
        assert "offline" in shown(pilot)[0] and "✕ 2" in line_of(pilot, "dead letters")
        assert "✕ 12.00 %" in text(pilot)


async def test_names_that_are_no_good_are_inert(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name, region) VALUES ('acme', 'A', E'\\x1b[31m[red]\\u202eno')")
    async with looking(database) as (_, pilot):
        assert "\x1b" not in text(pilot) and "\u202e" not in text(pilot) and "[red]" in text(pilot)


async def test_zero_comes_back_from_everywhere_and_nothing_can_be_done_to_a_fleet(fleet: Database) -> None:
    async with looking(fleet) as (app, pilot):
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.screen, TenantsScreen))
        await pilot.press("0")
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen))
        await command(pilot, "audit")
        await command(pilot, "overview")
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen))
        await pilot.press("a")
        await until(pilot, lambda: "Nothing can be done here" in text(pilot))


async def test_for_a_screen_reader_parts_stand_below_each_other_and_lines_are_read_out(fleet: Database) -> None:
    async with looking(fleet, accessible=True) as (app, pilot):
        lines = shown(pilot)
        titles = [line.strip() for line in lines if line.strip().isupper()]
        assert titles[:2] == ["FAILING MOST", "SLOWEST P95"] and not any("█" in line for line in lines)
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: "errors 25.00 %" in shown(pilot)[-1])
        assert any("; in 24 hours least " in line for line in shown(pilot)), "the sparkline in words"
        assert app.cursor_position.y == next(n for n, line in enumerate(shown(pilot)) if line.startswith("> errors"))


BLOCKS = (Block("one", ("a",)), Block("two", ("b",)))


@pytest.mark.parametrize("width", [20, 40, 71, 72, 80, 120])
@pytest.mark.parametrize("height", [1, 5, 9, 24])
async def test_lines_fit_any_size(width: int, height: int) -> None:
    entries = [Entry(str(n), f"株式会社 {n}", "1,204/m", "bad", "12 % more", [None, 1.0, 3.0] * 8) for n in range(9)]
    glance = Glance(Block("w", ("w",)), [BLOCKS])
    async with Desk(glance).run_test(size=(width, height)) as pilot:
        glance.show({"w": entries[:3], "a": entries, "b": Fault("✕ no", "bad")})
        for key in ("G", "k", "right", "tab", "g"):
            await pilot.press(key)
            painted = glance.lines()
            assert len(painted) == height
            assert {sum(cells(piece) for piece, _ in line) for line in painted} == {width}
            assert any("›" in piece for line in painted for piece, _ in line), "the cursor is on the screen"


def test_every_part_has_its_place_on_the_screen() -> None:
    from screens.overview import PAIRS, WIDE

    placed = [name for block in (WIDE, *(block for pair in PAIRS for block in pair)) for name in block.parts]
    assert sorted(placed) == sorted(part.name for part in PARTS)
