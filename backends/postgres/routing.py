"""The job that routes: what happened to alerts is decided by the domain, for all tenants together, and stored at once.

What is read belongs to a round; the home stores it only while that round lasts, so two workers never tell twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from backends.postgres import schedules
from backends.postgres.contacts import all_contacts
from backends.postgres.job_queue import PostgresQueue
from backends.postgres.paging import as_json
from backends.postgres.refusals import refusal_of
from backends.postgres.silences import live
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import fields_of
from controlplane.deliveries.retries import idempotency_key
from controlplane.errors import Refusal
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.objectives.model import Maintenance
from controlplane.routes import matching
from controlplane.routes.decide import decide_group
from controlplane.routes.model import AlertFacts, Facts, GroupState, Route, RouteDecision
from controlplane.routes.notices import Alerted, content_of
from controlplane.routes.stored import as_document, route_of, stages_document, state_of
from controlplane.text import clean

BITE = 500
"""How many alerts, and how many groups that are due, are decided at a time."""
MAX_BITES = 40
TICK = timedelta(seconds=1)
MAX_INHIBITING, MAX_SENT = 20_000, 20_000
log = logging.getLogger(__name__)

ROUTES = """
SELECT * FROM wf.routes r WHERE r.retired_at IS NULL
  OR EXISTS (SELECT FROM wf.route_groups g WHERE g.route_id = r.id AND g.open)
"""
MAINTENANCE = sql.SQL(
    "SELECT {} FROM wf.maintenance WHERE ends_at > %s AND (ended_at IS NULL OR ended_at > %s)"
).format(names(fields_of(Maintenance)))
FACTS = """
SELECT a.id, a.tenant_id, a.kind, a.labels, a.severity, a.value, a.threshold, a.unit, a.summary, a.details, a.state,
  a.fired_at, a.ack_until, a.unknown_since, a.resolved_at,
  a.escalated_at, a.escalated_by,
  (SELECT t.plan FROM wf.tenant_list t WHERE t.id = a.tenant_id) AS plan
FROM wf.alerts a
"""
# Besides those that wait longest the newest: who fires while somebody else has fired thousands waits for few of them.
DUE = """
(SELECT alert_id, n FROM wf.routing_due WHERE fault IS NULL ORDER BY at, alert_id LIMIT %(oldest)s)
UNION (SELECT alert_id, n FROM wf.routing_due WHERE fault IS NULL ORDER BY at DESC, alert_id DESC LIMIT %(newest)s)
"""
DUE_GROUPS = "SELECT key FROM wf.route_groups WHERE next_at <= %s ORDER BY next_at, key LIMIT %s"
GROUPS = """
SELECT key, route_id, number, state FROM wf.route_groups WHERE key = ANY (%(keys)s)
UNION SELECT g.key, g.route_id, g.number, g.state FROM wf.route_groups g
  JOIN wf.route_group_alerts a ON a.key = g.key WHERE a.alert_id = ANY (%(alerts)s)
