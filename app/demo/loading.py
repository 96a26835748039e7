"""Puts the estate into an empty home, first what a person looks at first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg

from app.demo import (
    approvals,
    audit,
    evidence,
    gates,
    hours,
    incidents,
    keys,
    letters,
    objectives,
    on_call,
    requests,
    routes,
    runbooks,
    subscriptions,
    tenants,
    webhooks,
)
from app.demo.estate import DEFAULT_SEED, Estate, make
from app.demo.site import Site, open_site
from controlplane.clock import machine_now
from controlplane.errors import Conflict, NotPermitted
from controlplane.sealing import Sealing

FIRST = (tenants.seed,)
"""What the console opens on. The rest comes while a person looks at it."""
THEN = (
    *(requests.seed, keys.seed, subscriptions.seed, audit.seed, hours.seed, requests.roll_up, objectives.seed),
    *(on_call.seed, routes.seed, webhooks.seed, letters.seed, gates.seed, incidents.seed, evidence.seed),
    *(approvals.seed, runbooks.seed),
)


def check(owner: str) -> None:
    """Raises NotPermitted `demo_needs_owner`, Conflict `demo_home_not_empty`."""
    with psycopg.connect(owner) as connection:
        query = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'wf.tenants'::regclass"
        if connection.execute(query).fetchone() != (True,):
            raise NotPermitted(
                "demo_needs_owner",
                "The demonstration writes its history by direct SQL, which only the owner of the home may do.",
                "See it in a home of its own: watchfloor demo",
            )
        if connection.execute("SELECT EXISTS (SELECT FROM wf.tenants WHERE id <> 'default')").fetchone() == (True,):
            raise Conflict(
                "demo_home_not_empty",
                "The home has tenants already: the demonstration is only loaded into an empty one.",
                "See it in a home of its own: watchfloor demo",
            )


def is_loaded(owner: str) -> bool:
    """Whether an estate is in the home already."""
    with psycopg.connect(owner) as connection:
        query = "SELECT EXISTS (SELECT FROM wf.changes WHERE operation = 'demo.load')"
        return connection.execute(query).fetchone() == (True,)


def load(estate: Estate, site: Site, first: Callable[[], None] = lambda: None) -> None:
    """Fill an empty home. `first` is called when the tenants are there."""
    for seed in FIRST:
        seed(estate, site)
    first()
    for seed in THEN:
        seed(estate, site)


async def load_demonstration(
    owner: str, report: Callable[[str], None], sealing: Sealing, seed: int = DEFAULT_SEED
) -> None:
    """Load the estate into a home that has no tenant but `default`; no traffic follows.

    `owner` is the conninfo of the home's owner; `report` is called from a thread; `sealing` has the home's key. Raises
    NotPermitted, Conflict.
    """

    def work() -> None:
        check(owner)
        load(make(seed, machine_now()), open_site(owner, report, sealing))

    await asyncio.to_thread(work)
