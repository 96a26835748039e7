"""API keys of the estate in all their states, and which of them callers use.

Nobody ever knows a secret of the demonstration: it is made, hashed and thrown away.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, repeat
from zlib import crc32

import psycopg
from psycopg.rows import TupleRow, class_row

from app.demo.estate import Estate, Firm
from app.demo.site import Site
from controlplane.keys import secret
from controlplane.keys.model import Env

LABELS = ("backend", "checkout", "mobile app", "nightly export", "partner webhook", "ci", "search indexer", "reporting")
HOSTILE = ("\x1b[31mred\x1b[0m alert", "invoice \u202egpj.exe", "za" + "\u0301\u0316\u0347" * 8 + "lgo")
"""Labels come from customers, so the console must show hostile ones as well."""
SCOPES = ("orders:read", "orders:write", "search:read", "events:write", "reports:read", "users:read", "files:write")
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
REASONS = ("the contractor left", "found in a log of ours, SUP-4417", "replaced by a key per project")
PEOPLE = ("ana", "ben", "chi")
WINDOW, YOUNG = 30, 8
"""Days in which a careful tenant rotates its keys; most of its keys are younger than the second number of days."""
CLINGING = 0.4
"""The share of its calls that the noisy neighbour makes with the old key until the grace is over."""
MOVING = 600.0
"""Seconds after a rotation until the callers of everybody else have moved over."""

COLUMNS = (
    "id, tenant_id, project_id, env, display, hash, label, owner_email, scopes, addresses, expires_at, spend_cap, "
    "rotated_from, rotated_at, grace_until, disabled_at, revoked_at, revoked_reason, created_at, updated_at, created_by"
)
USED = """
UPDATE wf.key_uses u SET last_used_at = v.at, last_address = v.address::inet
FROM unnest(%s::text[], %s::timestamptz[], %s::text[]) AS v(key_id, at, address) WHERE u.key_id = v.key_id
"""
CALLED = """
UPDATE wf.key_uses u SET last_used_at = r.at, last_address = r.address
FROM wf.key_uses k, LATERAL (
  SELECT at, address FROM wf.requests WHERE key_id = k.key_id ORDER BY at DESC LIMIT 1) r
