"""A month of work: what the people of the demonstration did on its working days, by real operations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import psycopg

from app.demo import keys, subscriptions
from app.demo.audit import ROTATING, SUSPENDING, TICKETS, Step, act, note, open_firms, reason, steps
from app.demo.estate import HISTORY, Estate, Firm
from app.demo.site import Site
from controlplane.errors import Refusal

Dated = tuple[datetime, Step]
AWAY = 6
"""So many tenants were suspended for some days."""
DEPLOYS = ("api 2.3.4", "search 1.9.0", "api 2.3.5", "webhooks 0.8.1", "api 2.3.6", "files 3.1.0", "api 2.3.9")
BROKEN, BEFORE = "api 2.4.0", "api 2.3.9"


DEPLOYED = "INSERT INTO wf.deploys (what, region, at, recorded_at, recorded_by) VALUES (%s, %s, %s, %s, 'ci')"


def seed(estate: Estate, site: Site) -> None:
    site.report("people: a month of work")
    with psycopg.connect(site.owner) as owner:
        for what, region, at in deploys(estate):
            owner.execute(DEPLOYED, [what, region, at, at])
    for when, step in work(estate):
        site.past.at(when)
        with suppress(Refusal):  # another seed's estate may hold a tenant that refuses it
            act(site, step)


def days(estate: Estate) -> list[datetime]:
    """The working days of the month at midnight, up to three days ago."""
    first = (estate.now - HISTORY).replace(hour=0, minute=0, second=0)
    found = [first + timedelta(days=n) for n in range(1, HISTORY.days - 2)]
    return [day for day in found if day.weekday() < 5]


def absences(estate: Estate) -> dict[str, list[tuple[float, float]]]:
    """When tenants were suspended, by tenant, in seconds since 1970: they made no requests then."""
    return {firm.id: [(since.timestamp(), until.timestamp())] for firm, since, until in _away(estate)}


def work(estate: Estate) -> list[Dated]:
    """In the order of time. Tenants and keys that other steps need are left alone."""
    rng = estate.random("month")
    made = [*_suspensions(estate, rng), *_keys(estate, rng), *_tenants(estate, rng), *_plans(estate, rng)]
    return [*_impersonated(sorted(made, key=lambda each: each[0]))]


def deploys(estate: Estate) -> list[tuple[str, str, datetime]]:
    """What was deployed, where ('': everywhere) and when, before the incident."""
    rng, there = estate.random("deploys"), days(estate)
    when = [_hour(rng, there[n * (len(there) - 1) // len(DEPLOYS)]) for n in range(len(DEPLOYS))]
    return [(what, "", at) for what, at in zip(DEPLOYS, when, strict=True)]


def _free(estate: Estate) -> list[Firm]:
    """Old enough, and of no other step."""
    taken = {str(value) for _, _, request, _ in steps(estate) for value in request.values() if isinstance(value, str)}
    taken |= {key.tenant_id for key in keys.make(estate) if key.id in taken}
    youngest = estate.now - HISTORY - timedelta(days=2)
    return [firm for firm in open_firms(estate) if firm.created_at < youngest and firm.id not in taken]


def _hour(rng: random.Random, day: datetime) -> datetime:
    return day + timedelta(seconds=rng.randrange(7 * 3600, 17 * 3600))


def _away(estate: Estate) -> list[tuple[Firm, datetime, datetime]]:
    rng, there = estate.random("away"), days(estate)
    firms = rng.sample(_free(estate), AWAY)
    begun = [there[n * (len(there) - 3) // AWAY] for n in range(AWAY)]
    return [
        (firm, since := _hour(rng, day), since + timedelta(days=rng.randint(1, 2), seconds=rng.randrange(7200)))
        for firm, day in zip(firms, begun, strict=True)
    ]


def _suspensions(estate: Estate, rng: random.Random) -> Iterator[Dated]:
    for firm, since, until in _away(estate):
        yield since, (rng.choice(("ana", "ben")), "tenants.suspend", {"id": firm.id}, reason(rng, SUSPENDING))
        yield until, (rng.choice(("ana", "ben")), "tenants.resume", {"id": firm.id}, "settled with the owner")


def _keys(estate: Estate, rng: random.Random) -> Iterator[Dated]:
    """Rotations; one key was leaked."""
    free, there = {firm.id for firm in _free(estate)}, days(estate)
    old = estate.now - HISTORY
    good = [
        key
        for key in keys.make(estate)
        if key.tenant_id in free and key.is_good(estate.now) and not key.grace_until and not key.rotated_from
        and key.env == "live" and key.expires_at is None and key.created_at < old
    ]  # fmt: skip
    for key in rng.sample(good, min(9, len(good))):
        grace = rng.choice(("24h", "7d"))
        what = {"id": key.id, "grace": grace}
        yield _hour(rng, rng.choice(there)), (rng.choice(("ana", "ben")), "keys.rotate", what, reason(rng, ROTATING))


def _tenants(estate: Estate, rng: random.Random) -> Iterator[Dated]:
    there = days(estate)
    away = {firm.id for firm, _, _ in _away(estate)}
    firms = [firm for firm in _free(estate) if firm.id not in away]
    for firm in rng.sample(firms, 18):
        step: Step = (
            rng.choice(("ana", "ben")),
            "tenants.edit",
            {"id": firm.id, "metadata": note(rng)},
            reason(rng, TICKETS),
        )
        yield _hour(rng, rng.choice(there)), step
    for firm in rng.sample(firms, 3):
        yield _hour(rng, rng.choice(there)), ("ana", "tenants.reveal", {"id": firm.id}, reason(rng, TICKETS))
    for firm in rng.sample(firms, 3):
        made = {"tenant_id": firm.id, "id": "pilot", "name": "Pilot"}
        yield _hour(rng, rng.choice(there)), ("ben", "projects.create", made, "")
    for firm, day in zip(rng.sample(firms, 4), rng.sample(there, 4), strict=True):
        what = {"id": firm.id, "ticket": f"SUP-{rng.randrange(1000, 9999)}", "minutes": 30}
        who, begun = rng.choice(("ana", "ben")), _hour(rng, day)
        yield begun, (who, "tenants.impersonate", what, "their export looks empty to them")
        yield begun + timedelta(minutes=rng.randint(6, 21)), (who, "tenants.end-impersonation", {}, "")


def _plans(estate: Estate, rng: random.Random) -> Iterator[Dated]:
    """Larger plans, at once."""
    active = {each.tenant_id for each in subscriptions.make(estate) if each.state == "active"}
    firms = [firm for firm in _free(estate) if firm.plan == "starter" and firm.id in active]
    for firm in rng.sample(firms, min(4, len(firms))):
        change = {"tenant_id": firm.id, "plan": "growth"}
        why = f"signed today, CRM note {rng.randrange(1000, 9999)}"
        yield _hour(rng, rng.choice(days(estate))), ("chi", "subscriptions.change", change, why)


def _impersonated(dated: list[Dated]) -> Iterator[Dated]:
    """The end of each impersonation names it by its number, which counts from 1 in the order of time."""
    begun, numbers = 0, dict[str, int]()
    for when, (who, operation, request, why) in dated:
        if operation == "tenants.impersonate":
            begun += 1
            numbers[who] = begun
        elif operation == "tenants.end-impersonation":
            request = {"number": numbers[who]}
        yield when, (who, operation, request, why)
