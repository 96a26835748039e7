"""Alerts with nothing but SQL: nobody makes, changes or forges one, and no row or session stops the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from backends.postgres.refusals import words
from controlplane.alerts.escalations import standings
from tests.backends.alerts import alerts, dead, evaluate, events
from tests.backends.notices import PAGING
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import ROLES, Database

PEOPLE = ("viewer", "support", "operator", "admin")
WRITES = (
    "INSERT INTO wf.alerts (kind, severity, summary) VALUES ('jobs_dead', 'critical', 'x')",
    "UPDATE wf.alerts SET state = 'resolved', resolved_at = now()",
    "UPDATE wf.alerts SET severity = 'info'",
    "DELETE FROM wf.alerts",
    "TRUNCATE wf.alerts CASCADE",
    "INSERT INTO wf.alert_events (alert_id, n, kind, severity) VALUES (1, 9, 'resolved', 'info')",
    "UPDATE wf.alert_events SET words = 'x'",
    "DELETE FROM wf.alert_events",
    "UPDATE wf.detectors SET looked_at = now()",
    "INSERT INTO wf.detectors (name, every, source, computed, stays, means)"
    " VALUES ('x', '1 min', 'live', true, true, '')",
    "SELECT next_at FROM wf.detectors FOR UPDATE",
    "INSERT INTO wf.detector_parameters VALUES ('jobs_dead', 'mine', 1, 1, 1, '', '')",
    "DELETE FROM wf.thresholds",
    "SELECT wf.prune_alerts() FROM wf.alerts FOR UPDATE",
    "SELECT wf.mark_unknown('jobs_dead', 'x', ARRAY[1])",
    "SELECT wf.end_acks('jobs_dead', ARRAY[1])",
    "SELECT wf.note_alert(a, a, 'acked', 'x') FROM wf.alerts a",
    "SELECT wf.detect_jobs_dead()",
    "SELECT wf.escalation_refusal(1, now())",
    "SELECT wf.person()",
)
ACTS = (
    "SELECT wf.ack_alert(1, now() + interval '1 hour', 'mine')",
    "SELECT wf.unack_alert(1)",
    "SELECT wf.resolve_alert(1, 'x')",
    "SELECT wf.hand_over_alert(1, 't_operator')",
    "SELECT wf.lock_alert(1)",
    "SELECT wf.escalate_alert(1)",
    "SELECT wf.evaluate_soon('jobs_dead')",
    "SELECT wf.would_evaluate('jobs_dead')",
    "INSERT INTO wf.thresholds (detector, name, value) VALUES ('jobs_dead', 'number', 5)",
)
EVALUATE = "SELECT wf.evaluate('jobs_dead')"


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        owner = connect("owner")
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        dead(owner, tenant="acme")
        evaluate(connect("worker"))
        yield connect


def test_nobody_writes_alerts_events_or_detectors_directly(psql: Psql) -> None:
    for role in ROLES:
        denied(psql(role), *WRITES)
    assert len(alerts(psql("owner"))) == 1 and events(psql("owner"), 1) == ["fired"]


def test_who_may_act_and_who_may_only_look(psql: Psql) -> None:
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), *ACTS)
    for role in (*PEOPLE, "service"):
        denied(psql(role), EVALUATE, "SELECT wf.queue_evaluations()")
    for role in PEOPLE:
        assert len(alerts(psql(role))) == 1
        assert one(psql(role), "SELECT count(*) FROM wf.alert_events") == (1,)
    denied(psql("service"), "SELECT * FROM wf.alert_list", "SELECT * FROM wf.alert_events")


def test_what_is_done_with_psql_is_in_the_trail_and_marked(psql: Psql) -> None:
    operator = psql("operator")
    operator.execute("SELECT wf.ack_alert(1, now() + interval '1 hour', 'by hand')")
    row = one(psql("owner"), "SELECT actor, operation, out_of_band, thing, tenant_id, after -> 'state' FROM wf.audit"
                             " ORDER BY seq DESC LIMIT 1")  # fmt: skip
    assert row == ("t_operator", "sql.update", True, "1", "acme", "acked")
    [event] = operator.execute("SELECT actor, holder FROM wf.alert_events WHERE kind = 'acked'").fetchall()
    assert event == ("t_operator", "t_operator"), "nobody acks in another's name"


def test_nobody_escalates_in_anothers_name_or_past_what_there_is(psql: Psql) -> None:
    owner, operator = psql("owner"), psql("operator")
    owner.execute(PAGING.encode())
    denied(operator, "UPDATE wf.alerts SET escalated_at = now(), escalated_by = 'ana'")
    operator.execute("SET search_path = pg_temp, wf; CREATE TEMP VIEW alerts AS SELECT 1 AS id")
    operator.execute("SELECT wf.escalate_alert(1)")
    assert one(owner, "SELECT escalated_by FROM wf.alerts") == ("t_operator",)
    assert one(owner, "SELECT actor, kind FROM wf.alert_events ORDER BY n DESC LIMIT 1") == ("t_operator", "escalated")
    refused(operator, "alert_just_escalated", "SELECT wf.escalate_alert(1)")
    told = (
        "UPDATE wf.route_groups SET state = jsonb_set(state, '{run}', jsonb_build_object('level', %s::int, 'round', 0,"
        " 'state', %s::text, 'since', clock_timestamp() - %s * interval '1 second', 'asked_by', 't_operator'))"
    )
    for level, state, ago, constraint in (
        (0, "running", 20, "alert_just_escalated"),
        (1, "running", 60, "alert_last_level"),
        (1, "over", 60, "alert_last_level"),
        (0, "nobody", 60, "alert_nobody_on_call"),
    ):
        owner.execute(told.encode(), [level, state, ago])
        owner.execute("UPDATE wf.alerts SET escalated_at = now() - interval '1 hour'")
        refused(operator, constraint, "SELECT wf.escalate_alert(1)")
    owner.execute(told.encode(), [0, "running", 60])
    operator.execute("SELECT wf.escalate_alert(1)")


def test_what_a_route_keeps_that_cannot_be_read_stops_no_list(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(PAGING.encode())
    for state, escalation in (('{"run": {"level": "x", "since": 7}}', '{"levels": 5}'), ('{"run": {}}', "{}")):
        owner.execute("UPDATE wf.route_groups SET state = %s", [state])
        owner.execute("UPDATE wf.routes SET escalation = %s", [escalation])
        [(kept,)] = psql("viewer").execute("SELECT routing FROM wf.alert_list").fetchall()
        assert standings(kept) == []


def test_an_operation_that_is_claimed_must_be_what_was_done(psql: Psql) -> None:
    operator, owner = psql("operator"), psql("owner")
    with operator.transaction():
        operator.execute("SELECT wf.begin_change('alerts.ack', 'as it seems', 'r-1')")
        operator.execute("SELECT wf.resolve_alert(1, 'over')")
    assert one(owner, "SELECT operation, out_of_band FROM wf.audit ORDER BY seq DESC LIMIT 1") == ("sql.update", True)


SET = "INSERT INTO wf.thresholds (detector, name, tenant_id, plan, value) VALUES ('jobs_dead', 'number', {})"


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("alert_unknown", "SELECT wf.ack_alert(99, now() + interval '1 hour', 'x')"),
        ("alert_unknown", "SELECT wf.ack_alert(NULL, NULL, NULL)"),
        ("alert_ack_until", "SELECT wf.ack_alert(1, now(), 'x')"),
        ("alert_ack_until", "SELECT wf.ack_alert(1, now() + interval '8 days', 'x')"),
        ("alert_ack_until", "SELECT wf.ack_alert(1, 'infinity', 'x')"),
        ("alert_ack_until", "SELECT wf.ack_alert(1, NULL, 'x')"),
        ("alert_ack_comment", "SELECT wf.ack_alert(1, now() + interval '1 hour', '  ')"),
        ("alert_ack_comment", "SELECT wf.ack_alert(1, now() + interval '1 hour', NULL)"),
        ("alert_ack_comment", "SELECT wf.ack_alert(1, now() + interval '1 hour', repeat('x', 30000000))"),
        ("alert_not_acked", "SELECT wf.unack_alert(1)"),
        ("alert_not_acked", "SELECT wf.hand_over_alert(1, 't_operator')"),
        ("alert_not_escalating", "SELECT wf.escalate_alert(1)"),
        ("alert_unknown", "SELECT wf.escalate_alert(NULL)"),
        ("alert_resolve_why", "SELECT wf.resolve_alert(1, '')"),
        ("alert_resolve_why", "SELECT wf.resolve_alert(1, NULL)"),
        ("detector_unknown", "SELECT wf.would_evaluate('nothing')"),
        ("detector_unknown", "SELECT wf.evaluate_soon(repeat('x', 1000000))"),
        ("threshold_unknown", "INSERT INTO wf.thresholds (detector, name, value) VALUES ('jobs_dead', 'nothing', 1)"),
        *(("threshold_range", SET.format(f"NULL, NULL, '{value}'")) for value in (0, "NaN", "-Infinity")),
        ("threshold_scope", SET.format("'acme', 'x', 5")),
        ("threshold_plan", SET.format("NULL, repeat('x', 65), 5")),
    ],
)  # fmt: skip
def test_what_an_admin_may_not_either(psql: Psql, constraint: str, statement: str) -> None:
    refused(psql("admin"), constraint, statement)
    assert alerts(psql("owner"))[0]["state"] == "firing"


def test_a_threshold_keeps_what_it_is_for(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute("INSERT INTO wf.thresholds (detector, name, value) VALUES ('jobs_dead', 'number', 5)")
    denied(psql("admin"), "UPDATE wf.thresholds SET name = 'critical'", "UPDATE wf.thresholds SET set_by = 'ana'")
    refused(owner, "threshold_fixed", "UPDATE wf.thresholds SET name = 'critical'")


def test_every_refusal_of_the_tables_has_words(psql: Psql) -> None:
    named = psql("owner").execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname ~ '^(alert|threshold|detector)_'"
        " AND connamespace = 'wf'::regnamespace AND conname <> 'alert_events_n_check'"
    )
    assert {name for (name,) in named} <= words().keys()


# A hostile row of a worker, which a computed detector gives

SOUND: dict[str, Any] = {
    "tenant_id": "acme", "labels": {"a": "b"}, "severity": "error", "value": 3, "threshold": 1, "unit": "keys",
    "summary": "three", "details": {},
}  # fmt: skip
HOSTILE: list[dict[str, Any]] = [
    {"severity": "apocalyptic"},
    {"severity": None},
    {"labels": None},
    {"labels": "a"},
    {"labels": {"a": "x" * 5000}},
    {"summary": ""},
    {"summary": None},
    {"tenant_id": ""},
    {"tenant_id": "x" * 1000},
    {"details": []},
    {"details": None},
]


def given(worker: psycopg.Connection, *findings: dict[str, Any]) -> Any:
    return one(worker, "SELECT wf.evaluate('burn_rate', %s::jsonb)", json.dumps(findings))[0]


def test_a_row_that_can_be_no_alert_stops_no_other(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    hostile = [SOUND | {"labels": {"n": str(n)}} | each for n, each in enumerate(HOSTILE)]
    assert given(worker, *hostile, SOUND) == {"fired": 1}
    [alert] = alerts(owner, "kind = 'burn_rate'")
    assert alert["summary"] == "three"


def test_what_is_too_long_or_not_finite_is_cut_and_kept(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    text = "\x1b[31m\u202e[red]" + "x" * 100_000
    long = SOUND | {"summary": text, "unit": text, "details": {"text": text}, "labels": {"\x1b[0m": "\u202e"}}
    assert given(worker, long) == {"fired": 1}
    [alert] = alerts(owner, "kind = 'burn_rate'")
    assert (len(alert["summary"]), len(alert["unit"]), alert["details"]) == (500, 400, {})
    assert alert["labels"] == {"\x1b[0m": "\u202e"}
    for number in ("NaN", "Infinity", "-Infinity"):
        assert given(worker, long | {"value": number, "threshold": number}) == {}
    [alert] = alerts(owner, "kind = 'burn_rate'")
    assert (alert["value"], alert["threshold"]) == (3, 1), "what is not a number leaves the last one"


def test_the_same_thing_twice_is_one_alert_with_the_higher_severity(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    assert given(worker, SOUND | {"severity": "warning"}, SOUND, SOUND | {"severity": "info"}) == {"fired": 1}
    assert [each["severity"] for each in alerts(owner, "kind = 'burn_rate'")] == ["error"]


@pytest.mark.parametrize("nonsense", ["[[1]]", '["a"]', "{}", '"x"', "null", '[{"value": "many"}]', '[{"labels": 3}]'])
def test_nonsense_from_a_worker_is_a_failure_and_loses_nothing(psql: Psql, nonsense: str) -> None:
    owner, worker = psql("owner"), psql("worker")
    given(worker, SOUND)
    told = one(worker, "SELECT wf.evaluate('burn_rate', %s::jsonb)", nonsense)[0]
    assert told in ({"unknown": 1}, {"resolved": 1})
    assert one(owner, "SELECT count(*) FROM wf.alerts WHERE kind = 'burn_rate'") == (1,)
    assert given(worker, SOUND) in ({"known": 1}, {"fired": 1})


def test_a_worker_cannot_give_what_the_home_finds_by_itself(psql: Psql) -> None:
    told = one(psql("worker"), "SELECT wf.evaluate('jobs_dead', %s::jsonb)", json.dumps([SOUND]))[0]
    assert told == {} and [each["summary"] for each in alerts(psql("owner"))] == ["1 dead deliver job"]


# Sessions


def test_a_person_who_holds_alerts_locked_holds_up_nobody(psql: Psql, database: Database) -> None:
    owner, worker = psql("owner"), psql("worker")
    with psycopg.connect(database.login("operator")) as idle:
        idle.execute("SELECT wf.lock_alert(id) FROM wf.alert_list")
        dead(owner, "publish")
        owner.execute("UPDATE wf.jobs SET state = 'canceled' WHERE kind = 'deliver'")
        worker.execute("SET statement_timeout = '5s'")
        assert evaluate(worker) == {"fired": 1}
    assert evaluate(worker) == {"resolved": 1}


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_an_alert_is_opened_once_at_every_isolation(psql: Psql, database: Database, isolation: str) -> None:
    owner = psql("owner")
    dead(owner, "publish")
    conninfo = database.login("worker")
    with psycopg.connect(conninfo) as first, psycopg.connect(conninfo) as second:
        for each in (first, second):
            each.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
            each.execute("SELECT 1 FROM wf.jobs")  # its snapshot is from before
        assert evaluate(first) == {"fired": 1}
        first.commit()
        try:
            told = evaluate(second)
            second.commit()
        except errors.SerializationFailure:
            told = None
        assert not (told or {}).get("fired")
    assert len(alerts(owner, "labels ->> 'job' = 'publish'")) == 1


def test_a_hostile_session_changes_nothing_of_an_evaluation(psql: Psql, database: Database) -> None:
    worker = psql("worker")
    dead(psql("owner"), "publish")
    for setting in ("search_path = pg_temp, public", "timezone = 'Asia/Seoul'", "datestyle = 'German'",
                    "statement_timeout = 0", "intervalstyle = 'sql_standard'"):  # fmt: skip
        worker.execute(f"SET {setting}".encode())
    assert evaluate(worker) == {"fired": 1}
    assert one(psql("owner"), "SELECT error FROM wf.detectors WHERE name = 'jobs_dead'") == (None,)
