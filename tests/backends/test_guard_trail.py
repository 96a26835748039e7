"""The trail attacked with psql's powers, as each role: by size, by forging, by hiding, by holding it up."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from backends.postgres.audit_chain import LINKS
from controlplane.approvals.operations import ASK
from controlplane.incidents.operations import POST
from controlplane.operations import Call, execute
from controlplane.ownrun import RUN
from controlplane.queues.drill import DRILL
from controlplane.queues.exported import EXPORT
from controlplane.queues.source_operations import SETTLE
from controlplane.registry import named, operations
from controlplane.runs.operations import COMPLETE, START, UNDO
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.test_operations_by_role import ESTATE, EXAMPLES, opened
from tests.postgres import ROLES, Database

RENAME = "UPDATE wf.tenants SET name = 'Renamed' WHERE id = 'active'"
SUSPEND = (
    "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = 'active'"
)
OUT_OF_BAND = (True, "sql.update")


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as connection:
        connection.execute(ESTATE)
    return database


@pytest.fixture
def psql(estate: Database) -> Iterator[Psql]:
    with logins(estate) as connect:
        yield connect


def begin(connection: psycopg.Connection, operation: str, request: str = "") -> None:
    request = request or f"{operation} {one(connection, 'SELECT clock_timestamp()::text')[0]}"
    connection.execute("SELECT wf.begin_change(%s, 'as the test says', %s)", [operation, request])


def newest(connection: psycopg.Connection) -> tuple:
    return one(connection, "SELECT out_of_band, operation FROM wf.audit ORDER BY seq DESC LIMIT 1")


def count(connection: psycopg.Connection) -> int:
    return one(connection, "SELECT count(*) FROM wf.audit")[0]


# What an operation may be called, and what it writes

HIDDEN = (START, UNDO, COMPLETE, DRILL, EXPORT, SETTLE, ASK, POST, RUN)
"""Those that no menu and no command offers by itself."""


def test_the_home_and_the_program_know_the_same_operations_and_roles(psql: Psql) -> None:
    own = {"requests.import": "operator", "look.up": "support", "look_ups.ask": "owner", "demo.load": "owner"}
    own |= {"incidents.end-offer": "owner"}
    own |= {"raises.end": "owner", "silences.expire": "owner", "gates.decide": "owner", "evidence.published": "owner"}
    own |= {"gates.run_scheduled": "owner", "reports.weekly": "owner", "reports.made": "owner"}
    own |= {"evidence.probed": "owner", "evidence.verified": "owner", "evidence.swept": "owner"}
    known = {each.name: each.role for each in (*operations().values(), *HIDDEN)}
    assert dict(psql("owner").execute("SELECT name, role FROM wf.operations").fetchall()) == known | own


def test_what_operations_write_names_tables_and_columns_that_there_are(psql: Psql) -> None:
    owner = psql("owner")
    rules = owner.execute("SELECT operation, control, verb, columns FROM wf.operation_writes").fetchall()
    names = {name for (name,) in owner.execute("SELECT name FROM wf.operations")}
    columns = {
        (table, column)
        for table, column in owner.execute(
            "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"
        )
    }
    for operation, control, verb, of in rules:
        assert operation in names
        if verb == "note":
            assert of and not control.startswith("wf.")
        elif verb == "update":
            assert of and {(control, column) for column in of} <= columns, (operation, control)
        else:
            assert of is None and any(table == control for table, _ in columns)
    assert {operation for operation, *_ in rules} == names - {"look.up"}


async def test_every_row_that_an_operation_writes_is_its_own(estate: Database, psql: Psql) -> None:
    before = count(psql("owner"))
    last = ("contacts.remove", "tenants.delete", "tenants.protect", "operators.raise")
    async with opened(estate.login("admin")) as admin:
        for name in [*sorted(set(operations()) - set(last)), *last[:-1]]:  # an admin has no role above to be raised to
            call = Call("as the test says", f"do {name}")
            await execute(admin, named(name), named(name).parse(EXAMPLES[name]), call)
    strange = psql("owner").execute(
        "SELECT a.operation, c.operation, a.noun, a.thing FROM wf.audit a LEFT JOIN wf.changes c ON c.id = a.change_id"
        " WHERE a.out_of_band AND a.seq > %s",
        [before],
    )
    assert strange.fetchall() == []


@pytest.mark.parametrize("role", [*ROLES])
def test_a_change_is_opened_by_whoever_may_run_its_operation(psql: Psql, role: str) -> None:
    person = psql(role)
    ladder = ["support", "operator", "admin"]
    for name, least in psql("owner").execute("SELECT name, role FROM wf.operations").fetchall():
        if role in ladder and least in ladder and ladder.index(role) >= ladder.index(least):
            begin(person, name)
        else:
            denied(person, f"SELECT wf.begin_change('{name}', 'x', 'y')")


@pytest.mark.parametrize(
    "name", ["tenants.Suspend", "tenants.suspend ", " tenants.suspend", "", "sql.update", "x" * 9999]
)
def test_no_change_is_opened_by_a_name_that_nothing_has(psql: Psql, name: str) -> None:
    refused(psql("admin"), "operation_unknown", f"SELECT wf.begin_change('{name}', 'x', 'y')")
    with pytest.raises(errors.CheckViolation):
        psql("owner").execute("SELECT wf.begin_change(%s, 'x', 'y')", [name])


def test_who_opens_a_rename_and_suspends_is_written_down_as_out_of_band(psql: Psql) -> None:
    operator = psql("operator")
    with operator.transaction():
        begin(operator, "tenants.rename", "one")
        operator.execute(SUSPEND)
    assert newest(operator) == OUT_OF_BAND
    assert one(operator, "SELECT reason, request_id FROM wf.audit ORDER BY seq DESC LIMIT 1") == (
        "as the test says",
        "one",
    )


FORGED = {
    "the opposite": ("tenants.resume", SUSPEND),
    "one column more": ("tenants.rename", RENAME.replace("SET ", "SET plan = 'pro', ")),
    "another table": ("tenants.rename", "UPDATE wf.projects SET name = 'x' WHERE id = 'web'"),
    "many things": ("tenants.rename", "UPDATE wf.tenants SET name = 'x' WHERE id IN ('active', 'paying')"),
    "another verb": ("tenants.rename", "INSERT INTO wf.tenants (id, name) VALUES ('new', 'new')"),
    "an enabling as a disabling": (
        "keys.disable",
        "UPDATE wf.api_keys SET disabled_at = NULL WHERE display = 'wf_live_3'",
    ),
    "a successor as a new key": (
        "keys.create",
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, rotated_from) SELECT 'key_' || repeat('9', 26),"
        " tenant_id, env, 'x', sha256('x'), id FROM wf.api_keys WHERE display = 'wf_live_2'",
    ),
    "a subscription as a grant": (
        "subscriptions.grant",
        "UPDATE wf.subscriptions SET state = 'suspended' WHERE tenant_id = 'paying'",
    ),
    "a run": ("runs.pause", "UPDATE wf.runs SET state = 'stopped' WHERE id = 1"),
    "an impersonation": ("tenants.end-impersonation", "UPDATE wf.impersonations SET mode = 'write' WHERE id = 1"),
}


@pytest.mark.parametrize("what", FORGED)
def test_nothing_passes_for_what_it_is_not(psql: Psql, what: str) -> None:
    operation, statement = FORGED[what]
    operator = psql("operator")
    before = count(operator)
    with operator.transaction():
        begin(operator, operation)
        operator.execute(statement)
    rows = operator.execute(
        "SELECT out_of_band, operation ~ '^sql[.]' FROM wf.audit WHERE seq > %s", [before]
    ).fetchall()
    assert rows and set(rows) == {(True, True)}


def test_a_second_thing_in_the_same_change_is_another_s(psql: Psql) -> None:
    operator = psql("operator")
    with operator.transaction():
        begin(operator, "tenants.rename")
        operator.execute(RENAME)
        assert newest(operator) == (False, "tenants.rename")
        operator.execute(RENAME.replace("Renamed", "Again"))
        assert newest(operator) == (False, "tenants.rename"), "the same thing twice"
        operator.execute("UPDATE wf.tenants SET name = 'x' WHERE id = 'paying'")
        assert newest(operator) == OUT_OF_BAND


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_no_isolation_level_lends_another_s_change(psql: Psql, estate: Database, level: str) -> None:
    """Neither that of another session nor one's own from before."""
    operator = psql("operator")
    with psycopg.connect(estate.login("operator")) as other, operator.transaction():
        operator.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        (theirs,) = one(other, "SELECT wf.begin_change('tenants.rename', 'mine', 'theirs')")
        operator.execute("SELECT set_config('wf.change', %s, false)", [str(theirs)])
        operator.execute(RENAME)
        assert newest(operator) == OUT_OF_BAND
    operator.execute("RESET wf.change")
    with operator.transaction():
        operator.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        begin(operator, "tenants.rename")
        operator.execute(RENAME.replace("Renamed", "Once more"))
    assert newest(operator) == (False, "tenants.rename")


