"""Objectives in the console: the list, one with its burn-down, what-if, and that unknown is never green."""

from __future__ import annotations

import threading
import zoneinfo
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from controlplane.objectives import rules
from controlplane.objectives.list import OBJECTIVES, STATUSES
from controlplane.objectives.model import STATES, Maintenance, Objective, ObjectiveDirectory
from controlplane.objectives.rules import evaluate
from screens.dialogs.confirm import Confirm
from screens.dialogs.dialog import Dialog
from screens.objectives.chart import burn_down_chart
from screens.objectives.detail import ObjectiveScreen
from screens.widgets.glance import Glance
from tests.backends.traffic import ESTATE, roll_up, send
from tests.controlplane.objectives import NOW, objective, slices
from tests.postgres import Database
from tests.screens.console import command, console, quiet, shown, text, type_in, until


@pytest.fixture
def busy(database: Database) -> Database:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(ESTATE)
        send(owner, "acme", "/orders", "3 days", "1 hour", step="1 minute", key="k_1")
        roll_up(owner)
        send(owner, "acme", "/orders", "1 hour", "0", every=50, key="k_1")
        send(owner, "beta", "/x[red]", "1 hour", "0", key="k_2")
        owner.execute(
            "INSERT INTO wf.objectives (name, tenant_id, target, contractual) VALUES"
            " ('api', 'acme', 0.999, 0.99), ('api', 'beta', 0.99, NULL), ('api', 'gone', 0.999, NULL)"
        )
    return database


async def test_the_list_begins_with_the_least_budget_and_ends_with_what_is_unknown(busy: Database) -> None:
    async with console(busy, role="viewer") as (_, pilot):
        await command(pilot, "objectives")
        await until(pilot, lambda: "beta" in text(pilot))
        rows = [line for line in shown(pilot) if "api" in line]
        assert ["acme" in rows[0], "beta" in rows[1], "gone" in rows[2]] == [True] * 3
        assert "✕ page" in rows[0] and "-" in rows[0] and "exhausted" in rows[0]
        assert "● ok" in rows[1] and "100.0%" in rows[1] and "never" in rows[1]
        assert "? unknown" in rows[2] and "–" in rows[2] and "%" not in rows[2]
        await type_in(pilot, "/state:page")
        await pilot.press("enter")
        await until(pilot, lambda: "1 of 3" in text(pilot))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_one_objective_shows_windows_attribution_and_burn_down(busy: Database, size: tuple[int, int]) -> None:
    async with console(busy, size=size) as (_, pilot):
        await command(pilot, "test/objectives/1")
        await until(pilot, lambda: "FIRES" in text(pilot))
        shows = text(pilot)
        assert "✕ page" in shows and "1h/5m" in shows and "of what was promised (99%)" in " ".join(shows.split())
        for pane, words in (("burned", "no release is stored"), ("burndown", "┈ empty 0%"), ("timeline", "sql.insert")):
            if size[0] < 110:
                await pilot.press("tab")
            await until(pilot, lambda words=words: words in text(pilot))
            assert pane in text(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "which requests it counts" in text(pilot))
        assert "› acme (a tenant), 99.9%, number 1" in text(pilot)


async def test_plus_and_minus_ask_what_it_would_have_fired(busy: Database) -> None:
    async with console(busy, size=(120, 40)) as (app, pilot):
        await command(pilot, "test/objectives/1")
        await until(pilot, lambda: "┈ empty 0%" in text(pilot))
        assert "what if" not in "\n".join(shown(pilot)[:-1])
        await pilot.press(*["minus"] * 6)
        await until(pilot, lambda: "90% 30d" in text(pilot))
        assert "1 page" in next(line for line in shown(pilot) if "as it is" in line)
        assert "0 pages, 0 tickets" in next(line for line in shown(pilot) if "what if  90% 30d" in line)
        assert "can never fire" in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "90% 30d" not in text(pilot))
        await pilot.press("m", "minus")
        await until(pilot, lambda: "99.9% 28d" in text(pilot))
        await pilot.press("plus")
        await until(pilot, lambda: "99.9% 28d" not in text(pilot))
        assert app.session.plane is not None
        assert (
            await app.session.plane.of(ObjectiveDirectory).standing(1)
        ).objective.target == 0.999  # nothing was changed


