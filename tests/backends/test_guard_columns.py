"""What may stand in a column, whoever writes it: no endless text, no time out of range, no number without end."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from backends.postgres.refusals import refusal_of, words
from tests.backends.psql import Psql, logins, one, refused
from tests.postgres import Database

# Text, documents, bytes and lists whose size nothing but their one writer, the home itself, decides.
WRITTEN_BY_THE_HOME = {
    "locks.name", "counters.name", "migrations.name", "migrations.checksum", "sql_applied.checksum",
    "signing_keys.name", "signing_keys.inner_key", "signing_keys.outer_key", "audit_origin.origin",
    # Rolled up from rows of wf.requests, whose texts have limits; one bucket per power of 1.04.
    "quiet_hours.tenant_id",
    "request_hours.tenant_id", "request_hours.route", "request_hours.value", "request_hours.buckets",
    "request_hours.counts", "request_minutes.tenant_id", "request_minutes.route", "request_minutes.value",
    "request_minutes.buckets", "request_minutes.counts", "key_days.tenant_id", "key_days.value", "key_days.route",
    "key_days_due.tenant_id",
    # The trail's own limits: test_guard_trail.py.
    "audit.actor", "audit.operation", "audit.noun", "audit.thing", "audit.tenant_id", "audit.reason",
    "audit.request_id", "audit.before", "audit.after", "audit_personal.tenant_id", "audit_personal.field",
    "audit_personal.before", "audit_personal.after", "changes.fingerprint", "changes.actor", "changes.result",
    "audit_checkpoints.head", "audit_checkpoints.made_by", "triggers_seen.control", "triggers_seen.name",
    "triggers_seen.enabled", "triggers_seen.written", "jobs.lane", "jobs.payload",
}  # fmt: skip
# Times that only the home writes, and marks that mean "ever since".
HOMES_OWN_TIMES = {
    "migrations.applied_at", "sql_applied.applied_at", "changes.started_at", "audit.at", "audit_chain.chained_at",
    "audit_checkpoints.made_at", "quiet_hours.hour", "request_hours.hour", "request_minutes.minute",
    "request_marks.minutes_from",
    "request_marks.minutes_until", "request_marks.hours_from", "request_marks.hours_until", "request_marks.raw_from",
    "request_marks.rolled_at", "key_days.day", "key_days_due.day",
}  # fmt: skip

COLUMNS = """
    SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = 'wf'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
      AND NOT a.attisdropped AND a.attgenerated = '' AND t.typtype <> 'd' AND {kinds}
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey) AND {bound})
"""


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        yield connect


def columns(connection: psycopg.Connection, kinds: str, bound: str) -> set[str]:
    return {name for (name,) in connection.execute(COLUMNS.format(kinds=kinds, bound=bound).encode())}


def test_every_text_document_and_list_has_a_limit(psql: Psql) -> None:
    """By its domain, by a CHECK of its own, or by the column that it refers to."""
    unbound = columns(
        psql("owner"),
        "(t.typcategory IN ('S', 'A') OR t.typname IN ('jsonb', 'json', 'bytea', 'xml'))",
        "k.contype IN ('c', 'f')",
    )
    assert unbound - WRITTEN_BY_THE_HOME == set()


def test_every_time_lies_where_calendars_and_charts_can_hold_it(psql: Psql) -> None:
    unbound = columns(
        psql("owner"),
        "t.typname IN ('timestamptz', 'timestamp', 'date')",
        "k.contype = 'c' AND pg_get_constraintdef(k.oid) ~ '2200'",
    )
    assert unbound - HOMES_OWN_TIMES == set()


INTERVALS = """
    SELECT c.relname, a.attname, coalesce(string_agg(pg_get_expr(k.conbin, k.conrelid), ' AND '), 'true')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]
    WHERE c.relnamespace = 'wf'::regnamespace AND c.relkind IN ('r', 'p') AND a.atttypid = 'interval'::regtype
    GROUP BY 1, 2
