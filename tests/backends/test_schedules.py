"""Schedules in a real home: made, edited, overridden, retired; and what the home refuses whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backends.postgres.home import Home
from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.schedules.directory import ScheduleDirectory, ScheduleRow
from controlplane.schedules.list import SCHEDULES
from controlplane.schedules.rules import on_call, spans
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import Database

TURNS: dict[str, Any] = {"people": ["ana", "ben"], "starts": "2026-01-05 09:00", "zone": "Europe/Berlin"}
PRIMARY = TURNS | {"name": "primary"}
TWO = [
    {"name": "day", "people": ["dan"], "starts": "2026-01-05", "only": ["mon-fri 09:00-17:00"]},
    {"name": "night", "people": ["eve"], "starts": "2026-01-05", "shift": "1d"},
]

BOTH = {"add": True, "instead_of": "ben"}


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
    operation = named(f"schedules.{verb}")
    return await execute(home, operation, operation.parse(fields), Call("as the test says", dry_run=dry_run))


async def listed(home: Home, filter: str = "") -> list[ScheduleRow]:
    query = Query(parse(filter, SCHEDULES.fields), *SCHEDULES.order_of(""))
    return list((await home.of(ScheduleDirectory).page(query)).rows)


async def row(home: Home, name: str = "primary", at: datetime | None = None) -> ScheduleRow:
    return await home.of(ScheduleDirectory).get(name, at)


def who(found: ScheduleRow) -> str | None:
    return found.turns.now.person if found.turns and found.turns.now else None


async def test_a_preview_says_who_is_on_call_and_when_nobody_is(home: Home) -> None:
    preview = await do(home, "create", dry_run=True, **PRIMARY)
    assert preview.result["notes"][0].startswith("on call now: ")
    assert preview.result["notes"][1] == "somebody is on call in every minute of the next 12 months"
    gaps = await do(home, "create", dry_run=True, **PRIMARY, only=["mon-fri 09:00-17:00"])
    assert "nobody is on call 26" in gaps.result["notes"][1]
    assert await listed(home) == []


async def test_it_is_made_edited_and_taken_back(home: Home) -> None:
    made = await do(home, "create", **PRIMARY)
    edited = await do(home, "edit", name="primary", people=["cho"], only=["mon-sun 08:00-20:00"], version=1)
    found = (await row(home)).kept
    assert found.rotations == [
        {"name": "main", "people": ["cho"], "starts": "2026-01-05 09:00", "shift": "1w", "zone": "Europe/Berlin",
         "only": ["mon-sun 08:00-20:00"]}
    ]  # fmt: skip
    assert edited.undo is not None
    await do(home, "edit", **edited.undo.request)
    assert (await row(home)).kept.rotations[0]["people"] == ["ana", "ben"]
    with pytest.raises(Conflict):
        await do(home, "edit", name="primary", shift="1d", version=1)
    several = await do(home, "edit", name="primary", rotations=TWO)
    assert "somebody is on call in every minute" in several.result["notes"][1]
    with pytest.raises(Refusal, match="several rotations"):
        await do(home, "edit", name="primary", shift="1d")
    assert made.undo is not None
    retired = await do(home, "retire", name="primary")
    assert await listed(home) == [] and [each.standing for each in await listed(home, "state:retired")] == ["retired"]
    with pytest.raises(Refusal, match="is retired"):
        await do(home, "edit", name="primary", rotations=TWO)
    with pytest.raises(Conflict):
        await do(home, "create", **PRIMARY)
    assert retired.undo is not None
    await do(home, "restore", **retired.undo.request)
    assert [each.standing for each in await listed(home)] == ["covered"]
    with pytest.raises(NotFound):
        await row(home, "nobody")


async def test_an_override_puts_somebody_else_on_call_until_it_is_ended(home: Home) -> None:
    await do(home, "create", **PRIMARY | {"people": ["ana"]})
    made = await do(home, "override", name="primary", person="zoe", until="8h")
    found = await row(home)
    assert found.turns is not None and found.turns.next is not None
    assert (who(found), found.turns.until, found.turns.next.person) == ("zoe", made.result["ends_at"], "ana")
    later = await row(home, at=home.clock.now() + timedelta(hours=9))
    assert (who(later), later.at > found.at) == ("ana", True)
    assert made.undo is not None
    await do(home, "end-override", **made.undo.request)
    assert who(await row(home)) == "ana"
    was = await row(home, at=made.result["starts_at"])
    assert who(was) == "zoe", "who was on call stays on record"
    with pytest.raises(Refusal, match="over already"):
        await do(home, "end-override", **made.undo.request)
    instead = await do(home, "override", name="primary", person="yan", instead_of="ben", starts="1h", until="2h")
    assert who(await row(home, at=instead.result["starts_at"] + timedelta(minutes=1))) == "ana"
    added = await do(home, "override", name="primary", person="xia", add=True, starts="3h", until="4h")
    assert who(await row(home, at=added.result["starts_at"])) == "xia"


async def test_the_calendar_shows_whom_the_paging_finds(home: Home) -> None:
    """`live` is what routing asks; the list and the detail show the same."""
    await do(home, "create", **PRIMARY)
    await do(home, "create", name="two", rotations=TWO)
    await do(home, "override", name="two", person="zoe", starts="1h", until="30h")
    await do(home, "create", **PRIMARY | {"name": "gone"})
    await do(home, "retire", name="gone")
    now = home.clock.now()
    paging = {each.name: each for each in await home.of(ScheduleDirectory).live(now, now + timedelta(days=8))}
    assert [*paging] == ["primary", "two"]
    for name, schedule in paging.items():
        kept = (await row(home, name)).kept.schedule
        assert kept is not None
        for span in spans(kept, now, now + timedelta(days=7)):
            at = span.start + (span.end - span.start) / 2
            assert on_call(schedule, at) == span.duty
    shown = {each.kept.name: who(each) for each in await listed(home)}
    assert shown == {name: duty.person if (duty := on_call(each, now)) else None for name, each in paging.items()}
    [_, near] = await home.of(ScheduleDirectory).live(now, now + timedelta(minutes=5))
    assert near.overrides == (), "it is not near"


async def test_one_that_cannot_be_read_stops_no_other(home: Home, psql: Psql) -> None:
    await do(home, "create", **PRIMARY)
    for name, document in {"a": '[{"people": []}]', "b": "[7]", "c": SOUND.replace("2026", "9999")}.items():
        psql("operator").execute("INSERT INTO wf.schedules (name, rotations) VALUES (%s, %s)", [name, document])
    rows = await listed(home)
    assert [(each.kept.name, each.standing) for each in rows] == [
        ("a", "unreadable"), ("b", "unreadable"), ("c", "unreadable"), ("primary", "covered"),
    ]  # fmt: skip
    assert all(each.kept.fault for each in rows[:3])
    now = home.clock.now()
    assert [each.name for each in await home.of(ScheduleDirectory).live(now, now)] == ["primary"]
    await do(home, "edit", name="a", rotations=TWO)
    assert (await row(home, "a")).standing == "covered"


@pytest.mark.parametrize(
    ("code", "verb", "fields"),
    [
        ("request_invalid", "create", {"name": "Not a name", "people": ["a"], "starts": "2026-01-05"}),
        ("request_invalid", "create", {"name": "new"}),
        ("request_invalid", "create", {"name": "new", "people": ["a"]}),
        ("request_invalid", "create", {"name": "new", "people": ["a"], "starts": "2026-01-05", "rotations": TWO}),
        ("request_invalid", "create", {"name": "new", "rotations": [{"people": ["a"], "starts": "soon"}]}),
        ("schedule_invalid", "create", {"name": "new", "people": ["a"], "starts": "2026-01-05", "zone": "Mars/X"}),
        ("schedule_invalid", "create", {"name": "new", "people": ["a"], "starts": "soon"}),
        ("request_invalid", "edit", {"name": "primary"}),
        ("no_schedule", "edit", {"name": "none", "shift": "1d"}),
        ("override_times", "override", {"name": "primary", "person": "zoe", "until": "1h", "starts": "2h"}),
        ("override_times", "override", {"name": "primary", "person": "zoe", "until": "93d"}),
        ("override_instead_of", "override", {"name": "primary", "person": "z", "until": "1h"} | BOTH),
        ("request_invalid", "override", {"name": "primary", "person": "\u202e", "until": "1h"}),
        ("no_override", "end-override", {"number": 99}),
        ("schedule_not_retired", "restore", {"name": "primary"}),
    ],
)
async def test_what_cannot_be_is_refused(home: Home, code: str, verb: str, fields: dict[str, Any]) -> None:
    await do(home, "create", **PRIMARY)
    with pytest.raises((Refusal, Usage)) as found:
        await do(home, verb, **fields)
    assert found.value.code == code


# Past the console's own rules

NEW = "INSERT INTO wf.schedules (name, rotations) VALUES ('{}', '{}')"
SOUND = '[{"people": ["ana"], "starts": "2026-01-05 09:00"}]'
OVERRIDE = "INSERT INTO wf.schedule_overrides (schedule, person, starts_at, ends_at) VALUES ('ops', '{}', now(), {})"
HOUR = "now() + interval '1 hour'"


def test_a_viewer_reads_and_only_operators_write(psql: Psql) -> None:
    psql("operator").execute(NEW.format("ops", SOUND).encode())
    psql("operator").execute(OVERRIDE.format("zoe", HOUR).encode())
    for role in ("viewer", "support", "operator", "admin", "worker"):
        held = "SELECT (SELECT count(*) FROM wf.schedules), (SELECT count(*) FROM wf.schedule_overrides)"
        assert one(psql(role), held) == (1, 1)
    for role in ("viewer", "support", "worker", "service"):
        denied(
            psql(role),
            NEW.format("new", SOUND),
            "UPDATE wf.schedules SET retired_at = now()",
            OVERRIDE.format("ana", HOUR),
            "UPDATE wf.schedule_overrides SET ended_at = now()",
        )
    for role in ("operator", "admin"):
        denied(
            psql(role),
            "DELETE FROM wf.schedules",
            "DELETE FROM wf.schedule_overrides",
            "UPDATE wf.schedules SET name = 'new'",
            "UPDATE wf.schedules SET created_by = 'ana'",
            "UPDATE wf.schedule_overrides SET person = 'ana'",
            f"INSERT INTO wf.schedules (name, rotations, created_by) VALUES ('x', '{SOUND}', 'ana')",
        )


def test_the_home_bounds_what_is_kept_and_who_was_on_call(psql: Psql) -> None:
    operator, admin = psql("operator"), psql("admin")
    operator.execute(NEW.format("ops", SOUND).encode())
    for document in ("[]", "{}", "null", '"x"', "[" + ",".join(["{}"] * 21) + "]"):
        refused(admin, "schedule_rotations", NEW.format("new", document))
    refused(admin, "schedule_name", NEW.format("Not a name", SOUND))
    refused(admin, "schedules_pkey", NEW.format("ops", SOUND))
    refused(admin, "document_size", "INSERT INTO wf.schedules VALUES ('new', jsonb_build_array(repeat('x', 70000)))")
    long_ago = OVERRIDE.replace("now(),", "'2020-01-01',")
    refused(admin, "override_past", long_ago.format("zoe", "'2020-01-02'"))
    refused(admin, "override_times", OVERRIDE.format("zoe", "now() + interval '2209 hours'"))
    refused(admin, "override_person", OVERRIDE.format("  ", HOUR))
    refused(admin, "moment_range", OVERRIDE.format("zoe", "'infinity'"))
    since = long_ago.format("zoe", HOUR) + " RETURNING starts_at > now() - interval '1 minute'"
    assert one(operator, since) == (True,), "nobody is on call in hindsight"
    refused(operator, "override_fixed", "UPDATE wf.schedule_overrides SET ended_at = NULL")
    ended = "UPDATE wf.schedule_overrides SET ended_at = '2020-01-01' RETURNING ended_at > now() - interval '1 minute'"
    assert one(operator, ended) == (True,)
    refused(operator, "override_over", "UPDATE wf.schedule_overrides SET ended_at = now()")
    operator.execute("UPDATE wf.schedules SET retired_at = now()")
    refused(operator, "schedule_retired", OVERRIDE.format("zoe", HOUR))
    refused(operator, "schedule_retired", f"UPDATE wf.schedules SET rotations = '{SOUND}'::jsonb || '[{{}}]'")
    trail = "SELECT count(*), bool_and(out_of_band) FROM wf.audit WHERE noun IN ('schedules', 'overrides')"
    assert one(psql("viewer"), trail) == (4, True)


def test_there_is_an_end_to_how_many_there_are(psql: Psql) -> None:
    operator = psql("operator")
    many = "INSERT INTO wf.schedules (name, rotations) SELECT 'ops' || n, %s FROM generate_series(1, 500) n"
    operator.execute(many, [SOUND])
    refused(operator, "schedule_many", NEW.format("ops", SOUND))
    operator.execute("UPDATE wf.schedules SET retired_at = now() WHERE name = 'ops2'")
    operator.execute(NEW.format("ops", SOUND).encode())
    refused(operator, "schedule_many", "UPDATE wf.schedules SET retired_at = NULL WHERE name = 'ops2'")
    for _ in range(200):
        operator.execute(OVERRIDE.format("zoe", HOUR).encode())
    refused(operator, "override_many", OVERRIDE.format("zoe", HOUR))


async def test_those_near_a_time_are_read_in_one_statement_by_an_index(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(NEW.format("ops", SOUND).encode())
    owner.execute("SET enable_seqscan = off")
    plan = owner.execute(
        "EXPLAIN SELECT s.name FROM wf.schedules s LEFT JOIN wf.schedule_overrides o ON o.schedule = s.name"
        " AND least(o.ends_at, o.ended_at) > now() AND o.starts_at < now() WHERE s.retired_at IS NULL ORDER BY s.name"
    ).fetchall()
    assert "schedule_overrides_by_end" in str(plan)
    now = datetime.now(UTC)
    assert [each.name for each in await home.of(ScheduleDirectory).live(now, now)] == ["ops"]
