"""Thresholds, dry runs, and the worker that evaluates."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from psycopg import errors

from app.worker import Work
from backends.postgres.detectors import COMPUTED
from backends.postgres.home import Home
from controlplane.audit.chain import LATE, UNSIGNED
from controlplane.detectors.model import DetectorDirectory, ThresholdDirectory
from controlplane.errors import NotFound, NotPermitted, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.jobs.kinds import kinds
from controlplane.keys.model import StalePolicy
from controlplane.listing import Query
from controlplane.overview.model import TRIAL_DAYS
from controlplane.registry import named
from controlplane.telemetry.anomalies import Limits
from tests.backends.alerts import alerts, dead, do, evaluate, home, psql, settle
from tests.backends.psql import Psql, one
from tests.postgres import Database

__all__ = ["home", "psql"]


# Thresholds


OF_TENANT = "SELECT source, value FROM wf.tenant_thresholds('trial_ending', 'days') WHERE tenant_id = %s"


async def test_a_tenants_threshold_holds_before_its_plans_and_that_before_the_one_for_all(
    home: Home, psql: Psql
) -> None:
    owner = psql("owner")
    directory = home.of(ThresholdDirectory)

    async def holds(tenant: str | None) -> list[tuple[str, float]]:
        sources = await directory.sources("trial_ending.days", tenant)
        if tenant is not None:
            row = one(owner, OF_TENANT, tenant)
        else:
            row = one(owner, "SELECT source, value FROM wf.estate_threshold('trial_ending', 'days')")
        assert row == (sources[0].source, sources[0].value), "detectors judge by the one that is shown to hold"
        return [(each.source, each.value) for each in sources]

    assert await holds("acme") == await holds(None) == [("default", 7.0)]
    await do(home, "thresholds.set", parameter="trial_ending.days", scope="all", value=5)
    await do(home, "thresholds.set", parameter="trial_ending.days", scope="plan:growth", value=4)
    done = await do(home, "thresholds.set", parameter="trial_ending.days", scope="tenant:acme", value=3)
    assert await holds("acme") == [("tenant:acme", 3), ("plan:growth", 4), ("all", 5), ("default", 7)]
    assert await holds("beta") == [("plan:growth", 4), ("all", 5), ("default", 7)]
    assert await holds(None) == [("all", 5), ("default", 7)]
    [row] = done.rows
    assert (row.operation, row.thing, row.out_of_band) == ("thresholds.set", "trial_ending.days/tenant:acme", False)
    assert done.undo is not None
    await do(home, done.undo.operation, **done.undo.request)
    assert (await holds("acme"))[0] == ("plan:growth", 4), "what was not set before is cleared"
    cleared = await do(home, "thresholds.clear", parameter="trial_ending.days", scope="plan:growth")
    assert (await holds("acme"))[0] == ("all", 5)
    assert cleared.undo is not None and cleared.rows[0].operation == "thresholds.clear"
    await do(home, cleared.undo.operation, **cleared.undo.request)
    assert (await holds("acme"))[0] == ("plan:growth", 4)
    changed = await do(home, "thresholds.set", parameter="trial_ending.days", scope="plan:growth", value=9)
    assert changed.undo is not None and changed.undo.request["value"] == 4
    listed = (await directory.page(Query(parse("trial_ending", ()), "parameter"))).rows
    assert [(each.scope, each.value) for each in listed] == [("all", 5), ("default", 7), ("plan:growth", 9)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"scope": "all", "value": 91}, "threshold_range"),
        ({"scope": "all", "value": 0}, "threshold_range"),
        ({"scope": "everybody", "value": 5}, "threshold_scope"),
        ({"scope": "tenant:", "value": 5}, "threshold_scope"),
        ({"scope": "tenant:nobody", "value": 5}, "threshold_tenant"),
        ({"parameter": "trial_ending.nothing", "scope": "all", "value": 5}, "threshold_unknown"),
        ({"parameter": "nothing", "scope": "all", "value": 5}, "threshold_unknown"),
        ({"scope": "all", "value": "NaN"}, "request_invalid"),
        ({"scope": "all", "value": "Infinity"}, "request_invalid"),
        ({"scope": "all"}, "threshold_not_set"),
    ],
)
async def test_what_is_no_threshold_is_refused_in_words(home: Home, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await do(home, "thresholds.set", **{"parameter": "trial_ending.days", **fields})
    assert refused.value.code == code
    with pytest.raises(NotFound):
        await home.of(ThresholdDirectory).sources("nothing.at_all", None)


def test_the_defaults_are_those_of_the_rules_that_screens_show(psql: Psql) -> None:
    usual = dict(
        psql("viewer").execute("SELECT parameter, usual FROM wf.threshold_list WHERE scope = 'default'").fetchall()
    )
    limits = Limits()
    assert usual["audit_unchained.minutes"] == LATE / timedelta(minutes=1)
    assert usual["audit_unverified.minutes"] == UNSIGNED / timedelta(minutes=1)
    assert usual["trial_ending.days"] == TRIAL_DAYS
    assert usual["key_rotation_sla_failed.max_age"] == StalePolicy().max_age / timedelta(days=1)
    assert usual["key_rotation_sla_failed.window"] == StalePolicy().window / timedelta(days=1)
    of_usage = {name: usual[f"key_usage_anomaly.{name}"] for name in ("fewest", "times", "errors")}
    assert of_usage == {"fewest": limits.fewest, "times": limits.times, "errors": limits.errors}


# The dry run


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner, "deliver")
    dead(owner, "publish")
    evaluate(worker)
    settle(owner, "publish")
    dead(owner, "deliver", 200)
    dead(owner, "index", tenant="acme")
    dry = await home.of(DetectorDirectory).dry_run("jobs_dead")
    assert dry.counts == {"fired": 1, "raised": 1, "resolved": 1} and dry.found == 2
    assert {(each.does, each.labels["job"]) for each in dry.alerts} == {
        (("fired",), "index"),
        (("raised",), "deliver"),
        (("resolved",), "publish"),
    }
    assert len(alerts(owner)) == 2 and {each["standing"] for each in alerts(owner)} == {"firing"}
    assert evaluate(worker) == dry.counts, "an evaluation does what its dry run said"
    shown = await do(home, "detectors.evaluate", name="jobs_dead", dry_run=True)
    assert shown.result["counts"] == {"unchanged": 2}
    done = await do(home, "detectors.evaluate", name="jobs_dead")
    assert [row.operation for row in done.rows] == ["detectors.evaluate"] and not done.rows[0].out_of_band
    assert one(owner, "SELECT next_at <= now() FROM wf.detectors WHERE name = 'jobs_dead'") == (True,)
    with pytest.raises(NotFound) as missing:
        await home.of(DetectorDirectory).dry_run("nothing")
    assert missing.value.code == "no_detector"


@pytest.mark.parametrize("detector", sorted(COMPUTED))
async def test_a_computed_detector_has_a_dry_run_too(home: Home, psql: Psql, detector: str) -> None:
    dry = await home.of(DetectorDirectory).dry_run(detector)
    assert dry.found == 0 or dry.silent
    assert await do(home, "detectors.evaluate", name=detector, dry_run=True)


async def test_a_dry_run_is_for_operators(database: Database) -> None:
    home = Home(database.login("viewer"))
    await home.open()
    try:
        with pytest.raises(NotPermitted):
            await home.of(DetectorDirectory).dry_run("jobs_dead")
    finally:
        await home.close()


# The worker


async def test_a_worker_evaluates_every_detector_by_itself(psql: Psql, database: Database) -> None:
    owner = psql("owner")
    dead(owner)
    owner.execute("ALTER FUNCTION wf.detect_worker_missing() RENAME TO away")
    names = ("queue_evaluations", "evaluate_detector", "roll_up_requests", "look_at_quotas")
    work = Work(database.login("worker"), {name: kinds()[name] for name in names})
    running = asyncio.create_task(work.run())
    try:
        for _ in range(6000):
            left = one(owner, "SELECT count(*) FROM wf.detectors WHERE looked_at IS NULL")[0]
            if not left:
                break
            await asyncio.sleep(0.01)
    finally:
        work.stop()
        await running
    assert not left
    states = dict(owner.execute("SELECT name, state FROM wf.detector_list").fetchall())
    assert states.pop("worker_missing") == "failed", "one that fails stops no other"
    assert set(states.values()) <= {"ok", "silent"} and states["burn_rate"] == "ok"
    assert [each["labels"] for each in alerts(owner, "kind = 'jobs_dead'")] == [{"job": "deliver"}]
    assert one(owner, "SELECT count(*) FROM wf.jobs WHERE kind = 'evaluate_detector' AND state = 'dead'") == (0,)


def test_a_due_detector_is_queued_once_and_a_dead_job_of_it_blocks_nothing(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    every = one(owner, "SELECT count(*) FROM wf.detectors")[0]
    assert one(worker, "SELECT wf.queue_evaluations()") == (every,)
    owner.execute("UPDATE wf.detectors SET next_at = now()")
    assert one(worker, "SELECT wf.queue_evaluations()") == (0,), "the last ones still wait"
    owner.execute("UPDATE wf.jobs SET state = 'dead', ended_at = now() WHERE kind = 'evaluate_detector'")
    assert one(worker, "SELECT wf.queue_evaluations()") == (every,)
    assert one(owner, "SELECT count(*) FROM wf.jobs WHERE state = 'dead'") == (0,)
    owner.execute("UPDATE wf.detectors SET next_at = now() + interval '3 days'")
    owner.execute("UPDATE wf.jobs SET state = 'canceled', ended_at = now() WHERE state = 'waiting'")
    assert one(worker, "SELECT wf.queue_evaluations()") == (every,), "the clock was put back"


def test_old_alerts_are_deleted_with_their_events(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    settle(owner)
    evaluate(worker)
    assert one(worker, "SELECT wf.prune_alerts()") == (0,)
    owner.execute("UPDATE wf.alerts SET resolved_at = now() - interval '401 days'")
    assert one(worker, "SELECT wf.prune_alerts()") == (1,)
    assert one(owner, "SELECT count(*) FROM wf.alert_events") == (0,)


def test_an_erasure_takes_a_tenants_alerts_and_thresholds(psql: Psql) -> None:
    owner = psql("owner")
    dead(owner, tenant="acme")
    evaluate(psql("worker"))
    owner.execute(
        "INSERT INTO wf.thresholds (detector, name, tenant_id, value) VALUES ('jobs_dead', 'number', 'acme', 3)"
    )
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.tenants SET status = 'pending_deletion', deleted_from = 'active', deleted_at = now(),"
                  " purge_after = now() - interval '1 day' WHERE id = 'acme'")  # fmt: skip
    owner.execute("SELECT wf.purge_tenant('acme')")
    assert one(owner, "SELECT count(*) FROM wf.alerts") == one(owner, "SELECT count(*) FROM wf.alert_events") == (0,)
    assert one(owner, "SELECT count(*) FROM wf.thresholds") == (0,)
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute(
            "INSERT INTO wf.thresholds (detector, name, tenant_id, value) VALUES ('jobs_dead', 'number', 'x', 3)"
        )


def test_a_usage_error_is_one_of_the_request() -> None:
    with pytest.raises(Usage):
        named("thresholds.set").parse({"parameter": "x.y", "scope": "all", "value": "many"})
