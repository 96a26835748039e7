"""What the people of the demonstration do: real operations with real reasons, so that the trail is real."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from app.demo import keys, subscriptions
from app.demo.estate import Estate, Firm
from app.demo.site import PROGRAMS, Site, Staff
from backends.postgres.home import Home
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.keys.model import KeyDirectory
from controlplane.listing import Query
from controlplane.operations import Call, execute
from controlplane.registry import named

TICKETS = (
    "asked for by the owner, ticket SUP-{}",
    "contract amendment, CRM note {}",
    "found while looking into SUP-{}",
    "agreed with the account manager, mail of ticket SUP-{}",
)
SUSPENDING = (
    "unpaid for 45 days, reminder {} unanswered",
    "requests from a leaked key, SUP-{}",
    "load test without notice, SUP-{}",
)
SHIFT = timedelta(hours=6)
AWAY_AT_MOST = 3
"""So many tenants are suspended by live operations at a time, and so many keys disabled."""
ROTATING = (
    "the quarterly rotation",
    "asked for by the owner, ticket SUP-{}",
    "stale for weeks, mail of ticket SUP-{}",
)
DISABLING = ("the owner is not sure who has it, SUP-{}", "calls from an unknown network, SUP-{}")

Step = tuple[str, str, dict[str, Any], str]
"""Who, the operation, its request, the reason."""


def seed(estate: Estate, site: Site) -> None:
    site.report("people: what ana, ben and chi did today")
    todo = steps(estate)
    for n, step in enumerate(todo):
        site.past.at(estate.now - SHIFT * (len(todo) - n) / len(todo))
        act(site, step)


def steps(estate: Estate) -> list[Step]:
    """A shift's work: two tenants are being deleted at its end."""
    rng = estate.random("audit")
    firms = rng.sample(open_firms(estate), 16)
    found: list[Step] = []
    for who, firm in zip(["ana", "ben", "ana", "ben", "ana", "ben"], firms, strict=False):
        found.append((who, "tenants.edit", {"id": firm.id, "metadata": note(rng)}, reason(rng, TICKETS)))
    for firm in firms[6:9]:
        found.append(("ben", "tenants.suspend", {"id": firm.id}, reason(rng, SUSPENDING)))
    found.append(("ana", "tenants.resume", {"id": firms[6].id}, "paid in full"))
    found.append(
        ("ana", "tenants.rename", {"id": firms[9].id, "name": f"{firms[9].name} Group"}, "merger, CRM note 812")
    )
    found.append(("chi", "tenants.protect", {"id": firms[10].id}, "reference customer"))
    found.append(("ana", "tenants.reveal", {"id": firms[11].id}, "calling the owner about SUP-4398"))
    found.append(("ana", "projects.create", {"tenant_id": firms[12].id, "id": "pilot", "name": "Pilot"}, ""))
    found.append(("ben", "projects.archive", {"tenant_id": firms[13].id, "id": firms[13].projects[0].id}, "replaced"))
    for firm, days in zip(firms[14:], (30, 7), strict=True):
        why = f"the owner asked for deletion, SUP-{rng.randrange(1000, 9999)}"
        found.append(("chi", "tenants.delete", {"id": firm.id, "retention_days": days}, why))
    return found + _key_steps(estate, rng, {firm.id for firm in firms}) + _plan_steps(estate, rng)


def _key_steps(estate: Estate, rng: random.Random, taken: set[str]) -> list[Step]:
    """A leak, a rotation, a disabled key."""
    theirs = {firm.id for firm in open_firms(estate)} - taken
    good = [k for k in keys.make(estate) if k.tenant_id in theirs and k.is_good(estate.now) and not k.grace_until]
    leaked, old, unsure = rng.sample([key for key in good if key.env == "live" and key.expires_at is None], 3)
    return [
        ("ben", "keys.leak", {"id": leaked.id}, "found in a public repository, SUP-4431"),
        ("ana", "keys.rotate", {"id": old.id, "grace": "24h"}, reason(rng, ROTATING)),
        ("ben", "keys.disable", {"id": unsure.id}, reason(rng, DISABLING)),
    ]


def _plan_steps(estate: Estate, rng: random.Random) -> list[Step]:
    """A smaller plan from the next period on, and a larger one at once."""
    active = {each.tenant_id for each in subscriptions.make(estate) if each.state == "active"}
    growing = [firm.id for firm in open_firms(estate) if firm.plan == "growth" and firm.id in active]
    less, more = rng.sample(growing, 2)
    return [
        (
            "ana",
            "subscriptions.change",
            {"tenant_id": less, "plan": "starter"},
            "half of the seats from then on, CRM note 4517",
        ),
        ("chi", "subscriptions.change", {"tenant_id": more, "plan": "pro"}, "signed today, CRM note 4523"),
    ]


