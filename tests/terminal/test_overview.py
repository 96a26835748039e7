"""The overview as the real program's first screen, in a real terminal."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres import Database
from tests.terminal.console import console, socket_of
from tests.terminal.link import CutLink

MOST_BYTES = 10_240
LINK_LOST = 8.0


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_it_is_seen_first_and_leads_to_a_tenant_and_back(fleet: Database, columns: int, lines: int) -> None:
    with console(fleet, words=(), columns=columns, lines=lines) as t:
        t.see("FAILING MOST")
        t.see("✕ 12.00 %")
        t.see("✕ failing")
        t.gone("not read yet")
        t.settle()
        assert len(t.raw) <= MOST_BYTES
        t.press(*["down"] * 5, "enter")  # past alerts, gates, requests, errors and latency
        t.see("tenants › umbrella")
        t.press("esc")
        t.see("dead letters")
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0 and t.restored()


def test_what_did_not_change_is_not_sent_again(fleet: Database) -> None:
    """A change that no line shows is read all the same: nothing goes out for the parts that say what they said."""
    with console(fleet, words=()) as t:
        t.see("✕ 12.00 %")
        t.see("in the last hour")
        t.settle()
        mark = t.mark()
        with psycopg.connect(fleet.owner) as connection:
            connection.execute("UPDATE wf.tenants SET name = 'Acme SE' WHERE id = 'acme'")
        t.see("sql.update acme")
        t.settle()
        assert len(t.bytes_since(mark)) < 1200, "the lines of what changed, and no others"


def test_a_link_that_is_cut_keeps_what_was_read(fleet: Database) -> None:
    with CutLink(socket_of(fleet)) as link, console(fleet, words=(), port=link.port) as t:
        t.see("✕ 12.00 %")
        link.cut()
        t.see("offline", timeout=LINK_LOST)
        t.see("✕ 12.00 %")
        link.restore()
        t.see("live", timeout=LINK_LOST)
