"""The ten tasks of a tired engineer, at 80×24 from the first screen: each is counted in keys.

What is typed or pasted as a text (an address, a reason, a number) counts as one key each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.backends.keys import make_calls, make_keys
from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.driver import Terminal

DEAD_TIME = 0.4
"""A dialog takes no confirming key in its first 300 ms."""
ESTATE = """
INSERT INTO wf.tenants (id, name, plan, region, owner_email) VALUES
  ('acme', 'Acme GmbH', 'growth', 'eu-west-1', 'ana@acme.example'),
  ('globex', 'Globex', 'pro', 'us-east-1', 'hank@globex.example'),
  ('initech', 'Initech', 'starter', 'eu-west-1', NULL);
UPDATE wf.tenant_activity SET per_minute = 1204, error_share = 0.0841, p95_ms = 212, until = now()
  WHERE tenant_id = 'acme';
UPDATE wf.tenant_activity SET per_minute = 90, error_share = 0.0001, p95_ms = 80, until = now()
  WHERE tenant_id = 'globex';
INSERT INTO wf.objectives (name, target) VALUES ('api', 0.999);
"""


class Hands:
    """Presses keys and counts them."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.count = 0

    def press(self, *keys: str) -> None:
        self.count += len(keys)
        self.terminal.press(*keys)

    def paste(self, text: str) -> None:
        self.count += 1
        self.terminal.paste(text)

    def see(self, text: str) -> None:
        self.terminal.see(text)

    def confirm(self) -> None:
        self.see("Do it? y/N")
        self.terminal.settle(DEAD_TIME)
        self.press("y")


@contextmanager
def first_screen(database: Database, **more: object) -> Iterator[Hands]:
    with console(database, columns=80, words=(), **more) as terminal:  # type: ignore[arg-type]
        terminal.see("acme")
        yield Hands(terminal)
        terminal.press("ctrl+c", "ctrl+c")
        terminal.wait()


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    make_keys(database.owner, 2)
    make_calls(database.owner, "key_00000000000000000000000001", 5)
    return database


def test_what_is_only_read(estate: Database) -> None:
    """Worst tenant and since when, who uses a key, who burned a budget, what one operator did, back where one was."""
    with psycopg.connect(estate.login("admin"), autocommit=True) as ana, ana.transaction():
        ana.execute("SELECT wf.begin_change('tenants.rename', NULL, 'task-7', 'none')")
        ana.execute("UPDATE wf.tenants SET name = 'Globex Ltd' WHERE id = 'globex'")
    with first_screen(estate) as hands:
        hands.press("1")
        hands.see("Globex")
        hands.press("S", "e")
        hands.see("sort err ↓")
        hands.terminal.settle()
        hands.press("enter")
        hands.see("tenants › acme")
        hands.press("m")  # its charts: when it began, beside what changed
        hands.see("telemetry")
        assert hands.count <= 8, "the worst tenant, and since when"

        hands.count = 0
        hands.press("esc")
        hands.see("tenants › acme")
        assert hands.count == 1, "back where I was"

        hands.count = 0
        hands.press("f")
        hands.paste("wf_live_1")
        hands.press("enter")
        hands.see("wf_live_1 of acme")
        hands.press("enter")
        hands.see("wf_live_1")
        assert hands.count <= 8, "who still uses a leaked key"

        hands.count = 0
        hands.press("8")
        hands.see("too little data")
        hands.press("enter")
        hands.see("burned")
        hands.press("tab")
        assert hands.count <= 6, "who burned a budget"

        hands.count = 0
        hands.press("9", "/")
        hands.paste("actor:t_admin at>24h ago")
        hands.press("enter")
        hands.see("tenants.rename")
        assert hands.count <= 5, "what one operator did today"


def test_what_is_changed(estate: Database) -> None:
    """From an address to a suspended tenant and back; a raised quota; leaving."""
    with first_screen(estate) as hands:
        hands.paste("ana@acme.example")
        hands.see("find ana@acme.example")
        hands.press("enter")
        hands.see("its owner")
        hands.press("a", "s")
        hands.paste("three chargebacks")
        hands.press("enter")
        hands.confirm()
        hands.see("…  suspended")
        suspended = hands.count
        hands.press("u", "enter")
        hands.confirm()
        hands.see("…  active")
        assert suspended <= 7 and hands.count <= 10, "suspended, and undone"

        hands.press("enter")
        hands.see("tenants › acme")
        hands.count = 0
        hands.press("P")
        hands.see("subscriptions")
        hands.press("a", "r")
        hands.see("raise")
        hands.terminal.type("seats\r")
        hands.terminal.type("60\r")
        hands.terminal.type("24h\r")
        hands.terminal.type("a fair\r")
        hands.count += 4
        hands.confirm()
        hands.see("60")
        assert hands.count <= 8, "a quota for a day"


def test_files_links_and_leaving(estate: Database, tmp_path: Path) -> None:
    with first_screen(estate, environment={"HOME": str(tmp_path)}) as hands:
        hands.press("1", "/")
        hands.paste("plan:growth,pro")
        hands.press("enter")
        hands.see("2 of 4")
        hands.press("e")
        hands.see("export")
        hands.press("enter")
        assert hands.count <= 6, "a CSV of a filtered list with all fields"

    with first_screen(estate) as hands:
        hands.press("Y")
        hands.see("sent to the terminal's clipboard")
        assert hands.count == 1, "a link to the view"

        hands.count = 0
        context = conninfo_to_dict(estate.owner)["dbname"]
        hands.paste(f"watchfloor '{context}/tenants?plan:growth#acme'")  # as another console copied it
        hands.see("/plan:growth")
        assert hands.count == 1, "a view link into a second console"
        hands.press("[")
        hands.see("› overview")

        hands.count = 0
        hands.press("q", "y")
        assert hands.count == 2, "leave"
