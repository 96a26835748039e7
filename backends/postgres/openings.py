"""What of a home's database is open to every login of its server: closed when the home is made, reported later."""

from __future__ import annotations

import contextlib

import psycopg
from psycopg import sql

MAKE_LARGE_OBJECTS = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)")
"""With these any login stores as much as the disk holds, in no table of ours."""


def close_to_strangers(connection: psycopg.Connection) -> None:
    """PostgreSQL makes a new database and its schema public open to the whole server: close them. Where the login may
    not close them they stay open, and `openings` reports it.
    """
    lacking = (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.UndefinedObject,  # before PostgreSQL 16
    )
    for statement in (
        "REVOKE ALL ON DATABASE {} FROM PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        *(f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC" for function in MAKE_LARGE_OBJECTS),
        "GRANT pg_use_reserved_connections TO wf_admin",  # room for admins, where reserved_connections makes some
    ):
        with contextlib.suppress(*lacking), connection.transaction():
            connection.execute(sql.SQL(statement).format(sql.Identifier(connection.info.dbname)))


def openings(connection: psycopg.Connection) -> list[str]:
    """What of a home's database is open to every login of its server, each with the statement that closes it."""
    found = []
    connect = connection.execute(
        "SELECT quote_ident(current_database()) WHERE has_database_privilege('public', current_database(), 'CONNECT')"
    ).fetchone()
    if connect is not None:
        found.append(f"every login can connect: REVOKE CONNECT ON DATABASE {connect[0]} FROM PUBLIC")
    schemas = connection.execute(
        "SELECT quote_ident(nspname) FROM pg_namespace WHERE has_schema_privilege('public', oid, 'CREATE') ORDER BY 1"
    ).fetchall()
    found += [
        f"every login can make objects in schema {name}: REVOKE CREATE ON SCHEMA {name} FROM PUBLIC"
        for (name,) in schemas
    ]
    makers = connection.execute(
        "SELECT string_agg(f, ', ' ORDER BY f) FROM unnest(%s::text[]) f"
        " WHERE has_function_privilege('public', 'pg_catalog.' || f, 'EXECUTE')",
        [list(MAKE_LARGE_OBJECTS)],
    ).fetchone()
    if makers is not None and makers[0] is not None:
        found.append(
            "every login can fill the disk with large objects: as a superuser, REVOKE EXECUTE ON FUNCTION"
            f" {makers[0]} FROM PUBLIC"
        )
    readable = connection.execute(
        "SELECT FROM pg_class WHERE relname = 'operators' AND relnamespace::regnamespace::text = 'wf'"
        " AND has_table_privilege(oid, 'SELECT')"
    ).fetchone()
    if readable is not None and (crowd := connection.execute(_CROWD).fetchone()) is not None:
        found.append(
            f"{crowd[0]} logins may hold {crowd[1]} of {crowd[2]} connections, and none is kept for admins: lower their"
            " CONNECTION LIMIT, raise max_connections, or set reserved_connections (PostgreSQL 16)"
        )
    return found


# Whether the logins that are not admins can take every connection together; one without a limit can alone. It matters
# where no connections are reserved, or where admins may not use those.
_CROWD = """
    SELECT count(*), CASE WHEN bool_or(r.rolconnlimit < 0) THEN 'all' ELSE sum(r.rolconnlimit)::text END, room.all
    FROM wf.operators o JOIN pg_roles r ON r.rolname = o.name AND r.rolcanlogin,
         (SELECT current_setting('max_connections')::int
                 - current_setting('superuser_reserved_connections')::int AS all) room
    WHERE o.active AND o.role <> 'admin'
      AND (coalesce(current_setting('reserved_connections', true), '0') = '0' OR NOT EXISTS (
        SELECT FROM pg_auth_members m WHERE m.member = 'wf_admin'::regrole
          AND m.roleid = (SELECT u.oid FROM pg_roles u WHERE u.rolname = 'pg_use_reserved_connections')))
    GROUP BY room.all HAVING bool_or(r.rolconnlimit < 0) OR sum(r.rolconnlimit) >= room.all
"""
