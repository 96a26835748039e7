"""Two tenants' webhooks and what they were told: one takes everything, one has failed since last night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from app.demo.estate import Estate
from app.demo.site import Site

HOOK = """
INSERT INTO wf.webhooks (tenant_id, label, target, events, secret_at, created_at, created_by)
VALUES (%(tenant)s, %(label)s, %(target)s, %(events)s, now(), %(made)s, 'ana') RETURNING id
"""
EVENT = """
INSERT INTO wf.tenant_events (id, tenant_id, type, summary, data, at)
VALUES (wf.event_id(%(tenant)s, %(type)s, %(at)s::text), %(tenant)s, %(type)s, %(summary)s, %(data)s, %(at)s)
RETURNING n
"""
TOLD = """
UPDATE wf.deliveries SET state = %(state)s, attempts = %(attempts)s, tries = %(attempts)s, code = %(code)s,
  created_at = %(at)s,
  words = %(words)s, ended_at = CASE WHEN %(state)s IN ('delivered', 'failed') THEN %(at)s + interval '1 second' END
WHERE event = %(event)s RETURNING id
"""
ATTEMPT = """
INSERT INTO wf.delivery_attempts (delivery_id, attempt, worker_id, started_at, ended_at, outcome, code, words, answer,
                                  seconds)
VALUES (%(delivery)s, %(n)s, 1, %(at)s, %(at)s + %(seconds)s * interval '1 second', %(outcome)s, %(code)s, %(words)s,
        %(answer)s, %(seconds)s)
"""
OFF = """
UPDATE wf.endpoints SET failures = 50, disabled_at = %(at)s,
  disabled = '50 attempts in a row failed; the last one: ' || %(words)s WHERE id = %(hook)s
"""
PAUSES = (0.0, 5.0, 305.0, 2105.0, 9305.0)
"""Seconds from a delivery's first attempt to each of those that follow."""


@dataclass(frozen=True)
class Answered:
    """What a receiver said, and what that means."""

    outcome: str
    code: str
    words: str
    answer: str
    seconds: float


TOOK = Answered("delivered", "http_200", "The receiver took it (200).", '{"ok": true}', 0.084)
BUSY = Answered("retry", "http_503", "The receiver cannot take it now (503).", "upstream is down", 0.212)
SLOW = Answered("retry", "slow", "No answer within 20s.", "", 20.0)


@dataclass(frozen=True)
class Happened:
    """`hours` ago. `answers`: of each attempt."""

    type: str
    summary: str
    data: dict[str, Any]
    hours: float
    state: str
    answers: tuple[Answered, ...]


QUOTA = {"metric": "api_calls", "used": 812_400, "hard": 1_000_000, "resets_at": "2026-12-01T00:00:00Z"}
TAKEN = (
    Happened("plan.changed", "growth → pro", {"from": "growth", "to": "pro"}, 170.0, "delivered", (TOOK,)),
    Happened("quota.near", "api_calls: 812,400 of 1,000,000 used", QUOTA, 96.0, "delivered", (BUSY, TOOK)),
    Happened("tenant.suspended", "suspended", {}, 31.0, "delivered", (TOOK,)),
    Happened("tenant.resumed", "resumed", {}, 30.2, "delivered", (TOOK,)),
    Happened("quota.exceeded", "api_calls: a use was refused at the limit", QUOTA, 5.5, "delivered", (TOOK,)),
)  # fmt: skip
REFUSED = (
    Happened("plan.changed", "starter → growth", {"from": "starter", "to": "growth"}, 220.0, "delivered", (TOOK,)),
    Happened("quota.near", "api_calls: 412,000 of 500,000 used", QUOTA, 16.0, "held", (BUSY, BUSY, SLOW, BUSY, BUSY)),
    Happened("quota.exceeded", "api_calls: a use was refused at the limit", QUOTA, 13.0, "held", (SLOW, BUSY, BUSY)),
    Happened("tenant.suspended", "suspended", {}, 6.0, "held", ()),
    Happened("tenant.resumed", "resumed", {}, 5.0, "held", ()),
)  # fmt: skip


def seed(estate: Estate, site: Site) -> None:
    site.report("webhooks: what tenants were told")
    with site.change("demo.load", "their webhooks, and what they were told") as connection:
        for tenant, label, told in ((estate.failing, "billing", TAKEN), (estate.noisy, "operations", REFUSED)):
            made = estate.now - timedelta(days=40)
            hook = {"tenant": tenant, "label": label, "target": f"https://hooks.{tenant}.example/•••", "made": made}
            [(number,)] = connection.execute(HOOK, hook | {"events": ["*"]}).fetchall()
            for each in told:
                at = estate.now - timedelta(hours=each.hours)
                event = {
                    "tenant": tenant,
                    "type": each.type,
                    "summary": each.summary,
                    "data": Jsonb(each.data),
                    "at": at,
                }
                [(n,)] = connection.execute(EVENT, event).fetchall()
                last = each.answers[-1] if each.answers else None
                came = {"code": last and last.code, "words": last and last.words, "attempts": len(each.answers)}
                [(delivery,)] = connection.execute(TOLD, came | {"state": each.state, "event": n, "at": at}).fetchall()
                for place, (answer, pause) in enumerate(zip(each.answers, PAUSES, strict=False), 1):
                    attempt = {"delivery": delivery, "n": place, "at": at + timedelta(seconds=pause)}
                    connection.execute(ATTEMPT, attempt | vars(answer))
            if told is REFUSED:
                off = {"hook": number, "words": BUSY.words, "at": estate.now - timedelta(hours=9)}
                connection.execute(OFF, off)
            else:
                last_ok = estate.now - timedelta(hours=told[-1].hours)
                connection.execute("UPDATE wf.endpoints SET delivered_at = %s WHERE id = %s", [last_ok, number])
