"""The tenants of the demonstration: 300 of them, with all their data. The same seed gives the same estate."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.demo import names

DEFAULT_SEED = 7
TENANTS = 300
"""`default`, which every home has, is one of them."""
HISTORY = timedelta(days=30)
LATELY = timedelta(minutes=45)
"""What is prepared ends so long ago; the rest is written when it is shown (present.py)."""
ONSET = timedelta(minutes=40)
"""So long before it is shown the errors of one tenant begin."""
OUTAGE_SECONDS = 64 * 60.0
REQUESTS_PER_SECOND = 12.0
"""Of all tenants together, on average: few enough to store and roll up the last hour in a second."""

REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "ap-southeast-1")


@dataclass(frozen=True)
class Plan:
    """`share`: how many of a hundred tenants have it; `weight`: their requests in relation to the other plans'."""

    name: str
    share: int
    weight: float
    seats: int
    oldest_days: int


PLANS = (
    Plan("trial", 22, 1.0, 5, 40),
    Plan("starter", 34, 2.0, 15, 500),
    Plan("growth", 22, 4.0, 60, 730),
    Plan("pro", 14, 8.0, 250, 730),
    Plan("enterprise", 8, 20.0, 2000, 730),
)
ROUTES = (
    ("/v1/orders", "POST", 120.0),
    ("/v1/orders/:id", "GET", 34.0),
    ("/v1/search", "GET", 95.0),
    ("/v1/events", "POST", 18.0),
    ("/v1/reports", "POST", 480.0),
    ("/v1/users/:id", "GET", 26.0),
    ("/v1/files", "PUT", 210.0),
)
"""Path, method, and the median latency in milliseconds."""
ROUTE_SHARES = (0.6, 0.3, 0.1)
SUSPENSIONS = (
    "two invoices unpaid (billing)",
    "credentials leaked in a public repository; waiting for the owner",
    "abuse: scraping of third parties, reported twice",
    "asked for by the owner: seasonal closing",
    "sanctions check is pending (legal)",
)


@dataclass(frozen=True)
class Route:
    path: str
    method: str
    median_ms: float
    share: float  # of the tenant's requests


@dataclass(frozen=True)
class Project:
    id: str
    name: str
    created_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True)
class Firm:
    """A tenant and how it behaves. `rate` is its mean of requests per second; shares are 0 to 1."""

    id: str
    name: str
    plan: str
    region: str
    allowed_regions: list[str]
    owner_email: str
    metadata: dict[str, Any]
    created_at: datetime
    suspended_at: datetime | None
    suspension_reason: str | None
    protected: bool
    rate: float
    client_errors: float
    server_errors: float
    routes: tuple[Route, ...]
    projects: tuple[Project, ...]


@dataclass(frozen=True)
class Outage:
    """The incident of two days ago: a deploy in one region, and when it was taken back. Times in seconds since 1970."""

    region: str
    deployed: float
    mended: float

    @property
    def began(self) -> float:
        return self.deployed + 90


@dataclass(frozen=True)
class Estate:
    """`now` is where what is prepared ends. `noisy` has bursts; `failing` fails from `onset` until `mended`."""

    seed: int
    now: datetime
    firms: tuple[Firm, ...]
    noisy: str
    failing: str
    outage: Outage
    onset: float
    """In seconds since 1970, as `mended`."""
    mended: float = math.inf

    def firm(self, tenant_id: str) -> Firm:
        return next(firm for firm in self.firms if firm.id == tenant_id)

    def random(self, purpose: object) -> random.Random:
        """A generator of its own for each purpose, so that one more number for one changes nothing of another."""
        return random.Random(f"{self.seed} {purpose}")


