"""What the home does to an item of a run is what the operation does by hand: the same verdicts, the same rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.postgres.home import Home
from backends.postgres.refusals import words
from controlplane.audit.model import AuditRow
from controlplane.errors import Refusal
from controlplane.keys.requests import instant
from controlplane.operations import Call, execute
from controlplane.registry import named, operations
from controlplane.runs.bulk import in_bulk
from controlplane.runs.engine import drive, start_run, undo_run
from controlplane.runs.model import Run
from controlplane.runs.operations import RunStart, target
from tests.backends.keys import make_calls
from tests.backends.psql import Psql, logins, one
from tests.backends.runs import items, make_tenants, opened
from tests.controlplane.runs import Ticks
from tests.postgres import Database, Server


@pytest.fixture
async def person(database: Database) -> AsyncIterator[Home]:
    make_tenants(database.owner, 1)
    async with opened(database.login("admin")) as home:
        yield home


@pytest.fixture
async def worker(database: Database) -> AsyncIterator[Home]:
    async with opened(database.login("worker")) as home:
        yield home


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


TABLES = {
    "tenants": "wf.tenants",
    "projects": "wf.projects",
    "keys": "wf.api_keys",
    "alerts": "wf.alerts",
    "silences": "wf.silences",
    "deliveries": "wf.deliveries",
    "queues": "wf.dead_letters",
    "messages": "wf.source_acts",
}
BULK = {name: each for name, each in operations().items() if in_bulk(each)}


def test_the_domain_and_the_home_do_the_same_operations_to_many(psql: Psql) -> None:
    rows = psql("owner").execute("SELECT operation, control FROM wf.carried_operations").fetchall()
    assert dict(rows) == {name: TABLES[each.noun] for name, each in BULK.items()}


DELETED = (
    "status = 'pending_deletion', deleted_at = now() - interval '3 days', deleted_from = 'active', purge_after = now()"
)
TENANTS = {
    "active": "",
    "suspended": "status = 'suspended', suspended_at = now(), suspension_reason = 'x'",
    "protected": "protected = true",
    "pending_deletion": f"{DELETED} + interval '9 days'",
    "due": f"{DELETED} - interval '1 day'",
    "due_protected": f"{DELETED} - interval '1 day', protected = true",
    "erased": "status = 'erased', erased_at = now()",
}
PROJECTS = {"active": "", "archived": "status = 'archived', archived_at = now()"}
ROTATED = "rotated_at = now() - interval '1 hour', grace_until = now()"
KEYS = {
    "active": "",
    "rich": "label = 'L', owner_email = 'ada@lovelace.example', scopes = '{a,b}', addresses = '{10.0.0.0/8}',"
    " spend_cap = 7, env = 'test', created_at = now() - interval '20 days', expires_at = now() + interval '10 days'",
    "disabled": "disabled_at = now()",
    "revoked": "revoked_at = now(), revoked_reason = 'x'",
    "expired": "expires_at = now() - interval '1 day', created_at = now() - interval '2 days'",
    "rotating": f"{ROTATED} + interval '1 day'",
    "rotating_and_ending": f"{ROTATED} + interval '1 day', expires_at = now() + interval '2 days'",
    "rotating_but_disabled": f"{ROTATED} + interval '1 day', disabled_at = now()",
    "rotated": f"{ROTATED} - interval '1 minute'",
}
ACKED = "state = 'acked', acked_at = now(), ack_until = now() + interval '1 hour', ack_comment = 'x', holder = "
ALERTS = {
    "firing": "",
    "acked": f"{ACKED} 't_admin'",
    "acked_by_another": f"{ACKED} 't_operator'",
    "just_escalated": "escalated_at = now(), escalated_by = 't_operator'",
    "resolved": "state = 'resolved', resolved_at = now()",
}
SILENCES = {
    "active": "",
    "pending": "starts_at = now() + interval '1 hour'",
    "ended": "ended_at = now(), ended_by = 't_operator'",
}
DELIVERIES = {
    "failed": "",
    "delivered": "state = 'delivered'",
    "held": "state = 'held', ended_at = NULL",
    "waiting": "state = 'waiting', ended_at = NULL",
    "test": "test = true",
}
GROUP = "encode(sha256(%(id)s::text::bytea), 'hex')"
ROUTE = """WITH r AS (
  INSERT INTO wf.routes (name, channel, target, escalation) VALUES ('r' || %(id)s::text, 'drill', 'x', '{"levels":
    [{"targets": [{"kind": "person", "name": "ada"}]}, {"targets": [{"kind": "person", "name": "ben"}]}]}') RETURNING id
)"""
MADE = {
    "alerts": ROUTE
    + """, a AS (
        INSERT INTO wf.alerts (id, kind, severity, summary, labels) OVERRIDING SYSTEM VALUE
        VALUES (%(id)s::bigint, 'jobs_dead', 'error', 'x', jsonb_build_object('n', %(id)s::text))
      ), g AS (
        INSERT INTO wf.route_groups (key, route_id, number, state, open) SELECT """
    + GROUP
    + """, id, 1,
          '{"heard": {}, "held": {}, "run":
            {"level": 0, "since": "2026-01-01T00:00:00+00:00", "round": 0, "state": "running"}}', true FROM r
      ) INSERT INTO wf.route_group_alerts (alert_id, key) VALUES (%(id)s::bigint, """
    + GROUP
    + ")",
    "silences": "INSERT INTO wf.silences (id, matchers, ends_at, comment) OVERRIDING SYSTEM VALUE VALUES"
    ' (%(id)s::bigint, \'[{"label": "kind", "op": "=", "value": "x"}]\', now() + interval \'1 day\', \'x\')',
    "deliveries": ROUTE
    + """INSERT INTO wf.deliveries (id, key, route_id, group_key, number, action, reason, severity,
        event_type, summary, notice, state, ended_at) OVERRIDING SYSTEM VALUE
      SELECT %(id)s::bigint, 'msg_' || repeat('a', 40), id, """
    + GROUP
    + """, 1, 'trigger', 'first_notification', 'error',
        'x', 'y', '{}', 'failed', now() FROM r""",
    "tenants": "INSERT INTO wf.tenants (id, name, metadata) VALUES (%(id)s, 'Name', '{\"a\": 1, \"z\": 2}')",
    "projects": "INSERT INTO wf.projects (tenant_id, id, name) VALUES (%(tenant_id)s, %(id)s, 'Name')",
    "keys": "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash)"
    " VALUES (%(id)s::text, 't001', 'live', 'wf_live_x', sha256(convert_to(%(id)s::text, 'UTF8')))",
    "queues": "INSERT INTO wf.jobs (kind, tenant_id, state, ended_at) VALUES ('deliver', 't001', 'dead', now())",
}
LETTERS = {
    "dead": "",
    "edited": "edited = '{\"n\": 9007199254740993}'",
    "quarantined": "state = 'quarantined'",
    "held": "hold = true",
    "replayed": "state = 'replayed', settled_at = now()",
    "gone": "source_id = '9999' || source_id",
}
STATES = {
    "tenants": TENANTS,
    "projects": PROJECTS,
    "keys": KEYS,
    "alerts": ALERTS,
    "silences": SILENCES,
    "deliveries": DELIVERIES,
    "queues": LETTERS,
}
FIELDS: dict[str, list[dict[str, Any]]] = {
    "tenants.rename": [{"name": " New "}],
    "projects.rename": [{"name": "New"}],
    "tenants.delete": [{}, {"retention_days": 7}],
    "tenants.edit": [
        {"plan": "free"},
        {"region": "eu", "allowed_regions": ["eu", "us"]},
        {"metadata": {"a": None, "b": {"c": None}, "d": 1}},
        {"metadata": {"a": None, "d": [1]}, "replace_metadata": True, "plan": "free"},
    ],
    "keys.edit": [
        {"label": " new "},
        {"label": "", "scopes": [], "addresses": []},
        {"scopes": ["b", "a", "b"], "addresses": ["10.1.0.0/16", "::ffff:192.0.2.1/128", "10.1.0.0/16"]},
        {"expires": "30d", "spend_cap": 5000},
        {"expires": "never", "spend_cap": "none"},
        {"expires": "2190-01-01", "spend_cap": "005000"},
        {"expires": "2190-W01-1T12:00+01:00", "spend_cap": "1,250.5 EUR"},
    ],
    "alerts.ack": [{"comment": " looking "}, {"comment": "looking", "until": "1d 2h"}],
    "alerts.hand-over": [{"to": "t_operator"}],
    "keys.grace": [{"grace": "1h"}, {"grace": "0"}, {"grace": "3d 1h"}, {"grace": "2190-01-01T00:00Z"}],
    "keys.rotate": [{}, {"grace": "0"}, {"grace": "15d"}],
}
HERE = sorted(name for name, each in BULK.items() if each.noun != "messages")
"""What the home itself can do to an item; other systems do the rest (test_outside_runs.py)."""
CASES = [(name, fields) for name in HERE for fields in FIELDS.get(name, [{}])]


def things(owner: psycopg.Connection, noun: str, whose: str) -> list[dict[str, str]]:
    """One in each state; `whose` tells those of the person from those of the worker."""
    found = []
    for number, (state, changes) in enumerate(STATES[noun].items()):
        thing = {"id": f"key_{whose.upper()[0]}{number:025}" if noun == "keys" else f"{whose}-{state}"}
        if noun in ("alerts", "silences", "deliveries"):
            thing = {"id": str(number + {"person": 1000, "worker": 2000}[whose])}
        thing |= {"tenant_id": "t001"} if noun == "projects" else {}
        owner.execute(MADE[noun].encode(), thing if noun != "queues" else None)
        if noun == "queues":
            thing["id"] = str(one(owner, "SELECT max(id) FROM wf.dead_letters")[0])
        with owner.transaction():
            owner.execute("SET LOCAL session_replication_role = replica")  # whatever led to it
            if changes:
                owner.execute(f"UPDATE {TABLES[noun]} SET {changes} WHERE id = %(id)s".encode(), thing)
        found.append(thing)
    return found


@dataclass(frozen=True, eq=False)
class About:
    """A time, by the seconds from when its row was written; a test takes less than a minute."""

    seconds: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, About) and abs(self.seconds - other.seconds) < 60


OWN = (
    "id",
    "tenant_id",
    "source_id",
    "display",
    "rotated_from",
    "key_id",
    "successor_id",
    "request_id",
    "sha256",
    "thing",
)
"""What is another for each thing; only whether it is there can be compared."""


def said(rows: tuple[AuditRow, ...]) -> list[Any]:
    """What a change wrote, without what differs from one thing to the next."""
    plain = []
    for row in rows:
        before, after = row.before or {}, row.after or {}
        changed: dict[str, Any] = {name: value for name, value in after.items() if before.get(name) != value}
        for name, value in changed.items():
            if (name == "at" or name.endswith(("_at", "_after", "_until"))) and value:
                changed[name] = About((datetime.fromisoformat(value) - row.at).total_seconds())
            elif name in OWN:
                changed[name] = value is not None
        plain.append((row.noun, row.operation, row.actor, row.reason, row.out_of_band, sorted(row.personal), changed))
    return plain


async def verdicts(home: Home, run: Run) -> list[Any]:
    found = []
    for item in await items(home, run):
        recorded = await home.recorded(item.request_id) if item.state == "done" else None
        found.append((item.state, item.code, said(recorded.rows) if recorded else None))
    return found


async def by_hand(home: Home, name: str, things: list[dict[str, str]], fields: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    for thing in things:
        try:
            outcome = await execute(home, named(name), named(name).parse(thing | fields), Call("as the test says"))
            found.append(("done", None, said(outcome.rows)))
        except Refusal as refusal:
            found.append(("refused", refusal.code, None))
    return found


@pytest.mark.parametrize(("name", "fields"), CASES)
async def test_the_home_does_what_the_operation_does(
    person: Home, worker: Home, psql: Psql, name: str, fields: dict[str, Any]
) -> None:
    operation = named(name)
    psql("operator")  # known since it logged in
    expected = await by_hand(person, name, things(psql("owner"), operation.noun, "person"), fields)
    subjects = things(psql("owner"), operation.noun, "worker")
    request = {"operation": name, "fields": fields, "subjects": subjects, "breaker_share": 1.0}
    run = await start_run(person, RunStart.model_validate(request), "as the test says", keep=lambda secrets: None)
    run = await drive(worker, run.id, clock=Ticks())
    assert (run.state, run.settled) == ("done", len(subjects))
    found = await verdicts(person, run)
    assert found == expected
    assert any(verdict[0] == "done" for verdict in found)
    assert {code for _, code, _ in found if code} <= set(words())


@pytest.mark.parametrize(("name", "fields"), [case for case in CASES if target(case[0]).undo])
async def test_the_home_takes_back_what_the_operation_takes_back(
    person: Home, worker: Home, psql: Psql, name: str, fields: dict[str, Any]
) -> None:
    found = []
    psql("operator")
    for whose, plane in (("person", person), ("worker", worker)):
        subjects = things(psql("owner"), named(name).noun, whose)
        request = {"operation": name, "fields": fields, "subjects": subjects, "breaker_share": 1.0}
        run = await start_run(person, RunStart.model_validate(request), "as the test says")
        await drive(worker, run.id, clock=Ticks())
        undone = await drive(plane, (await undo_run(person, run.id, "back")).id, clock=Ticks())
        found.append(await verdicts(person, undone))
    assert found[0] == found[1]
    assert any(verdict[0] == "done" for verdict in found[1]) or fields == {"grace": "0"}  # what is over stays over


async def test_an_amount_in_another_currency_is_refused_by_both(person: Home, worker: Home, psql: Psql) -> None:
    await execute(person, named("keys.create"), named("keys.create").parse({"tenant_id": "t001"}), Call())
    for cap, verdict in (("5.00 USD", ("refused", "currency_other")), ("5.00 EUR", ("done", None))):
        [thing] = psql("owner").execute("SELECT id FROM wf.api_keys").fetchone() or ()
        [(state, code, _)] = await by_hand(person, "keys.edit", [{"id": thing}], {"spend_cap": cap})
        assert (state, code) == verdict
        psql("owner").execute("UPDATE wf.api_keys SET spend_cap = NULL")
        request = {
            "operation": "keys.edit",
            "fields": {"spend_cap": cap},
            "filter": "tenant:t001",
            "breaker_share": 1.0,
        }
        run = await drive(worker, (await start_run(person, RunStart.model_validate(request), None)).id, clock=Ticks())
        [(state, code, _)] = await verdicts(person, run)
        assert (state, code) == verdict
    assert one(psql("owner"), "SELECT spend_cap FROM wf.api_keys") == (500,)


async def test_what_is_kept_of_a_leak_is_what_its_operator_may_see(
    database: Database, person: Home, worker: Home, psql: Psql
) -> None:
    """A worker sees no address of a call; the record of a leak holds them."""
    kept = {}
    for whose in ("person", "worker"):
        key = things(psql("owner"), "keys", whose)[1]
        make_calls(database.owner, key["id"], 3)
        if whose == "person":
            assert (await by_hand(person, "keys.leak", [key], {}))[0][0] == "done"
        else:
            request = RunStart.model_validate({"operation": "keys.leak", "subjects": [key]})
            run = await start_run(person, request, "as the test says", keep=lambda secrets: None)
            assert (await drive(worker, run.id, clock=Ticks())).done == 1
        kept[whose] = one(
            psql("owner"),
            "SELECT l.actor::text, l.reason, l.calls #>> '{by,0,address}', (l.calls -> 'total')::int,"
            " s.owner_email, s.created_by::text, s.env"
            " FROM wf.key_leaks l JOIN wf.api_keys s ON s.id = l.successor_id WHERE l.key_id = %s",
            key["id"],
        )
    assert kept["worker"] == kept["person"]
    assert kept["worker"] == ("t_admin", "as the test says", "192.0.2.7", 3, "ada@lovelace.example", "t_admin", "test")


async def test_a_purge_names_the_person_and_erases_what_one_by_hand_does(
    person: Home, worker: Home, psql: Psql
) -> None:
    certificates = {}
    for whose in ("person", "worker"):
        due = next(thing for thing in things(psql("owner"), "tenants", whose) if thing["id"].endswith("-due"))
        with psql("owner").transaction():
            psql("owner").execute("SET LOCAL session_replication_role = replica")
            psql("owner").execute(
                "INSERT INTO wf.projects (tenant_id, id, name) VALUES (%s, 'web', 'Web')", [due["id"]]
            )
        if whose == "person":
            assert (await by_hand(person, "tenants.purge", [due], {}))[0][0] == "done"
        else:
            request = RunStart.model_validate({"operation": "tenants.purge", "subjects": [due]})
            assert (await drive(worker, (await start_run(person, request, "over")).id, clock=Ticks())).done == 1
        certificates[whose] = one(
            psql("owner"),
            "SELECT erased_by::text, counts, sha256 = encode(sha256(convert_to("
            "wf.certificate_text(tenant_id, erased_at, erased_by, counts), 'UTF8')), 'hex')"
            " FROM wf.erasure_certificates WHERE tenant_id = %s",
            due["id"],
        )
    assert certificates["worker"] == certificates["person"]
    erased_by, counts, whole = certificates["worker"]
    assert (erased_by, counts["wf.projects"], whole) == ("t_admin", 1, True)


PARTS = st.lists(
    st.tuples(st.decimals(0, 30, places=3), st.sampled_from(["ms", "s", "m", "h", "d", "w", "y"])),
    min_size=1,
    max_size=3,
)
SPANS = PARTS.map(lambda parts: " ".join(f"{number:f}{unit}" for number, unit in parts))
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2190, 1, 1), timezones=st.just(UTC)).map(datetime.isoformat)


@pytest.fixture(scope="module")
def asking(postgres_server: Server, template_database: str) -> Iterator[psycopg.Connection]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection
    postgres_server.drop(database)


@given(text=st.one_of(SPANS, TIMES, st.sampled_from(["never", "0"])))
def test_both_read_the_same_time_from_the_same_words(asking: psycopg.Connection, text: str) -> None:
    now, at = one(asking, "SELECT now(), wf.instant_of(%s)", text)
    meant = instant(text, now)
    assert at == meant or abs(at - meant) <= timedelta(microseconds=2)