"""
# All of them compare like a day.
ODD_DAYS = (
    "make_interval(months => 1000000, days => -29999999)",
    "make_interval(months => 1, days => -29)",
    "make_interval(days => -9999999, hours => 240000000)",
)


def test_every_interval_can_be_added_to_a_time_and_binned_by(psql: Psql) -> None:
    """Months that negative days make good pass a comparison; one such row stopped the schedules of all."""
    owner = psql("owner")
    intervals = owner.execute(INTERVALS).fetchall()
    assert len(intervals) >= 4
    for table, column, checks in intervals:
        for span in ("interval '1 day'", *ODD_DAYS):
            [taken] = one(owner, f"SELECT {checks} FROM (SELECT {span} AS {column}) odd")
            assert taken is (span not in ODD_DAYS), (table, column, span)


def test_what_a_domain_refuses_has_words(psql: Psql) -> None:
    domains = psql("owner").execute(
        "SELECT conname FROM pg_constraint WHERE contypid <> 0 AND connamespace = 'wf'::regnamespace AND contype = 'c'"
    )
    assert {name for (name,) in domains} - set(words()) == set()
    with pytest.raises(errors.CheckViolation) as found:
        psql("operator").execute(
            "UPDATE wf.tenants SET status = 'suspended', suspended_at = 'infinity', suspension_reason = 'x'"
        )
    assert refusal_of(found.value).code == "moment_range"


SUSPENDED = "UPDATE wf.tenants SET status = 'suspended', suspended_at = {}, suspension_reason = {}"
REQUEST = """
    INSERT INTO wf.requests (tenant_id, route, method, status, at, latency_ms, region) VALUES ('a', '/', 'GET', 200, {})
"""
LONG = "repeat('x', 30000000)"
MANY = "array_fill('eu'::text, ARRAY[1000000])"


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("words_length", SUSPENDED.format("now()", LONG)),
        ("lines_size", f"UPDATE wf.tenants SET allowed_regions = {MANY} || region"),
        ("lines_size", "UPDATE wf.tenants SET allowed_regions = ARRAY[region, NULL]"),
        (
            "document_size",
            "INSERT INTO wf.runs (operation, per_second, breaker_share, fields)"
            f" VALUES ('tenants.suspend', 1, 0, jsonb_build_object('x', {LONG}))",
        ),
        (
            "words_length",
            f"INSERT INTO wf.runs (operation, per_second, breaker_share, filter) VALUES ('x', 1, 0, {LONG})",
        ),
        *(
            (
                "runs_per_second_check",
                f"INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('x', '{pace}', 0)",
            )
            for pace in ("NaN", "Infinity")
        ),
        ("line_length", f"UPDATE wf.subscriptions SET billing_zone = {LONG}"),
        ("day_range", "UPDATE wf.subscriptions SET period_start = '0044-03-15 BC'"),
        ("moment_range", SUSPENDED.format("'20000-01-01'", "'x'")),
        (
            "moment_range",
            "INSERT INTO wf.maintenance (starts_at, ends_at, reason) VALUES ('infinity', 'infinity', 'x')",
        ),
        ("request_sound", REQUEST.format("'-infinity', NULL, NULL")),
        ("request_sound", REQUEST.format("now(), 'Infinity', NULL")),
        ("request_sound", REQUEST.format("now(), 'NaN', NULL")),
        ("request_sound", REQUEST.format("now(), -1, NULL")),
        ("request_sound", REQUEST.format("now(), NULL, repeat('r', 4000)")),
    ],
)  # fmt: skip
def test_no_role_writes_what_would_stop_the_others(psql: Psql, constraint: str, statement: str) -> None:
    with pytest.raises(errors.IntegrityError) as found:
        psql("admin").execute(statement.encode())
    assert found.value.diag.constraint_name == constraint


# One bad row, however it came, does not stop the roll-up of the others.

BAD_ROWS = """
    ALTER TABLE wf.requests DROP CONSTRAINT request_sound;
    INSERT INTO wf.requests (tenant_id, route, method, status, at, latency_ms, region) VALUES
      ('acme', '/good', 'GET', 200, now() - interval '5 minutes', 10, 'eu'),
      ('acme', '/infinite', 'GET', 200, now() - interval '5 minutes', 'Infinity', 'eu'),
      ('acme', '/nan', 'GET', 200, now() - interval '5 minutes', 'NaN', 'eu'),
      ('acme', '/before', 'GET', 200, '-infinity', 1, 'eu'),
      ('acme', '/after', 'GET', 200, 'infinity', 1, 'eu'),
      ('acme', '/early', 'GET', 200, '4000-01-01 BC', 1, 'eu'),
      ('acme', repeat(md5('a'), 200), 'GET', 200, now() - interval '5 minutes', 1,
       (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n));
