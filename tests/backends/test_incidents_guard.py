"""Incidents against people with psql: what each role tries, two at once, and readers that must miss nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from controlplane.incidents.model import MAX_NOTE
from controlplane.incidents.personal import PATTERNS, personal_in
from controlplane.operators.roles import ROLES
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.postgres import Database

WRITERS, EVENTS = 8, 25


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    """An incident that affects acme and the region moon; the operator has its conn."""
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name, region) VALUES ('acme', 'Acme', 'eu'), ('beta', 'Beta', 'moon'),"
            " ('gamma', 'Gamma', 'eu')"
        )
        connect("operator").execute(
            "INSERT INTO wf.incidents (title, severity, tenants, regions) VALUES ('Down', 'SEV-1', '{acme}', '{moon}')"
        )
        connect("operator").execute("SELECT wf.take_role(1, 'conn')")
        yield connect


@pytest.mark.parametrize("role", [*ROLES, "worker", "service"])
def test_nobody_writes_a_timeline_past_the_homes_functions(psql: Psql, role: str) -> None:
    person = psql(role)
    for statement in (
        "INSERT INTO wf.incident_events (incident_id, seq, cycle, happened_at, kind, words)"
        " VALUES (1, 99, 1, now(), 'note', 'x')",
        "UPDATE wf.incident_events SET words = 'x'",
        "DELETE FROM wf.incident_events",
        "UPDATE wf.incident_marks SET events = 0",
        "INSERT INTO wf.incident_roles (incident_id, role, holder) VALUES (1, 'commander', 'me')",
        "UPDATE wf.incident_roles SET holder = session_user",
        "INSERT INTO wf.incident_overrides VALUES (1, session_user, now() + interval '1 h', 'x')",
        "UPDATE wf.incidents SET opened_at = now()",
        "UPDATE wf.incidents SET cycle = 1",
        "INSERT INTO wf.incidents (title, severity, status, resolved_at) VALUES ('x', 'SEV-1', 'resolved', now())",
        "SELECT wf.add_incident_events('{}')",
        "SELECT wf.say_in_incident(NULL, 'change', 'x', now(), NULL)",
        "SELECT words FROM wf.incident_events",
        "SELECT view FROM wf.incident_views",
        'INSERT INTO wf.incident_views VALUES (1, 1, \'{"noun": "keys"}\')',
        "UPDATE wf.incident_views SET view = view",
        "DELETE FROM wf.incident_views",
        "TRUNCATE wf.incidents CASCADE",
    ):
        denied(person, statement)
    if role != "worker":
        denied(person, "SELECT wf.tend_incidents()")
    if role in ("viewer", "worker", "service"):
        denied(person, "SELECT wf.post_view(1, 'x', '{\"noun\": \"keys\"}', now())")
    if role not in ("operator", "admin"):
        denied(person, "INSERT INTO wf.incidents (title, severity) VALUES ('x', 'SEV-1')")
        denied(person, "SELECT wf.take_role(1, 'commander')")
        denied(person, "SELECT wf.tell_customers(1, 'x')")
    owner = psql("owner")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute("UPDATE wf.incident_events SET words = 'x'")


def test_the_conn_holds_whatever_program_asks(psql: Psql, database: Database) -> None:
    admin = psql("admin")
    rename = "UPDATE wf.tenants SET name = 'x' WHERE id = "
    refused(admin, "conn_held", rename + "'acme'")
    refused(admin, "conn_held", rename + "'beta'")
    refused(admin, "conn_held", "UPDATE wf.tenants SET region = 'moon' WHERE id = 'gamma'")
    refused(admin, "conn_held", "INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'p', 'p')")
    refused(admin, "conn_held", f"SELECT set_config('wf.change', '1', true); {rename}'acme'")
    admin.execute(rename + "'gamma'")
    psql("operator").execute(rename + "'acme'")
    # A snapshot of before the conn was taken does not slip past it.
    psql("operator").execute("SELECT wf.return_role(1, 'conn', false)")
    with psycopg.connect(database.login("admin")) as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT count(*) FROM wf.tenant_list")
        psql("operator").execute("SELECT wf.take_role(1, 'conn')")
        with pytest.raises((psycopg.errors.SerializationFailure, psycopg.errors.CheckViolation)):
            old.execute(rename + "'acme'")
    # A run that was started before is refused item by item.
    admin.execute(
        "INSERT INTO wf.runs (operation, reason, per_second, breaker_share) VALUES ('tenants.protect', 'x', 1, 1);"
        "INSERT INTO wf.run_items (run_id, ordinal, thing, subject) VALUES (1, 1, 'acme', '{}')"
    )
    psql("worker").execute("SELECT wf.hold_run(1, 'w')")
    refused(psql("worker"), "conn_held", "SELECT wf.carry_item(1, 1)")
    refused(admin, "override_reason", "SELECT wf.override_conn(1, now() + interval '1 minute')")
    refused(admin, "override_until", "SELECT wf.begin_change('incidents.override', 'must', 'o1');"
            "SELECT wf.override_conn(1, now() + interval '9 hours')")  # fmt: skip


def test_the_homes_own_work_goes_on(psql: Psql) -> None:
    psql("owner").execute(
        "ALTER TABLE wf.subscriptions DISABLE TRIGGER guard;"
        "UPDATE wf.subscriptions SET trial_start = now() - interval '15 days', trial_end = now() - interval '1 day'"
        " WHERE tenant_id = 'acme';"
        "ALTER TABLE wf.subscriptions ENABLE TRIGGER guard"
    )
    before = one(psql("owner"), "SELECT count(*) FROM wf.audit WHERE tenant_id = 'acme'")
    psql("worker").execute("SELECT * FROM wf.expire_trials()")
    assert one(psql("owner"), "SELECT count(*) FROM wf.audit WHERE tenant_id = 'acme'") > before


def test_who_locks_an_incident_holds_up_nobody_who_writes_to_the_trail(psql: Psql) -> None:
    """Its event is written under the trail's counter: whoever waited there would hold up all others."""
    operator, admin = psql("operator"), psql("admin")
    with admin.transaction():
        admin.execute("SELECT FROM wf.incidents FOR UPDATE")
        operator.execute("SET lock_timeout = '1s'")
        operator.execute("UPDATE wf.tenants SET name = 'x' WHERE id = 'acme'")
    told = "SELECT kind, words FROM wf.incident_event_list ORDER BY seq DESC LIMIT 1"
    assert one(operator, told) == ("change", "sql.update tenants acme, by no operation")


