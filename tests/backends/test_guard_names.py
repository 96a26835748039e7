"""Names: on a server where every login may make objects in `public`, no guard and no mask leans on what they make."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from backends.postgres.migrate import migrate
from backends.postgres.openings import openings
from tests.backends.catalogue import catalogue
from tests.backends.psql import Psql, denied, logins, one
from tests.backends.test_operations_by_role import ESTATE
from tests.postgres import ROLES, Database

# pg_catalog is first where it is not named.
PINNED = {"search_path=wf, pg_temp", "search_path=pg_catalog, wf, pg_temp", "search_path=pg_catalog, pg_temp"}

FUNCTIONS = {
    # What a mask is made of, and what says who somebody is.
    "left(text, integer)": "text AS 'SELECT $1'",
    "strpos(text, text)": "integer AS 'SELECT 0'",
    "split_part(text, text, integer)": "text AS 'SELECT $1'",
    "lower(text)": "text AS 'SELECT ''x''::pg_catalog.text'",
    "btrim(text)": "text AS 'SELECT ''x''::pg_catalog.text'",
    "pg_has_role(name, text, text)": "boolean AS 'SELECT true'",
    "pg_has_role(name, name, text)": "boolean AS 'SELECT true'",
    "has_schema_privilege(name, text, text)": "boolean AS 'SELECT true'",
    "has_schema_privilege(oid, text, text)": "boolean AS 'SELECT true'",
    # What guards look at.
    "now()": "timestamptz AS 'SELECT ''2199-01-01''::pg_catalog.timestamptz'",
    "clock_timestamp()": "timestamptz AS 'SELECT ''1999-01-01''::pg_catalog.timestamptz'",
    "length(text)": "integer AS 'SELECT 1'",
    "substr(text, integer, integer)": "text AS 'SELECT ''xxx''::pg_catalog.text'",
    "char_length(text)": "integer AS 'SELECT 1'",
    "octet_length(text)": "integer AS 'SELECT 1'",
    "jsonb_typeof(jsonb)": "text AS 'SELECT ''object''::pg_catalog.text'",
    "current_setting(text, boolean)": "text AS 'SELECT ''1''::pg_catalog.text'",
    "sha256(bytea)": "bytea AS 'SELECT ''x''::pg_catalog.bytea'",
    "host(inet)": "text AS 'SELECT ''0.0.0.0''::pg_catalog.text'",
    "hashtext(text)": "integer AS 'SELECT 1'",
    "to_jsonb(anyelement)": "jsonb AS 'SELECT ''{}''::pg_catalog.jsonb'",
}
OPERATORS = {
    (sign, left, right): answer
    for left, right in (
        ("text", "text"), ("integer", "integer"), ("boolean", "boolean"), ("timestamptz", "timestamptz"),
        ("numeric", "numeric"), ("bigint", "bigint"), ("jsonb", "jsonb"), ("name", "text"), ("bytea", "bytea"),
    )
    for sign, answer in (("=", "true"), ("<>", "false"), ("<=", "true"), ("<", "false"), (">", "false"), (">=", "true"))
}  # fmt: skip
TYPES = "CREATE DOMAIN public.text AS pg_catalog.text CHECK (pg_catalog.length(VALUE) OPERATOR(pg_catalog.<) 3)"
TEMPORARY = """
    CREATE TEMP TABLE tenants AS SELECT 'active'::text AS id, 'active'::text AS status, false AS protected;
    CREATE TEMP TABLE tenant_transitions (was text, becomes text);
    CREATE TEMP TABLE operators (name text, role text, active boolean);
    CREATE TEMP TABLE pg_roles AS SELECT 'x'::name AS rolname;
    CREATE TEMP TABLE changes (id bigint);
    CREATE TEMP TABLE impersonations (id bigint);
    CREATE TEMP TABLE telemetry_retention (data text, days integer);
