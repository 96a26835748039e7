"""With many tenants and a long history, alerts are read and evaluated by index: what is over costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from backends.postgres.alerts import DURING, OPEN, SIMILAR
from backends.postgres.home import Home
from backends.postgres.paging import PagedList
from controlplane.alerts.list import ALERTS
from controlplane.alerts.model import AlertDirectory
from controlplane.filters.grammar import parse
from controlplane.listing import Position, Query
from tests.backends.alerts import dead, evaluate
from tests.backends.test_query_plans import explained, nodes, shown, touched
from tests.postgres import Server

TENANTS, OVER, OPEN_ALERTS, PAGE = 2_000, 30_000, 40, 51
FILL = f"""
INSERT INTO wf.tenants (id, name) SELECT 'tenant-' || n, 'T ' || n FROM generate_series(1, {TENANTS}) n;
INSERT INTO wf.alerts (kind, tenant_id, labels, severity, summary, state, fired_at, resolved_at, events)
SELECT 'jobs_dead', 'tenant-' || (1 + n % {TENANTS}), jsonb_build_object('job', 'kind_' || n % 7),
       (ARRAY['info', 'warning', 'error', 'critical'])[1 + n % 4], n || ' dead jobs', 'resolved',
       now() - n * interval '1 minute', now() - n * interval '1 minute' + interval '30 s', 2
FROM generate_series({OVER}, 1, -1) n;
INSERT INTO wf.alerts (kind, tenant_id, labels, severity, summary, events)
SELECT 'jobs_dead', 'tenant-' || n, '{{"job": "open"}}', (ARRAY['warning', 'critical'])[1 + n % 2], 'open ' || n, 1
FROM generate_series(1, {OPEN_ALERTS}) n;
"""
FEW = ["state:firing", "state:firing,acked,unknown", "state:firing severity:critical", "tenant:tenant-7 state:firing"]
RARE = ["tenant:tenant-7", "kind:nothing", "zzzz", "id:17"]


@pytest.fixture(scope="module")
def many(postgres_server: Server, template_database: str) -> Iterator[tuple[psycopg.Connection, str, Home]]:
    """A viewer's connection to a home with a long history, the owner's conninfo, and that home (not opened)."""
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(FILL.encode())
        owner.execute("VACUUM ANALYZE wf.alerts")
        owner.execute("UPDATE wf.detectors SET looked_at = now() + interval '1 hour'")
    with psycopg.connect(database.login("viewer"), autocommit=True) as viewer:
        yield viewer, database.owner, Home(database.login("viewer"))
    postgres_server.drop(database)


def page_plan(
    home: Home, viewer: psycopg.Connection, filter: str, order: str, start: Position | None
) -> dict[str, Any]:
    alerts: PagedList[Any] = home.of(AlertDirectory)
    query = Query(parse(filter, ALERTS.fields), *ALERTS.order_of(order))
    statement = alerts._statement(query, alerts._order(query), start, False, query.descending, PAGE)
    return explained(viewer, *statement)


@pytest.mark.parametrize("start", [None, (0, 15_000)], ids=["first", "middle"])
@pytest.mark.parametrize("order", ["-severity", "age", "-age"])
def test_a_page_reads_what_it_shows(many: tuple[psycopg.Connection, str, Home], order: str, start: Any) -> None:
    viewer, _, home = many
    start = (15_000, 15_000) if start and order.endswith("age") else start
    plan = page_plan(home, viewer, "", order, start)
    assert shown(plan) == PAGE and not nodes(plan, "Sort")
    assert touched(plan) <= 20 * PAGE, plan  # each row counts how often it fired lately, and reads its detector


@pytest.mark.parametrize("filter", FEW)
def test_what_is_open_is_found_without_what_is_over(many: tuple[psycopg.Connection, str, Home], filter: str) -> None:
    viewer, _, home = many
    plan = page_plan(home, viewer, filter, "-severity", None)
    assert touched(plan) <= 40 * OPEN_ALERTS, plan


@pytest.mark.parametrize("filter", RARE)
def test_what_few_match_is_found_by_its_own_index(many: tuple[psycopg.Connection, str, Home], filter: str) -> None:
    viewer, _, home = many
    plan = page_plan(home, viewer, filter, "-severity", None)
    assert touched(plan) <= 1_000 or filter.startswith("id:"), plan


def test_counts_and_earlier_alerts_read_few_rows(many: tuple[psycopg.Connection, str, Home]) -> None:
    viewer, _, _ = many
    assert touched(explained(viewer, psycopg.sql.SQL(OPEN), [])) <= 40 * OPEN_ALERTS
    [(fingerprint,)] = viewer.execute("SELECT fingerprint FROM wf.alert_list WHERE id = 15000").fetchall()
    asked = {"fingerprint": fingerprint, "id": 15_000, "tenant": "tenant-7", "kind": "jobs_dead"}
    assert touched(explained(viewer, SIMILAR, asked)) <= 2_000  # type: ignore[arg-type]


@pytest.mark.parametrize(("tenants", "most"), [([], 100), (["tenant-7"], 500), (["tenant-7", "tenant-9"], 1_000)])
def test_the_alerts_of_a_window_are_found_by_their_tenant(
    many: tuple[psycopg.Connection, str, Home], tenants: list[str], most: int
) -> None:
    viewer, _, _ = many
    edges = viewer.execute("SELECT now() - interval '10 days', now()").fetchone() or ()
    asked = {"start": edges[0], "end": edges[1], "tenants": tenants, "key": None, "shown": None}
    assert touched(explained(viewer, DURING, asked)) <= most  # type: ignore[arg-type]


def test_an_evaluation_reads_no_alert_that_is_over(many: tuple[psycopg.Connection, str, Home]) -> None:
    with psycopg.connect(many[1]) as owner:
        dead(owner, "open", tenant="tenant-1")
        owner.execute("SET CONSTRAINTS ALL IMMEDIATE")  # its letter is made at the commit
        assert evaluate(owner) == {"resolved": OPEN_ALERTS - 1, "lowered": 1}
        read = owner.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'wf.alerts'::regclass"
        ).fetchone()
        assert read is not None and read[0] <= 20 * OPEN_ALERTS
        owner.rollback()
