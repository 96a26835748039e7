"""From what a detector finds to alerts and their events, in a real home: fired once, known or unknown, never lost."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.postgres.home import Home
from controlplane.alerts.list import ALERTS
from controlplane.alerts.model import Alert, AlertDirectory
from controlplane.alerts.words import open_words
from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named, operations
from tests.backends.alerts import alerts, dead, evaluate, events, settle
from tests.backends.notices import fire
from tests.backends.psql import Psql, logins, one
from tests.postgres import Database


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'growth')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("operator"))
    await home.open()
    yield home
    await home.close()


async def do(home: Home, verb: str, /, *, dry_run: bool = False, **fields: Any) -> Outcome:
    operation = named(verb)
    return await execute(home, operation, operation.parse(fields), Call("as the test says", dry_run=dry_run))


async def listed(home: Home, filter: str = "", order: str = "-severity") -> list[Alert]:
    query = Query(parse(filter, ALERTS.fields), *ALERTS.order_of(order))
    return list((await home.of(AlertDirectory).page(query)).rows)


# What is found


def test_what_is_found_fires_once_changes_and_is_resolved_when_it_is_gone(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner, number=3, tenant="acme")
    assert evaluate(worker) == {"fired": 1}
    [fired] = alerts(owner)
    assert (fired["kind"], fired["tenant_id"], fired["labels"]) == ("jobs_dead", "acme", {"job": "deliver"})
    assert (fired["value"], fired["threshold"], fired["severity"], fired["standing"]) == (3, 1, "error", "firing")
    assert fired["details"]["dead_letter_backlog"] == 3
    assert evaluate(worker) == {}, "it is the same"
    dead(owner, number=2, tenant="acme")
    assert evaluate(worker) == {} and alerts(owner)[0]["value"] == 5, "the value is renewed without an event"
    dead(owner, number=100, tenant="acme")
    assert evaluate(worker) == {"raised": 1} and alerts(owner)[0]["severity"] == "critical"
    owner.execute("UPDATE wf.jobs SET state = 'canceled' WHERE id > (SELECT min(id) FROM wf.jobs)")
    assert evaluate(worker) == {"lowered": 1}
    settle(owner)
    assert evaluate(worker) == {"resolved": 1}
    assert events(owner, fired["id"]) == ["fired", "raised", "lowered", "resolved"]
    [over] = alerts(owner)
    assert (over["standing"], over["resolved_by"]) == ("resolved", None)


def test_what_comes_again_is_a_new_alert_that_names_the_last_one_and_flaps(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    for _ in range(4):
        dead(owner)
        assert evaluate(worker) == {"fired": 1}
        settle(owner)
        assert evaluate(worker) == {"resolved": 1}
    found = alerts(owner)
    assert [each["previous_id"] for each in found] == [None, *(each["id"] for each in found[:-1])]
    assert len({each["fingerprint"] for each in found}) == 1
    assert [each["fires"] for each in found] == [1, 2, 3, 4]


def test_alerts_of_other_tenants_and_labels_are_other_alerts(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner, "deliver", tenant="acme")
    dead(owner, "deliver")
    dead(owner, "publish")
    assert evaluate(worker) == {"fired": 3}
    settle(owner, "publish")
    assert evaluate(worker) == {"resolved": 1}
    assert {(each["tenant_id"], each["standing"]) for each in alerts(owner)} == {
        ("acme", "firing"),
        (None, "firing"),
        (None, "resolved"),
    }


LABELS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    max_size=4,
)


def fingerprint(tenant: str | None, kind: str, labels: dict[str, str]) -> str:
    """Of tenant, kind and labels, which are sorted by their bytes: as code points sort."""
    pairs = [[name, labels[name]] for name in sorted(labels)]
    return hashlib.sha256(json.dumps([tenant or "", kind, pairs], ensure_ascii=False).encode()).hexdigest()


def test_a_fingerprint_is_that_of_tenant_kind_and_labels_in_any_order(psql: Psql) -> None:
    owner = psql("owner")

    @given(st.none() | st.from_regex(r"\A[A-Za-z0-9._-]{1,20}\Z"), st.from_regex(r"\A[a-z_]{1,20}\Z"), LABELS)
    def same(tenant: str | None, kind: str, labels: dict[str, str]) -> None:
        found = one(owner, "SELECT encode(wf.fingerprint(%s, %s, %s::jsonb), 'hex')", tenant, kind, json.dumps(labels))
        assert found == (fingerprint(tenant, kind, labels),)

    same()


# What is not known


def test_a_detector_that_fails_makes_its_alerts_unknown_and_stops_no_other(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    owner.execute("ALTER FUNCTION wf.detect_jobs_dead() RENAME TO away")
    assert evaluate(worker) == {"unknown": 1}
    assert evaluate(worker) == {}, "it is said once"
    [found] = alerts(owner)
    assert found["standing"] == "unknown" and "does not exist" in found["unknown_why"]
    assert one(owner, "SELECT state FROM wf.detector_list WHERE name = 'jobs_dead'") == ("failed",)
    assert evaluate(worker, "worker_missing") == {}, "another goes on"
    settle(owner)
    assert evaluate(worker) == {}, "nothing is resolved while nothing is known"
    owner.execute("ALTER FUNCTION wf.away() RENAME TO detect_jobs_dead")
    assert evaluate(worker) == {"resolved": 1}
    assert events(owner, found["id"]) == ["fired", "unknown", "resolved"]


def test_an_alert_that_is_still_there_is_known_again(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    worker.execute("SELECT wf.evaluate('jobs_dead', NULL, NULL, 'as the test says')")
    assert evaluate(worker) == {"known": 1}
    [found] = alerts(owner)
    assert events(owner, found["id"]) == ["fired", "unknown", "known"] and found["standing"] == "firing"


def test_a_statement_that_takes_too_long_fails_and_a_canceled_one_leaves_everything(
    psql: Psql, database: Database
) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    owner.execute("ALTER FUNCTION wf.detect_jobs_dead() RENAME TO away")
    owner.execute(
        "CREATE FUNCTION wf.detect_jobs_dead() RETURNS SETOF wf.finding LANGUAGE sql STABLE"
        " AS $$ SELECT f FROM wf.away() f, pg_sleep(60) $$"
    )
    worker.execute("SET statement_timeout = '100ms'")
    assert evaluate(worker) == {"unknown": 1}
    assert one(owner, "SELECT error FROM wf.detectors WHERE name = 'jobs_dead'") == ("it took longer than 100ms",)
    worker.execute("SET statement_timeout = 0")
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            evaluate(worker)
        except psycopg.Error as error:
            failed.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    cancel = (
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
        " WHERE query ~ 'wf.evaluate' AND state = 'active' AND pid <> pg_backend_pid()"
    )
    while waiting.is_alive():  # a cancel that comes between two statements is lost
        one(owner, cancel)
    assert isinstance(failed[0], psycopg.errors.QueryCanceled)
    assert one(owner, "SELECT error FROM wf.detectors WHERE name = 'jobs_dead'") == ("it took longer than 100ms",)


def test_without_any_evaluation_nothing_is_known(psql: Psql) -> None:
    """The worker that would write it down may be what is missing."""
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    owner.execute("UPDATE wf.detectors SET looked_at = looked_at - interval '10 minutes'")
    [found] = alerts(psql("viewer"))
    assert found["standing"] == "unknown" and "has not been evaluated since" in found["unknown_why"]
    assert one(owner, "SELECT state FROM wf.detector_list WHERE name = 'jobs_dead'") == ("late",)


# Two at once


def test_two_workers_open_an_alert_once(psql: Psql, database: Database) -> None:
    owner = psql("owner")
    for n in range(20):
        dead(owner, f"kind_{n}")
    answers: list[Any] = []
    conninfo = database.login("worker")

    def work() -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            answers.append([evaluate(connection) for _ in range(10)])

    crowd = [threading.Thread(target=work) for _ in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert sum((told or {}).get("fired", 0) for told in functools.reduce(operator.iadd, answers, [])) == 20
    assert len(alerts(owner)) == 20 and all(events(owner, each["id"]) == ["fired"] for each in alerts(owner))


def test_while_one_evaluates_another_does_nothing(psql: Psql, database: Database) -> None:
    with psycopg.connect(database.login("worker")) as first:
        evaluate(first)
        assert evaluate(psql("worker")) is None
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        evaluate(psql("worker"), "nothing")
    assert refused.value.diag.constraint_name == "detector_unknown"


def test_an_alert_that_a_person_is_changing_waits_and_the_others_do_not(psql: Psql, database: Database) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner, "deliver")
    dead(owner, "publish")
    evaluate(worker)
    settle(owner, "deliver")
    settle(owner, "publish")
    first, _ = alerts(owner)
    with psycopg.connect(database.login("operator")) as person:
        person.execute("SELECT wf.ack_alert(%s, now() + interval '1 hour', 'looking')", [first["id"]])
        worker.execute("SET statement_timeout = '10s'")
        assert evaluate(worker) == {"resolved": 1}
    assert evaluate(worker) == {"resolved": 1}


# What people do


async def test_an_ack_has_an_author_a_comment_and_an_end_and_five_of_them_are_one_event(home: Home, psql: Psql) -> None:
    """OpsKnight PR#391."""
    dead(psql("owner"))
    evaluate(psql("worker"))
    [alert] = await listed(home)
    done = await do(home, "alerts.ack", id=alert.id, comment="looking", until="2h")
    assert done.undo is not None and done.undo.operation == "alerts.unack"
    for _ in range(4):
        await do(home, "alerts.ack", id=alert.id, comment="still looking", until="3h")
    acked = await home.of(AlertDirectory).get(alert.id)
    assert (acked.state, acked.holder, acked.ack_comment) == ("acked", "t_operator", "still looking")
    found = await home.of(AlertDirectory).events(alert.id)
    assert [each.kind for each in found] == ["fired", "acked"]
    assert (found[1].actor, found[1].words, found[1].audit_seq) == ("t_operator", "looking", done.audit_ids[0])
    [row] = done.rows
    assert (row.operation, row.thing, row.out_of_band) == ("alerts.ack", str(alert.id), False)
    assert evaluate(psql("worker")) == {}, "it stays acked"
    for until in ("8d", "0s", "2020-01-01"):
        with pytest.raises(Usage) as refused:
            await do(home, "alerts.ack", id=alert.id, comment="x", until=until)
        assert refused.value.code == "alert_ack_until"


