"""Puts the estate into an empty home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

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
    month,
    objectives,
    on_call,
    present,
    routes,
    runbooks,
    subscriptions,
    tenants,
    webhooks,
)
from app.demo.estate import DEFAULT_SEED, HISTORY, LATELY, Estate, make
from app.demo.hours import Batch
from app.demo.site import Site, open_site
from controlplane.clock import machine_now
from controlplane.errors import Conflict, NotPermitted
from controlplane.sealing import Sealing

DAY = timedelta(days=1)
MEASURED = """
DELETE FROM wf.objective_due;
INSERT INTO wf.objective_due VALUES (NULL, '(,)', NULL);
SELECT wf.keep_objectives(most_hours => 800, most => '5 minutes')
"""
"""What a worker would do first: budgets are read from what it keeps. All at once, not by what each step made due."""


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


def is_new(owner: str) -> bool:
    """Whether nothing of the home's trail was chained yet: then it is the demonstration's own."""
    with psycopg.connect(owner) as connection:
        return connection.execute("SELECT NOT EXISTS (SELECT FROM wf.audit_chain)").fetchone() == (True,)


def load(estate: Estate, site: Site, history: Callable[[], Iterable[Batch]], *, trail: bool) -> None:
    """Fill an empty home up to the estate's `now`. `history` waits for hours.batches. `trail`: its trail is the
    demonstration's own, and gets the times of the story (past.py).
    """
    with audit.staffed(site) as staffed:
        _load(estate, staffed, history, trail=trail)


def _load(estate: Estate, site: Site, history: Callable[[], Iterable[Batch]], *, trail: bool) -> None:
    site.past.at(estate.now - HISTORY)
    for seed in (tenants.seed, keys.seed, subscriptions.seed):
        seed(estate, site)
    site.past.at(estate.now - 29 * DAY)
    objectives.seed(estate, site)  # an objective is measured when it is made
    with ThreadPoolExecutor(1) as beside:
        stored = beside.submit(hours.seed, estate, site, history)
        site.past.at(estate.now - 28 * DAY)
        for seed in (routes.seed, webhooks.seed):
            seed(estate, site)
        month.seed(estate, site)
        incidents.seed(estate, site)
        audit.seed(estate, site)
        for seed in (on_call.seed, letters.seed, gates.seed, approvals.seed, runbooks.seed):
            site.past.at(estate.now)
            seed(estate, site)
        site.report("history: thirty days of requests")
        stored.result()
        measured = beside.submit(_measure, site)
        _settle(estate, site, trail=trail)
        measured.result()
    site.past.at(estate.now)
    evidence.seed(estate, site)  # of what is there by now
    if trail:
        site.past.settle(site.owner, trail=True)


def _measure(site: Site) -> None:
    with psycopg.connect(site.owner) as owner:
        owner.execute(MEASURED.encode())


def _settle(estate: Estate, site: Site, *, trail: bool) -> None:
    site.past.settle(site.owner, () if trail else incidents.TABLES, trail=trail)
    incidents.date_back(estate, site.owner, trail=trail)


async def load_demonstration(
    owner: str, report: Callable[[str], None], sealing: Sealing, seed: int = DEFAULT_SEED
) -> None:
    """Load the estate into a home that has no tenant but `default`; no traffic follows.

    `owner` is the conninfo of the home's owner; `report` is called from a thread; `sealing` has the home's key. Raises
    NotPermitted, Conflict.
    """

    def work() -> None:
        check(owner)
        now = machine_now()
        estate, site = make(seed, now - LATELY), open_site(owner, report, sealing)
        load(estate, site, partial(hours.batches, estate), trail=False)
        present.catch_up(estate, site, now, trail=False)
        present.look(site)

    await asyncio.to_thread(work)