def test_a_change_that_was_taken_back_to_a_savepoint_marks_nothing(psql: Psql) -> None:
    operator = psql("operator")
    with operator.transaction():
        with pytest.raises(ZeroDivisionError), operator.transaction():
            (gone,) = one(operator, "SELECT wf.begin_change('tenants.rename', 'x', 'gone')")
            raise ZeroDivisionError
        operator.execute("SELECT set_config('wf.change', %s, true)", [str(gone)])
        operator.execute(RENAME)
        assert newest(operator) == OUT_OF_BAND


# Notes


def test_a_note_is_its_operation_s(psql: Psql) -> None:
    operator = psql("operator")
    with operator.transaction():
        begin(operator, "requests.import")
        operator.execute("SELECT wf.note('requests', 'log', NULL, '{\"rows\": 1}')")
    assert newest(operator) == (False, "requests.import")
    with pytest.raises(errors.InvalidTransactionState):
        operator.execute("SELECT wf.note('requests', 'log', NULL, '{}')")


@pytest.mark.parametrize("noun", ["tenants", "Tenants", "tenants ", "jobs", "runs", "requests", "telemetry-drops", ""])
def test_no_note_is_taken_of_another_noun(psql: Psql, noun: str) -> None:
    admin = psql("admin")
    for operation in ("tenants.purge", "tenants.suspend", "jobs.replay", "contexts.write"):
        with pytest.raises(errors.InsufficientPrivilege), admin.transaction():
            begin(admin, operation)
            admin.execute("SELECT wf.note(%s, 'active', 'active', '{}')", [noun])
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), f"SELECT wf.note('{noun}', 'active', 'active', '{{}}')")


