"""Every function that a role may call, called with what nobody means: none breaks the home for the others.

A call may be refused, and must be in words: no internal error, none that does not end. Afterwards all of the background
work goes through, the trail holds, and every list can be read by the program.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from backends.postgres.home import Home
from controlplane import nouns
from controlplane.listing import Query
from tests.backends.psql import logins, one
from tests.postgres import ROLES, Database

EVERYBODY = (*ROLES, "worker", "service")
ESTATE = """
    INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'ada@lovelace.example');
    INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'web', 'Web');
    INSERT INTO wf.api_keys (id, tenant_id, env, display, hash)
      VALUES ('key_' || repeat('0', 26), 'acme', 'live', 'wf_live_x', sha256('x'));
"""
LONG = "repeat('x', 3000000)"
HOSTILE: dict[str, list[str]] = {
    "text": ["NULL", "''", "'acme'", LONG, "E'\\u202e\\u0007'", "'../../etc'", "'run-1-1'", "'-infinity'"],
    "timestamp with time zone": ["NULL", "'infinity'", "'-infinity'", "'4000-01-01 BC'", "'20000-01-01'", "now()"],
    "timestamp without time zone": ["NULL", "'infinity'", "'-infinity'", "'4000-01-01 BC'", "'2026-01-01'"],
    "numeric": ["NULL", "'NaN'", "'Infinity'", "1e300::numeric", "0"],
    "smallint[]": ["NULL", "'{}'", "ARRAY[NULL, 32767]::smallint[]"],
    "integer[]": ["NULL", "'{}'", "ARRAY[NULL, 2147483647]::integer[]"],
    "date": ["NULL", "'infinity'", "'-infinity'", "'4000-01-01 BC'", "'20000-01-01'", "'2026-01-01'"],
    "interval": ["NULL", "'-1000 years'", "'0'", "'100000000 years'", "'1 day'"],
    "integer": ["NULL", "-2147483648", "2147483647", "0", "-1", "1"],
    "smallint": ["NULL", "-32768", "32767", "0"],
    "bigint": ["NULL", "-9223372036854775808", "9223372036854775807", "0", "1"],
    "real": ["NULL", "'NaN'", "'Infinity'", "'-Infinity'", "0", "1"],
    "double precision": ["NULL", "'NaN'", "'Infinity'", "'-Infinity'", "0", "1"],
    "boolean": ["NULL", "true", "false"],
    "jsonb": [
        "NULL", "'null'", "'[]'", "'{}'", "'[{\"status\": 1e400}]'", "'[[[[1]]]]'", "'\"acme\"'",
        f"to_jsonb({LONG})", "jsonb_build_array(jsonb_build_object('key_id', repeat('k', 100000)))",
    ],
    "bytea": ["NULL", "''", "sha256('x')", "decode(repeat('00', 100000), 'hex')"],
    "inet": ["NULL", "'0.0.0.0/0'", "'::'", "'203.0.113.9'"],
    "text[]": ["NULL", "'{}'", "ARRAY[NULL]::text[]", "array_fill('x'::text, ARRAY[200000])", "ARRAY['acme', 'acme']"],
    "bigint[]": ["NULL", "'{}'", "ARRAY[NULL, 1]::bigint[]", "ARRAY[9223372036854775807]::bigint[]"],
    "timestamp with time zone[]": ["NULL", "'{}'", "ARRAY['infinity', NULL]::timestamptz[]"],
    "inet[]": ["NULL", "'{}'", "ARRAY[NULL]::inet[]"],
    "tstzmultirange": ["NULL", "'{}'", "'{(,)}'", "'{[-infinity,infinity]}'"],
}  # fmt: skip
# What ends a session or waits for one is tried where it belongs: test_guard_roles.py.
MAY_SAY = ("22", "23", "42501", "42704", "P0001", "P0002", "55", "0A", "25", "54", "57014", "21", "2F")
TAKE_SQL = ("wf.own_columns(text)", "wf.own_rows(text)")
"""What is wrong with the SQL that they are given is told, with its place."""
CALLABLE = """
    SELECT p.oid::regprocedure::text, p.pronamespace::regnamespace || '.' || p.proname,
           ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t), p.provariadic <> 0
    FROM pg_proc p WHERE p.pronamespace::regnamespace::text IN ('wf', 'wf_data')
      AND has_function_privilege(p.oid, 'EXECUTE')
      AND p.prorettype <> 'trigger'::regtype ORDER BY 1
"""


@pytest.fixture
def attacked(database: Database) -> Iterator[tuple[Database, list[str]]]:
    """The home after every call of everybody, and what was not refused as it should be."""
    faults: list[str] = []
    with logins(database) as psql:
        psql("owner").execute(ESTATE)
        for role in EVERYBODY:
            faults += [f"{role}: {fault}" for fault in attack(psql(role))]
        yield database, faults


def values(kind: str) -> list[str]:
    return HOSTILE.get(kind, ["NULL"])


def attack(connection: psycopg.Connection) -> list[str]:
    faults = []
    connection.execute("SET statement_timeout = '20s'")
    for signature, name, types, _ in connection.execute(CALLABLE.encode()).fetchall():
        for turn in range(max([len(values(kind)) for kind in types], default=1)):
            arguments = [
                f"{values(kind)[(turn + place) % len(values(kind))]}::{kind}" for place, kind in enumerate(types)
            ]
            try:
                connection.execute(f"SELECT * FROM {name}({', '.join(arguments)}) LIMIT 3".encode())
            except psycopg.Error as error:
                state = error.sqlstate or "none"
                may_say = (*MAY_SAY, "42") if signature in TAKE_SQL else MAY_SAY
                if not state.startswith(may_say) or state == "57014":
                    faults.append(f"{signature} {[a[:40] for a in arguments]}: {state} {str(error)[:120]}")
    return faults


@pytest.mark.timeout(600)
async def test_no_call_of_anybody_breaks_the_home_for_the_others(attacked: tuple[Database, list[str]]) -> None:
    database, faults = attacked
    assert faults == []
    with psycopg.connect(database.owner, autocommit=True) as owner:
        for work in (
            "wf.chain_audit()",
            "wf.refresh_activity()",
            "wf.roll_up_usage()",
            "wf.keep_objectives()",
            "wf.look_at_quotas()",
        ):
            assert one(owner, f"SELECT {work} >= 0") == (True,), work
        assert one(owner, "SELECT cells >= 0 FROM wf.roll_up_requests()") == (True,)
        assert one(owner, "SELECT count(*) >= 0 FROM wf.drop_old_requests()") == (True,)
        (rows, last, counted) = one(
            owner, "SELECT count(*), max(seq), (SELECT value FROM wf.counters WHERE name = 'audit') FROM wf.audit"
        )
        assert rows == last == counted, "no number of the trail is missing"
        assert one(owner, "SELECT max(pg_column_size(a.*)) < 1000000 FROM wf.audit a") == (True,)
    home = Home(database.login("viewer"))
    await home.open()
    try:
        for noun in nouns.NOUNS:
            if noun.list:
                await nouns.list_named(noun.name).of(home).page(Query())
    finally:
        await home.close()