def open_firms(estate: Estate) -> list[Firm]:
    """Tenants that may be changed: not the large ones, nor those that show something."""
    return [
        firm
        for firm in estate.firms
        if firm.plan in ("trial", "starter", "growth")
        and (firm.name.isascii() and firm.name.isprintable())
        and not (firm.protected or firm.suspended_at or firm.id in (estate.noisy, estate.failing))
    ]


def note(rng: random.Random) -> dict[str, Any]:
    return {"crm": f"ACC-{rng.randrange(10_000, 99_999)}", "seats": rng.randint(1, 80)}


def reason(rng: random.Random, phrases: tuple[str, ...]) -> str:
    return rng.choice(phrases).format(rng.randrange(1000, 9999))


@asynccontextmanager
async def people(site: Site, *names: str) -> AsyncIterator[dict[str, Home]]:
    """A home for each of the people, or of those named, opened as themselves."""
    async with AsyncExitStack() as stack:
        homes = {}
        for name, conninfo in site.logins.items():
            if name in names or not (names or name in PROGRAMS):
                # Before a worker has rolled anything up, an objective is measured from all cells: a slow machine may.
                homes[name] = Home(conninfo, connections=1, conversation=f"demo {name}", change_seconds=300)
                homes[name].sealing = site.sealing
                await homes[name].open()
                stack.push_async_callback(homes[name].close)
        yield homes


@contextmanager
def staffed(site: Site) -> Iterator[Site]:
    """The people's homes stay open for all that is done in the block."""
    with asyncio.Runner() as runner:
        opened = people(site)
        homes = runner.run(opened.__aenter__())
        try:
            yield replace(site, staff=Staff(runner, homes))
        finally:
            runner.run(opened.__aexit__(None, None, None))


def act(site: Site, *steps: Step) -> None:
    """Do these steps one after the other, with the homes of a `staffed` site."""
    for step in steps:
        site.run(partial(do, step=step))


async def do(homes: dict[str, Home], step: Step) -> None:
    who, name, request, reason = step
    operation = named(name)
    await execute(homes[who], operation, operation.parse(request), Call(reason))


class Shift:
    """One operation now and then, as long as the demonstration runs."""

    def __init__(self, estate: Estate) -> None:
        self._rng = estate.random("shift")
        self._firms = open_firms(estate)
        self._away: list[str] = []
        self._disabled: list[str] = []

    def pause(self) -> float:
        """Seconds until the next operation."""
        return self._rng.uniform(20, 40)

    async def act(self, homes: dict[str, Home]) -> None:
        """Do the next operation. When a change made at a console refuses it, nothing happens."""
        rng = self._rng
        firm, who = rng.choice(self._firms), rng.choice(("ana", "ben"))
        choices: list[Callable[[], Step]] = [
            lambda: (who, "tenants.edit", {"id": firm.id, "metadata": note(rng)}, reason(rng, TICKETS)),
            lambda: (who, "tenants.rename", {"id": firm.id, "name": _renamed(firm, rng)}, reason(rng, TICKETS)),
            lambda: self._suspend_or_resume(who, firm),
        ]
        with suppress(Refusal):
            if rng.random() < 0.3:
                step = await self._with_a_key(who, homes[who], firm)
            else:
                step = rng.choice(choices)()
            if step is not None:
                await do(homes, step)

    def _suspend_or_resume(self, who: str, firm: Firm) -> Step:
        if len(self._away) >= AWAY_AT_MOST or (self._away and self._rng.random() < 0.5):
            return who, "tenants.resume", {"id": self._away.pop(0)}, "settled with the owner"
        self._away.append(firm.id)
        return who, "tenants.suspend", {"id": firm.id}, reason(self._rng, SUSPENDING)

    async def _with_a_key(self, who: str, home: Home, firm: Firm) -> Step | None:
        """Rotate a key of the tenant, or disable it, or enable one that was disabled before."""
        rng = self._rng
        if len(self._disabled) >= AWAY_AT_MOST or (self._disabled and rng.random() < 0.2):
            return who, "keys.enable", {"id": self._disabled.pop(0)}, "the owner knows it, after all"
        theirs = Query((Term("is", (firm.id,), "tenant"), Term("is", ("active",), "state")), "created")
        found = (await home.of(KeyDirectory).page(theirs, limit=10)).rows
        if not found:
            return None
        key = rng.choice(found)
        if rng.random() < 0.7:
            grace = rng.choice(("1h", "24h", "7d"))
            return who, "keys.rotate", {"id": key.id, "grace": grace}, reason(rng, ROTATING)
        self._disabled.append(key.id)
        return who, "keys.disable", {"id": key.id}, reason(rng, DISABLING)


def _renamed(firm: Firm, rng: random.Random) -> str:
    return f"{firm.name}{rng.choice(('', ' Group', ' Europe', ' International'))}"
