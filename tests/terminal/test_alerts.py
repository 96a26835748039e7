"""Alerts in the real program, in a real terminal: what fires is heard and seen, and acted on by one key each."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.backends.alerts import dead, evaluate
from tests.backends.notices import PAGING
from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.driver import Terminal
from tests.terminal.test_faults import DEAD_TIME

NAMED = re.compile(rb"\x1b\](?P<words>[^\x07\x1b]*)(?:\x07|\x1b\\)")


def rung(written: bytes) -> int:
    """How often it rang; what ends an OSC is no bell."""
    return NAMED.sub(b"", written).count(b"\x07")


def notified(t: Terminal) -> list[str]:
    found = [found["words"].decode() for found in NAMED.finditer(t.raw)]
    return [words for words in found if words.startswith("9;")]


def fires(owner: psycopg.Connection, kind: str, number: int = 1) -> None:
    dead(owner, kind, number, tenant="acme")
    evaluate(owner)


def agree(t: Terminal) -> None:
    t.see("Do it? y/N")
    t.settle(DEAD_TIME)
    t.press("y")
    t.gone("Do it?")


@pytest.fixture
def open_one(database: Database) -> Database:
    """One alert fires before any console begins, and is being escalated."""
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        fires(owner, "old")
        owner.execute(PAGING.encode())
    return database


def test_what_fires_is_heard_once_and_acted_on_by_one_key_each(open_one: Database) -> None:
    with (
        psycopg.connect(open_one.owner, autocommit=True) as owner,
        console(open_one, "operator", columns=80) as t,
    ):
        t.see("1 firing")
        fires(owner, "deliver", 120)
        t.receive(lambda written: rung(written) == 1)
        t.press("3")
        t.see("120 dead deliver jobs")
        t.press("enter")
        t.see("nobody has it")
        t.press("a", "a")
        t.see("what you do about it")
        t.type("looking\r")
        t.see("t_operator has it until")
        t.see("1 firing, 1 acked")
        t.press("a", "s")
        t.see('job="deliver"')
        t.type("2h")
        t.press("enter")
        t.type("new disks")
        t.press("enter")
        agree(t)
        t.type(f":{open_one.name}/alerts/1\r")
        t.see("pages: level 1 of 2")
        t.press("a", "e")
        agree(t)
        t.press("tab")
        t.see("escalated by t_operator")
        # A lost link, an alert that fires again, and one that is silenced do not ring; the next new one does.
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 't_operator'")
        owner.execute("SELECT wf.ack_alert(1, now() + interval '1 hour', 'mine')")
        owner.execute("SELECT wf.unack_alert(1)")
        owner.execute(
            "INSERT INTO wf.silences (matchers, ends_at, comment)"
            ' VALUES (\'[{"label": "job", "op": "=", "value": "hush"}]\', now() + interval \'1 hour\', \'x\')'
        )
        fires(owner, "hush")
        t.see("2 firing, 1 acked")
        fires(owner, "next")
        t.receive(lambda written: rung(written) == 2)
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0 and t.restored()
        assert rung(t.raw) == 2 and notified(t) == []


def test_a_notification_names_it_and_tmux_gets_a_bell_instead(open_one: Database, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('bell = "osc9"\n')
    asked: dict[str, str | None] = {"WATCHFLOOR_SETTINGS": str(settings)}
    with (
        psycopg.connect(open_one.owner, autocommit=True) as owner,
        console(open_one, "viewer", words=("--accessible", "/tenants"), environment=asked) as plain,
        console(open_one, "viewer", environment={**asked, "TMUX": "/nowhere,1,0"}) as tmux,
    ):
        plain.see("1 firing")
        tmux.see("1 firing")
        fires(owner, "deliver")
        plain.receive(b"\x1b]9;")
        tmux.receive(lambda written: rung(written) == 1)
        plain.see("new alert 2 of acme, error: ")
        for t in (plain, tmux):
            t.press("ctrl+c", "ctrl+c")
            assert t.wait() == 0 and t.restored()
        assert rung(plain.raw) == 0 and notified(tmux) == [] and rung(tmux.raw) == 1
        assert notified(plain) == ["9;alert 2 of acme, error: 1 dead deliver job"]
