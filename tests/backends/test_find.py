"""Whom a text belongs to, on a home with many tenants and keys: what is found, by whom, and what it costs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from backends.postgres.find import statement
from benchmarks.estate import fill
from controlplane.find import Finder, Found, seek
from tests.backends.runs import opened
from tests.backends.test_query_plans import explained, nodes, touched
from tests.postgres import Database, Server

MANY = 10_000
SECRET = "wf_live_8sKq2LmVx0TzR4bNc7Yd"
KEY = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
UUID = "0b6d0f6e-3c1f-4b57-9f0a-2f3e6f1f7a11"
ESTATE = """
SELECT wf.begin_change('tenants.create', 'the estate', 'first-request');
INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Zebra Works', 'Ada@Lovelace.example'),
  ('other', 'Other', NULL);
INSERT INTO wf.projects (tenant_id, id, name) VALUES ('acme', 'checkout', 'Checkout');
INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, label, owner_email)
  VALUES ('key_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'acme', 'checkout', 'live', 'wf_live_8sKq',
          sha256(convert_to({secret}, 'UTF8')), 'billing robot', 'bot@lovelace.example');
INSERT INTO wf.requests (tenant_id, route, method, status, at, request_id)
  VALUES ('acme', '/v1/things', 'GET', 200, now(), {uuid});
SELECT wf.put_operator('ana', 'viewer', NULL);
"""
KEYS = """
SET session_replication_role = replica;
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, label, owner_email)
  SELECT 'key_' || upper(substr(md5(id), 1, 26)), id, 'live', 'wf_live_' || substr(md5(id), 1, 6), sha256(id::bytea),
         'robot', id || '@robots.example' FROM wf.tenants WHERE id LIKE 'tenant-%';
INSERT INTO wf.projects (tenant_id, id, name) SELECT id, 'main', 'Main' FROM wf.tenants WHERE id <> 'acme' LIMIT 20000;
INSERT INTO wf.changes (request_id, operation) SELECT 'change-of-' || id, 'tenants.edit' FROM wf.tenants LIMIT 20000;
INSERT INTO wf.audit (seq, change_id, out_of_band, actor, operation, noun, thing, tenant_id)
  SELECT 1000 + id, id, false, 'x', operation, 'tenants', 'x', 'x' FROM wf.changes;
INSERT INTO wf.requests (tenant_id, route, method, status, at, request_id)
  SELECT id, '/', 'GET', 200, now(), 'req-' || id FROM wf.tenants;
ANALYZE;
"""


@pytest.fixture(scope="module")
def many(postgres_server: Server, template_database: str) -> Iterator[Database]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        fill(owner, 1, MANY)
        owner.execute(sql.SQL(ESTATE).format(secret=sql.Literal(SECRET), uuid=sql.Literal(UUID)))
        owner.execute(KEYS)
    yield database
    postgres_server.drop(database)


async def found(database: Database, text: str, role: str = "viewer") -> list[tuple[str, str, str | None]]:
    async with opened(database.login(role)) as home:
        rows: tuple[Found, ...] = await home.of(Finder).look(seek(text))
    return [(row.kind, row.id, row.tenant_id) for row in rows]


ACME = ("tenant", "acme", "acme")
ROBOT = ("key", KEY, "acme")
CHECKOUT = ("project", "checkout", "acme")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ACME", [ACME]),
        ("bra wor", [ACME]),
        ("ze", [ACME]),
        ("ada@lovelace.EXAMPLE", [ACME]),
        ("bot@lovelace.example", [ACME]),
        ("da@lovelace.example", []),
        ("checkout", [CHECKOUT]),
        ("acme/checkout", [CHECKOUT]),
        ("wf_live_8sKq", [ROBOT]),
        ("billing rob", [ROBOT]),
        (KEY.lower(), [ROBOT]),
        (SECRET, [ROBOT, ACME]),
        (SECRET[:-1] + "x", []),
        (UUID, [("request", UUID, "acme")]),
        ("first-request", [("change", "first-request", "acme")]),
        ("ana", [("operator", "ana", None)]),
        ("100%", []),
        ("tenant-0002345", [("tenant", "tenant-0002345", "tenant-0002345")]),
    ],
)
async def test_a_text_finds_whom_it_belongs_to(many: Database, text: str, expected: list[tuple[str, str, str]]) -> None:
    assert [row for row in await found(many, text) if row[0] != "tenant" or row in expected] == expected
    assert await found(many, text, "admin") == await found(many, text)


async def test_what_is_exact_comes_first_and_of_a_kind_there_are_few(many: Database) -> None:
    rows = await found(many, "tenant-0000001")
    assert rows[0] == ("tenant", "tenant-0000001", "tenant-0000001")
    assert len([row for row in await found(many, "tenant") if row[0] == "tenant"]) == 20


async def test_an_address_is_shown_to_nobody_who_finds_by_it(many: Database) -> None:
    async with opened(many.login("support")) as home:
        rows = await home.of(Finder).look(seek("ada@lovelace.example"))
    assert rows and "lovelace" not in repr(rows).lower()


@pytest.mark.parametrize(
    "text",
    [
        *("acme", "tenant", "zz", "te", "Zebra Works", "ada@lovelace.example", "nobody@lovelace.example", "checkout"),
        *("acme/checkout", "wf_live_8sKq", "wf_live_", "robot", KEY, SECRET, UUID, "first-request", "qqqqq"),
    ],
)
def test_no_large_table_is_read_through(many: Database, text: str) -> None:
    with psycopg.connect(many.login("viewer"), autocommit=True) as viewer:
        words, values = statement(seek(text))
        viewer.execute("SELECT wf.ask_address(%s)", [text])
        if "hash" in values:
            viewer.execute("SELECT wf.ask_hash(%s)", [values["hash"]])
        plan = explained(viewer, sql.SQL(words), values)  # type: ignore[arg-type]
    read = {node["Relation Name"] for node in nodes(plan, "Seq Scan") if touched(node)}  # days without a row are cheap
    assert read <= {"operators"}, plan
    many_match = 3 * MANY / 7 if text == "acme" else 0  # the name of every seventh
    assert touched(plan) <= 2_000 + many_match, plan


def test_whose_an_address_is_costs_the_same_however_many_there_are(many: Database) -> None:
    """The function hides its plan: it is asked for with the same words, as the owner."""
    with psycopg.connect(many.owner, autocommit=True) as owner:
        body = owner.execute("SELECT prosrc FROM pg_proc WHERE proname = 'tenants_of_email'").fetchone()
        asked = re.search("RETURN QUERY (.*?);", body[0], re.DOTALL) if body else None
        assert asked is not None
        plan = explained(owner, sql.SQL(asked[1].replace("wf.folded(email)", "wf.folded(%s)")), ["ada@x.example"] * 2)
    assert not nodes(plan, "Seq Scan") and touched(plan) <= 10


def test_a_secret_is_in_no_statement(many: Database) -> None:
    words, values = statement(seek(SECRET))
    assert SECRET not in words + repr(values) + repr(seek(SECRET))
    assert list(values) == ["hash"] and values["hash"] == hashlib.sha256(SECRET.encode()).digest()