def test_a_note_has_the_fields_of_its_noun_and_is_small(psql: Psql) -> None:
    operator, support = psql("operator"), psql("support")
    for after in (
        "'[]'",
        "'1'",
        "NULL",
        """'{"owner_email": "ada@lovelace.example"}'""",
        "jsonb_build_object('file', repeat('x', 140000))",
        "jsonb_build_object('file', repeat(E'\\x01', 10000000))",
    ):
        with pytest.raises(errors.CheckViolation) as found, operator.transaction():
            begin(operator, "requests.import")
            operator.execute(f"SELECT wf.note('requests', 'log', NULL, {after})")
        assert found.value.diag.constraint_name == "audit_note", after
    for thing in ("''", "repeat('x', 1001)"):
        with pytest.raises(errors.CheckViolation), operator.transaction():
            begin(operator, "requests.import")
            operator.execute(f"SELECT wf.note('requests', {thing}, NULL, '{{}}')")
        with pytest.raises(errors.CheckViolation), support.transaction():
            begin(support, "contexts.write")
            support.execute(f"SELECT wf.note_writing({thing}, 5)")


def test_an_address_in_a_note_or_a_result_is_masked(psql: Psql) -> None:
    operator = psql("operator")
    with operator.transaction():
        begin(operator, "requests.import", "masked")
        operator.execute(
            "SELECT wf.note('requests', 'log', NULL,"
            """ '{"file": "of ada@lovelace.example.log", "skipped": {"owner_email": "grace@hopper.example"}}')"""
        )
        operator.execute(
            """SELECT wf.finish_change('{"a": [{"owner_email": "joan@clarke.example"}], "owner_email": "x"}')"""
        )
    assert one(psql("viewer"), "SELECT after FROM wf.audit ORDER BY seq DESC LIMIT 1") == (
        {"file": "of a•••@lovelace.example.log", "skipped": {"owner_email": "g•••@hopper.example"}},
    )
    assert one(psql("viewer"), "SELECT result FROM wf.changes WHERE request_id = 'masked'") == (
        {"a": [{"owner_email": "j•••@clarke.example"}], "owner_email": "•••"},
    )


# Sizes