WHERE u.key_id = k.key_id
"""


ENDED = """
UPDATE wf.key_uses u SET last_used_at = k.grace_until - interval '1 hour' FROM wf.api_keys k
WHERE k.id = u.key_id AND k.grace_until < now() AND u.last_used_at > k.grace_until
"""


@dataclass(frozen=True)
class DemoKey:
    """A key without its secret, which is made when it is stored. `used_at`: before the last hour, if ever."""

    id: str
    tenant_id: str
    project_id: str | None
    env: Env
    letters: str  # the first ones of the secret, which may be shown
    label: str
    owner_email: str | None
    scopes: list[str]
    addresses: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    spend_cap: int | None = None
    rotated_from: str | None = None
    rotated_at: datetime | None = None
    grace_until: datetime | None = None
    disabled_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None
    used_at: datetime | None = None

    @property
    def display(self) -> str:
        return f"{secret.DEFAULT_PREFIX}_{self.env}_{self.letters}"

    def is_good(self, now: datetime) -> bool:
        ends = (self.expires_at, self.grace_until)
        return not (self.disabled_at or self.revoked_at or any(end is not None and end <= now for end in ends))


def make(estate: Estate) -> list[DemoKey]:
    """One to four keys for each tenant, each after the key that it replaces."""
    rng = estate.random("keys")
    made = [key for firm in estate.firms for key in _of(estate, firm, rng)]
    for label in HOSTILE:
        place = rng.randrange(len(made))
        made[place] = replace(made[place], label=label)
    return made


def _of(estate: Estate, firm: Firm, rng: random.Random) -> list[DemoKey]:
    days = (estate.now - firm.created_at) / timedelta(days=1)
    careful = rng.random() < 0.7
    if firm.id in (estate.noisy, estate.failing) or (careful and days > WINDOW and rng.random() < 0.6):
        keys = _rotated(estate, firm, rng)
    else:
        keys = [_key(estate, firm, rng, rng.uniform(0, min(days, YOUNG if careful else 400)))]
    for _ in range(rng.choice((0, 1, 1, 2, 2))):
        age = min(days, rng.lognormvariate(2.2, 1.0)) * 0.99
        keys.append(_ended(rng, _key(estate, firm, rng, age), estate.now))
    return keys


def _key(estate: Estate, firm: Firm, rng: random.Random, age: float) -> DemoKey:
    created = estate.now - timedelta(days=age, seconds=1)
    network = rng.choice(NETWORKS)
    open_projects = [project.id for project in firm.projects if not project.archived_at]
    return DemoKey(
        id=secret.new_id(created, rng.getrandbits),
        tenant_id=firm.id,
        project_id=rng.choice(open_projects) if open_projects and rng.random() < 0.4 else None,
        env="test" if rng.random() < 0.12 else "live",
        letters="".join(rng.choices(secret.ALPHABET, k=secret.SHOWN)),
        label=rng.choice(LABELS),
        owner_email=firm.owner_email if rng.random() < 0.8 else None,
        scopes=sorted(rng.sample(SCOPES, rng.randint(1, 4))),
        addresses=[f"{network}.0/24"] if rng.random() < 0.3 else [],
        created_at=created,
        created_by=rng.choice(PEOPLE),
        expires_at=estate.now + timedelta(days=rng.uniform(2, 300)) if rng.random() < 0.2 else None,
        spend_cap=rng.choice((50_00, 200_00, 1000_00)) if rng.random() < 0.15 else None,
        used_at=None if rng.random() < 0.1 else created + timedelta(days=age * rng.uniform(0.2, 0.97)),
    )


def _rotated(estate: Estate, firm: Firm, rng: random.Random) -> list[DemoKey]:
    """A key and its successor. For the noisy neighbour half of the grace is over, and the old key is still used."""
    days = (estate.now - firm.created_at) / timedelta(days=1)
    ago, grace = rng.uniform(2, min(days, WINDOW) * 0.9), 1.0
    if firm.id == estate.noisy:
        ago, grace = 4.5, 7.0
    elif firm.id == estate.failing:
        ago, grace = 5.2, 7.0
    elif rng.random() < 0.06:
        ago, grace = rng.uniform(0.1, 0.4), 1.0
    old = _key(estate, firm, rng, min(days, ago + rng.uniform(20, 40)))
    new = _key(estate, firm, rng, ago)
    end = new.created_at + timedelta(days=grace)
    used = new.created_at - timedelta(minutes=1)  # last used then, except by the noisy neighbour
    old = replace(old, rotated_at=new.created_at, grace_until=end, expires_at=None, env="live", used_at=used)
    same = {name: getattr(old, name) for name in ("project_id", "env", "label", "owner_email", "scopes", "addresses")}
    return [old, replace(new, rotated_from=old.id, expires_at=None, **same)]


def _ended(rng: random.Random, key: DemoKey, now: datetime) -> DemoKey:
    """The key as it is, or disabled, revoked or expired, by chance."""
    when = key.created_at + (now - key.created_at) * rng.uniform(0.3, 1)
    used = None if key.used_at is None else min(key.used_at, when)
    chance = rng.random()
    if chance < 0.08:
        return replace(key, disabled_at=when, used_at=used)
    if chance < 0.18:
        return replace(key, revoked_at=when, revoked_reason=rng.choice(REASONS), used_at=used)
    return replace(key, expires_at=when, used_at=used) if chance < 0.26 else key


def seed(estate: Estate, site: Site) -> None:
    made = make(estate)
    site.report(f"keys: {len(made)} of them, and what they were last used for")
    with site.change("demo.load", f"the demonstration's keys, seed {estate.seed}") as connection:
        for generation in (False, True):  # a successor is taken only of a key that is there
            _copy(connection, [key for key in made if (key.rotated_from is not None) is generation])
        used = [(key.id, key.used_at, addresses_of(_caller(key))[0]) for key in made if key.used_at]
        connection.execute(USED, [list(column) for column in zip(*used, strict=True)])


def called(connection: psycopg.Connection) -> None:
    """What the requests that are stored say of their keys. A key that was rotated was not used after its grace."""
    connection.execute(CALLED)
    connection.execute(ENDED)


def _copy(connection: psycopg.Connection, keys: list[DemoKey]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY wf.api_keys ({COLUMNS}) FROM STDIN") as copy:
        for k in keys:
            rights = (k.label, k.owner_email, k.scopes, k.addresses, k.expires_at, k.spend_cap)
            marks = (k.rotated_from, k.rotated_at, k.grace_until, k.disabled_at, k.revoked_at, k.revoked_reason)
            ends = (k.rotated_at, k.disabled_at, k.revoked_at)
            changed = max((end for end in ends if end is not None), default=k.created_at)
            made = (k.created_at, changed, k.created_by)
            copy.write_row((k.id, k.tenant_id, k.project_id, k.env, k.display, _hash(k), *rights, *marks, *made))


def _hash(key: DemoKey) -> bytes:
    """The hash of a secret that begins with the shown letters; the rest is random, and not kept."""
    letters = chain(key.letters, repeat(""))
    value = secret.make(secret.DEFAULT_PREFIX, key.env, lambda some: next(letters) or secrets.choice(some))
    return secret.digest(value)


@dataclass(frozen=True)
class Caller:
    """A key that can be called with, as its caller knows it."""

    id: str
    display: str
    tenant_id: str
    addresses: list[str]
    rotated_from: str | None
    rotated_at: datetime | None
    refused: bool = False
    """It was ended a short while ago, and whoever has it has not noticed yet."""


Call = tuple[str, str, str, bool] | tuple[None, None, None, bool]
"""The display of the key, its id, the address that the call came from, and whether the key is refused."""


class Callers:
    """Which key a tenant's call uses. A tenant without a good key calls without one."""

    def __init__(self, clinging: str, callers: Iterable[Caller]) -> None:
        self._clinging = clinging
        made = sorted(callers, key=lambda caller: (caller.refused, caller.id))
        old = {caller.id: caller for caller in made if caller.rotated_at is not None}
        self._keys: dict[str, list[tuple[Caller, Caller | None]]] = {}
        for caller in made:
            theirs = self._keys.setdefault(caller.tenant_id, [])
            # Some keys nobody calls with; a tenant's first one and a successor are none of these.
            if caller.refused:
                theirs.append((caller, None))
            elif caller.id not in old and (not theirs or caller.rotated_from or crc32(caller.id.encode()) % 3):
                theirs.append((caller, old.get(caller.rotated_from or "")))
        self._calls = {
            key.id: [(key.display, key.id, address, key.refused) for address in addresses_of(key)] for key in made
        }

    def pick(self, tenant_id: str, at: float, chance: float) -> Call:
        """`chance` is from 0 to 1."""
        keys = self._keys.get(tenant_id)
        if not keys:
            return None, None, None, False
        key, old = keys[int(len(keys) * chance * chance)]  # the first ones most
        if old is not None and old.rotated_at is not None:
            moved = min(1.0, (at - old.rotated_at.timestamp()) / MOVING)
            if chance * 9973 % 1 < (CLINGING if tenant_id == self._clinging else 1 - moved):
                key = old
        return self._calls[key.id][int(chance * 3)]


