"""Schedules in the console: who is on call and who is next, the week, and the forms."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from textual.widgets import Input

from tests.postgres import Database
from tests.screens.console import command, confirm, console, shown, text, type_in, until

ROWS = """
INSERT INTO wf.schedules (name, rotations) VALUES
  ('primary', '[{"people": ["ana", "ben", "cho"], "starts": "2026-01-05 09:00", "zone": "Europe/Berlin"}]'),
  ('two', '[{"name": "a", "people": ["dan"], "starts": "2026-01-05", "only": ["mon-fri 09:00-17:00"]},
            {"name": "b", "people": ["eve"], "starts": "2026-01-05"}]'),
  ('broken', '[{"people": []}]');
"""


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(ROWS)
        yield owner


async def test_the_list_says_who_is_on_call_and_begins_with_what_cannot_be_read(
    database: Database, owner: psycopg.Connection
) -> None:
    async with console(database, role="viewer") as (_, pilot):
        await command(pilot, "schedules")
        await until(pilot, lambda: "● covered" in text(pilot))
        rows = [line for line in shown(pilot) if "covered" in line or "unreadable" in line]
        assert ["broken" in rows[0], "primary" in rows[1], "two" in rows[2]] == [True] * 3
        assert "–" in rows[0] and "●" not in rows[0], "unknown is not good"
        await pilot.press("w")
        await until(pilot, lambda: "cannot be read" in text(pilot) and "0.starts" in text(pilot))


async def test_the_week_moves_by_a_key_and_comes_back(database: Database, owner: psycopg.Connection) -> None:
    async with console(database) as (_, pilot):
        await command(pilot, "test/schedules/primary")
        await until(pilot, lambda: "▼" in text(pilot) and "this week" in text(pilot))
        first = next(line for line in shown(pilot) if "week of" in line)
        await pilot.press("l", "l")
        await until(pilot, lambda: "2 weeks ahead" in text(pilot))
        assert "▼" not in text(pilot) and first not in text(pilot)
        await pilot.press("h", "h", "left")
        await until(pilot, lambda: "1 week back" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: first in text(pilot) and "▼" in text(pilot))
        await pilot.press(*["l"] * 60)
        await until(pilot, lambda: "53 weeks ahead" in text(pilot))


async def test_a_form_begins_with_what_is_and_says_what_would_be(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="operator") as (_, pilot):
        await command(pilot, "test/schedules/primary")
        await until(pilot, lambda: "this week" in text(pilot))
        await pilot.press("a", "e")
        await until(pilot, lambda: "in every minute of the next 12 months" in " ".join(text(pilot).split()))
        fields = {entry.id: entry.value for entry in pilot.app.screen.query(Input)}
        assert fields == {
            "field-people": "ana, ben, cho", "field-starts": "2026-01-05 09:00", "field-shift": "1w",
            "field-zone": "Europe/Berlin", "field-only": "",
        }  # fmt: skip
        pilot.app.screen.query_one("#field-only", Input).value = "mon-fri"
        await until(pilot, lambda: "nobody is on call 5" in text(pilot))
        pilot.app.screen.query_one("#field-only", Input).value = "noon"
        await until(pilot, lambda: "noon is no hours" in text(pilot))
        pilot.app.screen.query_one("#field-only", Input).value = "mon-fri 09:00-17:00"
        pilot.app.screen.query_one("#field-only", Input).focus()
        await pilot.press("enter")
        await confirm(pilot)
        only = "SELECT rotations -> 0 ->> 'only' FROM wf.schedules WHERE name = 'primary'"
        await until(pilot, lambda: owner.execute(only).fetchone() == ('["mon-fri 09:00-17:00"]',))
        await until(pilot, lambda: "edit primary" in shown(pilot)[-1])


async def test_several_rotations_are_edited_in_a_file(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="operator", size=(120, 40)) as (_, pilot):
        await command(pilot, "test/schedules/two")
        await until(pilot, lambda: "eve" in text(pilot))
        await pilot.press("a", "e")
        await until(pilot, lambda: "watchfloor schedules edit two --rotations FILE" in text(pilot))


async def test_somebody_else_is_put_on_call_and_taken_off(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="operator", size=(120, 40)) as (_, pilot):
        await command(pilot, "test/schedules/primary")
        await until(pilot, lambda: "this week" in text(pilot))
        await pilot.press("a", "o")
        await until(pilot, lambda: "Put somebody else on call" in text(pilot))
        await type_in(pilot, "zoe")
        await pilot.press("enter")
        await type_in(pilot, "8h")
        await pilot.press("enter")
        pilot.app.screen.query(Input).last().focus()
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "on call: zoe" in text(pilot) and ": zoe for whoever" in text(pilot))
        await pilot.press("u")
        await until(pilot, lambda: "undo of schedules.override" in text(pilot))
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "on call: zoe" not in text(pilot))
