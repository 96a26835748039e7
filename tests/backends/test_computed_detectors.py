"""The detectors that the worker's program computes: by the rules of the screens, for all tenants at once."""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.detectors import COMPUTED
from backends.postgres.home import Home
from backends.postgres.key_usage import OF_TENANT, _slices, read_key_usage, span_of_days, unusual_keys
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.objectives.list import OBJECTIVES
from controlplane.objectives.model import ObjectiveDirectory
from controlplane.telemetry.anomalies import BASELINE, WINDOW, Limits, judge
from tests.backends.alerts import alerts, events, home, key, psql
from tests.backends.psql import Psql, one
from tests.backends.traffic import send
from tests.postgres import Database

__all__ = ["home", "psql"]


async def by_program(home: Home, worker: psycopg.Connection, detector: str) -> Any:
    """As the worker's job does it."""
    async with home.connection() as connection:
        given = json.dumps([dataclasses.asdict(each) for each in await COMPUTED[detector](connection)])
    return one(worker, "SELECT wf.evaluate(%s, %s::jsonb, 1.5)", detector, given)[0]


async def test_the_burn_rate_is_that_of_the_objectives_screen(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    owner.execute("INSERT INTO wf.objectives (name, tenant_id, target) VALUES"
                  " ('api', 'acme', 0.999), ('api', 'beta', 0.999), ('calm', NULL, 0.5)")  # fmt: skip
    send(owner, "acme", "/orders", "2 hours", "0", every=20)
    send(owner, "beta", "/orders", "2 hours", "0")
    assert await by_program(home, worker, "burn_rate") == {"fired": 1}
    page = await home.of(ObjectiveDirectory).page(Query(parse("state:page", OBJECTIVES.fields), "budget"))
    [alert] = alerts(owner)
    [standing] = page.rows
    assert (alert["labels"], alert["severity"]) == ({"objective": str(standing.objective.id)}, "critical")
    assert alert["value"] == pytest.approx(standing.verdicts[0].long_burn, rel=0.02)
    assert alert["threshold"] == pytest.approx(14.4)
    owner.execute("UPDATE wf.objectives SET target = 0.5 WHERE tenant_id = 'acme'")
    assert await by_program(home, worker, "burn_rate") == {"resolved": 1}


async def test_an_objective_without_data_is_unknown_and_its_alert_stays(home: Home, psql: Psql) -> None:
    """A gap of an hour sends nothing but that."""
    owner, worker = psql("owner"), psql("worker")
    owner.execute("INSERT INTO wf.objectives (name, tenant_id, target) VALUES ('api', 'acme', 0.999)")
    send(owner, "acme", "/orders", "2 hours", "0", every=20)
    assert await by_program(home, worker, "burn_rate") == {"fired": 1}
    owner.execute("UPDATE wf.requests SET at = at - interval '4 days'")
    assert await by_program(home, worker, "burn_rate") == {"unknown": 1}
    assert await by_program(home, worker, "burn_rate") == {}
    [alert] = alerts(owner)
    assert alert["standing"] == "unknown" and "no data" in alert["unknown_why"]
    send(owner, "acme", "/orders", "2 hours", "0", every=20)
    assert await by_program(home, worker, "burn_rate") == {"known": 1}
    assert events(owner, alert["id"]) == ["fired", "unknown", "known"]


CELLS = """
INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum, buckets,
  counts)
SELECT k.tenant, 'key', k.key, '/orders', h.hour, c.n, (c.n * x.e4)::integer, (c.n * x.e5)::integer, c.n * x.ms,
       ARRAY[ceil(ln(x.ms / 0.1) / ln(1.04))::smallint], ARRAY[c.n]
FROM (SELECT t, 'k' || t || '_' || n, random() * 200, random() < 0.5, random() FROM unnest(ARRAY['acme', 'beta']) t,
      generate_series(1, 40) n) AS k(tenant, key, rate, changes, how)
CROSS JOIN generate_series(%(end)s::timestamptz - interval '192 hours', %(end)s::timestamptz - interval '1 hour',
                           '1 hour') AS h(hour)
CROSS JOIN LATERAL (SELECT h.hour >= %(end)s::timestamptz - interval '24 hours' AS recent) r
CROSS JOIN LATERAL (SELECT greatest(0, round(k.rate * (0.5 + random()) * CASE WHEN r.recent AND k.changes THEN
    CASE WHEN k.how < 0.2 THEN 4 WHEN k.how < 0.4 THEN 0.1 WHEN k.how < 0.45 THEN 0 ELSE 1 END ELSE 1 END
    * CASE WHEN k.how > 0.95 AND NOT r.recent THEN 0 ELSE 1 END))::integer AS n) c
CROSS JOIN LATERAL (SELECT CASE WHEN r.recent AND k.changes AND k.how BETWEEN 0.5 AND 0.6 THEN 0.3 ELSE 0.01 END AS e4,
    CASE WHEN r.recent AND k.changes AND k.how BETWEEN 0.6 AND 0.7 THEN 0.3 ELSE 0.01 END AS e5,
    CASE WHEN r.recent AND k.changes AND k.how BETWEEN 0.7 AND 0.8 THEN 200 ELSE 100 END::float8 AS ms) x
WHERE c.n > 0
"""
FLEET = """
INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT '', 'route', '', '', hour, 1000, 0, 0, '{}', '{}'
FROM generate_series(%(end)s::timestamptz - interval '192 hours', %(end)s::timestamptz - interval '1 hour',
                     '1 hour') AS hour
"""


async def each_alone(home: Home, end: datetime) -> dict[tuple[str, str], set[str]]:
    """By the rule, from the hours of one tenant after the other."""
    found = {}
    values = span_of_days(end)
    async with home.connection() as connection:
        for tenant in ("acme", "beta"):
            asked = values | {"tenant": tenant, "tenants": [tenant], "key": None}
            for (_, key, _), (now, before) in (await _slices(connection, OF_TENANT, asked, WINDOW)).items():
                found[tenant, key] = {signal.name for signal in judge(now, before, Limits())} - {"new_key"}
    return {name: signals for name, signals in found.items() if signals}


async def all_at_once(home: Home) -> dict[tuple[str, str], set[str]]:
    async with home.connection() as connection:
        found = {
            (usage.tenant_id, usage.key_prefix): {signal.name for signal in usage.signals} - {"new_key"}
            for usage, _ in await unusual_keys(connection)
        }
    return {name: signals for name, signals in found.items() if signals}


async def test_the_unusual_keys_of_all_tenants_are_those_of_each(home: Home, psql: Psql) -> None:
    """The cheap statement that looks at all keys leaves out none that the rule calls unusual; whether their days are
    kept, or some, or none yet.
    """
    owner, worker = psql("owner"), psql("worker")
    [midnight] = one(owner, "SELECT date_trunc('day', now(), 'UTC')")
    for seed, hours in ((0.1, 0), (0.5, 5), (0.9, 23)):
        end = midnight + timedelta(hours=hours) - timedelta(days=1)
        owner.execute("DELETE FROM wf.request_hours")
        owner.execute("SELECT setseed(%s)", [seed])
        owner.execute(CELLS.encode(), {"end": end})
        owner.execute(FLEET.encode(), {"end": end})
        owner.execute("UPDATE wf.request_marks SET hours_until = %s, minutes_until = %s, rolled_at = now()", [end, end])
        alone = await each_alone(home, end)
        assert {"spike", "drop", "latency"} <= set().union(*alone.values())
        assert await all_at_once(home) == alone
        while one(worker, "SELECT wf.keep_key_days(3)") != (0,):
            assert await all_at_once(home) == alone
        assert one(owner, "SELECT count(*) > 100 FROM wf.key_days") == (True,)


async def test_with_a_window_from_midnight_the_detector_says_what_the_screen_says(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    [end] = one(owner, "SELECT date_trunc('day', now(), 'UTC')")
    owner.execute("SELECT setseed(0.3)")
    owner.execute(CELLS.encode(), {"end": end})
    owner.execute(FLEET.encode(), {"end": end})
    owner.execute("UPDATE wf.request_marks SET hours_until = %s, minutes_until = %s, rolled_at = now()", [end, end])
    shown: dict[tuple[str, str], set[str]] = {}
    for tenant in ("acme", "beta"):
        report = await read_key_usage(home, tenant, WINDOW, BASELINE, Limits(), None)
        shown |= {(tenant, each.key_prefix): {s.name for s in each.signals} - {"new_key"} for each in report.rows}
    assert await all_at_once(home) == {name: signals for name, signals in shown.items() if signals}


DAYS = """
SELECT day, tenant_id, value, route, n, errors_4xx, errors_5xx, latency_sum, first_hour
FROM wf.key_days_in(%(from)s, %(until)s) ORDER BY 1, 2, 3, 4
"""
FROM_HOURS = """
SELECT (hour AT TIME ZONE 'UTC')::date, tenant_id, value, route, sum(n), sum(errors_4xx), sum(errors_5xx),
       coalesce(sum(latency_sum), 0), min(hour)
FROM wf.hour_cells WHERE dim = 'key' AND hour >= %(from)s::timestamp AT TIME ZONE 'UTC'
  AND hour < %(until)s::timestamp AT TIME ZONE 'UTC' GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
HOUR = """
INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum, buckets,
  counts) VALUES (%s, 'key', %s, '/orders', %s, %s, 1, 0, 8, '{}', '{}')
ON CONFLICT (tenant_id, dim, hour, value, route) DO UPDATE SET n = excluded.n
"""


def test_the_days_of_keys_are_the_sums_of_their_hours_after_any_change(psql: Psql) -> None:
    """Late rows, hours that are erased, bites of any size, and days before there were sums."""
    owner, worker, chance = psql("owner"), psql("worker"), random.Random(7)
    [today] = one(owner, "SELECT date_trunc('day', now(), 'UTC')")
    owner.execute("UPDATE wf.request_marks SET hours_until = %s", [today + timedelta(hours=1)])
    span = {"from": (today - timedelta(days=9)).date(), "until": today.date()}

    def same() -> int:
        summed, hours = (owner.execute(text.encode(), span).fetchall() for text in (DAYS, FROM_HOURS))
        assert summed == hours
        return len(hours)

    def write() -> None:
        at = today - timedelta(hours=chance.randrange(9 * 24))
        owner.execute(HOUR, [f"t{chance.randrange(4)}", f"k{chance.randrange(3)}", at, chance.randrange(1, 99)])

    owner.execute("ALTER TABLE wf.request_hours DISABLE TRIGGER USER")  # from before there were sums
    for _ in range(60):
        write()
    owner.execute("ALTER TABLE wf.request_hours ENABLE TRIGGER USER")
    assert same() > 30
    for step in range(120):
        write()
        if step % 10 == 0:
            at = today - timedelta(hours=chance.randrange(9 * 24))
            owner.execute("DELETE FROM wf.request_hours WHERE hour BETWEEN %s AND %s", [at, at + timedelta(hours=3)])
        if step % 3 == 0:
            worker.execute("SELECT wf.keep_key_days(%s)", [chance.choice((1, 2, 500))])
        same()
    while one(worker, "SELECT wf.keep_key_days(7)") != (0,):
        same()
    assert one(owner, "SELECT count(*) FROM wf.key_days_due WHERE day < %s", today.date()) == (0,)
    assert same() == one(owner, "SELECT count(*) FROM wf.key_days WHERE day >= %s", span["from"])[0]
    owner.execute("UPDATE wf.request_marks SET hours_until = %s", [today + timedelta(days=30)])
    worker.execute("SELECT wf.keep_key_days()")
    assert one(owner, "SELECT count(*) FROM wf.key_days") == (0,), "no detector looks at them any more"


def test_an_hour_that_commits_while_days_are_summed_is_not_lost_and_waits_for_nobody(
    psql: Psql, database: Database
) -> None:
    owner, worker = psql("owner"), psql("worker")
    [today] = one(owner, "SELECT date_trunc('day', now(), 'UTC')")
    owner.execute("UPDATE wf.request_marks SET hours_until = %s", [today])
    at = today - timedelta(hours=30)
    owner.execute(HOUR, ["acme", "k1", at, 5])
    worker.execute("SET lock_timeout = '1 s'")
    with psycopg.connect(database.owner) as other:
        other.execute(HOUR, ["acme", "k1", at + timedelta(hours=1), 7])
        while one(worker, "SELECT wf.keep_key_days()") != (0,):
            pass
        assert one(owner, "SELECT n FROM wf.key_days") == (5,)
        other.commit()
    read = "SELECT n FROM wf.key_days_in(%s, %s)"
    assert one(owner, read, at.date(), today.date()) == (12,), "read from the hours until it is summed again"
    worker.execute("SELECT wf.keep_key_days()")
    assert one(owner, "SELECT n FROM wf.key_days") == (12,)


async def test_unusual_keys_are_one_alert_per_tenant_and_a_gap_makes_it_unknown(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    key(owner, 1, "acme", 20)
    [end] = one(owner, "SELECT date_trunc('hour', now())")
    owner.execute("SELECT setseed(0.5)")
    owner.execute(CELLS.encode(), {"end": end})
    owner.execute(FLEET.encode(), {"end": end})
    owner.execute("UPDATE wf.request_hours SET value = 'wf_live_1' WHERE value = 'kacme_1'")
    owner.execute(
        "UPDATE wf.request_hours SET n = n * 9 WHERE value = 'wf_live_1' AND hour >= %s::timestamptz - interval '24 h'",
        [end],
    )
    owner.execute("UPDATE wf.request_marks SET hours_until = %s, minutes_until = now(), rolled_at = now()", [end])
    send(owner, "acme", "/orders", "1 minute", "0")
    assert (await by_program(home, worker, "key_usage_anomaly"))["fired"] == 2
    acme = alerts(owner, "tenant_id = 'acme'")[0]
    assert acme["details"]["anomalies_count"] == acme["value"] >= 2 and acme["severity"] == "warning"
    assert len(acme["details"]["sample"]) == min(10, acme["value"])
    owner.execute("UPDATE wf.requests SET at = at - interval '60 minutes'")
    assert await by_program(home, worker, "key_usage_anomaly") == {"unknown": 2}
    assert events(owner, acme["id"]) == ["fired", "unknown"]
    assert "no request has come in since" in alerts(owner)[0]["unknown_why"]
    owner.execute("UPDATE wf.request_marks SET hours_until = now() - interval '3 hours'")
    assert await by_program(home, worker, "key_usage_anomaly") == {}
    assert "rolled up only to" in one(owner, "SELECT silent FROM wf.detectors WHERE name = 'key_usage_anomaly'")[0]
    owner.execute("UPDATE wf.request_marks SET hours_until = %s", [end])
    owner.execute("DELETE FROM wf.requests")
    assert await by_program(home, worker, "key_usage_anomaly") == {}
    assert one(owner, "SELECT silent FROM wf.detectors WHERE name = 'key_usage_anomaly'") == ("no request is stored",)


NEW_KEYS = """
INSERT INTO wf.request_hours (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum, buckets,
  counts)
SELECT 'acme', 'key', v.key, '/orders', hour, v.n, 0, 0, v.n, '{}', '{}'
FROM (SELECT 'old_' || k, 100, 192 FROM generate_series(1, 12) k
      UNION ALL VALUES ('new_usual', 110, 24), ('new_flood', 5000, 24)) AS v(key, n, hours),
  generate_series(%(end)s::timestamptz - v.hours * interval '1 hour', %(end)s::timestamptz - interval '1 hour',
                  '1 hour') AS hour
"""


async def test_a_new_key_is_compared_with_the_keys_of_its_plan(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    [end] = one(owner, "SELECT date_trunc('hour', now())")
    owner.execute(FLEET.encode(), {"end": end})
    owner.execute(NEW_KEYS.encode(), {"end": end})
    owner.execute("UPDATE wf.request_marks SET hours_until = %s, rolled_at = now()", [end])
    async with home.connection() as connection:
        [(usage, _)] = await unusual_keys(connection)
    assert usage.key_prefix == "new_flood"
    assert usage.signals[0].inputs["peers"] == 12 and usage.signals[0].inputs["peers_median"] == 2400