def make(seed: int, now: datetime) -> Estate:
    rng = random.Random(f"{seed} estate")
    now = now.astimezone(UTC).replace(microsecond=0)
    companies = [("default", "Default"), *names.companies(rng, TENANTS - 1)]
    plans = [plan for plan in PLANS for _ in range(plan.share * TENANTS // 100)]
    rng.shuffle(plans)
    weights = [plan.weight * rng.lognormvariate(0, 0.5) for plan in plans]
    total = sum(weights)
    paying = [n for n in range(1, TENANTS) if plans[n].name in ("starter", "growth")]
    suspended = dict(zip(rng.sample(paying, len(SUSPENSIONS)), SUSPENSIONS, strict=True))
    protected = rng.choice([n for n in range(1, TENANTS) if plans[n].name == "enterprise"])
    firms = tuple(
        _firm(rng, company, plans[n], weights[n] * REQUESTS_PER_SECOND / total, now, suspended.get(n), n == protected)
        for n, company in enumerate(companies)
    )
    noisy, failing = rng.sample([firm.id for firm in firms if firm.plan == "pro"], 2)
    # Many calls, so that a chart of one hour has a shape.
    firms = tuple(replace(firm, rate=6 * firm.rate) if firm.id == failing else firm for firm in firms)
    deployed = (now - timedelta(hours=50)).replace(minute=11, second=20).timestamp()
    region = next(firm.region for firm in firms if firm.id == failing)
    outage = Outage(region, deployed, deployed + OUTAGE_SECONDS)
    return Estate(seed, now, firms, noisy, failing, outage, (now + LATELY - ONSET).timestamp())


def _firm(
    rng: random.Random,
    company: tuple[str, str],
    plan: Plan,
    rate: float,
    now: datetime,
    reason: str | None,
    protected: bool,
) -> Firm:
    tenant_id, name = company
    region = rng.choices(REGIONS, (35, 20, 30, 15))[0]
    youngest = 60 if reason else 1
    created = now - timedelta(days=rng.uniform(min(youngest, plan.oldest_days - 1), plan.oldest_days))
    away = now - timedelta(days=rng.uniform(1, 20)) if reason else None
    return Firm(
        id=tenant_id,
        name=name,
        plan=plan.name,
        region=region,
        allowed_regions=_allowed(rng, region, plan),
        owner_email=names.owner(rng, tenant_id),
        metadata=_metadata(rng, plan),
        created_at=created,
        suspended_at=away,
        suspension_reason=reason,
        protected=protected or tenant_id == "default",
        rate=rate,
        client_errors=rng.uniform(0.002, 0.05),
        server_errors=min(0.03, rng.lognormvariate(-7, 1.0)),
        routes=_routes(rng, plan),
        projects=_projects(rng, created, now),
    )


def _allowed(rng: random.Random, region: str, plan: Plan) -> list[str]:
    if plan.name in ("trial", "starter") or rng.random() < 0.5:
        return []
    return sorted({region, rng.choice(REGIONS)})


def _metadata(rng: random.Random, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {"crm": f"ACC-{rng.randrange(10_000, 99_999)}", "seats": rng.randint(1, plan.seats)}
    if plan.name in ("pro", "enterprise"):
        found["manager"] = rng.choice(names.GIVEN).title()
        found["contract"] = {
            "until": f"{rng.randint(2026, 2029)}-{rng.randint(1, 12):02}",
            "sla": rng.choice((99.5, 99.9, 99.95)),
        }
    if rng.random() < 0.2:
        found["beta"] = rng.sample(("search-v2", "async-reports", "webhooks"), rng.randint(1, 2))
    return found


def _routes(rng: random.Random, plan: Plan) -> tuple[Route, ...]:
    most = {"trial": 1, "starter": 1, "growth": 2}.get(plan.name, 3)
    chosen = rng.sample(ROUTES, rng.randint(1, most))
    shares = ROUTE_SHARES[: len(chosen)]
    pace = rng.lognormvariate(0, 0.25)
    return tuple(
        Route(path, method, median * pace, share / sum(shares))
        for (path, method, median), share in zip(chosen, shares, strict=True)
    )


def _projects(rng: random.Random, born: datetime, now: datetime) -> tuple[Project, ...]:
    made: list[Project] = []
    for word in rng.sample(names.PROJECTS, rng.choice((1, 1, 2, 2, 3, 4))):
        created = born + (now - born) * rng.random() ** 2
        archived = created + (now - created) * rng.random() if made and rng.random() < 0.15 else None
        made.append(Project(word, word.title(), created, archived))
    return tuple(made)


def digest(estate: Estate) -> str:
    return hashlib.sha256(repr(estate).encode()).hexdigest()