class Held:
    """`rules.replay`, which can be held up: in which threads it ran, and for which targets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: set[int] = set()
        self.targets: list[float] = []
        self.gate = threading.Event()
        self.gate.set()
        real = rules.replay

        def replay(asked: Objective, *more: Any) -> Any:
            self.threads.add(threading.get_ident())
            self.targets.append(asked.target)
            if threading.current_thread() is not threading.main_thread():
                assert self.gate.wait(30)
            return real(asked, *more)

        monkeypatch.setattr(rules, "replay", replay)


async def test_what_is_asked_is_computed_once_and_not_by_the_loop(
    busy: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = Held(monkeypatch)
    async with console(busy, size=(120, 40)) as (app, pilot):
        await command(pilot, "test/objectives/1")
        await until(pilot, lambda: "┈ empty 0%" in text(pilot))
        replayed.gate.clear()
        await pilot.press("minus")
        await until(pilot, lambda: "what if: computing" in text(pilot))
        await pilot.press("tab", "tab", "shift+tab", "shift+tab")  # keys are heard meanwhile
        replayed.gate.set()
        await until(pilot, lambda: "as it is" in text(pilot) and "computing" not in text(pilot))
        first = len(replayed.targets)
        assert threading.get_ident() not in replayed.threads and first == 2
        for _ in range(3):
            await app.screen.refresh_data()  # type: ignore[attr-defined]
        assert len(replayed.targets) == first and "as it is" in text(pilot)


async def test_an_answer_that_nobody_asks_for_any_more_is_dropped(
    busy: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = Held(monkeypatch)
    async with console(busy, size=(120, 40)) as (_, pilot):
        await command(pilot, "test/objectives/1")
        await until(pilot, lambda: "┈ empty 0%" in text(pilot))
        replayed.gate.clear()
        await pilot.press("minus")
        await until(pilot, lambda: 0.999 in replayed.targets)
        await pilot.press("minus", "minus", "escape", "minus", "minus")
        replayed.gate.set()
        await until(pilot, lambda: "what if  99.5% 30d" in text(pilot))
        assert sorted({*replayed.targets}) == [0.995, 0.998, 0.999]  # the first, and the last: none between
        replayed.gate.clear()
        await pilot.press("plus")
        await until(pilot, lambda: "what if: computing" in text(pilot))
        await pilot.press("escape")
        replayed.gate.set()
        await quiet(pilot)
        assert "what if" not in "\n".join(shown(pilot)[:-1])


async def test_an_objective_is_set_with_a_preview_and_taken_back(
    busy: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = Held(monkeypatch)
    async with console(busy, size=(120, 40)) as (app, pilot):
        await command(pilot, "objectives")
        await pilot.press("a", "n")
        await until(pilot, lambda: "99.9% or 0.999" in text(pilot))
        for words in ("checkout", "90%"):
            await type_in(pilot, words.replace("%", ""))
            if "%" in words:
                await pilot.press("percent_sign")
            await pilot.press("enter")
        while isinstance(app.screen, Dialog) and not isinstance(app.screen, Confirm):
            await pilot.press("enter")  # what is asked for besides has its defaults
        await until(pilot, lambda: "can never fire" in text(pilot))
        await pilot.pause(0.35)  # the dialog's dead time
        await pilot.press("y")
        await until(pilot, lambda: "create checkout" in text(pilot) and "u: undo" in text(pilot))
        await quiet(pilot)
        assert "checkout" in text(pilot)
        assert replayed.threads and threading.get_ident() not in replayed.threads


async def test_the_overview_shows_what_burns_and_opens_it(busy: Database) -> None:
    async with console(busy, role="viewer", link="") as (app, pilot):
        await until(pilot, lambda: "api (acme)" in text(pilot))
        burner = next(line for line in shown(pilot) if "api (acme)" in line)
        assert "✕ " in burner and " ×" in burner and "over by" in burner and "? 1" in text(pilot)
        app.screen.query_one(Glance).cursor = ("burning", "1")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ObjectiveScreen) and "FIRES" in text(pilot))


async def test_what_is_not_there_is_said(busy: Database) -> None:
    async with console(busy, role="viewer") as (_, pilot):
        await command(pilot, "test/objectives/99")
        await until(pilot, lambda: "There is no objective 99" in text(pilot))
        await command(pilot, "test/objectives/nonsense")
        await until(pilot, lambda: "There is no objective 0" in text(pilot))
        await command(pilot, "test/objectives/3")
        await until(pilot, lambda: "? unknown" in text(pilot) and "no data in the window" in text(pilot))
        await pilot.press("shift+tab", "shift+tab")
        await until(pilot, lambda: "no data: unknown" in text(pilot))


def test_only_ok_is_green() -> None:
    assert set(STATUSES) == set(STATES)
    assert [state for state, (_, tone, _) in STATUSES.items() if tone == "good"] == ["ok"]
    unknown = evaluate(objective(), [], NOW)
    cells = [column.shown(unknown, NOW, "age") for column in OBJECTIVES.table]
    assert not [cell for cell in cells if cell.tone == "good" or cell.text in ("0", "0%", "0.0%", "100.0%")]


def test_an_overdrawn_budget_keeps_its_sign() -> None:
    burned = evaluate(objective(target=0.99), slices([(9863, 10000)]), NOW)
    assert OBJECTIVES.column("budget").shown(burned, NOW, "age") == ("-37.0%", "bad")


def test_the_burn_down_has_an_even_line_in_a_calendar_and_none_without_data() -> None:
    hours = slices([(1000, 1000)] * 20, seconds=3600)
    month = burn_down_chart(evaluate(objective(period="month"), hours, NOW), hours)
    rolling = burn_down_chart(evaluate(objective(), hours, NOW), hours)
    assert month is not None and [each.name for each in month.series] == ["left", "even burn"]
    assert rolling is not None and [each.name for each in rolling.series] == ["left"]
    assert burn_down_chart(evaluate(objective(), [], NOW), []) is None


def test_planned_maintenance_is_marked_on_the_burn_down() -> None:
    hours = slices([(1000, 1000)] * 20, seconds=3600)
    begins, ends = NOW - timedelta(hours=9), NOW - timedelta(hours=7)
    planned = Maintenance(1, None, None, None, begins, ends, "new disks", "ada", begins, NOW - timedelta(hours=8))
    chart = burn_down_chart(evaluate(objective(), hours, NOW), hours, planned=[planned])
    assert chart is not None and chart.notes == ("▲ maintenance",)
    assert [each.x for each in chart.marks] == [begins.timestamp(), (NOW - timedelta(hours=8)).timestamp()]


@pytest.fixture
def no_zones() -> Iterator[None]:
    """A machine without time zones, as a small container is."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(to=before)


async def test_a_zone_that_this_machine_lacks_is_told_and_nothing_reads_for_ever(
    busy: Database, no_zones: None
) -> None:
    with psycopg.connect(busy.owner, autocommit=True) as owner:
        owner.execute("UPDATE wf.objectives SET period = 'month', zone = 'Europe/Berlin' WHERE id = 1")
    async with console(busy) as (_, pilot):
        await command(pilot, "test/objectives/1")
        await until(pilot, lambda: "no time zone Europe/Berlin" in text(pilot))
        assert "Install its time zones" in text(pilot)