def test_nothing_of_a_change_is_without_a_limit(psql: Psql) -> None:
    operator = psql("operator")
    for arguments in (
        "'tenants.rename', repeat('x', 2001), 'a'",
        "'tenants.rename', 'x', repeat('x', 101)",
        "'tenants.rename', 'x', 'a', repeat('x', 65)",
    ):
        with pytest.raises(errors.CheckViolation):
            operator.execute(f"SELECT wf.begin_change({arguments})")
    with pytest.raises(errors.CheckViolation) as found, operator.transaction():
        begin(operator, "tenants.rename")
        operator.execute("SELECT wf.finish_change(jsonb_build_object('a', repeat(E'\\x01', 2000000)))")
    assert found.value.diag.constraint_name == "change_result_size"


UNLIMITED = """
DO $$ DECLARE c record; BEGIN
  FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = 'wf.tenants'::regclass AND contype = 'c' LOOP
    EXECUTE format('ALTER TABLE wf.tenants DROP CONSTRAINT %I', c.conname);
  END LOOP;
END $$
"""


def test_a_row_that_grows_too_large_is_refused_and_one_that_was_is_cut_down(psql: Psql) -> None:
    """As if a column had no limit; then as in a home from before there were any."""
    owner, operator = psql("owner"), psql("operator")
    owner.execute(UNLIMITED)
    grow = """UPDATE wf.tenants SET metadata = jsonb_build_object('a', repeat(E'\\x01', 2000000)) WHERE id = 'active'"""
    refused(operator, "audit_row_size", grow)
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER audit_update")
    owner.execute(grow)
    owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER audit_update")
    operator.execute("UPDATE wf.tenants SET metadata = '{}' WHERE id = 'active'")
    before, after = one(operator, "SELECT before, after FROM wf.audit ORDER BY seq DESC LIMIT 1")
    assert before["metadata"].keys() == {"bytes", "sha256"} and 2_000_000 < before["metadata"]["bytes"] < 2_001_000
    assert (before["id"], before["name"], after["metadata"]) == ("active", "active", {})


OLD = """
ALTER TABLE wf.audit DISABLE TRIGGER USER;
WITH counted AS (UPDATE wf.counters SET value = value + 1 WHERE name = 'audit' RETURNING value)
INSERT INTO wf.audit (seq, out_of_band, actor, operation, noun, thing, after)
SELECT value, false, 't_support', 'contexts.write', 'contexts', 'x', {} FROM counted;
ALTER TABLE wf.audit ENABLE TRIGGER USER;
"""
TEXT = "jsonb_build_object('a', jsonb_build_object('b', repeat(E'\\x01', 3000000)), 'c', '[1, null, {}]'::jsonb)"
MANY = "jsonb_build_object('a', (SELECT jsonb_agg(n) FROM generate_series(1, 200000) n))"


@pytest.mark.parametrize("value", [TEXT, MANY])
def test_a_home_that_holds_a_huge_row_goes_on(psql: Psql, value: str) -> None:
    owner = psql("owner")
    owner.execute(OLD.format(value))
    (chained,) = one(psql("worker"), "SELECT wf.chain_audit()")
    assert chained == count(owner)
    texts = {seq: text for seq, _, text in owner.execute(LINKS.encode(), [0, 5000])}
    huge = texts[max(texts)]
    assert '"after": null' in huge and '"after_digest": "' in huge and len(huge) < 1000
    for seq, text in owner.execute("SELECT seq, wf.audit_canonical(a) FROM wf.audit a"):
        assert texts[seq] == text
    (shown,) = one(psql("viewer"), "SELECT after FROM wf.audit_list ORDER BY seq DESC LIMIT 1")
    assert shown.keys() == {"too_large_to_show"}


@pytest.mark.parametrize(
    "one_of, other",
    [
        ('{"a": {"b": 1}}', '{"a": {"c": 1}}'),
        ('{"a": [1]}', '{"a": {"1": 1}}'),
        ('{"a": []}', '{"a": {}}'),
        ('{"a": "1"}', '{"a": 1}'),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": "null"}', '{"a": null}'),
    ],
)
def test_a_digest_tells_values_apart(psql: Psql, one_of: str, other: str) -> None:
    """Also within what is so large that it is looked into."""
    pad = "jsonb_build_object('p', repeat('x', 70000)) || "
    for before in ("", pad):
        statement = f"SELECT wf.digest({before}%s::jsonb) = wf.digest({before}%s::jsonb)"
        assert one(psql("owner"), statement, one_of, other) == (False,)
        assert one(psql("owner"), statement, one_of, one_of) == (True,)


