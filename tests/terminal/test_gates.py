"""A release that is closed, in the real program and a real terminal: run, asked why, waived by one, approved, open."""

from __future__ import annotations

import psycopg

from controlplane.gates.document import GateSpec, whole, written
from tests.backends.keys import asked
from tests.backends.letters import die
from tests.postgres import Database
from tests.terminal.console import console
from tests.terminal.test_runs import DEAD_TIME

CHECKS = [
    {"name": "tenants", "kind": "sql", "sql": "SELECT count(*) AS value FROM wf.tenant_list", "at_least": 1},
    {"name": "dead-letters", "kind": "queue", "at_most": 0, "owner": "ops"},
]


def test_from_the_board_to_a_run_to_why_it_is_closed_to_a_waiver_that_opens_it(database: Database) -> None:
    definition = whole(GateSpec.model_validate({"name": "shop", "owner": "ana", "checks": CHECKS}), {})
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        die(owner, 3)
        owner.execute("INSERT INTO wf.gates (name, definition) VALUES ('shop', %s)", [written(definition)])
    with console(database, "operator", words=("/gates",), columns=120, lines=40) as t:
        t.see("never run")
        t.press("a", "r")
        t.see("2 of 2 checks recorded")
        t.see("NO GO")
        t.press("F")
        t.see("why it is closed")
        t.see("found 3 messages, held to at most 0")
        t.see("what must change to open it: 1 of 2 checks")
        t.see("or it is waived")
        t.press("a")
        t.see("waivers.create")
        t.press("v")
        t.see("2h from now")
        t.type("2h")
        t.press("enter")
        t.type("the mail server is back tonight")
        t.press("enter")
        t.see("Do it? y/N")
        t.settle(DEAD_TIME)
        t.press("y")
        t.see("GO with conditions")
        t.see("waived until")
        t.press("ctrl+c", "ctrl+c")
        assert t.wait() == 0 and t.restored()
    assert asked(database.owner, "SELECT verdict FROM wf.gate_runs") == [("NO_GO",)], "the run stays what it was"
    waived = asked(database.owner, "SELECT check_name, reason, created_by FROM wf.gate_waivers")
    assert waived == [("dead-letters", "the mail server is back tonight", "t_operator")]
