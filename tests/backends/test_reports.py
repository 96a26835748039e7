"""Governance reports in a real home: of a week by itself, of a release when it is asked for, made by a worker alone."""

from __future__ import annotations

import hashlib
import json

from backends.postgres.home import Home
from backends.postgres.job_queue import queue
from backends.postgres.reports import reporting
from controlplane.evidence.controls import shipped
from controlplane.queues.drill import run_drill
from controlplane.reports.data import read
from controlplane.reports.model import ReportDirectory
from controlplane.reports.rendering import html, markdown
from tests.backends.gates import apply, begin, do, ran
from tests.backends.psql import Psql, denied, one, refused
from tests.backends.test_gates import admin, operator, psql
from tests.backends.test_publishing import ME
from tests.postgres import Database

__all__ = ["admin", "operator", "psql"]
HOURS = """
INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, buckets, counts, dim)
SELECT t, '', date_trunc('hour', now()) - n * interval '1 hour', 600, 0, f, '{}', '{}', 'tenant'
FROM (VALUES ('acme', 6), ('beta', 60)) v(t, f), generate_series(1, 3) n
"""


LONG_THERE = """
SET session_replication_role = replica;
UPDATE wf.tenants SET created_at = now() - interval '30 days';
SET session_replication_role = origin;
"""


async def test_a_worker_makes_the_report_of_a_release_and_of_the_last_week(
    database: Database, admin: Home, operator: Home, psql: Psql
) -> None:
    owner, worker = psql("owner"), psql("worker")
    owner.execute(HOURS)
    await apply(admin, {"name": "letters"}, {"name": "asked", "kind": "manual", "question": "?", "required": False})
    await do(operator, "waivers.create", gate="shop", environment="staging", check_name="asked", until="2d")
    await ran(operator, await begin(operator))
    await ran(operator, await begin(operator, environment="production"))
    await run_drill(operator)
    asked = (await do(operator, "reports.make", release="2.4.0", since="1d")).result
    assert await operator.of(ReportDirectory).data(asked["id"]) is None
    assert one(worker, "SELECT wf.queue_weekly_report()") == (None,), "the home was made this week"
    owner.execute(LONG_THERE)
    assert one(worker, "SELECT wf.queue_weekly_report()") == (asked["id"] + 1,)
    assert one(worker, "SELECT wf.queue_weekly_report()") == (None,), "each week once"
    kind = reporting()
    async with queue(database.login("worker"), ME, {"make_report": kind}) as jobs:
        await jobs.claim(0)
        for job in [each for each in await jobs.claim(20) if each.kind == "make_report"]:
            assert await kind.run(jobs, job)
    text = await operator.of(ReportDirectory).data(asked["id"])
    report = await operator.of(ReportDirectory).get(asked["id"])
    assert text is not None and report.sha256 == hashlib.sha256(text.encode()).hexdigest()
    data = read(text)
    assert [(each["gate"], each["environment"], each["runs"], each["last"]) for each in data["gates"]] == [
        ("shop", "production", 1, "GO_WITH_CONDITIONS"), ("shop", "staging", 1, "GO_WITH_CONDITIONS"),
    ]  # fmt: skip
    assert sum(day["conditions"] for day in data["days"]) == 2
    assert data["waivers"]["made"] == 1 and data["waivers"]["ending"][0]["check"] == "asked"
    assert data["drift"] | {"worst": None} == {
        "fewest": 1000, "tenants": 2, "least": 0.01, "median": 0.055, "most": 0.1, "spread": 0.09,
        "worst": None,
    }  # fmt: skip
    assert data["drift"]["worst"][0]["tenant"] == "beta" and data["drills"]["made"] == 1
    assert sum(data["evidence"]["counts"].values()) == len(shipped()) and data["chain"]["written"] > 0
    assert data["rotations"]["stale"] == 0 and "2.4.0" in markdown(data) and "<svg" in html(data)
    weekly = read(await operator.of(ReportDirectory).data(asked["id"] + 1) or "")
    assert weekly["kind"] == "weekly" and weekly["gates"] == [] and len(weekly["days"]) == 7, "the week before this one"
    trail = owner.execute("SELECT operation FROM wf.audit WHERE noun = 'reports' ORDER BY seq").fetchall()
    assert [each[0] for each in trail] == ["reports.make", "reports.weekly", "reports.made", "reports.made"]


async def test_no_report_is_written_by_hand_or_changed(operator: Home, psql: Psql) -> None:
    owner, worker, by_hand = psql("owner"), psql("worker"), psql("operator")
    number = (await do(operator, "reports.make", release="2.4.0")).result["id"]
    job = one(owner, "SELECT job_id FROM wf.report_data")[0]
    keep = f"SELECT wf.keep_report({number}, {job}, '{json.dumps({'report': 'x'})}')"
    refused(worker, "report_held", keep)
    for role in ("viewer", "support", "operator", "admin"):
        denied(psql(role), keep)
        denied(psql(role), "SELECT wf.report_figures(1)")
        denied(psql(role), "SELECT wf.queue_weekly_report()")
    denied(psql("support"), "SELECT wf.ask_report('x', now() - interval '1 day')")
    for statement in (
        "UPDATE wf.reports SET made_at = now(), sha256 = 'x'",
        "DELETE FROM wf.reports",
        "UPDATE wf.report_data SET data = '{}'",
        "INSERT INTO wf.reports (kind, subject, from_at, to_at) SELECT 'weekly', 'x', now(), now()",
    ):
        denied(by_hand, statement)
        denied(worker, statement)
    refused(by_hand, "report_times", "SELECT wf.ask_report('x', now() + interval '1 day')")
    refused(by_hand, "report_times", "SELECT wf.ask_report('x', now() - interval '400 days')")
    owner.execute("UPDATE wf.reports SET made_at = now(), sha256 = 'x'")
    refused(owner, "report_fixed", "UPDATE wf.reports SET sha256 = 'y'")
    for _ in range(10):
        by_hand.execute("SELECT wf.ask_report('flood', now() - interval '1 day')")
    refused(by_hand, "report_many", "SELECT wf.ask_report('flood', now() - interval '1 day')")
