"""Functions, views, triggers, policies and privileges: one SQL file per noun, in its present form, applied as a whole.

Tables and data are made once, by numbered migrations. What these files hold is made again whenever one of them changed,
in the caller's transaction, so a reader or writer sees either all of the old form or all of the new one. What the files
no longer hold is dropped. Locks are taken all at once at the start and waited for only briefly, so that nobody waits
long behind this; the caller retries (backends/postgres/migrate.py).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg
from psycopg import sql

# The other files of the folder are applied between these: none of them depends on another. `values` holds the pure
# functions that the tables' checks and indexes use, `operations` empties the tables that the others fill, `sessions`
# holds the settings that all functions share.
FIRST = ("values", "operations", "audit", "operators", "tenants", "telemetry")
LAST = ("sessions",)
FOLDER = Path(__file__).parent / "sql"
SCHEMAS = ["wf", "wf_data"]
FIRST_WAIT_MS, LONGEST_WAIT_MS = 100, 400
"""For all locks of one kind together. Others queue behind them, so a try is short; each retry may wait longer."""
NOT_IN_PLACE = (psycopg.errors.InvalidFunctionDefinition, psycopg.errors.AmbiguousFunction)


def contents() -> dict[str, bytes]:
    """Name → content of each file, in the order in which they are applied."""
    found = {path.stem: path for path in FOLDER.glob("*.sql")}
    between = sorted(found.keys() - {*FIRST, *LAST})
    return {name: found[name].read_bytes() for name in (*FIRST, *between, *LAST)}


def checksum() -> str:
    return hashlib.sha256(
        b"\0".join(part for name, text in contents().items() for part in (name.encode(), text))
    ).hexdigest()


def apply_values(connection: psycopg.Connection) -> None:
    """The functions that tables use, made before the tables."""
    connection.execute(contents()["values"])


def apply(connection: psycopg.Connection, *, anew: bool, wait_ms: int = FIRST_WAIT_MS) -> None:
    """Apply all files, within a transaction. `anew`: drop every function first, for changed arguments or result types.

    Raises psycopg's LockNotAvailable, QueryCanceled or DeadlockDetected when somebody holds a lock that it needs, and
    one of NOT_IN_PLACE when a function cannot be replaced in place: call it again with `anew` then.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = {wait_ms}")
        _lock_tables(connection, wait_ms)
        _drop_views(connection, wait_ms)  # after the tables: a writer may read a view before it writes
        if anew:
            _drop(connection, _triggers(connection), "TRIGGER")
            _drop(connection, _policies(connection), "POLICY")
            _drop(connection, _functions(connection, unused=True), "FUNCTION")
        _revoke_everything(connection)
        before = _made(connection)
        # The order of functions does not matter: names in a body are looked up when the function is called.
        connection.execute("SET LOCAL check_function_bodies = off")
        for text in contents().values():
            connection.execute(text)
        _drop_stale(connection, before)
        for schema in SCHEMAS:  # by default PostgreSQL lets everybody execute a new function
            connection.execute(
                sql.SQL("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {} FROM PUBLIC").format(sql.Identifier(schema))
            )
        connection.execute("SELECT wf.see_triggers()")


def _drop_views(connection: psycopg.Connection, wait_ms: int) -> None:
    views = connection.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'v' AND relnamespace::regnamespace::text = ANY (%s)",
        [SCHEMAS],
    ).fetchall()
    if views:
        _briefly(connection, f"DROP VIEW {', '.join(name for (name,) in views)} CASCADE", wait_ms)


