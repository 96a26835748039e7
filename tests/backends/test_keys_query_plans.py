"""A page of keys costs what it shows, and stale keys are found without a look at each."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from backends.postgres.home import Home
from backends.postgres.keys import Keys
from controlplane.filters.grammar import parse
from controlplane.keys.list import KEYS
from controlplane.keys.model import KeyDirectory, StalePolicy
from controlplane.listing import Position, Query
from tests.backends.test_query_plans import PAGE, explained, nodes, shown, touched
from tests.postgres import Server

KEY_COUNT = 20_000
MARKS = (
    "disabled_at = now()",
    "revoked_at = now(), revoked_reason = 'x'",
    "rotated_at = now(), grace_until = now() + interval '1 day'",
    "expires_at = now()",
)
STATES = ("state:disabled", "state:revoked", "state:rotating", "state:expired")
MIDDLE: dict[str, Position] = {
    "created": ("2025-06-01", "key_" + "5".zfill(26)),
    "tenant": ("t300", f"key_{KEY_COUNT // 2:026}"),
    "expires": ("infinity", f"key_{KEY_COUNT // 2:026}"),
    "id": (f"key_{KEY_COUNT // 2:026}", f"key_{KEY_COUNT // 2:026}"),
}


@pytest.fixture(scope="module")
def many(postgres_server: Server, template_database: str) -> Iterator[tuple[psycopg.Connection, Home]]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER USER")
        owner.execute(
            "INSERT INTO wf.tenants (id, name, created_at)"
            " SELECT 't' || n, 't', '2025-01-01' FROM generate_series(1, 500) n"
        )
        owner.execute(
            "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, created_at)"
            " SELECT 'key_' || lpad(n::text, 26, '0'), 't' || mod(n, 500) + 1, 'live', 'wf_live_' || n,"
            " sha256(n::text::bytea), '2025-01-01'::timestamptz + n * interval '1 hour'"
            f" FROM generate_series(1, {KEY_COUNT}) n"
        )
        for state, marks in enumerate(MARKS, 1):
            owner.execute(f"UPDATE wf.api_keys SET {marks} WHERE id = %s", [f"key_{9_000 + state:026}"])
        owner.execute("VACUUM ANALYZE")
    with psycopg.connect(database.login("viewer"), autocommit=True) as viewer:
        yield viewer, Home(database.login("viewer"))
    postgres_server.drop(database)


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("order", KEYS.sorts)
async def test_a_page_reads_what_it_shows(many: tuple[psycopg.Connection, Home], order: str, start: bool) -> None:
    viewer, home = many
    query = Query(sort=order)
    position = MIDDLE[order] if start else None
    plan = explained(
        viewer,
        *home.of(Keys)._statement(query, home.of(Keys)._order(query), position, False, False, PAGE),
    )
    assert shown(plan) == PAGE and not nodes(plan, "Sort")
    assert touched(plan) <= 4 * PAGE, plan


@pytest.mark.parametrize(
    "text", ["tenant:t77", "id:key_00000000000000000000000077", "display:wf_live_77", "ve_19999", *STATES]
)
async def test_what_few_match_is_found_by_its_own_index(many: tuple[psycopg.Connection, Home], text: str) -> None:
    viewer, home = many
    query = Query(parse(text, KEYS.fields), "created")
    plan = explained(viewer, *home.of(Keys)._statement(query, home.of(Keys)._order(query), None, False, False, PAGE))
    assert 0 < shown(plan) < PAGE and touched(plan) <= 300, plan


async def test_the_oldest_stale_keys_are_read_first(many: tuple[psycopg.Connection, Home]) -> None:
    viewer, home = many
    stale, query = home.of(KeyDirectory).stale(StalePolicy()), Query()
    plan = explained(viewer, *stale._statement(query, stale._order(query), None, False, False, PAGE))
    assert shown(plan) == PAGE and touched(plan) <= KEY_COUNT / 4, plan
