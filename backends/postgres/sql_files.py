"""Functions, views, triggers, policies and privileges: one SQL file per noun, in its present form, applied as a whole.

Tables and data are made once, by numbered migrations. What stands here is made again whenever a file changed, in the
caller's transaction: at every moment a reader or writer meets either all of the old form or all of the new one. What
the files do not hold any more is dropped. Locks are taken all at once at the start and waited for only briefly, so
that nobody waits long behind this; who cannot get them tries again (backends/postgres/migrate.py).
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import psycopg
from psycopg import sql

# Whatever file of the folder is not named here comes between the two: none of those builds on another.
# `values` holds the pure functions that tables' checks and indexes are made of, `operations` empties what the others
# fill, `sessions` sets what all functions have in common.
FIRST = ("values", "operations", "audit", "operators", "tenants", "telemetry")
LAST = ("sessions",)
FOLDER = files("backends.postgres").joinpath("sql")
SCHEMAS = ["wf", "wf_data"]
FIRST_WAIT_MS, LONGEST_WAIT_MS = 100, 400
"""For all locks of one kind together. Others wait behind this, so a try is short; the next may be longer."""
NOT_IN_PLACE = (psycopg.errors.InvalidFunctionDefinition, psycopg.errors.AmbiguousFunction)


def texts() -> dict[str, str]:
    """The files by their names, in the order in which they are applied."""
    found = {entry.name.removesuffix(".sql"): entry for entry in FOLDER.iterdir() if entry.name.endswith(".sql")}
    between = sorted(found.keys() - {*FIRST, *LAST})
    return {name: found[name].read_text(encoding="utf-8") for name in (*FIRST, *between, *LAST)}


def checksum() -> str:
    return hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in texts().items()).encode()).hexdigest()


def apply_values(connection: psycopg.Connection) -> None:
    """What tables are made of, before them."""
    connection.execute(texts()["values"].encode())


def apply(connection: psycopg.Connection, *, anew: bool, wait_ms: int = FIRST_WAIT_MS) -> None:
    """Within a transaction. `anew`: drop every function first, for those whose arguments or result changed in kind.

    Raises psycopg's LockNotAvailable, QueryCanceled or DeadlockDetected when somebody holds what is needed, and
    one of NOT_IN_PLACE when a function cannot be replaced in place: then `anew` does it.
    """
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = {wait_ms}")
        _lock_tables(connection, wait_ms)
        _drop_views(connection, wait_ms)  # after them: who is about to write may read a view on the way
        if anew:
            _drop(connection, _triggers(connection), "TRIGGER")
            _drop(connection, _policies(connection), "POLICY")
            _drop(connection, _functions(connection, unused=True), "FUNCTION")
        _revoke_everything(connection)
        before = _made(connection)
        # Whatever order the files have: what a function's body names is found when it is called.
        connection.execute("SET LOCAL check_function_bodies = off")
        for text in texts().values():
            connection.execute(text.encode())
        _drop_stale(connection, before)
        for schema in SCHEMAS:  # functions are open to everybody when they are made
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
    """Against writers, as CREATE TRIGGER needs it: readers go on. Not their partitions: they have no triggers.

    In the order in which a change comes to them, or it would wait for what this holds, and this for it: the trail last.
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
    """A statement that takes many locks, with one limit for all of them."""
    connection.execute(f"SET LOCAL statement_timeout = {wait_ms}")
    connection.execute(statement.encode())
    connection.execute("SET LOCAL statement_timeout = 0")


def _functions(connection: psycopg.Connection, *, unused: bool = False) -> dict[str, str]:
    """'wf.thing(jsonb,text[])' → where its row stands. `unused`: those that no index, check or default is made of."""
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
    """What the files made again has a new row in the catalogue; what kept its old one is not in them any more."""
    for kind, was in before.items():
        now = _made(connection)[kind]
        _drop(connection, {name: row for name, row in was.items() if now.get(name) == row}, kind)


def _drop(connection: psycopg.Connection, names: dict[str, str], kind: str) -> None:
    if kind == "FUNCTION" and names:  # one may be made of another: all at once
        connection.execute(f"DROP FUNCTION {', '.join(names)}".encode())
        return
    for name in names:
        connection.execute(f"DROP {kind} {name}".encode())


def _revoke_everything(connection: psycopg.Connection) -> None:
    """From everybody but the owner: the files say who may do what, and nothing else does."""
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
