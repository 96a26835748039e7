"""The console as a person meets it: the real program, a real terminal, a real home."""

from __future__ import annotations

import re
import signal

import psycopg
import pytest

from tests.postgres import Database
from tests.terminal.console import console, socket_of
from tests.terminal.link import CutLink

LINK_LOST = 8.0
"""Seconds in which a lost link is noticed: a heartbeat and its answer's limit, and some."""

DEAD_TIME = 0.4
"""A dialog takes no confirming key in its first 300 ms."""


@pytest.fixture
def estate(database: Database) -> Database:
    """A few tenants with numbers."""
    with psycopg.connect(database.owner) as connection:
        connection.execute(
            "INSERT INTO wf.tenants (id, name, plan, region, owner_email) VALUES"
            " ('acme', 'Acme GmbH', 'growth', 'eu-west-1', 'ana@acme.example'),"
            " ('globex', 'Globex', 'pro', 'us-east-1', 'hank@globex.example'),"
            " ('initech', 'Initech', 'trial', 'eu-west-1', NULL)"
        )
        connection.execute(
            "UPDATE wf.tenant_activity SET per_minute = 1204, error_share = 0.0041, p95_ms = 212, until = now()"
            " WHERE tenant_id = 'acme'"
        )
    return database


def test_suspend_with_a_reason_see_the_preview_undo_it_and_find_both_in_the_timeline(estate: Database) -> None:
    with console(estate, columns=120, lines=40) as t:
        t.see("Globex")
        t.press("/")
        t.type("acm")
        t.gone("Globex")
        t.press("enter")
        t.see("1 of 4  /acm")
        t.press("enter")
        t.see("ana@acme.example")
        t.press("a", "s")  # typed ahead, as one does over a slow link
        t.type("three chargebacks")
        t.press("enter")
        t.see("status: active → suspended")
        t.see("$ watchfloor tenants suspend acme")
        t.see("Do it? y/N")
        t.settle(DEAD_TIME)
        t.press("y")
        t.see("u: undo")
        t.see("◐ suspended")
        t.press("u")
        t.type("yesterday's mistake\r")  # typed ahead: the reason, not keys
        t.see("suspended → active")
        t.settle(DEAD_TIME)
        t.press("y")
        t.see("● active")
        t.see("tenants.suspend")
        t.see("tenants.resume")
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0
    with psycopg.connect(estate.owner) as connection:
        rows = connection.execute(
            "SELECT operation, actor, reason, out_of_band FROM wf.audit WHERE thing = 'acme' ORDER BY seq"
        ).fetchall()
    assert rows[1] == ("tenants.suspend", "t_admin", "three chargebacks", False)
    assert rows[2][:3] == ("tenants.resume", "t_admin", "yesterday's mistake")


