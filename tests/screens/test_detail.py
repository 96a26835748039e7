"""A detail screen from its data: panes, what is costly to read, and the nouns that it leads to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest

from app.bindings import known
from app.console import Watchfloor
from controlplane.errors import HomeUnreachable, Refusal
from controlplane.telemetry.charts import ChartSpec
from controlplane.telemetry.chartviews import parse_view
from controlplane.telemetry.model import RequestTelemetry, Scope
from screens.alerts.detail import AlertScreen
from screens.alerts.detector import DetectorScreen
from screens.detail import API_KEYS, TENANT, DetailScreen
from screens.keys.detail import KeyScreen
from screens.objectives.detail import ObjectiveScreen
from screens.panes import ChartPane, Facts, Reading, Seen, timeline
from screens.subscriptions.detail import SubscriptionScreen
from screens.tenants.detail import TenantScreen
from tests.postgres import Database
from tests.screens.console import console, quiet, shown, text, until

WIDE = (120, 40)


@dataclass(frozen=True)
class Toy:
    id: str
    tenant_id: str | None = "default"
    version: int = 1


class Shop:
    """Where toys are read from. `answers`: what the costly reading comes to, or raises."""

    def __init__(self) -> None:
        self.toy, self.answers, self.readings = Toy("bear"), "42 sold", 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def sales(self, plane: Any, toy: Toy, now: datetime) -> str:
        self.readings += 1
        await self.gate.wait()
        if isinstance(self.answers, Refusal):
            raise self.answers
        return self.answers


SHOP = Shop()


async def read_sales(plane: Any, toy: Toy, now: datetime) -> str:
    return await SHOP.sales(plane, toy, now)


SALES = Reading(read_sales, every=30.0)


def sales_chart(seen: Seen[Toy]) -> ChartSpec | None:
    assert seen.of(SALES)
    return None


class ToyScreen(DetailScreen[Toy]):
    noun = "toys"
    panes = (
        Facts("facts", lambda seen: [f"a toy {seen.thing.id}, version {seen.thing.version}"]),
        Facts("sales", lambda seen: [seen.of(SALES)]),
        ChartPane("chart", sales_chart, "nothing to draw"),
        timeline("tenant"),
    )
    grid = ("facts sales", "facts chart", "timeline timeline")
    heights = "1fr 1fr 1fr"
    readings = (SALES,)
    related = (API_KEYS, TENANT)

    def scope(self) -> Scope:
        return Scope("bear", key_prefix="wf_live_toy")

    async def read(self, plane: Any) -> Toy:
        return SHOP.toy


@pytest.fixture(autouse=True)
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setitem(globals(), "SHOP", Shop())
    return SHOP


async def again(app: Watchfloor, pilot: Any, seconds: float = 0.0) -> None:
    """Read again, so much later."""
    before = app.session.ticks()
    app.session.ticks = lambda: before + seconds
    await app.screen.refresh_data()  # type: ignore[attr-defined]
    if SHOP.gate.is_set():
        await quiet(pilot)


async def test_what_is_costly_rests_and_is_let_finish(database: Database, shop: Shop) -> None:
    async with console(database, size=WIDE) as (app, pilot):
        app.session.ticks = lambda: 0.0
        app.push_screen(ToyScreen("bear"))
        await until(pilot, lambda: "42 sold" in text(pilot))
        await again(app, pilot, 29)
        assert shop.readings == 1
        await again(app, pilot, 1)
        assert shop.readings == 2
        shop.toy = Toy("bear", version=2)
        await again(app, pilot)
        assert shop.readings == 3 and "version 2" in text(pilot)
        shop.gate.clear()
        await again(app, pilot, 31)
        await again(app, pilot, 600)  # it is still under way
        assert shop.readings == 4
        shop.gate.set()
        await quiet(pilot)
        await again(app, pilot, 600)  # it took ten minutes: it rests for longer
        assert shop.readings == 4


async def test_what_a_reading_meets_is_said_where_it_would_stand(database: Database, shop: Shop) -> None:
    shop.answers = Refusal("sales_unknown", "The sales are not known.", "Ask the shop.")  # type: ignore[assignment]
    async with console(database, size=WIDE) as (app, pilot):
        app.session.ticks = lambda: 0.0
        app.push_screen(ToyScreen("bear"))
        await until(pilot, lambda: text(pilot).count("The sales are not known.") == 2)
        assert "Ask the shop." in text(pilot) and "a toy bear" in text(pilot)
        shop.answers = "43 sold"
        await again(app, pilot, 30)
        assert "43 sold" in text(pilot) and "nothing to draw" in text(pilot)
        shop.answers = HomeUnreachable("home_unreachable", "The home is away.", "")  # type: ignore[assignment]
        await again(app, pilot, 30)
        assert shop.readings == 3 and "43 sold" in text(pilot)


async def test_it_leads_to_its_nouns_by_their_keys(database: Database, shop: Shop) -> None:
    async with console(database, size=WIDE) as (app, pilot):
        app.push_screen(ToyScreen("bear"))
        await until(pilot, lambda: "42 sold" in text(pilot))
        assert "A keys  O tenant" in shown(pilot)[-1]
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen) and app.screen.thing_id == "default")
        await pilot.press("escape", "A")
        await until(pilot, lambda: "/tenant:default" in text(pilot))
        shop.toy = Toy("bear", tenant_id=None)
        app.push_screen(ToyScreen("bear"))
        await quiet(pilot)
        await pilot.press("O", "A")  # it has no tenant: they lead nowhere
        await quiet(pilot)
        assert isinstance(app.screen, ToyScreen)


async def test_charts_are_of_the_thing_and_of_the_time_of_the_row(database: Database, shop: Shop) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name, plan, region) VALUES ('bear', 'Bear', 'free', 'eu-west-1')")
    async with console(database, size=WIDE) as (app, pilot):
        screen = ToyScreen("bear")
        app.push_screen(screen)
        await until(pilot, lambda: "sql.insert" in text(pilot))
        assert screen.charts_text() == "tenant:bear key:wf_live_toy window:1d" and screen.record() == vars(shop.toy)
        await pilot.press("shift+tab")
        row = screen.record()
        assert row is not None and row["operation"] == "sql.insert" and screen.current() == shop.toy
        assert parse_view(screen.charts_text()).at == row["at"].replace(microsecond=0)


SCREENS = [TenantScreen, KeyScreen, SubscriptionScreen, ObjectiveScreen, AlertScreen, DetectorScreen]


def test_their_bindings_keep_their_ids() -> None:
    ids = {"api_keys": "A", "plan": "P", "tenant": "O", "key": "K", "objective": "B", "alert": "L", "route": "E"}
    ids |= {
        "webhooks": "W",
        "webhook": "H",
        "events": "N",
        "cause": "X",
        "dead": "D",
        "delivery": "V",
        "job": "J",
        "gate": "F",
        "runbook": "T",
        "released_run": "Z",
    }
    ids |= {"next_pane": "tab", "previous_pane": "shift+tab"}
    assert {id: list(keys) for id, (_, keys) in known().items() if id.startswith("detail.")} == {
        f"detail.{name}": [key] for name, key in ids.items()
    }


@pytest.mark.parametrize("screen", SCREENS)
def test_every_pane_has_its_place(screen: type[DetailScreen[Any]]) -> None:
    rows = [row.split() for row in screen.grid]
    assert sorted({name for row in rows for name in row}) == sorted(pane.name for pane in screen.panes)
    assert len({len(row) for row in rows}) == 1 and len(rows) == len(screen.heights.split())
    assert len(rows[0]) == len(screen.widths.split()) and isinstance(screen.panes[0], Facts)


async def test_traffic_that_cannot_be_read_says_so_in_its_place(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(database, size=WIDE) as (app, pilot):
        assert app.session.plane is not None

        async def refused(*asked: Any) -> None:
            raise Refusal("series_too_long", "That is too long to draw.", "")

        monkeypatch.setattr(app.session.plane.of(RequestTelemetry), "newest", refused)
        await pilot.press("enter")
        await until(pilot, lambda: "That is too long to draw." in text(pilot))
        assert "protected" in text(pilot) and not app.screen.said.words  # type: ignore[attr-defined]
