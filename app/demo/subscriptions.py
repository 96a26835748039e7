"""Subscriptions of the estate in all their states, grants beside the plan, and what was used."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from app.demo.estate import Estate, Firm
from app.demo.site import Site
from controlplane.plans.model import Cycle
from controlplane.subscriptions.model import State

ZONES = {
    "eu-west-1": "Europe/Dublin",
    "eu-central-1": "Europe/Berlin",
    "us-east-1": "America/New_York",
    "ap-southeast-1": "Asia/Singapore",
}
TRIAL = timedelta(days=14)
TROUBLES: tuple[State, ...] = ("past_due", "past_due", "past_due", "past_due", "grace", "grace", "canceled")
EXPIRED = 8
"""So many trials ended without a contract."""
REFUSED: tuple[State, ...] = ("suspended", "expired", "canceled")

COLUMNS = (
    "tenant_id, state, cycle, billing_zone, period_start, created_at, trial_start, trial_end, extensions, grace_until"
)
FILL = """
UPDATE wf.subscriptions s
SET state = d.state, cycle = d.cycle, billing_zone = d.billing_zone, period_start = d.period_start,
    created_at = d.created_at, updated_at = d.created_at, trial_start = d.trial_start, trial_end = d.trial_end,
    extensions = d.extensions, grace_until = d.grace_until, previous_plan = NULL,
    trial_plan = CASE WHEN d.trial_start IS NOT NULL THEN t.plan END,
    trial_version = CASE WHEN d.trial_start IS NOT NULL THEN s.plan_version END,
    trial_return = CASE WHEN d.trial_start IS NOT NULL THEN 'expired' END
FROM demo_subscriptions d JOIN wf.tenants t ON t.id = d.tenant_id WHERE d.tenant_id = s.tenant_id
"""
USED = """
INSERT INTO wf.quota_counters (tenant_id, metric, period, period_start, used, minute, minute_used)
SELECT s.tenant_id, 'api_calls', q.value ->> 'period', wf.period_start(q.value ->> 'period', now(), s.billing_zone),
       round(u.share * CASE WHEN q.value ->> 'hard' = '-1' THEN 20000000 ELSE (q.value ->> 'hard')::bigint END),
       date_trunc('minute', now()), 0
FROM unnest(%s::text[], %s::float8[]) AS u(tenant_id, share)
JOIN wf.tenants t ON t.id = u.tenant_id JOIN wf.subscriptions s ON s.tenant_id = t.id
JOIN wf.plans p ON p.code = t.plan AND p.version = s.plan_version
CROSS JOIN LATERAL (SELECT p.entitlements -> 'api_calls' AS value) q
"""
GRANT = """
INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, starts_at, ends_at, reason, by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True)
class DemoSubscription:
    """`share` is how much of the tenant's calls it used in this period; None: nothing was ever counted."""

    tenant_id: str
    state: State
    cycle: Cycle
    billing_zone: str
    period_start: date
    created_at: datetime
    trial_start: datetime | None
    trial_end: datetime | None
    extensions: int
    grace_until: datetime | None
    share: float | None


def make(estate: Estate) -> list[DemoSubscription]:
    rng = estate.random("plans")
    tried = [f for f in estate.firms if f.plan == "trial" and f.created_at < estate.now - TRIAL]
    paying = [f for f in estate.firms if f.plan in ("starter", "growth") and not f.suspended_at]
    states: dict[str, State] = dict.fromkeys((firm.id for firm in rng.sample(tried, EXPIRED)), "expired")
    states |= dict(zip((firm.id for firm in rng.sample(paying, len(TROUBLES))), TROUBLES, strict=True))
    states |= {f.id: "suspended" for f in estate.firms if f.suspension_reason and "unpaid" in f.suspension_reason}
    return [_of(estate.now, firm, states.get(firm.id), rng) for firm in estate.firms]


