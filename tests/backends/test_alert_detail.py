"""What a real home knows about one alert: its value over time, its thresholds, its changes, and the marks on charts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane.alerts.model import Alert, AlertDirectory
from controlplane.alerts.timeline import change_words, changes_of
from controlplane.detectors.behind import SERIES, chart_behind
from controlplane.detectors.charts import QUOTA_LEAD
from controlplane.detectors.model import ThresholdDirectory
from controlplane.jobs.model import JobDirectory
from controlplane.telemetry.charts import ChartSpec
from tests.backends.alerts import dead, do, evaluate, home, psql, settle
from tests.backends.psql import Psql, one
from tests.backends.subscriptions import give
from tests.backends.test_computed_detectors import CELLS, FLEET, by_program
from tests.backends.traffic import roll_up, send

__all__ = ["home", "psql"]
HOUR = timedelta(hours=1)


async def newest(home: Home, kind: str) -> Alert:
    async with home.connection() as connection:
        found = await connection.execute("SELECT max(id) FROM wf.alert_list WHERE kind = %s", [kind])
        row = await found.fetchone()
    assert row is not None and row[0] is not None, f"no {kind}"
    return await home.of(AlertDirectory).get(row[0])


async def chart(home: Home, kind: str) -> tuple[Alert, ChartSpec]:
    alert = await newest(home, kind)
    events = await home.of(AlertDirectory).events(alert.id)
    return alert, await chart_behind(home, alert, events, home.clock.now())


def fire(owner: psycopg.Connection, kind: str, tenant: str | None = "acme", **fields: Any) -> int:
    """An alert as a detector would have made it; times are how long ago."""
    given = {"labels": "{}", "details": "{}", "value": 1, "threshold": 1, "unit": "keys", "fired": "0", **fields}
    over = given.get("resolved")
    number = one(
        owner,
        "INSERT INTO wf.alerts (kind, tenant_id, labels, details, value, threshold, unit, severity, summary, fired_at,"
        " state, resolved_at, events) VALUES (%s, %s, %s, %s, %s, %s, %s, 'error', 'found', now() - %s::interval,"
        " CASE WHEN %s::text IS NULL THEN 'firing' ELSE 'resolved' END, now() - %s::interval, 1) RETURNING id",
        *(kind, tenant, given["labels"], given["details"], given["value"], given["threshold"], given["unit"]),
        *(given["fired"], over, over),
    )[0]
    owner.execute(
        "INSERT INTO wf.alert_events (alert_id, n, kind, severity, value) VALUES (%s, 1, 'fired', 'error', %s)",
        [number, given["value"]],
    )
    return int(number)


# The value behind it


async def test_the_last_burn_that_is_drawn_is_the_alerts_own_value(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    owner.execute("INSERT INTO wf.objectives (name, tenant_id, target) VALUES ('api', 'acme', 0.999)")
    send(owner, "acme", "/orders", "2 hours", "0", step="10 seconds", every=20)
    assert await by_program(home, worker, "burn_rate") == {"fired": 1}
    alert, spec = await chart(home, "burn_rate")
    [line], [threshold] = spec.series, spec.thresholds
    assert alert.value is not None and line.ys[-1] == pytest.approx(alert.value, rel=0.05)
    assert threshold.value == pytest.approx(alert.threshold) and line.name == "burn over 1h"
    assert [mark.x for mark in spec.marks] == [alert.fired_at.timestamp()]
    owner.execute("UPDATE wf.objectives SET period = '7d'")
    _, spec = await chart(home, "burn_rate")
    assert not spec.series and "other windows now" in spec.nothing
    owner.execute("DELETE FROM wf.objectives")
    _, spec = await chart(home, "burn_rate")
    assert not spec.series and "no longer exists" in spec.nothing


HOURS_ALONE = """
INSERT INTO wf.request_hours (tenant_id, dim, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT 'acme', dim, route, hour, 1000, 0, 4, '{}', '{}'
FROM (VALUES ('tenant', ''), ('route', '/orders')) AS d(dim, route),
  generate_series(date_trunc('hour', now()) - interval '6 days', date_trunc('hour', now()) - interval '1 hour',
                  '1 hour') hour
"""


async def test_a_slow_burn_is_drawn_by_hours_where_no_minutes_are(home: Home, psql: Psql) -> None:
    """As after an import of hours alone: the detector judges by them, and so does the chart."""
    owner, worker = psql("owner"), psql("worker")
    owner.execute("INSERT INTO wf.objectives (name, tenant_id, target) VALUES ('api', 'acme', 0.999)")
    owner.execute(HOURS_ALONE)
    hour = "date_trunc('hour', now())"
    owner.execute(
        f"UPDATE wf.request_marks SET minutes_from = {hour}, minutes_until = {hour}, hours_until = {hour},"
        " rolled_at = now()".encode()
    )
    send(owner, "acme", "/orders", "1 minute", "0", every=2)
    assert await by_program(home, worker, "burn_rate") == {"fired": 1}
    alert, spec = await chart(home, "burn_rate")
    [line] = spec.series
    assert alert.severity == "warning" and len(line.ys) > 60
    assert alert.value is not None and line.ys[-1] == pytest.approx(alert.value, rel=0.05)
    assert line.ys.count(None) <= 1


async def test_dead_jobs_are_drawn_by_when_they_died_and_were_settled(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner, number=3, tenant="acme")
    dead(owner, number=2)
    dead(owner, kind="deliverer", number=9, tenant="acme")
    assert evaluate(worker) == {"fired": 3}
    died = await home.of(JobDirectory).died("deliver", "acme")
    assert [number for _, number in died] == [3]
    assert [number for _, number in await home.of(JobDirectory).died("deliver", None)] == [2]
    alert, spec = await chart(home, "jobs_dead")
    assert spec.series[0].ys[-1] == alert.value and spec.thresholds[0].value == 1
    for kind in ("deliver", "deliverer"):
        settle(owner, kind)
    evaluate(worker)
    _, spec = await chart(home, "jobs_dead")
    assert spec.series[0].ys[-1] == 0 and max(spec.series[0].ys) == alert.value  # also after they were settled
    owner.execute("DELETE FROM wf.dead_letters")
    _, spec = await chart(home, "jobs_dead")
    assert not spec.series and "30 days ago" in spec.nothing


async def test_a_quota_of_requests_is_drawn_by_those_that_are_stored(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    give(psql, "api_calls", {"hard": 4000, "period": "month"})
    send(owner, "acme", "/orders", "1 hour", "0")
    fire(owner, "quota_near", labels='{"metric": "api_calls"}', value=0.9, threshold=0.8, unit="share")
    _, spec = await chart(home, "quota_near")
    [line], [threshold] = spec.series, spec.thresholds
    assert threshold.value == pytest.approx(80) and spec.unit == "%"
    since = "SELECT count(*) / 40.0 FROM wf.requests WHERE at >= date_trunc('month', now(), 'UTC')"
    [used] = owner.execute(since).fetchone() or (0,)  # an hour of requests is 90 %, but for the first hour of a month
    assert max((value for value in line.ys if value is not None), default=0) == pytest.approx(float(used), abs=4)
    fire(owner, "quota_over", labels='{"metric": "exports"}', value=1, threshold=1, unit="share")
    _, spec = await chart(home, "quota_over")
    assert not spec.series and "no quota of exports" in spec.nothing and "100 % when it fired" in spec.nothing


async def test_another_quota_is_drawn_by_what_services_recorded(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    give(psql, "exports", {"hard": 200, "period": "month"})
    fire(owner, "quota_near", labels='{"metric": "exports"}', value=0.9, threshold=0.8, unit="share")
    _, spec = await chart(home, "quota_near")
    assert not spec.series and "not stored" in spec.nothing and "90 % when it fired" in spec.nothing
    owner.execute("INSERT INTO wf.usage (tenant_id, metric, amount, at) SELECT 'acme', 'exports', 60, now() -"
                  " n * interval '1 minute' FROM generate_series(1, 3) n")  # fmt: skip
    psql("worker").execute("SELECT wf.roll_up_usage()")
    alert, spec = await chart(home, "quota_near")
    [line], [threshold] = spec.series, spec.thresholds
    assert (line.name, spec.unit, threshold.value) == ("by recorded usage", "%", pytest.approx(80))
    assert line.xs == sorted(line.xs) and line.xs[0] == pytest.approx((alert.fired_at - QUOTA_LEAD).timestamp())
    assert max(value for value in line.ys if value is not None) == pytest.approx(90)


async def test_the_most_unusual_key_is_drawn_with_what_is_usual(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    [end] = one(owner, "SELECT date_trunc('hour', now())")
    owner.execute("SELECT setseed(0.5)")
    owner.execute(CELLS.encode(), {"end": end})
    owner.execute(FLEET.encode(), {"end": end})
    owner.execute("UPDATE wf.request_marks SET hours_until = %s, minutes_until = now(), rolled_at = now()", [end])
    send(owner, "acme", "/orders", "1 minute", "0")
    await by_program(home, worker, "key_usage_anomaly")
    for tenant in ("acme", "beta"):
        [number] = one(owner, "SELECT id FROM wf.alerts WHERE tenant_id = %s", tenant)
        alert = await home.of(AlertDirectory).get(number)
        first = alert.details["sample"][0]
        spec = await chart_behind(home, alert, [], home.clock.now())
        assert spec.values and spec.notes[0] == f"of {first['key']} on /orders"
        if {"spike", "drop"} & {*first["signals"][:1]}:
            usual, limit = (line.value for line in spec.thresholds)
            assert usual == pytest.approx(first["usual_per_hour"] / 60)
            assert limit == pytest.approx(usual * 2 if "spike" in first["signals"] else usual / 2)


async def test_silence_is_drawn_as_the_minutes_without_a_request(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    send(owner, "acme", "/orders", "90 minutes", "30 minutes", step="1 minute")
    roll_up(owner)
    assert evaluate(worker, "telemetry_absent") == {"fired": 1}
    alert, spec = await chart(home, "telemetry_absent")
    [line] = spec.series
    assert line.ys[0] is None, "of the time before the first request nothing is known"
    assert alert.value is not None and line.ys[-1] == pytest.approx(alert.value, abs=2)
    assert [each.value for each in spec.thresholds] == [15]


async def test_every_other_detector_says_that_there_is_no_series(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    kinds = {name for [name] in owner.execute("SELECT name FROM wf.detectors")}
    assert kinds > {*SERIES}
    for kind in sorted(kinds - {*SERIES}):
        fire(owner, kind)
        _, spec = await chart(home, kind)
        assert not spec.series and spec.nothing.startswith("The home keeps no series of this value. It was 1 key"), kind


async def test_details_that_are_no_such_thing_are_no_fault(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    for details in ("{}", '{"sample": 5}', '{"sample": [7]}', '{"sample": [{"key": "k", "route": 5, "signals": []}]}'):
        fire(owner, "key_usage_anomaly", details=details, labels=f'{{"n": "{len(details)}"}}')
        _, spec = await chart(home, "key_usage_anomaly")
        assert "does not say which key" in spec.nothing
    fire(owner, "burn_rate", details='{"objective": "x"}')
    assert "no longer exists" in (await chart(home, "burn_rate"))[1].nothing


# Its thresholds and changes


async def test_every_threshold_that_claims_to_hold_is_known_in_one_reading(home: Home, psql: Psql) -> None:
    await do(home, "thresholds.set", parameter="jobs_dead.number", scope="plan:growth", value=5)
    await do(home, "thresholds.set", parameter="jobs_dead.number", scope="tenant:beta", value=7)
    thresholds = home.of(ThresholdDirectory)
    judged = await thresholds.judged("jobs_dead", "acme")
    assert [each.parameter for each in judged] == ["jobs_dead.critical", "jobs_dead.critical_age", "jobs_dead.number"]
    assert [(each.source, each.value) for each in judged[2].sources] == [("plan:growth", 5), ("default", 1)]
    for each in judged:
        assert list(each.sources) == list(await thresholds.sources(each.parameter, "acme"))
    assert judged[1].unit == "hours" and await thresholds.judged("burn_rate", None) == []


async def test_an_ack_that_is_extended_and_a_threshold_that_is_set_are_on_its_timeline(home: Home, psql: Psql) -> None:
    dead(psql("owner"), tenant="acme")
    evaluate(psql("worker"))
    alert = await newest(home, "jobs_dead")
    await do(home, "alerts.ack", id=alert.id, comment="looking", until="1h")
    await do(home, "alerts.ack", id=alert.id, comment="still looking", until="2h")
    for scope in ("tenant:beta", "plan:pro", "plan:growth"):
        await do(home, "thresholds.set", parameter="jobs_dead.number", scope=scope, value=5)
    await do(home, "thresholds.set", parameter="quota_near.share", scope="all", value=0.9)
    rows = await changes_of(home, alert)
    told = {each.audit_seq for each in await home.of(AlertDirectory).events(alert.id)}
    words = [change_words(row) for row in rows if row.seq not in told]
    assert len(words) == 2 and "ack_comment looking → still looking" in words[0]
    assert words[1].startswith("thresholds.set jobs_dead.number/plan:growth by ") and "→ 5" in words[1]


# Marks on charts


async def test_the_alerts_of_a_window_are_those_that_were_open_in_it(home: Home, psql: Psql) -> None:
    owner, now = psql("owner"), home.clock.now()
    before = fire(owner, "worker_missing", fired="9 hours", resolved="5 hours")
    over = fire(owner, "jobs_dead", fired="9 hours", resolved="2 hours")
    still = fire(owner, "quota_near", fired="9 hours")
    fire(owner, "trial_ending", fired="0 hours")
    fire(owner, "quota_near", "beta", fired="2 hours")
    estate = fire(owner, "rollup_behind", None, fired="2 hours")
    of_key = fire(owner, "tenant_leak", fired="2 hours", details='{"key_id": "key_1"}')
    sampled = fire(owner, "key_usage_anomaly", fired="2 hours", details='{"sample": [{"key": "wf_live_1"}]}')

    async def during(*asked: Any) -> list[int]:
        return [each.id for each in await home.of(AlertDirectory).during(now - 4 * HOUR, now - HOUR, *asked)]

    assert await during(["acme"]) == [over, still, of_key, sampled] and before not in await during(["acme"])
    assert await during(["acme"], ("key_1", "wf_live_1")) == [of_key, sampled]
    assert await during(["acme"], ("key_2", "wf_live_2")) == []
    assert await during() == [estate]
    assert len(await during(["acme", "beta"])) == 5