def test_no_is_the_answer_of_enter_and_nothing_happens(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme GmbH")
        t.press("a")
        t.see("Suspend a tenant")
        t.press("s")
        t.see("kept in the audit trail")
        t.type("no")
        t.press("enter")
        t.see("Do it? y/N")
        t.settle(DEAD_TIME)
        t.press("enter")
        t.gone("Do it?")
        t.see("● active")
    with psycopg.connect(estate.owner) as connection:
        assert connection.execute("SELECT count(*) FROM wf.changes").fetchone() == (0,)


def test_what_another_person_does_is_seen_without_a_key(estate: Database) -> None:
    with console(estate) as t:
        t.see("Initech")
        t.settle()
        with psycopg.connect(estate.owner) as connection:
            connection.execute("UPDATE wf.tenants SET name = 'Initrode' WHERE id = 'initech'")
        t.see("Initrode")


def test_two_consoles_on_one_tenant_the_second_is_told(estate: Database) -> None:
    with console(estate) as first:
        first.see("Acme GmbH")
        first.press("a")
        first.see("Change a tenant's display")
        first.press("r")
        first.see("name *")
        with psycopg.connect(estate.owner) as connection:
            connection.execute("UPDATE wf.tenants SET name = 'Acme SE' WHERE id = 'acme'")
        first.type("Acme Ltd")
        first.press("enter")
        first.see("somebody changed it since you looked")
        first.press("w")
        first.see("[stale_version]")
    with psycopg.connect(estate.owner) as connection:
        assert connection.execute("SELECT name FROM wf.tenants WHERE id = 'acme'").fetchone() == ("Acme SE",)


def test_a_viewer_sees_no_action_and_a_masked_address(estate: Database) -> None:
    with console(estate, "viewer", columns=140) as t:
        t.see("a•••@acme.example")
        t.press("a")
        t.see("Nothing can be done here")


def test_a_filter_that_cannot_be_read_leaves_the_table_as_it_was(estate: Database) -> None:
    with console(estate) as t:
        t.see("Initech")
        t.press("/")
        t.type("status:sleepy")
        t.see("!")
        t.see("Initech")
        t.press("escape")
        t.see("Globex")


def test_an_unreachable_home_says_so_and_the_console_stays(estate: Database) -> None:
    with CutLink(socket_of(estate)) as link:
        link.cut()
        with console(estate, port=link.port) as t:
            t.see("cannot be reached")
            t.see("offline")
            link.restore()
            t.see("Acme GmbH", timeout=LINK_LOST)
            t.see("live")


def test_a_wrong_password_is_said(estate: Database) -> None:
    with CutLink(socket_of(estate)) as link, console(estate, port=link.port, environment={"PGPASSWORD": "x"}) as t:
        t.see("the name or the password is wrong")
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0
        assert t.restored()


def test_a_link_that_is_cut_keeps_the_data_refuses_changes_and_comes_back(estate: Database) -> None:
    with CutLink(socket_of(estate)) as link, console(estate, port=link.port) as t:
        t.see("Acme GmbH")
        t.see("live")
        link.cut()
        t.see("offline", timeout=LINK_LOST)
        t.see("Acme GmbH")
        t.press("a")
        t.see("nothing can be changed")
        link.restore()
        t.see("live", timeout=LINK_LOST)
        with psycopg.connect(estate.owner) as connection:
            connection.execute("UPDATE wf.tenants SET name = 'Acme SE' WHERE id = 'acme'")
        t.see("Acme SE", timeout=LINK_LOST)


def test_a_slow_link_paints_each_key_at_once(estate: Database) -> None:
    with CutLink(socket_of(estate)) as link:
        link.delay(300)
        with console(estate, port=link.port) as t:
            t.see("Initech", timeout=15)
            t.settle()
            before = len(t.raw)
            t.press("j")
            t.see("›  default", timeout=0.25)
            assert len(t.raw) - before < 1000


def test_a_small_terminal_says_what_it_needs_and_lives(estate: Database) -> None:
    with console(estate, columns=40, lines=10) as t:
        t.see("made for 60×15")
        t.see("acme")
        t.press("j", "j")
        t.resize(100, 24)
        t.gone("made for 60×15")
        t.see("Acme GmbH")


def test_a_storm_of_resizes_is_survived(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme GmbH")
        for _ in range(20):  # signals that overtake each other are rare
            for number in range(40):
                t.resize(30 + number * 3, 8 + number)
            t.resize(100, 24)
            t.see("Acme GmbH")
            t.see("sort name")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_within_a_second_with_the_terminal_restored(
    estate: Database, number: signal.Signals, code: int
) -> None:
    with console(estate) as t:
        t.see("Acme GmbH")
        t.signal(number)
        assert t.wait(1.5) == code
        assert t.restored()


def test_ctrl_c_once_only_says_so(estate: Database) -> None:
    with console(estate) as t:
        t.see("Acme GmbH")
        t.press("ctrl+c")
        t.see("ctrl+c again leaves")
        t.press("j")
        t.see("›  default")


def test_a_link_to_a_view_opens_it(estate: Database) -> None:
    with console(estate, words=("/tenants/acme",)) as t:
        t.see("tenants › acme")
        t.see("ana@acme.example")


def test_marked_rows_become_a_run_with_a_verdict_each(estate: Database) -> None:
    with console(estate, columns=120) as t:
        t.see("Initech")
        t.press("space", "space", "a")
        t.see("2 marked")
        t.press("s")
        t.see("kept in the audit trail")
        t.type("spring clean")
        t.press("enter")
        t.see("2 things, 1 would be refused")  # default is protected
        t.settle(DEAD_TIME)
        t.press("y")
        t.see("2 of 2, 1 refused")
        t.type(":runs\r")
        t.see("tenants.suspend")
        t.see("● done")


def test_what_is_no_key_is_left_out_and_the_console_goes_on(database: Database) -> None:
    """Bytes that are no UTF-8, a mouse from before SGR, sequences that nobody asked for."""
    with console(database) as t:
        t.see("tenants")
        t.send(b"\xe9" + b"\x1b[M !\xff\x1b[99;99z\x1b]52;c;eA==\x07\x1b[48;99999;99999;1;1t\x80\x9b5~")
        t.press("?")
        t.see("· help")
        t.press("esc")
        t.gone("· help")


def test_a_size_that_the_shell_exported_is_not_kept(database: Database) -> None:
    with console(database, columns=90, lines=24, environment={"COLUMNS": "60", "LINES": "20"}) as t:
        t.see(re.compile("^.{80,}live"))
        assert "help" in t.screen()[23]
        t.resize(110, 30)
        t.see(re.compile("^.{100,}live"))
        t.settle()
        assert "help" in t.screen()[29]
