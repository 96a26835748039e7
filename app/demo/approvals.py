"""One request that waits for a second person: a run that suspends many tenants at once is held."""

from __future__ import annotations

import uuid

import psycopg
from psycopg.types.json import Jsonb

from app.demo.estate import Estate
from app.demo.site import Site
from controlplane.approvals.seconding import asked_as
from controlplane.registry import named
from controlplane.runs.operations import OneRun

ABOVE = 20
MANY = 30
REASON = "trials that came from one address block within an hour"
THINGS = """
INSERT INTO wf.run_items (run_id, ordinal, thing, subject, version)
SELECT %s, row_number() OVER (ORDER BY t.id), t.id, jsonb_build_object('id', t.id), t.version
FROM (SELECT id, version FROM wf.tenants WHERE plan = 'trial' AND status = 'active' AND NOT protected
      ORDER BY id LIMIT %s) t
"""


def seed(estate: Estate, site: Site) -> None:
    site.report("approvals: what waits for a second person")
    with site.change("approvals.rule", "this many tenants at once are looked at by two") as owner:
        owner.execute(
            "UPDATE wf.approval_rules SET above = %s, active = true WHERE operation = 'runs.release'", [ABOVE]
        )
    with psycopg.connect(site.logins["ben"]) as ben:
        _begin(ben, "runs.start")
        made = ben.execute(
            "INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('tenants.suspend', %s, 10, 0.2)"
            " RETURNING id",
            [REASON],
        ).fetchone()
        assert made is not None
        [run] = made
        ben.execute(THINGS, [run, MANY])
    with psycopg.connect(site.logins["ben"]) as ben:  # what its release would change
        _begin(ben, "runs.release")
        ben.execute("UPDATE wf.runs SET state = 'running', why = NULL WHERE id = %s", [run])
        found = ben.execute("SELECT wf.change_facts()").fetchone()
        assert found is not None
        ben.rollback()
        _begin(ben, "approvals.ask")
        fingerprint = asked_as(named("runs.release"), OneRun(id=run))
        values = [str(run), Jsonb({"id": run}), fingerprint, Jsonb(found[0])]
        ben.execute("SELECT wf.ask_approval('runs.release', %s, %s, %s, %s)", values)


def _begin(connection: psycopg.Connection, operation: str) -> None:
    connection.execute("SELECT wf.begin_change(%s, %s, %s)", [operation, REASON, f"demo-{uuid.uuid4().hex}"])