def test_every_column_of_the_trail_is_in_the_chain(psql: Psql) -> None:
    """Now and later: a column that is not hashed can be rewritten."""
    owner = psql("owner")
    columns = {
        name
        for (name,) in owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'wf.audit'::regclass AND attnum > 0 AND NOT attisdropped"
        )
    }
    (fields,) = one(
        owner, "SELECT array_agg(k) FROM wf.audit a, jsonb_object_keys(wf.audit_canonical(a)::jsonb) k WHERE seq = 1"
    )
    assert set(fields) == columns
    one(psql("worker"), "SELECT wf.chain_audit()")
    for seq, _, text in owner.execute(LINKS.encode(), [0, 5000]).fetchall():
        assert one(owner, "SELECT wf.audit_canonical(a) FROM wf.audit a WHERE seq = %s", seq) == (text,)


# Hiding, and holding up


def test_no_control_table_can_be_emptied_without_a_row(psql: Psql) -> None:
    owner = psql("owner")
    tables = [
        name
        for (name,) in owner.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgfoid = 'wf.record_change'::regproc"
        )
    ]
    own = ["wf.audit", "wf.audit_personal", "wf.audit_chain", "wf.audit_checkpoints", "wf.changes", "wf.counters"]
    assert len(tables) >= 14
    for table in [*tables, *own]:
        for words in ("", " CASCADE"):
            with pytest.raises((errors.InsufficientPrivilege, errors.FeatureNotSupported)):
                owner.execute(f"TRUNCATE {table}{words}")
                raise AssertionError(table)
        for role in (*ROLES, "worker"):
            denied(psql(role), f"TRUNCATE {table}", f"DELETE FROM {table}", f"DROP TABLE {table}")
            denied(psql(role), f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    for statement in ("DELETE FROM wf.changes", "DELETE FROM wf.counters", "UPDATE wf.audit_personal SET after = 'x'"):
        with pytest.raises(errors.InsufficientPrivilege):
            owner.execute(statement)


def test_nobody_can_stop_the_chain_by_a_lock(psql: Psql, estate: Database) -> None:
    for role in (*ROLES, "worker"):
        with pytest.raises(errors.InsufficientPrivilege):
            psql(role).execute("SELECT FROM wf.locks FOR UPDATE")
        with pytest.raises(errors.InsufficientPrivilege), psql(role).transaction():
            psql(role).execute("LOCK TABLE wf.locks IN ACCESS SHARE MODE")
        denied(psql(role), "SELECT wf.try_lock('chain_audit')")
    viewer = psql("viewer")
    for name in ("wf.chain_audit", "wf.audit_checkpoint"):
        viewer.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
    with viewer.transaction():
        viewer.execute("SELECT FROM wf.audit, wf.audit_chain, wf.audit_origin")
        assert one(psql("worker"), "SELECT wf.chain_audit()")[0] > 0
    denied(psql("viewer"), "SELECT wf.chain_audit()", "SELECT wf.checkpoint_turn()")


def test_one_chains_at_a_time_and_the_other_does_not_wait(psql: Psql, estate: Database) -> None:
    with psycopg.connect(estate.login("worker")) as first:
        assert one(first, "SELECT wf.chain_audit()")[0] > 0
        answers: list[int] = []
        other = threading.Thread(target=lambda: answers.append(one(psql("worker"), "SELECT wf.chain_audit()")[0]))
        other.start()
        other.join(timeout=60)
        assert answers == [0]


@pytest.mark.parametrize("role", [*ROLES])
def test_nobody_but_functions_writes_what_the_trail_is_made_of(psql: Psql, role: str) -> None:
    for table in (
        "wf.locks", "wf.audit_origin", "wf.audit_chain", "wf.audit_checkpoints", "wf.operations", "wf.operation_writes",
    ):  # fmt: skip
        denied(psql(role), f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES")
        denied(psql(role), f"DO 'BEGIN LOCK TABLE {table}; END'")
    for row in ("wf.operations SET role = 'support'", "wf.operation_writes SET many = true"):
        denied(psql(role), f"UPDATE {row}")
    with pytest.raises((errors.ObjectNotInPrerequisiteState, errors.InsufficientPrivilege)):
        psql(role).execute("DELETE FROM wf.audit_list")
    for call in (
        "wf.open_change('tenants.purge', 'x', 'y', '')",
        "wf.cut_down('{}')",
        "wf.digest('{}')",
        "wf.audited('wf.tenants', 'x', 'id', 'id')",
        "wf.acting_as('t_admin')",
        "wf.login_may('t_admin', 'admin')",
        "wf.may_drive(1)",
        "wf.carried_refusal('tenants.suspend', '{}')",
        "wf.carried_key_refusal('keys.rotate', NULL)",
        "wf.carried_columns(NULL, NULL, NULL)",
        "wf.carried_key_edit('{}')",
        "wf.values_before(NULL)",
        "wf.make_successor(NULL, 'x', 'y')",
        "wf.calls_of('x', now(), true)",
    ):
        denied(psql(role), f"SELECT {call}")


def noted(connection: psycopg.Connection, before: int) -> list[tuple]:
    rows = (
        "SELECT actor, operation, out_of_band, thing, before, after FROM wf.audit WHERE noun = 'triggers' AND seq > %s"
    )
    return connection.execute(rows + " ORDER BY seq", [before]).fetchall()


def test_a_trigger_that_was_off_leaves_a_row_even_when_it_is_on_again(psql: Psql) -> None:
    """By an owner who is no superuser as well: it is in the catalogue, whoever wrote it."""
    owner, worker = psql("owner"), psql("worker")
    owner.execute("SELECT wf.see_triggers()")  # the estate above was made with some off
    before = count(owner)
    assert one(worker, "SELECT wf.note_triggers()") == (0,)
    with owner.transaction():
        owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER audit_update")
        owner.execute(RENAME)
        owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER audit_update")
    owner.execute("ALTER TABLE wf.audit DISABLE TRIGGER USER")
    owner.execute("DROP TRIGGER no_truncate ON wf.projects")
    assert one(worker, "SELECT wf.note_triggers()") == (3,)
    of_trail = {"append_only": "O", "tell_incidents": "O"}
    assert noted(owner, before) == [
        ("t_worker", "sql.update", True, "wf.audit", of_trail, dict.fromkeys(of_trail, "D")),
        ("t_worker", "sql.update", True, "wf.projects", {"no_truncate": "O"}, {"no_truncate": "none"}),
        ("t_worker", "sql.update", True, "wf.tenants", {"audit_update": "O"}, {"audit_update": "O"}),
    ]
    assert one(worker, "SELECT wf.note_triggers()") == (0,)
    for role in ROLES:
        denied(psql(role), "SELECT wf.see_triggers()")
        if role != "worker":
            denied(psql(role), "SELECT wf.note_triggers()")


def test_a_new_home_has_seen_its_own_triggers(database: Database) -> None:
    with psycopg.connect(database.login("worker"), autocommit=True) as worker:
        assert one(worker, "SELECT wf.note_triggers()") == (0,)


PART = """
DO $$ DECLARE day date := current_date - 4000; BEGIN
  PERFORM wf.make_partition('requests', 'at', to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC',
                            (day + 1)::timestamp AT TIME ZONE 'UTC');
END $$
"""


@pytest.mark.parametrize("how", ["admin", "worker", "another change"])
def test_a_partition_that_is_dropped_leaves_a_row_whoever_drops_it(psql: Psql, how: str) -> None:
    psql("owner").execute(PART)
    person = psql("worker" if how == "worker" else "admin")
    before = count(psql("owner"))
    with person.transaction():
        if how == "another change":
            begin(person, "tenants.rename")
        ((part,),) = person.execute("SELECT part FROM wf.drop_old_requests() WHERE waits IS NULL").fetchall()
    rows = "SELECT out_of_band, operation, after FROM wf.audit WHERE seq > %s"
    assert psql("owner").execute(rows, [before]).fetchall() == [(True, "sql.note", {"dropped": [part]})]
    for role in (*ROLES, "worker"):
        denied(
            psql(role), "DROP TABLE wf.requests_default", "ALTER TABLE wf.requests DETACH PARTITION wf.requests_default"
        )
        denied(psql(role), "TRUNCATE wf.requests", "TRUNCATE wf.requests_default", "DELETE FROM wf.requests")
