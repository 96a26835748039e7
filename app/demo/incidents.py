"""Incidents of the demonstration: one that is over, with its post-mortem, and one that opens while one looks.

People do it through what the home lets them do; the owner alone puts the times of the first one back.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psycopg

from app.demo.estate import Estate
from app.demo.site import Site
from backends.postgres.home import Home
from controlplane.errors import Refusal
from controlplane.operations import Call, execute
from controlplane.registry import named

CAUSES = (
    "root cause: the pool of connections was half as large as before the release",
    "what went well: the alert named the tenant within a minute",
    "what went wrong: nobody compared the settings of the release with those before",
    "action item: ana: a gate that compares the settings, by Friday",
)
MINUTES_AGO = 26 * 60
OPENS_AFTER, STEP_SECONDS = 20.0, 12.0
STEPS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("ben", "take", {"role": "conn"}),
    ("ana", "take", {"role": "liaison"}),
    ("ben", "note", {"text": "Their service answers with 503 since its last restart."}),
    ("ana", "tell-customers", {"text": "Some requests fail. We have found where, and are working on it."}),
    ("ben", "edit", {"summary": "Their service restarts in a circle; it is taken out of the pool."}),
)


def seed(estate: Estate, site: Site) -> None:
    """The one that is over: yesterday, for an hour."""
    site.report("incidents: what was wrong yesterday")
    tenant = estate.noisy
    ana, ben = (psycopg.connect(site.logins[name], autocommit=True) for name in ("ana", "ben"))
    with ana, ben:
        number = _open(ana, "Sign-in fails for every tenth person", "SEV-2", tenant)
        _do(ana, "take", "SELECT wf.take_role(%s, 'conn')", number)
        _do(ana, "take", "SELECT wf.take_role(%s, 'commander')", number)
        _do(ben, "take", "SELECT wf.take_role(%s, 'liaison')", number)
        _do(ben, "severity", "UPDATE wf.incidents SET severity = 'SEV-1' WHERE id = %s", number)
        _say(ben, "tell-customers", "tell_customers", number, "We see failures at sign-in and are looking into them.")
        _say(ana, "note", "note_incident", number, "The pool of connections is full since the release.")
        _do(ana, "mitigate", "UPDATE wf.incidents SET status = 'mitigated' WHERE id = %s", number)
        _say(ben, "tell-customers", "tell_customers", number, "Sign-in works again. We keep watching it.")
        summary = "The release halved the pool of connections. It is back at its size; sign-in works."
        _do(ana, "edit", "UPDATE wf.incidents SET summary = %s WHERE id = %s", summary, number)
        for text in CAUSES:
            _say(ana, "note", "note_incident", number, text)
        _do(ana, "resolve", "UPDATE wf.incidents SET status = 'resolved' WHERE id = %s", number)
        _do(ana, "close-out", "UPDATE wf.incidents SET status = 'closed' WHERE id = %s", number)
    with psycopg.connect(site.owner) as owner:
        _put_back(owner, number)


async def unfold(estate: Estate, homes: Mapping[str, Home]) -> None:
    """The one that opens while somebody looks. It ends when a change made at a console gets in its way."""
    with suppress(Refusal):
        await asyncio.sleep(OPENS_AFTER)
        tenant = estate.failing
        opened = {"title": f"{tenant}: every fifth request fails", "severity": "SEV-2", "tenants": [tenant]}
        number = await _done(homes["ben"], "open", **opened, began="20m ago", origin=f"tenants/{tenant}")
        for who, verb, fields in STEPS:
            await asyncio.sleep(STEP_SECONDS)
            await _done(homes[who], verb, id=number, **fields)


async def _done(home: Home, verb: str, **fields: Any) -> int:
    operation = named(f"incidents.{verb}")
    return int((await execute(home, operation, operation.parse(fields), Call())).result["id"])


def _open(person: psycopg.Connection, title: str, severity: str, tenant: str) -> int:
    with person.transaction():
        _begin(person, "open", "")
        made = person.execute(
            "INSERT INTO wf.incidents (title, severity, tenants) VALUES (%s, %s, %s) RETURNING id",
            [title, severity, [tenant]],
        ).fetchone()
    assert made is not None
    return int(made[0])


def _do(person: psycopg.Connection, verb: str, statement: str, *values: object) -> None:
    with person.transaction():
        _begin(person, verb, "")
        person.execute(statement.encode(), values)


def _say(person: psycopg.Connection, verb: str, function: str, number: int, text: str) -> None:
    _do(person, verb, f"SELECT wf.{function}(%s, %s)", number, text)


def _begin(person: psycopg.Connection, verb: str, reason: str) -> None:
    person.execute("SELECT wf.begin_change(%s, %s, %s)", [f"incidents.{verb}", reason, f"demo-{uuid.uuid4().hex}"])


def _put_back(owner: psycopg.Connection, number: int) -> None:
    """Its events were a moment apart: each is put back to yesterday, three minutes after the one before."""
    begun, apart = timedelta(minutes=MINUTES_AGO), timedelta(minutes=3)
    for table in ("incident_events", "incidents"):
        owner.execute(f"ALTER TABLE wf.{table} DISABLE TRIGGER USER".encode())
    owner.execute(
        "UPDATE wf.incident_events SET happened_at = now() - %s + seq * %s, recorded_at = now() - %s + seq * %s"
        " WHERE incident_id = %s",
        [begun, apart, begun, apart, number],
    )
    owner.execute(
        "UPDATE wf.incidents i SET began_at = now() - %(begun)s - interval '4 minutes', opened_at = e.opened,"
        " cycle_at = e.opened, severity_at = e.opened, affected_at = e.opened, mitigated_at = e.mitigated,"
        " resolved_at = e.resolved, closed_at = e.closed, updated_at = e.closed"
        " FROM (SELECT min(recorded_at) FILTER (WHERE kind = 'opened') AS opened,"
        "  min(recorded_at) FILTER (WHERE becomes = 'mitigated') AS mitigated,"
        "  min(recorded_at) FILTER (WHERE becomes = 'resolved') AS resolved,"
        "  min(recorded_at) FILTER (WHERE becomes = 'closed') AS closed"
        "  FROM wf.incident_events WHERE incident_id = %(number)s) e WHERE i.id = %(number)s",
        {"begun": begun, "number": number},
    )
    for table in ("incident_events", "incidents"):
        owner.execute(f"ALTER TABLE wf.{table} ENABLE TRIGGER USER".encode())
