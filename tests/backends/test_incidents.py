"""Incidents in a real home: the timeline that writes itself, roles, and the conn, which the home enforces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from psycopg import errors

from backends.postgres.home import Home
from controlplane.errors import Conflict, NotPermitted, Refusal, Usage
from controlplane.filters.grammar import Term
from controlplane.incidents.model import Incident, IncidentDirectory, IncidentEvent, TimelineDirectory
from controlplane.listing import Query
from tests.backends.gates import apply, begin, do, ran
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name, region) VALUES ('acme', 'Acme', 'eu'), ('beta', 'Beta', 'us');"
            "SELECT wf.put_operator(n, 'operator', NULL) FROM unnest(ARRAY['zoe']) n"
        )
        yield connect


async def opened(database: Database, role: str) -> Home:
    home = Home(database.login(role))
    await home.open()
    return home


@pytest.fixture
async def ana(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = await opened(database, "operator")
    yield home
    await home.close()


@pytest.fixture
async def ben(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = await opened(database, "admin")
    yield home
    await home.close()


async def incident(home: Home, number: int = 1) -> Incident:
    return await home.of(IncidentDirectory).get(number)


async def events(home: Home, number: int = 1) -> list[IncidentEvent]:
    return list(await home.of(IncidentDirectory).since(number, 0))


def said(events: list[IncidentEvent]) -> list[str]:
    return [f"{each.kind}: {each.words}" for each in events]


async def down(home: Home, **more: object) -> int:
    fields = {"title": "Sign-in is down", "severity": "SEV-1", "tenants": ["acme"]} | more
    return int((await do(home, "incidents.open", "", **fields)).result["id"])


async def test_the_thing_that_it_is_opened_from_is_its_first_event(ana: Home, psql: Psql) -> None:
    psql("owner").execute(
        "INSERT INTO wf.alerts (kind, tenant_id, severity, summary)"
        " VALUES ('errors', 'acme', 'critical', 'half of it fails');"
        "INSERT INTO wf.alert_events (alert_id, n, at, kind, severity, words)"
        " VALUES (1, 1, now() - interval '5 minutes', 'fired', 'critical', 'half of it fails')"
    )
    number = await down(ana, origin="alerts/1", began="10m ago")
    assert psql("worker").execute("SELECT wf.tend_incidents(), wf.tend_incidents()").fetchone() == (1, 0)
    found = await events(ana, number)
    assert said(found) == [
        "origin: alert 1: half of it fails",
        "opened: opened at SEV-1: Sign-in is down",
        "affected: affected: tenant acme",
        "alert: alert 1 fired, critical: half of it fails",
    ]
    assert found[0].happened_at == (await incident(ana, number)).began_at < found[3].happened_at < found[1].happened_at
    with pytest.raises(Conflict, match=f"INC-{number} was opened from alerts/1"):
        await down(ana, origin="alerts/1")


async def test_what_is_done_to_what_is_affected_is_told_and_needs_the_conn(ana: Home, ben: Home) -> None:
    number = await down(ana)
    await do(ben, "tenants.rename", id="acme", name="Acme 2")
    await do(ana, "incidents.take", id=number)
    with pytest.raises(NotPermitted) as refused:
        await do(ben, "tenants.suspend", "too loud", id="acme")
    assert refused.value.code == "conn_held" and "t_operator has the conn of INC-1, and acme is affected" in str(
        refused.value.why
    )
    await do(ben, "tenants.suspend", "elsewhere", id="beta")
    await do(ben, "incidents.override", "it burns", id=number)
    await do(ben, "tenants.suspend", "too loud", id="acme")
    await do(ana, "tenants.resume", "better", id="acme")
    told = [(each.kind, each.actor, each.operation, each.words) for each in (await events(ana, number))[2:]]
    assert [(kind, actor) for kind, actor, *_ in told] == [
        ("change", "t_admin"), ("role", "t_operator"), ("override", "t_admin"), ("change", "t_admin"),
        ("change", "t_operator"),
    ]  # fmt: skip
    assert told[3][2:] == ("tenants.suspend", "tenants.suspend acme: too loud")
    await do(ana, "incidents.resolve", id=number)
    await do(ben, "tenants.edit", id="acme", region="us")


async def test_what_was_deployed_is_told_where_it_matters(ana: Home, psql: Psql) -> None:
    service, worker = psql("service"), psql("worker")
    say = "SELECT wf_data.deployed(%s, %s, now() - interval '30 minutes')"
    for what, region, new in (
        ("shop 2.1", "eu", True),
        ("shop 2.1", "eu", False),
        ("shop 2.1", "us", True),
        ("dns", "", True),
    ):
        assert one(service, say, what, region) == (new,)
    with pytest.raises(errors.CheckViolation):
        service.execute("SELECT wf_data.deployed('x', '', now() - interval '2 days')")
    number = await down(ana, tenants=[], regions=["eu"])
    assert one(worker, "SELECT wf.tend_incidents(), wf.tend_incidents()") == (2, 0)
    told = [each for each in await events(ana, number) if each.kind == "deploy"]
    assert sorted(each.words for each in told) == ["deployed dns everywhere", "deployed shop 2.1 in eu"]
    assert told[0].actor == "t_service" and told[0].happened_at < (await incident(ana, number)).began_at


async def test_a_run_and_a_change_of_many_are_each_one_event(ana: Home, psql: Psql) -> None:
    owner = psql("owner")
    owner.execute("INSERT INTO wf.tenants (id, name, region) SELECT 'm' || n, 'M', 'eu' FROM generate_series(1, 30) n")
    number = await down(ana, tenants=[], regions=["eu"])
    owner.execute("UPDATE wf.tenants SET name = 'X' WHERE id ~ '^m'")
    owner.execute("UPDATE wf.tenants SET name = 'Y' WHERE id ~ '^m[12]$'")
    owner.execute(
        "INSERT INTO wf.runs (operation, actor, reason, per_second, breaker_share)"
        " VALUES ('tenants.suspend', 't_operator', 'x', 1, 1);"
        "INSERT INTO wf.run_items (run_id, ordinal, thing, subject)"
        " SELECT 1, n, 'm' || n, '{}' FROM generate_series(1, 3) n"
    )
    worker = psql("worker")
    worker.execute("SELECT wf.hold_run(1, 'w')")
    for place in (1, 2, 3):
        worker.execute("SELECT wf.carry_item(1, %s)", [place])
    worker.execute("SELECT wf.end_carrying(1, 'done', NULL)")
    assert said(await events(ana, number))[2:] == [
        "change: sql.update of 30 things that are affected, m1 the first of them",
        "change: sql.update tenants m1, by no operation",
        "change: sql.update tenants m2, by no operation",
        "run: run 1 of tenants.suspend reaches what is affected",
        "run: run 1 of tenants.suspend is done",
    ]


async def test_one_person_has_a_role_and_the_other_is_told_who(ana: Home, ben: Home, psql: Psql) -> None:
    number = await down(ana)
    await do(ana, "incidents.take", id=number, role="commander")
    with pytest.raises(Conflict, match="t_operator has the role of commander of INC-1"):
        await do(ben, "incidents.take", id=number, role="commander")
    with pytest.raises(NotPermitted, match="t_operator has the role of commander of INC-1, not you"):
        await do(ben, "incidents.return", id=number, role="commander")
    await do(ana, "incidents.offer", id=number, role="commander", to="t_admin", summary="half is back")
    assert (await incident(ben)).offered_to("commander") == "t_admin"
    await do(ben, "incidents.accept", id=number, role="commander")
    assert (await incident(ben)).commander == "t_admin"
    with pytest.raises(Refusal, match="is not offered to you"):
        await do(ana, "incidents.accept", id=number, role="commander")
    await do(ben, "incidents.offer", id=number, role="commander", to="t_operator", until="1s", summary="all is back")
    psql("owner").execute("UPDATE wf.incident_roles SET offered_until = '2026-01-01Z'")
    with pytest.raises(Refusal, match="not offered"):
        await do(ana, "incidents.accept", id=number, role="commander")
    psql("worker").execute("SELECT wf.tend_incidents()")
    assert (await incident(ben)).commander == "t_admin"
    await do(ana, "incidents.relieve", "ben sleeps", id=number, role="commander")
    told = [each.words.partition(" for ")[0] for each in (await events(ana, number))[2:]]
    assert told == [
        "t_operator takes the role of commander: as the test says",
        "t_operator offers the role of commander to t_admin",
        "t_admin accepts the role of commander from t_operator; half is back",
        "t_admin offers the role of commander to t_operator",
        "t_operator did not accept the role of commander in time: t_admin still has it",
        "t_operator relieves t_admin of the role of commander: ben sleeps",
    ]


async def test_the_interval_of_updates_is_changed_by_an_operation_and_holds_at_once(ana: Home, ben: Home) -> None:
    number = await down(ana)
    due = (await incident(ana, number)).update_due
    assert due == (await incident(ana, number)).opened_at + timedelta(minutes=20)
    with pytest.raises(NotPermitted):
        await do(ana, "incidents.interval", severity="SEV-1", minutes=30)
    made = await do(ben, "incidents.interval", "too often", severity="SEV-1", minutes=30)
    assert (await incident(ana, number)).update_due == due + timedelta(minutes=10)
    [row] = made.rows
    assert (row.noun, row.thing, row.reason, row.before, row.after) == (
        "update-intervals", "SEV-1", "too often",
        {"severity": "SEV-1", "minutes": 20}, {"severity": "SEV-1", "minutes": 30},
    )  # fmt: skip
    with pytest.raises(Usage, match="told already"):
        await do(ben, "incidents.interval", severity="SEV-1", minutes=30)
    await do(ben, "incidents.interval", severity="SEV-1", minutes=None)
    assert (await incident(ana, number)).update_due is None, "nobody waits for an update"


async def test_a_view_that_is_posted_later_stands_at_the_time_that_it_shows(ana: Home, psql: Psql) -> None:
    number = await down(ana, began="1h ago")
    await do(ana, "incidents.note", id=number, text="before", at="40m ago")
    await do(ana, "incidents.note", id=number, text="after", at="20m ago")
    view = "SELECT wf.post_view(%s, 'what was seen', '{\"noun\": \"tenants\"}', now() - interval '30 minutes')"
    assert one(psql("support"), view, number) == (5,)
    page = await ana.of(TimelineDirectory).page(Query((Term("is", (str(number),), "incident"),), "happened", False))
    assert [each.words for each in page.rows if each.kind in ("note", "view")] == ["before", "what was seen", "after"]


async def test_cycles_are_numbered_a_correction_is_once_and_a_snooze_has_its_reason(ana: Home) -> None:
    number = await down(ana)
    note = (await do(ana, "incidents.note", id=number, text="It is the disks.")).result["event"]
    for _ in range(2):
        await do(ana, "incidents.correct", id=number, event=note, text="It is the network.")
    with pytest.raises(Refusal):
        await do(ana, "incidents.snooze", "", id=number, until="2h")
    await do(ana, "incidents.snooze", "they sleep", id=number, until="2h")
    this = await incident(ana)
    assert this.update_due == this.snoozed_until and this.snoozed_why == "they sleep"
    for step in ("mitigate", "resolve", "close-out", "reopen", "resolve", "reopen"):
        await do(ana, f"incidents.{step}", id=number)
    this = await incident(ana)
    assert (this.status, this.cycle, this.roles, this.snoozed_until) == ("open", 3, [], None)
    told = [(each.kind, each.cycle, each.words) for each in (await events(ana))[3:]]
    assert [words for kind, _, words in told if kind == "correction"] == ["It is the network."]
    assert [(cycle, words.partition(":")[0]) for kind, cycle, words in told if kind == "status"] == [
        (1, "open → mitigated"), (1, "mitigated → resolved"), (1, "resolved → closed"), (2, "reopened, cycle 2"),
        (2, "open → resolved"), (3, "reopened, cycle 3"),
    ]  # fmt: skip


async def test_the_verdicts_of_gates_and_silences_of_what_is_affected_are_told(ana: Home, ben: Home) -> None:
    await apply(ben, {"name": "none_waits"})
    number = await down(ana)
    await ran(ben, await begin(ben))
    for tenant in ("acme", "beta"):
        await do(ben, "silences.create", matchers=f'tenant="{tenant}"', until="1h", comment="known")
    told = [(each.kind, each.actor, each.operation, each.words) for each in (await events(ana, number))[2:]]
    assert [(kind, operation) for kind, _, operation, _ in told] == [
        ("gate", "gates.decide"),
        ("change", "silences.create"),
    ]
    assert told[0][3].startswith("gate shop in staging: ") and told[1][1] == "t_admin"
