"""Dead letters against a login with nothing but SQL: what it reads, writes, forges, and holds up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import errors

from controlplane.errors import Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.queues.list import LETTERS
from controlplane.queues.model import LetterDirectory
from tests.backends.letters import die
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import opened
from tests.postgres import Database

TABLES = ("dead_letters", "dead_causes", "dead_cause_hours", "dead_cause_tenants")


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        die(connect("owner"), error="no mail for ana@acme.example", payload={"to": "ana@acme.example"})
        yield connect


@pytest.mark.parametrize("role", ["viewer", "support", "operator", "admin", "worker"])
def test_nobody_writes_the_tables(psql: Psql, role: str) -> None:
    for table in TABLES:
        denied(psql(role), f"DELETE FROM wf.{table}", f"UPDATE wf.{table} SET fingerprint = ''", f"TRUNCATE wf.{table}")
    denied(psql(role), "INSERT INTO wf.dead_letters (source, source_id, queue, handler) VALUES ('jobs', '1', 'q', 'h')")


@pytest.mark.parametrize("role", ["viewer", "support", "worker"])
def test_only_operators_change_a_letter_or_read_its_message(psql: Psql, role: str) -> None:
    denied(
        psql(role),
        "SELECT wf.change_letter('replay', 1)",
        "SELECT wf.fix_cause('x', 'y', '')",
        "SELECT wf.lock_letter(1)",
        "SELECT wf.make_drill('drill-0123456789ab')",
        "SELECT * FROM wf.letter_message",
        "SELECT payload_json FROM wf.dead_letters",
        "SELECT * FROM wf.last_success(1)",
    )


@pytest.mark.parametrize("role", ["viewer", "support"])
async def test_what_is_personal_is_masked_and_not_found_by_guessing(psql: Psql, database: Database, role: str) -> None:
    person = psql(role)
    assert one(person, "SELECT error, payload_json FROM wf.letter_list") == ("no mail for a•••@acme.example", None)
    assert "ana@" not in str(person.execute("SELECT * FROM wf.letter_list, wf.letter_attempts").fetchall())
    async with opened(database.login(role)) as home:
        letters = home.of(LetterDirectory)
        for text in ("ana", "payload.to:ana@acme.example", "error:/ana@/", '-payload.to:"x" ana'):
            found = await letters.page(Query(parse(text, LETTERS.fields)))
            assert found.rows == (), text
        assert await letters.message(1) is None and await letters.last_success(1) is None


def test_another_operation_does_not_stand_for_a_replay(psql: Psql) -> None:
    operator = psql("operator")
    with operator.transaction():
        operator.execute("SELECT wf.begin_change('queues.hold', 'x', 'r1')")
        operator.execute("SELECT wf.change_letter('replay', 1)")
    assert one(psql("owner"), "SELECT operation, out_of_band FROM wf.audit WHERE noun = 'queues'") == (
        "sql.update",
        True,
    )
    refused(operator, "letter_settled", "SELECT wf.change_letter('replay', 1)")
    refused(operator, "letter_unknown", "SELECT wf.change_letter('replay', 99)")


def test_what_is_not_done_to_letters_is_refused(psql: Psql) -> None:
    operator = psql("operator")
    refused(operator, "letter_verb", "SELECT wf.change_letter('delete', 1)")
    refused(operator, "letter_patch", "SELECT wf.change_letter('edit', 1, '{\"patch\": 7}')")
    refused(operator, "drill_change", "SELECT wf.make_drill('drill-0123456789ab')")
    deep = "repeat('{\"a\":', 200) || '1' || repeat('}', 200)"
    edit = f"SELECT wf.change_letter('edit', 1, jsonb_build_object('patch', ({deep})::jsonb))"
    refused(operator, "document_depth", edit)
    psql("owner").execute("ALTER DOMAIN wf.document DROP CONSTRAINT document_depth")  # it is from before there was one
    operator.execute(edit.encode())
    refused(operator, "letter_patch", "SELECT wf.change_letter('replay', 1)")
    large = "jsonb_build_object('patch', jsonb_build_object('x', repeat('x', 70000)))"
    refused(operator, "document_size", f"SELECT wf.change_letter('edit', 1, {large})")
    assert one(psql("owner"), "SELECT state FROM wf.jobs") == ("dead",)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_replay_counts_once_under_every_isolation(psql: Psql, level: str) -> None:
    operator, other = psql("operator"), psql("admin")
    operator.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
    operator.execute("SELECT count(*) FROM wf.letter_list")
    other.execute("SELECT wf.change_letter('replay', 1)")
    with pytest.raises((errors.SerializationFailure, errors.CheckViolation)):
        operator.execute("SELECT wf.change_letter('replay', 1)")
    operator.execute("ROLLBACK")
    assert one(psql("owner"), "SELECT dead, replayed FROM wf.dead_causes") == (0, 1)


def test_a_run_cannot_claim_a_letter_without_its_change(psql: Psql) -> None:
    admin = psql("admin")
    with admin.transaction():
        admin.execute("INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('queues.replay', 1, 1)")
        admin.execute("INSERT INTO wf.run_items (run_id, ordinal, thing, subject) SELECT id, 1, '1', '{}' FROM wf.runs")
    admin.execute("SELECT wf.hold_run(id, 'me') FROM wf.run_list")
    [run] = one(admin, "SELECT id FROM wf.runs")
    with pytest.raises(errors.CheckViolation) as found, admin.transaction():
        admin.execute("SELECT wf.begin_change('queues.replay', 'x', %s)", [f"run-{run}-1"])
    assert found.value.diag.constraint_name == "run_item_not_done"
    assert one(psql("owner"), "SELECT state FROM wf.run_items") == ("waiting",)


def test_a_hostile_error_harms_nobody(psql: Psql) -> None:
    owner = psql("owner")
    for error in ("'" * 1900, "a@" * 950, "\x1b]0;x\x07" * 200, ":" * 2000, "<n>," * 450):
        die(owner, error=error)
    assert one(owner, "SELECT count(*) FROM wf.dead_letters") == (6,)
    with pytest.raises(Usage):
        parse("payload:x", LETTERS.fields)