def test_there_is_one_way_to_acknowledge_with_one_time_limit(psql: Psql) -> None:
    """alerta-webui#329: two ways there, with two time limits."""
    timed = [
        name for name, each in operations().items() if each.noun == "alerts" and "until" in each.request.model_fields
    ]
    assert timed == ["alerts.ack"]
    writes = "SELECT operation FROM wf.operation_writes WHERE control = 'wf.alerts' AND becomes ->> 'state' = 'acked'"
    assert psql("owner").execute(writes).fetchall() == [("alerts.ack",)]


async def test_an_ack_that_is_over_fires_again(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    [alert] = await listed(home)
    await do(home, "alerts.ack", id=alert.id, comment="looking", until="1h")
    owner.execute("UPDATE wf.alerts SET ack_until = clock_timestamp() - interval '1 second'")
    assert evaluate(worker) == {"ack_ended": 1}
    [again] = await listed(home)
    assert (again.state, again.holder, again.ack_until) == ("firing", None, None)
    assert [each.kind for each in await home.of(AlertDirectory).events(alert.id)] == ["fired", "acked", "ack_ended"]


async def test_an_ack_ends_also_while_nothing_is_known(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner)
    evaluate(worker)
    [alert] = await listed(home)
    await do(home, "alerts.ack", id=alert.id, comment="looking", until="1h")
    owner.execute("UPDATE wf.alerts SET ack_until = clock_timestamp() - interval '1 second'")
    row = worker.execute("SELECT wf.evaluate('jobs_dead', NULL, NULL, 'as the test says')").fetchone()
    assert row == ({"unknown": 1, "ack_ended": 1},)


async def test_an_ack_is_given_back_and_taken_back(home: Home, psql: Psql) -> None:
    dead(psql("owner"))
    evaluate(psql("worker"))
    [alert] = await listed(home)
    await do(home, "alerts.ack", id=alert.id, comment="looking", until="2h")
    done = await do(home, "alerts.unack", id=alert.id)
    assert (await listed(home))[0].state == "firing"
    assert done.undo is not None
    await do(home, done.undo.operation, **done.undo.request)
    [again] = await listed(home)
    assert (again.state, again.ack_comment) == ("acked", "looking")
    with pytest.raises(Conflict) as stale:
        await do(home, "alerts.unack", id=alert.id, version=alert.version)
    assert stale.value.code == "stale_version"


async def test_an_alert_is_handed_over_to_somebody_who_may_act(home: Home, psql: Psql, database: Database) -> None:
    dead(psql("owner"))
    evaluate(psql("worker"))
    [alert] = await listed(home)
    with pytest.raises(Refusal) as refused:
        await do(home, "alerts.hand-over", id=alert.id, to="t_admin")
    assert refused.value.code == "alert_not_acked"
    await do(home, "alerts.ack", id=alert.id, comment="looking", until="2h")
    for role in ("admin", "viewer", "worker"):
        psql(role)
    for nobody in ("t_viewer", "t_worker", "nobody", "t_operator"):
        with pytest.raises(Refusal) as refused:
            await do(home, "alerts.hand-over", id=alert.id, to=nobody)
        assert refused.value.code == ("alert_held" if nobody == "t_operator" else "alert_holder")
    done = await do(home, "alerts.hand-over", id=alert.id, to="t_admin")
    assert (await listed(home))[0].holder == "t_admin"
    with pytest.raises(Conflict) as theirs:
        await do(home, "alerts.ack", id=alert.id, comment="mine", until="1h")
    assert theirs.value.code == "alert_acked"
    assert done.undo is not None and done.undo.request["to"] == "t_operator"


async def test_what_is_resolved_by_hand_fires_anew_while_it_is_still_found(home: Home, psql: Psql) -> None:
    dead(psql("owner"))
    evaluate(psql("worker"))
    [alert] = await listed(home)
    await do(home, "alerts.resolve", id=alert.id)
    [over] = await listed(home)
    assert (over.standing, over.resolved_by, over.resolved_why) == ("resolved", "t_operator", "as the test says")
    with pytest.raises(Refusal) as refused:
        await do(home, "alerts.ack", id=alert.id, comment="x", until="1h")
    assert refused.value.code == "alert_resolved"
    assert evaluate(psql("worker")) == {"fired": 1}
    first, second = await listed(home)
    assert (first.previous_id, second.id) == (alert.id, alert.id)
    assert [each.id for each in await home.of(AlertDirectory).similar(first)] == [alert.id]
    with pytest.raises(NotFound):
        await do(home, "alerts.ack", id=9999, comment="x", until="1h")


async def test_a_preview_of_an_ack_writes_nothing(home: Home, psql: Psql) -> None:
    dead(psql("owner"))
    evaluate(psql("worker"))
    [alert] = await listed(home)
    shown = await do(home, "alerts.ack", id=alert.id, comment="looking", until="2h", dry_run=True)
    assert shown.rows[0].was["state"] == "firing"
    assert (await listed(home))[0].state == "firing" and len(await home.of(AlertDirectory).events(alert.id)) == 1


# The list


async def test_the_list_begins_with_what_fires_and_is_critical_and_pages_by_key(home: Home, psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    dead(owner, "gone")
    evaluate(worker)
    settle(owner, "gone")
    for kind, number in (("few", 1), ("many", 100), ("acked", 1)):
        dead(owner, kind, number, tenant="acme" if kind == "few" else None)
    evaluate(worker)
    [acked] = await listed(home, "acked state:firing")
    await do(home, "alerts.ack", id=acked.id, comment="looking", until="2h")
    assert [each.labels["job"] for each in await listed(home)] == ["many", "few", "acked", "gone"]
    query = Query((), "severity", True)
    first = await home.of(AlertDirectory).page(query, limit=2)
    rest = await home.of(AlertDirectory).page(query, start=first.positions[-1])
    assert [each.labels["job"] for each in (*first.rows, *rest.rows)] == ["many", "few", "acked", "gone"]
    for text, names in {
        "state:firing": ["many", "few"],
        "state:firing,acked": ["many", "few", "acked"],
        "state:resolved": ["gone"],
        "severity:critical": ["many"],
        "tenant:acme": ["few"],
        "who:t_operator": ["acked"],
        "kind:jobs_dead -state:resolved": ["many", "few", "acked"],
        f"id:{acked.id}": ["acked"],
        "age<1h few": ["few"],
    }.items():
        assert [each.labels["job"] for each in await listed(home, text)] == names, text

    assert next(each.labels["job"] for each in await listed(home, "", "age")) == "gone"
    found = await home.of(AlertDirectory).open_alerts()
    assert (found.firing, found.critical, found.acked, found.unknown) == (2, 1, 1, 0)


async def test_no_flood_of_what_fires_hides_what_is_acked_or_unknown(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    fire(owner, 1_500)
    owner.execute("UPDATE wf.detectors SET looked_at = now()")
    owner.execute(
        "UPDATE wf.alerts SET state = 'acked', holder = 'ana', acked_at = now(), ack_until = now() + interval '1 hour',"
        " ack_comment = 'x' WHERE id % 500 = 1"
    )
    owner.execute("UPDATE wf.alerts SET unknown_since = now(), unknown_why = 'silent' WHERE id % 100 IN (1, 2)")
    found = await home.of(AlertDirectory).open_alerts()
    assert (found.firing, found.acked, found.unknown, found.capped) == (1_470, 0, 30, False)
    assert open_words(found) == "1470 firing, 30 unknown"
    owner.execute("UPDATE wf.alerts SET unknown_since = NULL, unknown_why = NULL WHERE state = 'acked'")
    assert open_words(await home.of(AlertDirectory).open_alerts()) == "1470 firing, 3 acked, 27 unknown"
