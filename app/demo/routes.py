"""Who is told of what in the demonstration: routes that write into the worker's log, and one whose receiver has failed.

Nothing is sent anywhere: the failing route's host can never exist, and it is off before the first alert.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import psycopg

from app.demo.audit import Step, act
from app.demo.estate import Estate
from app.demo.site import Site

PAGED = {
    "levels": [
        {"targets": [{"kind": "schedule", "name": "primary"}], "minutes": 1},
        {"targets": [{"kind": "person", "name": "chi"}], "minutes": 10},
    ],
    "repeat": 1,
}
STALE = "key_rotation_sla_failed"
LIMIT = 50
"""So many failures in a row disabled the receiver: wf.route_failure_limit()."""

FIRED = """
INSERT INTO wf.alerts (kind, tenant_id, severity, value, threshold, unit, summary, state, fired_at, resolved_at, events)
VALUES ('burn_rate', %(tenant)s, 'critical', 17.3, 14.4, '', %(summary)s, 'resolved', %(fired)s,
  %(ended)s, 2) RETURNING id
"""
HAPPENED = """
INSERT INTO wf.alert_events (alert_id, n, at, kind, severity, value, words)
VALUES (%(alert)s, 1, %(fired)s, 'fired', 'critical', 17.3, %(summary)s),
       (%(alert)s, 2, %(ended)s, 'resolved', 'critical', NULL, NULL)
"""
TOLD = """
INSERT INTO wf.deliveries (key, route_id, group_key, number, tenant_id, action, reason, severity, event_type, summary,
  notice, state, attempts, tries, code, words, created_at, ended_at)
VALUES (%(key)s, %(route)s, repeat('0', 64), %(number)s, %(tenant)s, %(action)s, %(reason)s, 'critical', 'burn_rate',
  %(summary)s, '{}', 'failed', %(tries)s, %(tries)s, %(code)s, %(words)s, %(at)s,
  %(at)s + interval '2 hours') RETURNING id
"""
TRIED = """
INSERT INTO wf.delivery_attempts (delivery_id, attempt, worker_id, started_at, ended_at, outcome, code, words, answer,
  seconds)
SELECT %(delivery)s, n, 1, at, at, CASE WHEN n = %(tries)s THEN %(last)s ELSE 'retry' END, %(code)s, %(words)s,
  %(answer)s, 0.2 + n / 50.0
FROM (SELECT n, %(at)s + interval '1 hour' * ((n - 1) / 8.0) AS at FROM generate_series(1, %(tries)s) n) tried
"""
OFF = """
UPDATE wf.endpoints SET failures = %(limit)s, disabled_at = %(at)s + interval '2 hours', disabled =
  %(limit)s || ' attempts in a row failed; the last one: ' || %(words)s WHERE route_id = %(route)s
"""
BUSY = "The receiver cannot take it now (503)."
GONE = "The receiver says no (404)."


def steps(estate: Estate) -> list[Step]:
    hook = {"name": "their-pager", "tenant_id": estate.failing, "channel": "webhook", "continues": True}
    hook |= {"address": "https://pager.customer.invalid/hooks/watchfloor", "min_severity": "error"}
    log = {"name": "on-call", "channel": "drill", "address": "-", "min_severity": "error", "position": 1}
    log |= {"escalation": PAGED, "group_by": ["kind", "tenant"]}
    rest = {"name": "everything", "channel": "drill", "address": "-", "position": 2, "group_by": ["kind"]}
    promised: dict[str, object] = {f"{STALE}.max_age": 365, f"{STALE}.window": 3660, "quota_near.share": 0.95}
    yearly = "keys are promised to be younger than a year; a quota is near when it is nearly gone"
    return [
        *(
            ("chi", "thresholds.set", {"parameter": name, "scope": "all", "value": value}, yearly)
            for name, value in promised.items()
        ),
        ("ben", "routes.create", hook, "they want to hear of their own alerts, SUP-498"),
        ("ben", "routes.create", log, "what pages somebody"),
        ("ben", "routes.create", rest, "what can wait until the morning"),
        *((who, "contacts.add", {"person": who, "channel": "drill", "address": "-"}, "") for who in ("ana", "chi")),
    ]


def seed(estate: Estate, site: Site) -> None:
    site.report("routes: who is told")
    act(site, *steps(estate))
    with site.change("demo.load", "a receiver that has failed since the incident") as connection:
        _failed(connection, estate)


def _failed(connection: psycopg.Connection, estate: Estate) -> None:
    """An alert of the incident two days ago of whose trigger and resolve the tenant's receiver did not hear."""
    tenant, fired = estate.failing, datetime.fromtimestamp(estate.outage.began + 270, UTC)
    ended = datetime.fromtimestamp(estate.outage.mended + 330, UTC)
    summary = f"api ({tenant}): page: burn 17.3 over 1h and 21.0 over 5m, both above 14.4"
    route = _one(connection, "SELECT id FROM wf.routes WHERE name = 'their-pager'", {})
    alert = _one(connection, FIRED, {"tenant": tenant, "summary": summary, "fired": fired, "ended": ended})
    connection.execute(HAPPENED, {"alert": alert, "summary": summary, "fired": fired, "ended": ended})
    for number, action, reason, tries, last, code, words, answer, at in (
        (1, "trigger", "first_notification", 8, "retry", "http_503", BUSY, "upstream request timeout", fired),
        (2, "resolve", "all_alerts_resolved", 1, "refused", "http_404", GONE, "no such hook", ended),
    ):
        key = "msg_" + hashlib.sha1(f"demo {number}".encode()).hexdigest()
        told = {"key": key, "route": route, "number": number, "tenant": tenant, "action": action, "reason": reason}
        said = {"tries": tries, "last": last, "code": code, "words": words, "answer": answer, "at": at}
        delivery = _one(connection, TOLD, told | said | {"summary": summary})
        connection.execute(TRIED, said | {"delivery": delivery})
        connection.execute("INSERT INTO wf.delivery_alerts VALUES (%s, %s, %s)", [alert, delivery, action == "resolve"])
    connection.execute(OFF, {"limit": LIMIT, "route": route, "words": BUSY, "at": ended})


def _one(connection: psycopg.Connection, statement: str, values: dict[str, object]) -> int:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