def test_what_is_written_has_limits_and_names_nobody_in_the_trail(psql: Psql) -> None:
    operator, viewer = psql("operator"), psql("viewer")
    note = "é" * (MAX_NOTE // 2 - 10) + " ana@acme.example"
    operator.execute("SELECT wf.note_incident(1, %s)", [note])
    refused(operator, "incident_event_words", f"SELECT wf.note_incident(1, repeat('x', {MAX_NOTE + 1}))")
    refused(operator, "incident_event_words", "SELECT wf.note_incident(1, '  ')")
    refused(operator, "incident_event_time", "SELECT wf.note_incident(1, 'x', now() + interval '1 hour')")
    refused(operator, "incident_event_unknown", "SELECT wf.correct_incident(1, 99, 'x')")
    refused(operator, "incident_unknown", "SELECT wf.note_incident(2, 'x')")
    refused(operator, "incident_personal", "UPDATE wf.incidents SET summary = 'ask ana@acme.example'")
    refused(operator, "customers_personal", "SELECT wf.tell_customers(1, 'ask ana@acme.example')")
    refused(operator, "incident_step", "UPDATE wf.incidents SET status = 'closed'")
    refused(operator, "affected_tenant", "UPDATE wf.incidents SET tenants = '{nobody}'")
    refused(operator, "incident_origin_unknown", "INSERT INTO wf.incidents (title, severity, origin_noun, origin)"
            " VALUES ('x', 'SEV-1', 'alerts', '99')")  # fmt: skip
    refused(operator, "incident_began", "INSERT INTO wf.incidents (title, severity, began_at)"
            " VALUES ('x', 'SEV-1', now() + interval '1 day')")  # fmt: skip
    assert one(operator, "SELECT words FROM wf.incident_event_list WHERE kind = 'note'") == (note,)
    seen = one(viewer, "SELECT right(words, 20) FROM wf.incident_event_list WHERE kind = 'note'")
    assert seen == ("éé a•••@acme.example",)
    found = "SELECT count(*) FROM wf.incident_event_list WHERE search LIKE '%ana@%'"
    assert one(viewer, found) == (0,)
    assert one(psql("owner"), "SELECT count(*) FROM wf.audit WHERE after::text LIKE '%ana@%'") == (0,)
    image = (
        "SELECT after ->> 'bytes', after ->> 'sha256' ~ '^[0-9a-f]{64}$' FROM wf.audit WHERE after ->> 'kind' = 'note'"
    )
    assert one(psql("owner"), image) == (str(len(note.encode())), True)


def test_the_home_and_the_program_agree(psql: Psql) -> None:
    owner = psql("owner")
    texts = ["a@b.c", "1.2.3.4", "+49 171 234 5678", "DE89 3704 0044 0532", "4111-1111-1111-1111", "x_live_abcd1234",
             "version 1.2.3", "10:02, 12,000 of 3", ""]  # fmt: skip
    for text in texts:
        assert one(owner, f"SELECT wf.personal_in('{text}')") == (personal_in(text),), text
    assert {personal_in(text) for text in texts} == {None, *(what for what, _ in PATTERNS)}


def test_how_often_customers_are_told_is_the_homes_to_say(psql: Psql) -> None:
    every = "UPDATE wf.update_intervals SET minutes = {} WHERE severity = 'SEV-1'"
    assert one(psql("viewer"), "SELECT array_agg(minutes ORDER BY severity) FROM wf.update_intervals") == (
        [20, 40, None, None],
    )
    for role in ("viewer", "support", "operator", "worker", "service"):
        denied(psql(role), every.format(600), "DELETE FROM wf.update_intervals")
    admin = psql("admin")
    denied(admin, "DELETE FROM wf.update_intervals", "UPDATE wf.update_intervals SET severity = 'SEV-9'",
           "INSERT INTO wf.update_intervals VALUES ('SEV-5', 20)", "TRUNCATE wf.update_intervals")  # fmt: skip
    for wrong in (0, 4, 1441, -20):
        refused(admin, "interval_minutes", every.format(wrong))
    admin.execute(every.format(5))
    assert one(admin, "SELECT operation, thing, after, out_of_band FROM wf.audit ORDER BY seq DESC LIMIT 1") == (
        "sql.update", "SEV-1", {"severity": "SEV-1", "minutes": 5}, True
    )  # fmt: skip


def test_of_two_at_once_one_takes_the_role(psql: Psql, database: Database) -> None:
    outcomes: list[str] = []
    gate = threading.Barrier(2)

    def take(role: str) -> None:
        with psycopg.connect(database.login(role), autocommit=True) as person:
            gate.wait()
            try:
                person.execute("SELECT wf.take_role(1, 'commander')")
                outcomes.append(f"t_{role}")
            except psycopg.errors.CheckViolation as error:
                outcomes.append(f"told: {error.diag.message_primary}")

    people = [threading.Thread(target=take, args=(role,)) for role in ("operator", "admin")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    [winner] = [each for each in outcomes if each.startswith("t_")]
    assert f"told: INC-1 is refused: {winner} has it" in outcomes
    assert one(psql("owner"), "SELECT holder FROM wf.incident_roles WHERE role = 'commander'") == (winner,)


def test_a_reader_by_number_skips_none_of_eight_writers(psql: Psql, database: Database) -> None:
    """They write notes, and change what is affected, which takes the numbers in the other order."""
    conninfo, faults = database.login("operator"), []

    def write(writer: int) -> None:
        try:
            with psycopg.connect(conninfo, autocommit=True) as person:
                for n in range(EVENTS):
                    if (writer + n) % 3:
                        person.execute("SELECT wf.note_incident(1, %s)", [f"{writer}/{n}"])
                    else:
                        with person.transaction():
                            person.execute("UPDATE wf.tenants SET name = %s WHERE id = 'acme'", [f"{writer}/{n}"])
        except psycopg.Error as error:
            faults.append(str(error))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for each in writers:
        each.start()
    seen: list[int] = []
    with psycopg.connect(database.login("viewer"), autocommit=True) as reader:
        ended = False
        while True:
            ended = ended or not any(each.is_alive() for each in writers)
            rows = reader.execute(
                "SELECT seq FROM wf.incident_event_list WHERE incident_id = 1 AND seq > %s ORDER BY seq",
                [seen[-1] if seen else 0],
            ).fetchall()
            seen += [seq for (seq,) in rows]
            if ended and not rows:
                break
    assert faults == []
    assert seen == list(range(1, len(seen) + 1)) and len(seen) >= WRITERS * EVENTS