def addresses_of(key: Caller) -> list[str]:
    """The three hosts that the key is called from, in the network that it is allowed in."""
    number = crc32(key.id.encode())
    network = key.addresses[0].rpartition(".")[0] if key.addresses else NETWORKS[number % 3]
    return [f"{network}.{10 + (number // 3 + host * 71) % 240}" for host in range(3)]


def _caller(key: DemoKey) -> Caller:
    return Caller(key.id, key.display, key.tenant_id, key.addresses, key.rotated_from, key.rotated_at)


def callers(estate: Estate) -> Callers:
    """The callers at the end of the history."""
    return Callers(estate.noisy, [_caller(key) for key in make(estate) if key.is_good(estate.now)])


# A key that was ended is called with, in vain, until its caller has noticed; a leaked one for longer.
READ = """
SELECT id, display, tenant_id, addresses, rotated_from, rotated_at, state NOT IN ('active', 'rotating') AS refused
FROM wf.key_list
WHERE state IN ('active', 'rotating')
   OR greatest(disabled_at, revoked_at) > now() - interval '30 minutes'
  AND last_used_at > greatest(disabled_at, revoked_at) - interval '1 hour'
   OR id IN (SELECT key_id FROM wf.key_leaks WHERE at > now() - interval '1 day')
"""


def callers_now(connection: psycopg.Connection, estate: Estate) -> Callers:
    """The callers as of now, with the changes that were made at a console."""
    with connection.cursor(row_factory=class_row(Caller)) as cursor:
        return Callers(estate.noisy, cursor.execute(READ).fetchall())


async def read_callers(connection: psycopg.AsyncConnection[TupleRow], estate: Estate) -> Callers:
    async with connection.cursor(row_factory=class_row(Caller)) as cursor:
        await cursor.execute(READ)
        return Callers(estate.noisy, await cursor.fetchall())