"""


def test_bad_rows_that_came_all_the_same_stop_no_rollup_and_are_counted(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute(
        "SELECT wf.ensure_request_days((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date)"
    )
    owner.execute(BAD_ROWS)
    assert one(psql("worker"), "SELECT minutes > 0 FROM wf.roll_up_requests()") == (True,)
    of = "FROM wf.minute_cells('-infinity', 'infinity')"
    good = f"SELECT n, latency_sum {of} WHERE tenant_id = 'acme' AND dim = 'route' AND route = %s"
    assert one(owner, good, "/good") == (1, 10.0)
    assert one(owner, good, "/infinite") == one(owner, good, "/nan") == (1, None)
    assert one(psql("viewer"), "SELECT raw FROM wf.stray_requests()") == (3,), "out of the calendar: no day is theirs"
    psql("worker").execute("SELECT wf.roll_up_hours('-infinity', 'infinity')")
    assert one(owner, "SELECT count(*) FROM wf.request_due WHERE at < '1970-01-01' OR at > '2200-01-01'") == (0,)
    assert one(psql("worker"), "SELECT cells >= 0 FROM wf.roll_up_requests()") == (True,)


# What a role makes in heaps, or says of itself, does not stop what takes things away.


def test_nobody_says_in_which_transaction_a_row_was_stored(psql: Psql) -> None:
    for role in ("operator", "admin", "worker", "service"):
        with pytest.raises(errors.InsufficientPrivilege):
            psql(role).execute(
                "INSERT INTO wf.requests (tenant_id, route, method, status, at, xid)"
                " VALUES ('a', '/', 'GET', 200, now(), 9223372036854775807)"
            )


def test_a_row_of_a_transaction_that_never_was_blocks_neither_rollup_nor_retention(psql: Psql) -> None:
    owner = psql("owner")
    owner.execute("SELECT wf.ensure_request_days('2020-01-01', '2020-01-01')")
    owner.execute(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at, xid)"
        " VALUES ('acme', '/', 'GET', 200, '2020-01-01 12:00Z', 9223372036854775807)"
    )
    owner.execute(
        "INSERT INTO wf.requests (tenant_id, route, method, status, at) VALUES ('acme', '/', 'GET', 200, now())"
    )
    for _ in range(2):
        psql("worker").execute("SELECT wf.roll_up_requests()")
    assert one(owner, "SELECT count(*) FROM wf.request_due WHERE at < '2021-01-01'") == (0,)
    assert one(psql("worker"), "SELECT waits FROM wf.drop_old_requests() WHERE data = 'raw'") == (None,)


def test_days_made_in_heaps_are_dropped_in_bites_and_leave_room_for_today(psql: Psql) -> None:
    operator, worker, owner = psql("operator"), psql("worker"), psql("owner")
    for first in range(0, 1000, 62):
        operator.execute(
            "SELECT wf.ensure_request_days('2020-01-01'::date + %s, '2020-01-01'::date + %s)", [first, first + 61]
        )
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'wf.requests'::regclass"
    assert one(owner, parts)[0] <= 1001
    assert one(operator, "SELECT wf.ensure_request_days(current_date + 1000, current_date + 1001)") == (0,)
    assert one(
        operator,
        "SELECT wf.ensure_request_days((now() + interval '20 days')::date, (now() + interval '20 days')::date)",
    ) == (1,)
    (all_old,) = one(worker, "SELECT count(*) FROM wf.drop_old_requests(true)")
    dropped = one(worker, "SELECT count(*) FROM wf.drop_old_requests() WHERE waits IS NULL")[0]
    assert dropped == 100 < all_old


# Background work takes no lock that a login could hold.


def test_no_function_takes_an_advisory_lock(psql: Psql) -> None:
    taken = psql("owner").execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace::regnamespace::text IN ('wf', 'wf_data')"
        " AND prosrc ~* 'advisory'"
    )
    assert taken.fetchall() == []


def test_nobody_reaches_the_locks_of_background_work(psql: Psql) -> None:
    for role in ("viewer", "support", "operator", "admin", "worker", "service"):
        for statement in (
            "SELECT * FROM wf.locks FOR UPDATE", "SELECT * FROM wf.locks", "UPDATE wf.locks SET name = name",
            "SELECT wf.take_lock('claim_jobs')", "SELECT wf.try_lock('claim_jobs')",
            "SELECT wf.take_lock_of('sign_up', 'x')",
        ):  # fmt: skip
            with pytest.raises(errors.InsufficientPrivilege):
                psql(role).execute(statement)


def test_who_is_at_work_for_too_long_is_said_and_not_waited_for(psql: Psql) -> None:
    owner, worker = psql("owner"), psql("worker")
    owner.execute("ALTER FUNCTION wf.take_lock SET lock_timeout = '50ms'")
    owner.execute("ALTER FUNCTION wf.end_idle SET lock_timeout = '1h'")  # idle for less than what counts
    with owner.transaction():
        owner.execute("SELECT FROM wf.locks WHERE name = 'roll_up_requests' FOR UPDATE")
        with pytest.raises(errors.LockNotAvailable) as found:
            worker.execute("SELECT wf.roll_up_requests()")
        refusal = refusal_of(found.value)
        assert refusal.code == "lock_held" and "roll_up_requests" in refusal.why[0]
        assert one(worker, "SELECT wf.refresh_activity() >= 0") == (True,), "other work goes on"
    worker.execute("SELECT wf.roll_up_requests()")


# Another's work cannot be claimed.

RUN = """
    INSERT INTO wf.runs (operation, per_second, breaker_share) VALUES ('tenants.suspend', 10, 0.5);
    INSERT INTO wf.run_items (run_id, ordinal, thing, subject)
    SELECT max(id), 1, 'acme', '{"tenant": "acme"}' FROM wf.runs;
