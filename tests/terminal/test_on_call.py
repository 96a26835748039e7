"""Silencing alerts and looking at who is on call, with the real program in a real terminal."""

from __future__ import annotations

import psycopg
import pytest

from tests.backends.silences import fire
from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.test_faults import DEAD_TIME


@pytest.fixture
def firing(database: Database) -> Database:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        fire(owner, number=3)
        owner.execute(
            "INSERT INTO wf.schedules (name, rotations) VALUES ('primary',"
            ' \'[{"name": "main", "people": ["ana", "ben"], "starts": "2026-01-05 09:00", "shift": "1d"}]\')'
        )
    return database


def test_alerts_are_silenced_with_the_count_in_sight(firing: Database) -> None:
    with console(firing, "operator", words=("/silences",), columns=80) as t:
        t.see("Nothing is silenced")
        t.press("a", "s")
        t.see("create a silence")
        t.type('tenant="acme"')
        t.see("hides 3 open alerts now")
        t.type(', n="1"')
        t.see("hides 1 open alert now")
        t.press("enter")
        t.type("2h")
        t.press("enter")
        t.type("new disks")
        t.press("enter")
        t.see("Do it? y/N")
        t.settle(DEAD_TIME)
        t.press("y")
        t.see("active")
        t.press("enter")
        t.see("by t_operator: new disks")
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0 and t.restored()


def test_a_week_is_drawn_also_without_unicode(firing: Database) -> None:
    plain: dict[str, str | None] = {"LC_ALL": "de_DE.ISO-8859-1"}
    with console(firing, "viewer", words=("/schedules/primary",), columns=80, environment=plain) as t:
        t.see("this week")
        t.see("by the clocks of UTC")
        assert any("|" in line and "###" in line for line in t.screen())
        t.press("l")
        t.see("1 week ahead")
        t.press("n")
        t.see("this week")
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0