def _of(now: datetime, firm: Firm, state: State | None, rng: random.Random) -> DemoSubscription:
    start = end = None
    extensions = 0
    if firm.plan == "trial":
        start, end = firm.created_at, firm.created_at + TRIAL
        if end <= now and state is None:
            end, extensions = now + timedelta(days=rng.uniform(0.3, 12)), rng.randint(1, 3)
        state = state or "trial"
    return DemoSubscription(
        tenant_id=firm.id,
        state=state or "active",
        cycle="year" if firm.plan in ("pro", "enterprise") and rng.random() < 0.4 else "month",
        billing_zone=ZONES[firm.region],
        period_start=firm.created_at.date(),
        created_at=firm.created_at,
        trial_start=start,
        trial_end=end,
        extensions=extensions,
        grace_until=now + timedelta(days=rng.uniform(1, 6)) if state == "grace" else None,
        share=_share(rng),
    )


def _share(rng: random.Random) -> float | None:
    """A share mostly far from the limit; some are over the soft limit, a few at the hard one."""
    chance = rng.random()
    if chance < 0.04:
        return None
    return rng.uniform(0.8, 0.99) if chance < 0.12 else 1.0 if chance < 0.13 else rng.betavariate(2, 4) * 0.8


def refused(estate: Estate) -> list[str]:
    """Tenants that the product does not serve, because of their subscription."""
    return [each.tenant_id for each in make(estate) if each.state in REFUSED]


def seed(estate: Estate, site: Site) -> None:
    site.report("subscriptions: who is on trial, who is late, who is near a limit")
    made = make(estate)
    with site.change("demo.load", f"the demonstration's subscriptions, seed {estate.seed}") as connection:
        connection.execute("CREATE TEMP TABLE demo_subscriptions (LIKE wf.subscriptions) ON COMMIT DROP")
        for name in ("plan_version", "version", "updated_at"):
            connection.execute(f"ALTER TABLE demo_subscriptions DROP COLUMN {name}".encode())
        with connection.cursor() as cursor, cursor.copy(f"COPY demo_subscriptions ({COLUMNS}) FROM STDIN") as copy:
            for s in made:
                trial = (s.trial_start, s.trial_end, s.extensions, s.grace_until)
                copy.write_row((s.tenant_id, s.state, s.cycle, s.billing_zone, s.period_start, s.created_at, *trial))
        connection.execute("ALTER TABLE wf.subscriptions DISABLE TRIGGER guard")  # it checks transitions
        connection.execute(FILL)
        connection.execute("ALTER TABLE wf.subscriptions ENABLE TRIGGER guard")
        used = [(each.tenant_id, each.share) for each in made if each.share is not None]
        connection.execute(USED, [list(column) for column in zip(*used, strict=True)])
        for grant in grants(estate):
            connection.execute(GRANT, grant)
        connection.execute("SELECT wf.expire_trials()")  # and remember who was reminded


def grants(estate: Estate) -> list[tuple[Any, ...]]:
    """Grants for an incident and others; the noisy neighbour's calls have three sources, so that `w` shows losers."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    now, slowed = estate.now, datetime.fromtimestamp(estate.outage.deployed + 40 * 60, UTC)
    launch = {"hard": 15_000_000, "soft": 12_000_000, "period": "month"}
    held = {"hard": 12_000_000, "soft": 10_000_000, "period": "month"}
    return [
        (estate.noisy, "api_calls", Jsonb(held), "incident", now - 30 * hour, now + 18 * hour,
         "SUP-4402: its retries count against it", "ana"),
        (estate.noisy, "api_calls", Jsonb(launch), "override", now - 3 * day, now + 4 * day,
         "launch week, agreed with the account manager, CRM note 4471", "chi"),
        (estate.failing, "write", Jsonb({"rps": 40, "burst": 80}), "incident", slowed, now + 21 * hour,
         "INC-1: its writes fill the pool of connections", "ben"),
        ("default", "concurrency", Jsonb(150), "override", now - 12 * day, now + 18 * day,
         "our own smoke tests, until they have a tenant of their own", "chi"),
    ]  # fmt: skip