"""
MEMBERS = "SELECT key, alert_id FROM wf.route_group_alerts WHERE key = ANY (%s)"
SENT = """
SELECT route_id, dedupe_key, max(created_at) FROM wf.deliveries
WHERE route_id = ANY (%s) AND created_at > %s AND dedupe_key <> '' AND state <> 'failed' AND NOT test
GROUP BY route_id, dedupe_key LIMIT %s
"""
STORE = "SELECT wf.store_routing(%s, %s, %s, %s, %s)"


@dataclass
class Bite:
    """What is read for some alerts and groups, and what was decided of them. `routed`: the newest event of each alert
    that was read; `faults`: what cannot be decided, in words.
    """

    at: datetime
    facts: Facts
    alerts: dict[str, Alerted]
    due: dict[str, int]
    keys: dict[str, set[str]]
    """Of each group, the alerts that something happened to."""
    new: dict[str, Route]
    """The routes of groups that are not kept yet."""
    states: dict[str, GroupState]
    members: dict[str, set[str]]
    decided: list[dict[str, Any]] = field(default_factory=list)
    alert_faults: dict[str, str] = field(default_factory=dict)
    group_faults: dict[str, str] = field(default_factory=dict)
    full: bool = False

    @property
    def again(self) -> bool:
        """Whether what inhibited others may be over."""
        inhibits = any(route.policy.inhibit for route in self.facts.routes)
        return inhibits and any(self.alerts[name].facts.state == "resolved" for name in self.due if name in self.alerts)


async def route_alerts(queue: JobQueue, claimed: Claimed) -> bool:
    """The job."""
    assert isinstance(queue, PostgresQueue)
    try:
        async with queue.connection() as connection:
            for _ in range(MAX_BITES):
                if not await route_bite(connection):
                    break
    except psycopg.Error as error:
        raise refusal_of(error) from None
    return False


async def route_bite(connection: Connection) -> bool:
    """Route some of what is due; True when there may be more."""
    number = await scalar(connection, "SELECT wf.begin_routing()")
    bite = await read(connection)
    if not bite.due and not bite.keys:
        return False
    await asyncio.to_thread(decide, bite)
    stored = await store(connection, number, bite)
    return bite.full or not stored


async def read(connection: Connection) -> Bite:
    """In one snapshot, by a fixed number of statements."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        at = await scalar(connection, "SELECT clock_timestamp()")
        routes = await _routes(connection)
        shares = {"oldest": BITE - BITE // 5, "newest": BITE // 5}
        due = {str(alert): n for alert, n in await _all(connection, DUE, shares)}
        group_keys = [key for (key,) in await _all(connection, DUE_GROUPS, [at, BITE])]
        alerts = await alerts_of(connection, due)
        keys: dict[str, set[str]] = {key: set() for key in group_keys}
        faults: dict[str, str] = {}
        new: dict[str, Route] = {}
        for name in due:
            if name not in alerts:
                faults.setdefault(name, "it cannot be read")
                continue
            try:
                for route in matching.matched(routes, alerts[name].facts):
                    key = matching.group_key(route, alerts[name].facts)
                    keys.setdefault(key, set()).add(name)
                    new[key] = route
            except Exception as error:
                faults[name] = fault_words(error)
        states, group_faults = {}, {}
        asked = {"keys": list(keys), "alerts": [int(name) for name in due]}
        for key, route, number, document in await _all(connection, GROUPS, asked):
            keys.setdefault(key, set())
            try:
                states[key] = state_of(route, key, number, document)
            except (KeyError, TypeError, ValueError, AttributeError):
                group_faults[key] = "what is kept of this group cannot be read"
        members: dict[str, set[str]] = {}
        for key, alert in await _all(connection, MEMBERS, [list(states)]):
            members.setdefault(key, set()).add(str(alert))
            if str(alert) in due:
                keys[key].add(str(alert))
        alerts |= await alerts_of(connection, {name for each in members.values() for name in each} - {*alerts})
        facts = await facts_at(connection, at, routes)
    full = len(due) == BITE or len(group_keys) == BITE
    return Bite(at, facts, alerts, due, keys, new, states, members, [], faults, group_faults, full)


def decide(bite: Bite) -> None:
    """One by one, so that each knows what was told just before. A group that cannot be decided stops no other."""
    sent = dict(bite.facts.sent)
    facts = replace(bite.facts, sent=sent)
    by_id = {route.id: route for route in facts.routes}
    for key, happened in bite.keys.items():
        if key in bite.group_faults:
            continue
        state = bite.states.get(key)
        route = by_id.get(state.route) if state else bite.new.get(key)
        if route is None:
            continue
        try:
            bite.decided.append(_decided(bite, facts, route, state or GroupState(route.id, key), happened))
        except Exception as error:
            words = fault_words(error)
            log.warning("a group of the route %s cannot be decided", route.id, exc_info=error)
            bite.group_faults[key] = words
            bite.alert_faults |= dict.fromkeys(happened, words)
            continue
        for told in bite.decided[-1]["deliveries"]:
            if told["dedupe_key"]:
                sent[route.id, told["dedupe_key"]] = bite.at


def _decided(bite: Bite, facts: Facts, route: Route, state: GroupState, happened: set[str]) -> dict[str, Any]:
    named = bite.members.get(state.key, set()) | happened
    members = {name: bite.alerts[name] for name in sorted(named) if name in bite.alerts}
    about = next(iter(happened or members), "") if len(happened) <= 1 else ""
    found = decide_group(route, state, [each.facts for each in members.values()], facts, bite.at, about)
    after = found.state
    kept = {name for name, each in members.items() if each.facts.state != "resolved" or name in after.alerts}
    stages = stages_document(found.stages)
    next_at = found.next_action_at and max(found.next_action_at, bite.at + TICK)
    return {
        "key": after.key,
        "route": route.id,
        "number": after.number,
        "state": as_document(after),
        "stages": stages,
        "next_at": next_at,
        "open": bool(kept) or not after.over,
        "alerts": {name: stages if name == about else [] for name in kept | happened},
        "gone": [int(name) for name in named - kept - happened],
        "deliveries": [_delivery(found, notice, members) for notice in found.notices],
    }


def _delivery(decision: RouteDecision, notice: Any, members: Mapping[str, Alerted]) -> dict[str, Any]:
    return {
        "key": idempotency_key(notice.key, str(decision.route.id)),
        "number": notice.number,
        "person": notice.person,
        "contact": notice.contact or None,
        "level": notice.level,
        "action": notice.action,
        "reason": notice.reason,
        "severity": notice.severity,
        "dedupe_key": notice.dedupe_key,
        "alerts": [int(name) for name in notice.alerts],
        "resolved": [int(name) for name in notice.resolved],
        **content_of(decision.route, notice, members),
    }


async def store(connection: Connection, number: int, bite: Bite) -> bool:
    """False: another worker routed meanwhile. When one decision cannot be stored, all are stored one by one, and that
    one is set aside.
    """
    try:
        return await _store(connection, number, bite, bite.decided, bite.due)
    except (psycopg.IntegrityError, psycopg.DataError) as error:
        if not bite.decided:
            raise
        log.warning("a decision cannot be stored: %s", clean(error, 300))
    for each in bite.decided:
        try:
            if not await _store(connection, number, bite, [each], {}):
                return False
            number += 1
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            words = clean(error.diag.message_primary or type(error).__name__, 400)
            bite.group_faults[each["key"]] = words
            bite.alert_faults |= dict.fromkeys(bite.keys[each["key"]], words)
    return await _store(connection, number, bite, [], bite.due)


async def _store(
    connection: Connection, number: int, bite: Bite, decided: Sequence[dict[str, Any]], routed: Mapping[str, int]
) -> bool:
    faults = {"alerts": bite.alert_faults, "groups": bite.group_faults}
    values = [number, as_json(list(decided)), as_json(dict(routed)), as_json(faults), bite.again and bool(routed)]
    found: bool = await scalar(connection, STORE, values)
    return found


def fault_words(error: Exception) -> str:
    """What is kept of a failure. The text of an unexpected one may hold anything, so only its type is."""
    if isinstance(error, Refusal):
        return clean(error.message, 400)
    return f"{type(error).__name__} while it was decided; the log of its worker has more"


async def _routes(connection: Connection) -> list[Route]:
    """A route that cannot be read takes no alert: it is as if it were disabled."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(ROUTES)
        found = await cursor.fetchall()
    routes = []
    for row in found:
        try:
            routes.append(route_of(row))
        except Refusal as fault:
            log.warning("route %s cannot be read: %s", row["id"], fault.message)
            routes.append(route_of({**row, "matchers": (), "policy": {}, "escalation": None, "enabled": False}))
    return routes


async def alerts_of(connection: Connection, wanted: Iterable[str]) -> dict[str, Alerted]:
    numbers = [int(name) for name in wanted]
    return await _alerted(connection, FACTS + "WHERE a.id = ANY (%s)", [numbers]) if numbers else {}


async def alerts_since(connection: Connection, since: datetime, most: int) -> dict[str, Alerted]:
    """Those that were open since a time, the newest."""
    wanted = "WHERE a.resolved_at IS NULL OR a.resolved_at > %s ORDER BY a.id DESC LIMIT %s"
    return await _alerted(connection, FACTS + wanted, [since, most])


async def _alerted(connection: Connection, statement: str, values: Sequence[object]) -> dict[str, Alerted]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), values)
        return {str(row["id"]): alerted(row) for row in await cursor.fetchall()}


def alerted(row: Mapping[str, Any]) -> Alerted:
    facts = AlertFacts(
        str(row["id"]),
        row["tenant_id"] or "",
        row["kind"],
        row["severity"],
        row["fired_at"],
        row["state"],
        {str(name): str(value) for name, value in row["labels"].items()},
        row["plan"] or "",
        row["details"],
        row["ack_until"],
        row["unknown_since"],
        row["resolved_at"],
        row["escalated_at"],
        row["escalated_by"] or "",
    )
    return Alerted(facts, row["summary"], row["value"], row["threshold"], row["unit"])


async def groups_of(
    connection: Connection, alert: AlertFacts, facts: Facts
) -> tuple[dict[str, GroupState], dict[str, list[AlertFacts]]]:
    """What is kept of the groups that an alert takes, or took before, with their alerts."""
    keys = [matching.group_key(route, alert) for route in matching.matched(facts.routes, alert)]
    states = {}
    for key, route, number, document in await _all(connection, GROUPS, {"keys": keys, "alerts": [int(alert.id)]}):
        states[key] = state_of(route, key, number, document)
    pairs = await _all(connection, MEMBERS, [list(states)])
    alerts = await alerts_of(connection, {str(name) for _, name in pairs})
    members: dict[str, list[AlertFacts]] = {}
    for key, name in pairs:
        if str(name) in alerts:
            members.setdefault(key, []).append(alerts[str(name)].facts)
    return states, members


async def facts_at(
    connection: Connection,
    at: datetime,
    routes: Sequence[Route] | None = None,
    *,
    before: timedelta = timedelta(0),
    after: timedelta = TICK,
) -> Facts:
    """All that decisions need besides alerts and groups; who is on call so long before and after that time too."""
    routes = await _routes(connection) if routes is None else routes
    duties = {each.name: each for each in await schedules.live(connection, at - before, at + after)}
    contacts = {(each.person, each.channel): each for each in await all_contacts(connection)}
    maintenance, silences = await rows(connection, Maintenance, MAINTENANCE, [at, at]), await live(connection, at)
    firing: dict[str, Alerted] = {}
    if any(route.policy.inhibit for route in routes):
        firing = await _alerted(
            connection, FACTS + "WHERE a.resolved_at IS NULL ORDER BY a.id LIMIT %s", [MAX_INHIBITING]
        )
    sent: dict[tuple[int, str], datetime] = {}
    if deduping := [route for route in routes if route.policy.dedupe]:
        longest = max(route.policy.dedupe.ttl_seconds for route in deduping if route.policy.dedupe)
        asked = [[route.id for route in deduping], at - timedelta(seconds=longest), MAX_SENT]
        sent = {(route, key): last for route, key, last in await _all(connection, SENT, asked)}
    return Facts(routes, silences, maintenance, duties, contacts, [each.facts for each in firing.values()], sent=sent)


async def _all(connection: Connection, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement.encode(), values)).fetchall()