"""
SUSPEND = "UPDATE wf.tenants SET status = 'suspended', suspended_at = now(), suspension_reason = 'x' WHERE id = 'acme'"
BEGIN = "SELECT wf.begin_change('tenants.suspend', 'x', 'run-1-1')"


def test_an_item_of_a_run_is_settled_by_who_drives_it_and_by_its_change_alone(psql: Psql) -> None:
    operator, admin = psql("operator"), psql("admin")
    with operator.transaction():
        operator.execute(RUN)
    refused(operator, "run_not_held", BEGIN)
    refused(operator, "run_not_held", "SELECT wf.refuse_items(1, '{1}', '{x}', '{x}')")
    assert one(operator, "SELECT wf.hold_run(1, 'the program')") == (True,)
    refused(admin, "run_not_held", BEGIN)
    refused(admin, "run_not_held", "SELECT wf.refuse_items(1, '{1}', '{x}', '{x}')")
    refused(operator, "run_item_not_done", BEGIN)
    assert one(operator, "SELECT state FROM wf.run_items") == ("waiting",)
    with operator.transaction():
        operator.execute(BEGIN)
        operator.execute(SUSPEND)
    assert one(operator, "SELECT state, settled_by FROM wf.run_items") == ("done", "t_operator")
    assert one(operator, "SELECT waiting, done FROM wf.run_progress") == (0, 1)


def test_nobody_reads_the_word_by_which_a_program_holds_a_run(psql: Psql) -> None:
    for role in ("viewer", "support", "operator", "admin"):
        with pytest.raises(errors.InsufficientPrivilege):
            psql(role).execute("SELECT holder FROM wf.run_progress")
        psql(role).execute("SELECT driver, held_until FROM wf.run_progress")


def test_a_change_of_plan_is_not_claimed_without_being_made(psql: Psql) -> None:
    claim = (
        "INSERT INTO wf.plan_changes (tenant_id, from_plan, from_cycle, plan, version, cycle, direction, effective_on,"
        " period_start, period_end, currency, lines, summary, preview_hash, applied_at)"
        " VALUES ('acme', 'trial', 'month', '{plan}', 1, 'month', 'upgrade', '2026-01-01', '2026-01-01', '2026-02-01',"
        " 'EUR', '[]', 'x', 'x', now())"
    )
    refused(psql("operator"), "plan_change_not_made", claim.format(plan="pro"))
    with psql("operator").transaction():
        psql("operator").execute(claim.format(plan="pro").encode())
        psql("operator").execute("UPDATE wf.tenants SET plan = 'pro' WHERE id = 'acme'")


PIECE = "(sha256('{}'), sha256('b'), 10, 2, {}, false, '{{2026-01-02}}', '{{later}}')"
CLAIM = "INSERT INTO wf.import_chunks (running, previous, size, lines, rows, ends_open, days, left_out) VALUES " + PIECE
ROW = REQUEST.format("'2026-01-02 23:59:59.9Z', 1, 'eu'")
LATE = "UPDATE wf.import_chunks SET rows = rows + {}, left_out = '{{}}' WHERE running = sha256('a')"


def together(connection: psycopg.Connection, *statements: str) -> None:
    with connection.transaction():
        for statement in statements:
            connection.execute(statement.encode())


def not_stored(connection: psycopg.Connection, *statements: str) -> None:
    with pytest.raises(errors.CheckViolation) as found:
        together(connection, *statements)
    assert found.value.diag.constraint_name == "import_not_stored"


def test_a_piece_of_a_log_is_not_claimed_without_its_rows(psql: Psql) -> None:
    operator = psql("operator")
    refused(operator, "import_not_stored", CLAIM.format("a", 2))
    not_stored(operator, ROW, CLAIM.format("a", 2))
    not_stored(operator, CLAIM.format("a", -1))
    together(operator, ROW, ROW, CLAIM.format("a", 2))
    not_stored(operator, CLAIM.format("c", 2))  # what was stored before is not stored with it


@pytest.mark.parametrize("level", ["READ COMMITTED", "SERIALIZABLE"])
def test_rows_that_were_taken_back_are_not_claimed(psql: Psql, level: str) -> None:
    operator = psql("operator")
    begin = f"SET TRANSACTION ISOLATION LEVEL {level}"
    not_stored(operator, begin, "SAVEPOINT s", ROW, ROW, "ROLLBACK TO s", CLAIM.format("a", 2))
    not_stored(operator, begin, ROW, "SAVEPOINT s", ROW, "ROLLBACK TO s", CLAIM.format("a", 2))
    together(operator, ROW, "SAVEPOINT s", ROW, "RELEASE s", CLAIM.format("a", 2))
    with operator.transaction(force_rollback=True):
        operator.execute(ROW)
    not_stored(operator, begin, CLAIM.format("c", 1))


def test_the_rows_of_a_piece_are_found_wherever_they_are_put(psql: Psql) -> None:
    operator, owner = psql("operator"), psql("owner")
    many = (
        "INSERT INTO wf.requests (tenant_id, route, method, status, at)"
        " SELECT 'a', '/', 'GET', 200, '2026-01-02Z' FROM generate_series(1, {})"
    )
    not_stored(operator, many.format(40_000), CLAIM.format("a", 40_001))
    together(operator, many.format(40_000), CLAIM.format("a", 40_000))
    owner.execute("DELETE FROM wf.requests_default WHERE ctid < '(100,0)'")
    owner.execute("VACUUM wf.requests_default")
    together(operator, many.format(3000), CLAIM.format("c", 3000))
    early = "SELECT count(*) FROM wf.requests_default WHERE ctid < '(100,0)'"
    assert one(owner, early) == (3000,), "in room that others left"


def test_the_same_rows_stand_for_one_piece_of_a_log(psql: Psql) -> None:
    operator = psql("operator")
    not_stored(operator, ROW, ROW, CLAIM.format("a", 2), CLAIM.format("c", 2))
    not_stored(operator, ROW, ROW, f"{CLAIM}, {PIECE}".format("a", 1, "c", 1))
    not_stored(operator, ROW, "SAVEPOINT s", CLAIM.format("a", 1), "RELEASE s", LATE.format(1))
    assert one(operator, "SELECT count(*) FROM wf.import_chunks") == (0,)


def test_rows_of_tenants_that_were_left_out_are_not_claimed_without_being_stored(psql: Psql) -> None:
    operator = psql("operator")
    together(operator, ROW, CLAIM.format("a", 1))
    for number in (-1, 0, 1):
        not_stored(operator, LATE.format(number))
    not_stored(operator, "SAVEPOINT s", ROW, "ROLLBACK TO s", LATE.format(1))
    together(operator, ROW, LATE.format(1))
    assert one(operator, "SELECT rows, left_out FROM wf.import_chunks") == (2, [])


def test_an_import_is_not_said_to_be_in_the_trail_without_its_change(psql: Psql) -> None:
    operator, done = psql("operator"), "UPDATE wf.import_chunks SET change_id = (SELECT max(id) FROM wf.changes)"
    together(operator, ROW, CLAIM.format("a", 1))
    together(operator, "SELECT wf.begin_change('tenants.edit', 'x', 'edit-1')")
    not_stored(operator, done)
    not_stored(operator, "SELECT wf.begin_change('tenants.edit', 'x', 'edit-2')", done)
    together(operator, "SELECT wf.begin_change('requests.import', 'x', 'import-1')", done)
