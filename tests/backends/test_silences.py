"""Silences in a real home: what they hide, how they are edited and end, and what the home refuses whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.silences import done_with
from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.matchers import parse_matchers
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.silences.directory import SilenceDirectory, SilenceRow
from controlplane.silences.list import SILENCES
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.silences import fire
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        yield connect


@pytest.fixture
async def home(database: Database) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


async def do(home: Home, verb: str, /, *, dry_run: bool = False, **fields: Any) -> Outcome:
    operation = named(f"silences.{verb}")
    return await execute(home, operation, operation.parse(fields), Call("as the test says", dry_run=dry_run))


async def create(home: Home, matchers: str = 'kind="burn_rate", tenant="acme"', until: str = "2h", **more: Any) -> int:
    return int((await do(home, "create", matchers=matchers, until=until, comment="new disks", **more)).result["id"])


async def listed(home: Home, filter: str = "") -> list[SilenceRow]:
    query = Query(parse(filter, SILENCES.fields), *SILENCES.order_of(""))
    return list((await home.of(SilenceDirectory).page(query)).rows)


async def row(home: Home, number: int) -> SilenceRow:
    return await home.of(SilenceDirectory).get(number)


# What one hides


async def test_a_silence_says_what_it_would_hide_before_it_is_made(home: Home, psql: Psql) -> None:
    matchers = {"matchers": 'kind="burn_rate"', "until": "2h", "comment": "new disks"}
    preview = await do(home, "create", dry_run=True, **matchers)
    assert "is not known: no detector was evaluated yet" in preview.result["notes"][0]
    fire(psql("owner"), number=2)
    fire(psql("owner"), tenant="beta", severity="critical", ago="3 days", over="2 days")
    fire(psql("owner"), tenant="gamma", ago="30 days", over="8 days")
    fire(psql("owner"), kind="jobs_dead")
    preview = await do(home, "create", dry_run=True, **matchers)
    hides = "hides 2 open alerts now; in the last 7 days it would have hidden 3, 1 of them critical"
    assert preview.result["notes"] == [hides, 'matchers: kind="burn_rate"']
    assert await listed(home) == []
    found = await home.of(SilenceDirectory).foresee(parse_matchers('tenant=~"acme|beta", severity!="critical"'))
    assert (found.hidden.now, found.hidden.week, found.more, found.evaluated) == (3, 3, False, True)


async def test_more_alerts_than_are_looked_at_are_a_least_number(home: Home, psql: Psql) -> None:
    fire(psql("owner"), number=2_100)
    found = await home.of(SilenceDirectory).foresee(parse_matchers('tenant="acme"'))
    assert found.more and found.hidden.now == 2_000
    fire(psql("owner"), tenant="beta", number=3)
    found = await home.of(SilenceDirectory).foresee(parse_matchers('tenant="beta"'))
    assert (found.more, found.hidden.now) == (False, 3), "what the tenant's index leaves out is not counted"


async def test_the_list_begins_with_active_ones_and_what_each_hides(home: Home, psql: Psql) -> None:
    fire(psql("owner"), number=3)
    over = await create(home, 'tenant="old"')
    await do(home, "end", id=over)
    later = await create(home, 'tenant="later"', until="3d", starts="1d")
    long = await create(home, until="5h")
    short = await create(home, 'kind="jobs_dead"', until="1h")
    rows = await listed(home)
    assert [each.silence.id for each in rows] == [short, long, later, over]
    assert [(each.standing, each.hides) for each in rows] == [
        ("active", 0), ("active", 3), ("pending", None), ("expired", None),
    ]  # fmt: skip
    assert [each.silence.id for each in await listed(home, "state:active tenant")] == [long]
    kept, hidden = (await row(home, long)).silence, home.of(SilenceDirectory).hidden
    assert await hidden(kept, kept.starts_at - timedelta(seconds=1)) == ([], False), "it had not begun yet"
    alerts, more = await hidden(kept, home.clock.now())
    assert len(alerts) == 3 and not more
    with pytest.raises(NotFound):
        await row(home, 99)


async def test_those_in_force_are_read_at_once_and_by_an_index(home: Home, psql: Psql) -> None:
    first = await create(home)
    ended = await create(home)
    await do(home, "end", id=ended)
    later = await create(home, starts="1d", until="2d")
    at = home.clock.now()
    assert [each.id for each in await home.of(SilenceDirectory).live(at)] == [first, later]
    assert [each.id for each in await home.of(SilenceDirectory).live(at + timedelta(hours=3))] == [later]
    psql("owner").execute("SET enable_seqscan = off")
    plan = psql("owner").execute("EXPLAIN SELECT * FROM wf.silences WHERE least(ends_at, ended_at) > now()").fetchall()
    assert "silences_by_end" in str(plan)


async def test_one_that_cannot_be_read_hides_nothing_and_stops_no_other(home: Home, psql: Psql) -> None:
    good = await create(home, 'tenant="acme"')
    for value in ("(a", ".*"):
        psql("operator").execute(
            "INSERT INTO wf.silences (matchers, ends_at, comment) VALUES"
            " (jsonb_build_array(jsonb_build_object('label', 'tenant', 'op', '=~', 'value', %s::text)),"
            " now() + interval '1 hour', 'x')",
            [value],
        )
    rows = await listed(home)
    assert [(each.standing, bool(each.silence.fault)) for each in rows] == [
        ("active", False), ("unreadable", True), ("unreadable", True),
    ]  # fmt: skip
    assert [each.id for each in await home.of(SilenceDirectory).live(home.clock.now())] == [good]
    bad = rows[1].silence.id
    with pytest.raises(Refusal, match="cannot be read"):
        await do(home, "edit", id=bad, comment="better")
    await do(home, "end", id=bad)


# Edits and ends


async def test_an_edit_keeps_what_was_hidden_on_record(home: Home, psql: Psql) -> None:
    number = await create(home)
    changed = await do(home, "edit", id=number, until="4h", comment="it takes longer")
    assert changed.result["id"] == number and len(changed.rows) == 1
    kept = (await row(home, number)).silence
    assert kept.comment == "it takes longer" and kept.version == 2
    same = await do(home, "edit", id=number, matchers='tenant="acme", kind="burn_rate"')
    assert same.result["id"] == number, "another order is no change"
    wider = await do(home, "edit", id=number, matchers='tenant="acme"')
    new = (await row(home, wider.result["id"])).silence
    old = (await row(home, number)).silence
    assert new.replaces == number and old.ended_at is not None and old.ended_at <= new.starts_at
    assert (new.ends_at, new.comment, old.ended_by) == (old.ends_at, old.comment, "t_operator")
    assert {each.noun for each in wider.rows} == {"silences"} and not any(each.out_of_band for each in wider.rows)
    with pytest.raises(Refusal, match="is over"):
        await do(home, "edit", id=number, comment="too late")
    with pytest.raises(Conflict):
        await do(home, "edit", id=new.id, version=7, comment="somebody was first")


async def test_one_that_is_to_come_can_move_its_start(home: Home) -> None:
    number = await create(home, starts="1d", until="2d")
    moved = await do(home, "edit", id=number, starts="2h")
    assert moved.result["id"] == number
    sooner = await do(home, "edit", id=number, starts="now")
    assert (await row(home, sooner.result["id"])).standing == "active"


async def test_what_was_ended_by_mistake_is_silenced_again(home: Home) -> None:
    number = await create(home, 'tenant=~"a.*", kind!="x\\"y"', ends="resolved", after="5m")
    made = await do(home, "create", matchers='tenant="b"', until="1h", comment="c")
    assert made.undo is not None and made.undo.operation == "silences.end"
    await do(home, "end", **made.undo.request)
    ended = await do(home, "end", id=number)
    assert ended.undo is not None and ended.undo.operation == "silences.create"
    again = await do(home, "create", **ended.undo.request)
    was, now = (await row(home, number)).silence, (await row(home, again.result["id"])).silence
    assert (was.matchers, was.ends_at, was.ends, was.after, was.comment) == (
        now.matchers, now.ends_at, now.ends, now.after, now.comment,
    )  # fmt: skip
    with pytest.raises(Refusal, match="is over"):
        await do(home, "end", id=number)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("silence_matchers", {"matchers": 'tenant=~".*"'}),
        ("silence_matchers", {"matchers": "{}"}),
        ("matcher_unreadable", {"matchers": "acme"}),
        ("matcher_invalid", {"matchers": 'tenant=~"(a"'}),
        ("silence_times", {"until": "2020-01-01"}),
        ("silence_length", {"until": "8d"}),
        ("silence_after", {"ends": "resolved", "after": "1s"}),
        ("duration_unreadable", {"after": "soon"}),
        ("time_unreadable", {"until": "soon"}),
        ("zone_unknown", {"until": "2026-12-01 12:00 Mars/Olympus"}),
        ("request_invalid", {"comment": ""}),
        ("request_invalid", {"comment": "x" * 2_001}),
        ("request_invalid", {"ends": "sometime"}),
    ],
)
async def test_what_is_no_silence_is_refused(home: Home, code: str, fields: dict[str, str]) -> None:
    with pytest.raises((Refusal, Usage)) as found:
        await do(home, "create", **{"matchers": 'tenant="acme"', "until": "1h", "comment": "x", **fields})
    assert found.value.code == code


# Past the console's own rules

NEW = "INSERT INTO wf.silences (matchers, ends_at, comment) VALUES ({}, now() + interval '{}', 'x')"
ACME = """'[{"label": "tenant", "op": "=", "value": "acme"}]'"""


def silence(connection: psycopg.Connection, matchers: str = ACME, lasts: str = "1 hour") -> int:
    return int(one(connection, NEW.format(matchers, lasts) + " RETURNING id")[0])


def test_a_viewer_reads_and_only_operators_write(psql: Psql) -> None:
    number = silence(psql("operator"))
    for role in ("viewer", "support", "operator", "admin", "worker"):
        assert one(psql(role), "SELECT count(*) FROM wf.silences") == (1,)
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), NEW.format(ACME, "1 hour"), f"UPDATE wf.silences SET ended_at = now() WHERE id = {number}")
    for role in ("operator", "admin"):
        denied(
            psql(role),
            f"DELETE FROM wf.silences WHERE id = {number}",
            f"UPDATE wf.silences SET matchers = '[]' WHERE id = {number}",
            f"UPDATE wf.silences SET created_by = 'ana' WHERE id = {number}",
            f"UPDATE wf.silences SET ended_by = 'ana' WHERE id = {number}",
            f"INSERT INTO wf.silences (matchers, ends_at, comment, created_by) VALUES ({ACME}, now(), 'x', 'ana')",
            "SELECT wf.expire_silences('{1}')",
            "TRUNCATE wf.silences",
        )


@pytest.mark.parametrize(
    "matchers",
    [
        "'[]'",
        "'{}'",
        "'null'",
        "'[1]'",
        """'[{"label": "tenant", "op": "=", "value": ""}]'""",
        """'[{"label": "tenant", "op": "!=", "value": "acme"}]'""",
        """'[{"label": "tenant", "op": "=="}]'""",
        """'[{"label": "ten ant", "op": "=", "value": "x"}]'""",
        """'[{"label": "tenant", "op": "=", "value": 7}]'""",
        """'[{"label": "tenant", "op": "=", "value": "x", "more": 1}]'""",
        "jsonb_build_array(jsonb_build_object('label', 'tenant', 'op', '=', 'value', repeat('x', 401)))",
        """(SELECT jsonb_agg('{"label": "l", "op": "=", "value": "x"}'::jsonb) FROM generate_series(1, 51))""",
    ],
)
def test_what_are_no_matchers_is_refused(psql: Psql, matchers: str) -> None:
    refused(psql("admin"), "silence_matchers", NEW.format(matchers, "1 hour"))


def test_the_home_keeps_the_times_and_what_was_hidden(psql: Psql) -> None:
    operator, admin = psql("operator"), psql("admin")
    refused(operator, "silence_length", NEW.format(ACME, "8 days"))
    refused(admin, "silence_length", NEW.format(ACME, "91 days"))
    refused(operator, "silence_past", NEW.format(ACME, "-1 hour"))
    refused(operator, "moment_range", NEW.format(ACME, "1 hour").replace("now() + interval '1 hour'", "'infinity'"))
    refused(operator, "silence_comment", NEW.format(ACME, "1 hour").replace("'x'", "'  '"))
    number = silence(operator)
    past = NEW.replace("(matchers, ", "(starts_at, matchers, ").replace("VALUES (", "VALUES ('2020-01-01', ")
    born = one(operator, past.format(ACME, "1 hour") + " RETURNING starts_at > now() - interval '1 minute'")
    assert born == (True,), "nothing is silenced in hindsight"
    change = f"UPDATE wf.silences SET {{}} WHERE id = {number}"
    refused(operator, "silence_started", change.format("starts_at = now() + interval '1 minute'"))
    refused(operator, "silence_past", change.format("ends_at = starts_at + interval '1 microsecond'"))
    refused(operator, "silence_length", change.format("ends_at = now() + interval '8 days'"))
    refused(operator, "silence_fixed", change.format("ended_at = now(), comment = 'another'"))
    ended = one(
        operator, change.format("ended_at = '2020-01-01'") + " RETURNING ended_at > now() - interval '1 hour', ended_by"
    )
    assert ended == (True, "t_operator")
    refused(operator, "silence_over", change.format("comment = 'x'"))
    refused(operator, "silence_over", change.format("ended_at = NULL"))
    long = silence(admin, lasts="80 days")
    operator.execute(
        f"UPDATE wf.silences SET comment = 'shorter', ends_at = now() + interval '40 days' WHERE id = {long}".encode()
    )


def test_one_takes_the_place_only_of_one_that_is_ended_with_it(psql: Psql) -> None:
    operator = psql("operator")
    number = silence(operator)
    instead = NEW.replace("comment)", "comment, replaces)").replace("'x')", f"'x', {number})").format(ACME, "1 hour")
    refused(operator, "silence_replaces", instead)
    operator.execute(f"UPDATE wf.silences SET ended_at = now() WHERE id = {number}".encode())
    refused(operator, "silence_replaces", instead)
    other = silence(operator)
    instead = instead.replace(f"'x', {number}", f"'x', {other}")
    with operator.transaction():
        operator.execute(f"UPDATE wf.silences SET ended_at = now() WHERE id = {other}".encode())
        operator.execute(instead.encode())
        refused_within(operator, "silence_replaced", instead)


def refused_within(connection: psycopg.Connection, constraint: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as found, connection.transaction():
        connection.execute(statement.encode())
    assert found.value.diag.constraint_name == constraint


def test_there_are_never_more_than_a_thousand_in_force(psql: Psql) -> None:
    many = NEW.replace("VALUES (", "SELECT ").replace("'x')", "'x' FROM generate_series(1, 1000)")
    psql("operator").execute(many.format(ACME, "1 hour"))
    refused(psql("operator"), "silence_many", NEW.format(ACME, "1 hour"))
    psql("operator").execute("UPDATE wf.silences SET ended_at = now() WHERE id = (SELECT min(id) FROM wf.silences)")
    silence(psql("operator"))


def test_a_change_with_psql_is_in_the_trail_and_marked(psql: Psql) -> None:
    number = silence(psql("operator"))
    found = one(psql("viewer"), "SELECT out_of_band, operation, actor, thing FROM wf.audit WHERE noun = 'silences'")
    assert found == (True, "sql.insert", "t_operator", str(number))


# The job


async def test_those_end_by_themselves_that_have_had_nothing_to_hide_for_long_enough(home: Home, psql: Psql) -> None:
    """An alert that is open or has just been resolved keeps them; one of the kind "time" waits for its end."""
    fire(psql("owner"), tenant="open")
    kept = [
        await create(home, 'tenant="none"'),
        await create(home, 'tenant="open"', ends="resolved"),
        await create(home, 'tenant="open"', ends="unmatched"),
        await create(home, 'tenant="none"', ends="resolved"),
        await create(home, 'tenant="none"', ends="unmatched", after="2h"),
        await create(home, 'tenant="none"', ends="unmatched", starts="1h", until="3h"),
    ]
    ends = [await create(home, 'tenant="none"', ends="unmatched"), await create(home, 'tenant="over"', ends="resolved")]
    assert await expire(psql, home) == [], "none has been there for long enough"
    owner = psql("owner")
    owner.execute("ALTER TABLE wf.silences DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.silences SET starts_at = starts_at - interval '1 hour' WHERE starts_at < now()")
    owner.execute("ALTER TABLE wf.silences ENABLE TRIGGER guard")
    fire(owner, tenant="over", ago="50 minutes", over="5 minutes")
    assert await expire(psql, home) == ends[:1], "it was resolved only just now"
    owner.execute("UPDATE wf.alerts SET resolved_at = now() - interval '20 minutes' WHERE tenant_id = 'over'")
    assert await expire(psql, home) == ends[1:]
    assert await expire(psql, home) == []
    over = [(await row(home, number)).silence for number in ends]
    assert all(each.ended_at is not None and each.ended_by is None for each in over)
    assert {(await row(home, number)).standing for number in kept} == {"active", "pending"}
    trail = one(
        psql("viewer"), "SELECT count(*), bool_or(out_of_band) FROM wf.audit WHERE operation = 'silences.expire'"
    )
    assert trail == (2, False)


async def test_what_is_not_all_looked_at_ends_only_what_is_known_to_be_over(home: Home, psql: Psql) -> None:
    number = await create(home, 'tenant="none"', ends="unmatched")
    owner = psql("owner")
    owner.execute("ALTER TABLE wf.silences DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.silences SET starts_at = starts_at - interval '1 hour'")
    fire(owner, tenant="many", number=2_100, ago="2 hours", over="5 minutes")
    assert await expire(psql, home) == [], "among those that are not looked at there may be one of the last 15 minutes"
    owner.execute("UPDATE wf.alerts SET resolved_at = now() - interval '40 minutes' - id * interval '1 ms'")
    assert await expire(psql, home) == [number]
    again = await create(home, 'tenant="none"', ends="unmatched")
    owner.execute("UPDATE wf.silences SET starts_at = starts_at - interval '1 hour' WHERE id = %s", [again])
    fire(owner, tenant="flood", number=2_100)
    assert await expire(psql, home) == []


def test_the_worker_ends_none_that_waits_for_its_time(psql: Psql) -> None:
    number = silence(psql("operator"))
    assert one(psql("worker"), f"SELECT wf.expire_silences('{{{number}}}')") == (0,)
    psql("operator").execute(
        NEW.replace("comment)", "comment, ends)").replace("'x')", "'x', 'resolved')").format(ACME, "1 hour")
    )
    assert one(psql("worker"), "SELECT wf.expire_silences(array_agg(id)) FROM wf.silences") == (0,), "it began just now"


async def expire(psql: Psql, home: Home) -> list[int]:
    """What the worker's job ends, and that the home ends just these."""
    async with home.connection() as connection:
        over = await done_with(connection, home.clock.now())
    assert one(psql("worker"), "SELECT wf.expire_silences(%s::bigint[])", over) == (len(over),)
    return over
