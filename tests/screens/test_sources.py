"""Sources outside the home in the console: side by side with the home's own, and acted on by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from textual.pilot import Pilot

from app.console import Watchfloor
from screens.detail import DetailScreen
from screens.dialogs.form import RequestForm
from tests.backends.letters import die
from tests.backends.outside import booked, password_of, sources_of, url_of
from tests.postgres import Database
from tests.screens.console import command, confirm, console, text, type_in, until

ORDERS = """
CREATE TABLE orders (id bigserial PRIMARY KEY, dead boolean, err text, body jsonb, at timestamptz DEFAULT now());
INSERT INTO orders (dead, err, body)
SELECT true, 'no answer from 10.0.0.' || i, '{"n": 9007199254740993}' FROM generate_series(1, 4) i;
INSERT INTO orders (dead, err) VALUES (true, 'card declined');
"""
SETTINGS = """
[{name}]
url = "{url}"
password = "env:ORDERS"
table = "orders"
dead = "t.dead"
requeue = "UPDATE $table SET dead = false WHERE id = ANY ($ids)"
columns = {{id = "id", error = "err", payload = "body", died = "at", handler = "'ship'"}}
"""


@pytest.fixture
def elsewhere(empty_database: Database) -> psycopg.Connection:
    connection = psycopg.connect(empty_database.owner, autocommit=True)
    connection.execute(ORDERS.encode())
    return connection


@asynccontextmanager
async def opened(
    database: Database, empty_database: Database, folder: Path, noun: str
) -> AsyncIterator[tuple[Watchfloor, Pilot[None]]]:
    url = url_of(empty_database.owner)
    text = SETTINGS.format(name="orders", url=url)
    text += SETTINGS.format(name="away", url=url.replace("host=", "host=%2Fnowhere"))
    book = booked(sources_of(folder, text, password_of(empty_database.owner)))
    async with console(database, role="operator") as (app, pilot):
        assert app.context is not None
        app.context.home.sources = book  # closed with its context
        await command(pilot, noun)
        yield app, pilot


async def reason(app: Watchfloor, pilot: Pilot[None]) -> None:
    await until(pilot, lambda: isinstance(app.screen, RequestForm))
    await type_in(pilot, "it is back")
    await pilot.press("enter")


async def test_all_sources_are_on_one_screen_and_a_cause_outside_is_replayed(
    database: Database, empty_database: Database, elsewhere: psycopg.Connection, tmp_path: Path
) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        die(owner, 2)
    async with opened(database, empty_database, tmp_path, "queues") as (app, pilot):
        await until(pilot, lambda: "orders 5, oldest" in text(pilot) and "away: cannot be reached" in text(pilot))
        shown = text(pilot)
        assert "ship" in shown and "deliver" in shown and "card declined" in shown and "jobs 2" in shown
        await app.session.read_standing()
        assert "2 dead here" in app.session.attention()  # the others are in the line above the list
        await pilot.press("a", "r")
        await reason(app, pilot)
        await until(pilot, lambda: "4 things" in text(pilot) and "orders/4, ship: no answer from <ip>" in text(pilot))
        await confirm(pilot, "4")
        await until(pilot, lambda: "orders 1, oldest" in text(pilot) and "out 4/h" in text(pilot))
        assert elsewhere.execute("SELECT count(*) FROM orders WHERE dead").fetchone() == (1,)
        assert "no answer from 10" not in text(pilot)


async def test_messages_are_marked_and_replayed_together_and_one_shows_what_it_says(
    database: Database, empty_database: Database, elsewhere: psycopg.Connection, tmp_path: Path
) -> None:
    async with opened(database, empty_database, tmp_path, "messages source:orders") as (app, pilot):
        await until(pilot, lambda: "card declined" in text(pilot))
        await pilot.press("space", "space", "a", "r")
        await reason(app, pilot)
        await confirm(pilot, "2")
        await until(pilot, lambda: "card declined" not in text(pilot) and "no answer from 10.0.0.3" in text(pilot))
        assert elsewhere.execute("SELECT array_agg(id ORDER BY id) FROM orders WHERE NOT dead").fetchone() == ([4, 5],)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen) and "ship" in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: '"n": 9007199254740993' in text(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: "nothing was done to it from here" in text(pilot))
        await command(pilot, "sources")
        await until(pilot, lambda: "✕ down" in text(pilot) and "● ok" in text(pilot))
