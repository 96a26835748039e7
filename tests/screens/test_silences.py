"""Silences in the console: made from alerts with a count while typing, listed, edited, ended."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from textual.widgets import Input

from tests.backends.silences import fire
from tests.postgres import Database
from tests.screens.console import command, confirm, console, shown, text, type_in, until


@pytest.fixture
def firing(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        fire(owner, number=2)
        fire(owner, tenant="beta", severity="critical")
        fire(owner, kind="jobs_dead", tenant=None, ago="2 days", over="1 day")
        yield owner


def silences(owner: psycopg.Connection) -> list[tuple[str, ...]]:
    return owner.execute(
        "SELECT (SELECT string_agg((m ->> 'label') || (m ->> 'op') || (m ->> 'value'), ' ' ORDER BY m ->> 'label')"
        " FROM jsonb_array_elements(matchers) m), comment FROM wf.silences ORDER BY id"
    ).fetchall()


async def test_one_key_on_an_alert_opens_the_form_with_its_matchers(
    database: Database, firing: psycopg.Connection
) -> None:
    async with console(database, role="operator") as (_, pilot):
        await command(pilot, "alerts")
        await until(pilot, lambda: "beta" in text(pilot))
        assert "beta" in next(line for line in shown(pilot) if "›" in line and "critical" in line)
        await pilot.press("a", "s")
        await until(pilot, lambda: "hides 1 open alert now" in text(pilot))
        assert "create a silence" in text(pilot)
        assert pilot.app.screen.query_one("#field-matchers", Input).value == 'kind="burn_rate", tenant="beta", n="1"'
        await type_in(pilot, "2h")
        await pilot.press("enter")
        await type_in(pilot, "new disks")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: silences(firing) == [("kind=burn_rate n=1 tenant=beta", "new disks")])
        await until(pilot, lambda: "create a silence" in shown(pilot)[-1])
        await command(pilot, "silences")
        await until(pilot, lambda: "◐ active" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "by t_operator: new disks" in text(pilot))