"""
PATHS = ("public, pg_catalog, wf", "pg_temp, public, wf, pg_catalog", "public", "wf, public", "''")

# What each login is answered must not depend on its own objects. These words are qualified, so only the home's count.
OF = "WHERE id OPERATOR(pg_catalog.=) 'active'"
ASKED = [
    f"SELECT owner_email FROM wf.tenant_list {OF}",
    f"SELECT owner_email FROM wf.tenants {OF}",
    "SELECT owner_email, last_address FROM wf.key_list WHERE display OPERATOR(pg_catalog.=) 'wf_live_1'",
    "SELECT before, after FROM wf.audit WHERE noun OPERATOR(pg_catalog.=) 'tenants'"
    " AND thing OPERATOR(pg_catalog.=) 'active'",
    "SELECT wf.my_role(), wf.sees_personal(), wf.sees_addresses(), wf.masked('ada@lovelace.example')",
    "SELECT state FROM wf.key_list ORDER BY id USING OPERATOR(pg_catalog.<)",
    "SELECT address FROM wf.key_calls('key_00000000000000000000000001', '2020-01-01')",
    "SELECT wf.revealed('active', 'owner_email')",
    "SELECT wf.trigrams('abcd')",
    "SELECT wf.kept_from('raw', '2026-01-01')",
    # Guards
    "UPDATE wf.tenants SET status = 'suspended', suspended_at = pg_catalog.now(), suspension_reason = 'x'"
    " WHERE id OPERATOR(pg_catalog.=) 'protected'",
    "UPDATE wf.tenants SET status = 'erased' WHERE id OPERATOR(pg_catalog.=) 'due'",
    "UPDATE wf.tenants SET name = '' WHERE id OPERATOR(pg_catalog.=) 'active'",
    "INSERT INTO wf.tenants (id, name, metadata) VALUES ('n', 'n', '[]')",
    "INSERT INTO wf.projects (tenant_id, id, name) VALUES ('deleted', 'x', 'x')",
    "UPDATE wf.runs SET state = 'done' WHERE id OPERATOR(pg_catalog.=) 2",
    "UPDATE wf.runs SET state = 'running' WHERE state OPERATOR(pg_catalog.=) 'stopped'",
    "INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing, entitlements)"
    " VALUES ('odd', 1, 'Odd', 'EUR', 1, 1, 'arrears', '{\"seats\": 0}')",
    "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)"
    " VALUES ('active', 'seats', '0', 'override',"
    " pg_catalog.now() OPERATOR(pg_catalog.+) '1 day'::pg_catalog.interval, 'x')",
    "UPDATE wf.api_keys SET disabled_at = NULL, revoked_at = pg_catalog.now(), revoked_reason = 'x'"
    " WHERE display OPERATOR(pg_catalog.=) 'nothing'",
    "UPDATE wf.telemetry_retention SET days = 1",
    "INSERT INTO wf.objectives (name, target, tenant_id) VALUES ('Not a name', 0.99, 'active')",
    "INSERT INTO wf.silences (matchers, ends_at, comment) VALUES ('[]', pg_catalog.now() + interval '1 hour', 'x')",
    "INSERT INTO wf.schedules (name, rotations) VALUES ('Not a name', '[{}]'), ('none', '[]')",
    "INSERT INTO wf.schedule_overrides (schedule, person, starts_at, ends_at)"
    " VALUES ('old', 'zoe', pg_catalog.now(), pg_catalog.now() OPERATOR(pg_catalog.+) '1 hour'::pg_catalog.interval)",
    "UPDATE wf.silences SET ends_at = pg_catalog.now() + interval '800 hours'",
    "UPDATE wf.objectives SET retired_at = pg_catalog.now(), target = 0.5 WHERE name OPERATOR(pg_catalog.=) 'old'",
    "SELECT wf.put_operator('pg_monitor', 'admin', NULL)",
    "SELECT * FROM wf_data.authenticate('\\x00')",
    "SELECT tenant, refusal FROM wf_data.impersonation(1)",
]


@pytest.fixture
def open_home(database: Database) -> Database:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute(ESTATE)
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")  # as PostgreSQL 14 has it
        connection.execute(f"GRANT TEMPORARY ON DATABASE {database.name} TO PUBLIC")
    return database


@pytest.fixture
def psql(open_home: Database) -> Iterator[Psql]:
    with logins(open_home) as connect:
        yield connect


def make_hostile(connection: psycopg.Connection) -> None:
    for name, rest in FUNCTIONS.items():
        returns, body = rest.split(" AS ")
        connection.execute(f"CREATE FUNCTION public.{name} RETURNS {returns} LANGUAGE sql IMMUTABLE AS {body}".encode())
    for number, ((sign, left, right), answer) in enumerate(OPERATORS.items()):
        made = f"CREATE FUNCTION public.f{number}({left}, {right}) RETURNS boolean LANGUAGE sql IMMUTABLE"
        sign = f"CREATE OPERATOR public.{sign} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.f{number})"
        connection.execute(f"{made} AS 'SELECT {answer}'; {sign}".encode())
    connection.execute(TYPES)
    connection.execute(TEMPORARY)


def answers(connection: psycopg.Connection) -> dict[str, object]:
    """Each statement → its rows, or which refusal."""
    found: dict[str, object] = {}
    for statement in ASKED:
        try:
            with connection.transaction(force_rollback=True):
                cursor = connection.execute(statement.encode())
                found[statement] = cursor.fetchall() if cursor.description else cursor.rowcount
        except psycopg.Error as error:
            found[statement] = (error.sqlstate, error.diag.constraint_name)
    return found


@pytest.mark.parametrize("role", ROLES)
def test_own_functions_operators_types_and_tables_change_no_answer(psql: Psql, role: str) -> None:
    person = psql(role)
    honest = answers(person)
    make_hostile(person)
    for path in PATHS:
        person.execute(f"SET search_path = {path}".encode())
        hostile = answers(person)
        assert {name: (was, hostile[name]) for name, was in honest.items() if hostile[name] != was} == {}, path


def test_the_attempts_would_tell(psql: Psql) -> None:
    """What they are answered without an attack is what they are there for."""
    viewer, operator = answers(psql("viewer")), answers(psql("operator"))
    assert viewer[ASKED[0]] == [("a•••@lovelace.example",)] and operator[ASKED[0]] == [("active@lovelace.example",)]
    refusals = {answer[1] for answer in answers(psql("admin")).values() if isinstance(answer, tuple)}
    assert refusals >= {
        "tenant_protected", "tenant_name_length", "tenant_metadata_size", "project_tenant_gone", "run_transition",
        "plan_entitlements", "grant_value", "retention_days", "objective_name", "operators_name_check",
    }  # fmt: skip


def test_every_function_has_a_path_of_its_own_or_was_bound_when_it_was_made(database: Database) -> None:
    with psycopg.connect(database.owner) as owner:
        rows = owner.execute(
            "SELECT oid::regprocedure::text, prosecdef, prosqlbody IS NOT NULL, coalesce(proconfig, '{}') FROM pg_proc"
            " WHERE pronamespace::regnamespace::text IN ('wf', 'wf_data')"
        ).fetchall()
    assert len(rows) > 100
    assert [
        name for name, definer, bound, config in rows if not ((bound and not definer) or PINNED & set(config))
    ] == []


def test_nothing_that_was_bound_is_bound_to_anything_but_postgresqls_own_and_ours(database: Database) -> None:
    """What PostgreSQL brings is not among the dependencies; whatever is, must be of our schemas."""
    strange = """
        SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(d.refclassid, d.refobjid, 0)
        FROM pg_depend d, LATERAL (
          SELECT coalesce(
            (SELECT pronamespace FROM pg_proc WHERE oid = d.refobjid AND d.refclassid = 'pg_proc'::regclass),
            (SELECT oprnamespace FROM pg_operator WHERE oid = d.refobjid AND d.refclassid = 'pg_operator'::regclass),
            (SELECT typnamespace FROM pg_type WHERE oid = d.refobjid AND d.refclassid = 'pg_type'::regclass),
            (SELECT relnamespace FROM pg_class WHERE oid = d.refobjid AND d.refclassid = 'pg_class'::regclass)) AS of
        ) AS n
        WHERE n.of IS NOT NULL AND n.of::regnamespace::text NOT IN ('wf', 'wf_data', 'pg_catalog', 'pg_toast')
          AND pg_describe_object(d.classid, d.objid, d.objsubid) ~ '\\mwf'
    """
    with psycopg.connect(database.owner) as owner:
        assert owner.execute(strange.encode()).fetchall() == []


def test_a_home_made_beside_hostile_objects_is_as_any_other(database: Database, empty_database: Database) -> None:
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        owner.execute("CREATE ROLE mallory LOGIN PASSWORD 'x'")
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        owner.execute("SET ROLE mallory")
        make_hostile(owner)
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {empty_database.name} SET search_path = public, pg_catalog")
    migrate(empty_database.owner)
    with psycopg.connect(database.owner) as one_, psycopg.connect(empty_database.owner) as other:
        other.execute("SET search_path = pg_catalog")
        one_.execute("SET search_path = pg_catalog")
        assert catalogue(other) == catalogue(one_)
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        owner.execute("DROP OWNED BY mallory CASCADE")


def test_making_a_home_closes_what_is_open_and_the_home_says_what_is(empty_database: Database) -> None:
    name = empty_database.name
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        assert len(openings(owner)) == 3
        migrate(empty_database.owner)
        assert openings(owner) == []
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        assert openings(owner) == [
            "every login can make objects in schema public: REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        ]
        owner.execute(f"GRANT CONNECT ON DATABASE {name} TO PUBLIC")
        assert openings(owner)[0] == f"every login can connect: REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"
        owner.execute("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC")
        assert openings(owner)[-1] == (
            "every login can fill the disk with large objects: as a superuser, REVOKE EXECUTE ON FUNCTION"
            " lo_create(oid) FROM PUBLIC"
        )


def test_nobody_makes_objects_in_a_homes_schemas(psql: Psql) -> None:
    for role in ROLES:
        for schema in ("wf", "wf_data", "pg_catalog"):
            denied(
                psql(role), f"CREATE FUNCTION {schema}.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
                f"CREATE VIEW {schema}.mine AS SELECT 1", f"CREATE TYPE {schema}.mine AS (a integer)",
            )  # fmt: skip
        denied(
            psql(role),
            "CREATE SCHEMA mine",
            "SELECT lo_create(0)",
            "SELECT lo_creat(-1)",
            "SELECT lo_from_bytea(0, 'x')",
        )
        with pytest.raises((errors.InsufficientPrivilege, errors.InvalidObjectDefinition)):
            psql(role).execute("CREATE CAST (text AS integer) WITH INOUT AS IMPLICIT")
        assert one(psql(role), "SELECT count(*) FROM pg_available_extensions WHERE name = 'nothing'") == (0,)