def _lock_tables(connection: psycopg.Connection, wait_ms: int) -> None:
    """Lock out writers, as CREATE TRIGGER needs it; readers go on. Partitions are left: they have no triggers.

    The order is that in which a change locks tables, the trail last; any other order could deadlock.
    """
    tables = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND c.relnamespace::regnamespace::text = ANY (%s)"
        " ORDER BY c.relname IN ('counters', 'audit', 'audit_personal'), c.oid",
        [SCHEMAS],
    ).fetchall()
    names = ", ".join(f"ONLY {name}" for (name,) in tables)
    _briefly(connection, f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE", wait_ms)


def _briefly(connection: psycopg.Connection, statement: str, wait_ms: int) -> None:
    """Run a statement that takes many locks, with one time limit for all of them."""
    connection.execute(f"SET LOCAL statement_timeout = {wait_ms}")
    connection.execute(statement.encode())
    connection.execute("SET LOCAL statement_timeout = 0")


def _functions(connection: psycopg.Connection, *, unused: bool = False) -> dict[str, str]:
    """'wf.thing(jsonb,text[])' → its row's ctid. `unused`: only those that no index, check or default uses."""
    statement = """
        WITH RECURSIVE used AS (
          SELECT d.refobjid FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass
            AND d.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass)
          UNION SELECT d.refobjid FROM used u JOIN pg_depend d
            ON d.classid = 'pg_proc'::regclass AND d.objid = u.refobjid AND d.refclassid = 'pg_proc'::regclass
        )
        SELECT p.oid::regprocedure::text, p.ctid::text FROM pg_proc p
        WHERE p.pronamespace::regnamespace::text = ANY (%s) AND NOT (%s AND p.oid IN (SELECT refobjid FROM used))
    """
    return dict(connection.execute(statement, [SCHEMAS, unused]).fetchall())


def _triggers(connection: psycopg.Connection) -> dict[str, str]:
    statement = """
        SELECT format('%%I ON %%s', t.tgname, t.tgrelid::regclass), t.ctid::text
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND c.relnamespace::regnamespace::text = ANY (%s)
    """
    return dict(connection.execute(statement, [SCHEMAS]).fetchall())


def _policies(connection: psycopg.Connection) -> dict[str, str]:
    statement = """
        SELECT format('%%I ON %%s', p.polname, p.polrelid::regclass), p.ctid::text
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace::regnamespace::text = ANY (%s)
    """
    return dict(connection.execute(statement, [SCHEMAS]).fetchall())


def _made(connection: psycopg.Connection) -> dict[str, dict[str, str]]:
    return {
        "TRIGGER": _triggers(connection),
        "POLICY": _policies(connection),
        "FUNCTION": _functions(connection),
    }


def _drop_stale(connection: psycopg.Connection, before: dict[str, dict[str, str]]) -> None:
    """What the files made again has a new row in the catalogue; what kept its old row is no longer in them."""
    for kind, was in before.items():
        now = _made(connection)[kind]
        _drop(connection, {name: row for name, row in was.items() if now.get(name) == row}, kind)


def _drop(connection: psycopg.Connection, names: dict[str, str], kind: str) -> None:
    if kind == "FUNCTION" and names:  # all at once, because one may depend on another
        connection.execute(f"DROP FUNCTION {', '.join(names)}".encode())
        return
    for name in names:
        connection.execute(f"DROP {kind} {name}".encode())


def _revoke_everything(connection: psycopg.Connection) -> None:
    """Revoke every privilege but the owner's: only the files say who may do what."""
    statement = """
        WITH held AS (
          SELECT 'TABLE ' || c.oid::regclass AS what, c.relacl AS acl, c.relowner AS owner, c.relnamespace AS schema
          FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v')
          UNION ALL SELECT 'SEQUENCE ' || c.oid::regclass, c.relacl, c.relowner, c.relnamespace
          FROM pg_class c WHERE c.relkind = 'S'
          UNION ALL SELECT 'TABLE ' || c.oid::regclass, a.attacl, c.relowner, c.relnamespace
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          UNION ALL SELECT 'FUNCTION ' || p.oid::regprocedure, p.proacl, p.proowner, p.pronamespace FROM pg_proc p
          UNION ALL SELECT 'SCHEMA ' || quote_ident(n.nspname), n.nspacl, n.nspowner, n.oid FROM pg_namespace n
        )
        SELECT DISTINCT what, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM held, aclexplode(acl) AS a
        WHERE held.schema::regnamespace::text = ANY (%s) AND a.grantee <> held.owner
    """
    for what, grantee in connection.execute(statement, [SCHEMAS]).fetchall():
        connection.execute(f"REVOKE ALL ON {what} FROM {grantee} CASCADE".encode())
