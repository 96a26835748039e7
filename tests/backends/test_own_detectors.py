"""A team's own detectors: applied from a list, measured by SQL that only reads or by PromQL, judged by thresholds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.cli.files import Source
from app.worker import Work
from backends.postgres import own_detectors
from backends.postgres.detectors import evaluating, found_by
from backends.postgres.home import Home
from backends.prometheus.telemetry import PrometheusSeries
from controlplane.clock import machine_now
from controlplane.detectors.model import MetricSource
from controlplane.errors import NotPermitted, Refusal, Usage
from controlplane.jobs.kinds import kinds
from controlplane.operations import Call, Outcome, execute
from controlplane.registry import named
from controlplane.secrets import Secret
from tests import prometheus
from tests.backends.alerts import alerts, dead
from tests.backends.psql import Psql, denied, logins, one
from tests.postgres import Database

needs_prometheus = pytest.mark.skipif(
    not all(map(prometheus.program, prometheus.NEEDED)), reason="no Prometheus is here: make setup"
)
LONG_NAMES = {
    "name": "own_long_names",
    "means": "Tenants with a long name",
    "sql": "SELECT id AS tenant_id, region,\n  length(name) AS value\nFROM wf.tenant_list -- all of them",
    "above": 10,
    "unit": "characters",
}


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(
            "INSERT INTO wf.tenants (id, name, plan, owner_email) VALUES"
            " ('acme', 'Acme and its daughters', 'growth', 'ana@acme.example'), ('beta', 'Beta', 'growth', NULL)"
        )
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    home = Home(database.login("admin"))
    await home.open()
    yield home
    await home.close()


async def apply(home: Home, *specs: dict[str, Any], dry_run: bool = False) -> Outcome:
    operation = named("detectors.apply")
    request = operation.parse({"detectors": list(specs)})
    return await execute(home, operation, request, Call("as the test says", dry_run=dry_run))


async def evaluated(database: Database, name: str, metrics: MetricSource | None = None) -> None:
    """As a worker does it."""
    async with await psycopg.AsyncConnection.connect(database.login("worker"), autocommit=True) as worker:
        try:
            found, trouble = await found_by(worker, name, metrics), None
        except Refusal as refusal:
            found, trouble = None, refusal.message
        await worker.execute("SELECT wf.evaluate(%s, %s::jsonb, 1, %s)", [name, found, trouble])


async def working(database: Database, psql: Psql, left: str) -> None:
    """A worker evaluates until nothing is left."""
    evaluate = evaluating(None)
    work = Work(database.login("worker"), {"queue_evaluations": kinds()["queue_evaluations"], evaluate.name: evaluate})
    running = asyncio.create_task(work.run())
    try:
        for _ in range(6000):
            if one(psql("owner"), left) == (0,):
                break
            await asyncio.sleep(0.01)
    finally:
        work.stop()
        await running


def open_alerts(psql: Psql, name: str = "own_long_names") -> list[tuple[Any, ...]]:
    found = alerts(psql("owner"), f"kind = '{name}' AND resolved_at IS NULL")
    return [(each["tenant_id"], each["labels"], each["value"], each["standing"]) for each in found]


async def test_a_list_is_applied_whole_with_a_preview_of_what_each_finds(home: Home, psql: Psql) -> None:
    preview = await apply(home, LONG_NAMES, dry_run=True)
    assert preview.result | {"notes": None} == {"created": 1, "changed": 0, "removed": 0, "unchanged": 0, "notes": None}
    assert "1 would fire" in preview.result["notes"][0] and "acme" in preview.result["notes"][1]
    assert one(psql("owner"), "SELECT count(*) FROM wf.own_detectors") == (0,)
    await apply(home, LONG_NAMES, LONG_NAMES | {"name": "own_second"})
    changed = await apply(home, LONG_NAMES | {"above": 100})
    assert changed.result | {"notes": None} == {"created": 0, "changed": 1, "removed": 1, "unchanged": 0, "notes": None}
    again = await apply(home, LONG_NAMES | {"above": 100}, LONG_NAMES | {"name": "own_second"})
    assert (again.result["unchanged"], again.result["created"]) == (1, 1), "one that was removed can come back"
    await apply(home, LONG_NAMES | {"above": 100})
    assert psql("viewer").execute("SELECT name, statement FROM wf.detector_list WHERE name ~ '^own'").fetchall() == [
        ("own_long_names", LONG_NAMES["sql"])
    ]
    trail = "SELECT thing, before IS NULL, after IS NULL FROM wf.audit WHERE operation = 'detectors.apply' ORDER BY seq"
    assert psql("owner").execute(trail.encode()).fetchall() == [
        ("own_long_names", True, False),
        ("own_second", True, False),
        ("own_long_names", False, False),
        ("own_second", False, False),
        ("own_second", False, False),
        ("own_second", False, False),
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"sql": "SELECT id AS tenant_id,\n  lenght(name) AS value\nFROM wf.tenant_list"}, "line 2: function lenght"),
        ({"sql": "SELECT id AS tenant_id, nmae AS value FROM wf.tenant_list"}, 'line 1: column "nmae" does not exist'),
        ({"sql": "SELECT id AS tenant_id, name AS value FROM wf.tenant_list"}, "value is of type text, not a number"),
        ({"sql": "SELECT id AS tenant_id FROM wf.tenant_list"}, "needs a column value"),
        ({"sql": "SELECT 1 AS value"}, "needs a column tenant_id"),
        ({"sql": "SELECT id AS tenant_id, 1 AS value FROM wf.api_keys WHERE hash = ''"}, "permission denied"),
        ({"sql": "DELETE FROM wf.tenants RETURNING id AS tenant_id, 1 AS value"}, "syntax error"),
        ({"promql": "up"}, "either sql or promql"),
        ({"below": 3}, "either above or below"),
        ({"name": "quota_near"}, "own_ and up to 46"),
        ({"every": "1s"}, "from 10s to 1d"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_its_column_or_line(
    home: Home, psql: Psql, spec: dict[str, Any], words: str
) -> None:
    with pytest.raises(Usage) as refused:
        await apply(home, LONG_NAMES | spec)
    assert words in f"{refused.value.message} {' '.join(refused.value.why)}"
    assert one(psql("owner"), "SELECT count(*) FROM wf.own_detectors") == (0,)


async def test_every_row_is_judged_by_its_tenants_limit(home: Home, psql: Psql, database: Database) -> None:
    owner = psql("owner")
    await apply(home, LONG_NAMES)
    await evaluated(database, "own_long_names")
    assert open_alerts(psql) == [("acme", {"region": "default"}, 22, "firing")]
    [acme] = alerts(owner, "kind = 'own_long_names'")
    assert acme["summary"] == "Tenants with a long name: 22 characters"
    assert acme["details"] == {"threshold_from": "default"}
    psql("operator").execute("INSERT INTO wf.thresholds (detector, name, plan, value)"
                             " VALUES ('own_long_names', 'limit', 'growth', 3)")  # fmt: skip
    await evaluated(database, "own_long_names")
    assert [row[0] for row in open_alerts(psql)] == ["acme", "beta"]
    psql("operator").execute("UPDATE wf.thresholds SET value = 30 WHERE detector = 'own_long_names'")
    await evaluated(database, "own_long_names")
    assert open_alerts(psql) == []


async def test_a_value_that_is_not_known_resolves_nothing(home: Home, psql: Psql, database: Database) -> None:
    await apply(home, LONG_NAMES)
    await evaluated(database, "own_long_names")
    for value in ("NULL::integer", "'NaN'::float8", "1e308::numeric * 100"):
        await apply(home, LONG_NAMES | {"sql": f"SELECT id AS tenant_id, region, {value} AS value FROM wf.tenant_list"})
        await evaluated(database, "own_long_names")
        assert open_alerts(psql) == [("acme", {"region": "default"}, 22, "unknown")]


async def test_a_worker_evaluates_them_and_one_that_fails_stops_no_other(
    home: Home, psql: Psql, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = psql("owner")
    dead(owner)
    broken = "SELECT id AS tenant_id, 1 / (length(id) - 4) AS value FROM wf.tenant_list"
    slow = "SELECT id AS tenant_id, 1 AS value FROM wf.tenant_list, LATERAL (SELECT pg_sleep(60)) s"
    wide = "SELECT n::text AS tenant_id, n AS value FROM generate_series(1, 10001) n"
    await apply(home, LONG_NAMES)
    for name, statement in (("own_broken", broken), ("own_slow", slow), ("own_wide", wide)):
        columns = "name, means, every, severity, language, statement, fires, threshold"
        values = f"'{name}', 'x', '1 minute', 'error', 'sql', '{statement}', 'above', 0"
        psql("admin").execute(f"INSERT INTO wf.own_detectors ({columns}) VALUES ({values})".encode())
    owner.execute("DELETE FROM wf.detectors WHERE name !~ '^own' AND name <> 'jobs_dead'")
    monkeypatch.setattr(own_detectors, "SECONDS", 0.5)
    evaluate = evaluating(None)
    work = Work(database.login("worker"), {"queue_evaluations": kinds()["queue_evaluations"], evaluate.name: evaluate})
    running = asyncio.create_task(work.run())
    try:
        for _ in range(6000):
            if one(owner, "SELECT count(*) FROM wf.detectors WHERE looked_at IS NULL") == (0,):
                break
            await asyncio.sleep(0.01)
    finally:
        work.stop()
        await running
    errors = dict(owner.execute("SELECT name, error FROM wf.detectors").fetchall())
    assert errors == {
        "own_long_names": None,
        "jobs_dead": None,
        "own_broken": "division by zero",
        "own_slow": "it took longer than 0.5 s",
        "own_wide": "it gives more than 10,000 rows or 8 MB",
    }
    assert {row[0] for row in owner.execute("SELECT kind FROM wf.alerts").fetchall()} == {"own_long_names", "jobs_dead"}


async def test_of_a_detector_that_is_removed_nothing_more_is_known(home: Home, psql: Psql, database: Database) -> None:
    owner = psql("owner")
    await apply(home, LONG_NAMES)
    await evaluated(database, "own_long_names")
    psql("worker").execute("SELECT wf.queue_evaluations()")
    await apply(home)
    [gone] = alerts(owner)
    assert (gone["standing"], gone["unknown_why"]) == ("unknown", "its detector was removed")
    assert one(owner, "SELECT count(*) FROM wf.detectors WHERE name ~ '^own'") == (0,)
    its = 'FROM wf.jobs WHERE payload = \'{"detector": "own_long_names"}\''
    await working(database, psql, f"SELECT count(*) {its} AND state IN ('waiting', 'running')")
    assert one(owner, f"SELECT state, attempts {its}") == ("done", 1), "it is no failure that it is gone"


async def test_the_example_of_the_page_can_be_applied(home: Home) -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    [text] = re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    checkout, queue = Source("the page", text).items("detectors")
    assert named("detectors.apply").parse({"detectors": [checkout, queue]})
    applied = await apply(home, checkout)
    assert applied.result["created"] == 1 and "found 0" in applied.result["notes"][0]


# What somebody with psql's powers tries

ATTACKS = (
    "SELECT set_config('role', 'wf_worker', false) AS tenant_id, 1 AS value",
    "SELECT set_config('session_authorization', 'wf_owner', false) AS tenant_id, 1 AS value",
    "SELECT set_config('transaction_read_only', 'off', true) AS tenant_id, 1 AS value",
    "SELECT 'x' AS tenant_id, 1 AS value) d; RESET ROLE; CREATE TABLE wf.mine (); SELECT * FROM (SELECT 1 AS value",
    "SELECT data::text AS tenant_id, 1 AS value FROM wf.route_secrets",
    "SELECT query_to_xml('SELECT * FROM wf.route_secrets', true, true, '')::text AS tenant_id, 1 AS value",
    "SELECT query_to_xml('DELETE FROM wf.tenants', true, true, '')::text AS tenant_id, 1 AS value",
    "SELECT hash::text AS tenant_id, 1 AS value FROM wf.api_keys",
    "SELECT address::text AS tenant_id, 1 AS value FROM wf.requests",
    "SELECT wf.evaluate('jobs_dead')::text AS tenant_id, 1 AS value",
    "SELECT wf.queue_job('deliver')::text AS tenant_id, 1 AS value",
    "SELECT wf.begin_change('tenants.suspend', 'x', 'r')::text AS tenant_id, 1 AS value",
    "SELECT pg_terminate_backend(pid)::text AS tenant_id, 1 AS value FROM pg_stat_activity WHERE usename = 'wf_owner'",
    "SELECT pg_read_file('/etc/passwd') AS tenant_id, 1 AS value",
    "SELECT lo_import('/etc/passwd')::text AS tenant_id, 1 AS value",
    "WITH gone AS (DELETE FROM wf.tenants RETURNING id) SELECT id AS tenant_id, 1 AS value FROM gone",
)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_sql_of_a_detector_gains_nothing_when_a_worker_runs_it(
    psql: Psql, database: Database, attack: str
) -> None:
    psql("admin").execute(
        "INSERT INTO wf.own_detectors (name, means, every, severity, language, statement, fires, threshold)"
        " VALUES ('own_attack', 'x', '1 minute', 'error', 'sql', %s, 'above', 0)", [attack],
    )  # fmt: skip
    await evaluated(database, "own_attack")
    assert one(psql("owner"), "SELECT error IS NOT NULL FROM wf.detectors WHERE name = 'own_attack'") == (True,)
    assert one(psql("owner"), "SELECT count(*), to_regclass('wf.mine') FROM wf.tenants") == (3, None)


async def test_what_a_statement_sets_or_locks_is_gone_afterwards_and_personal_data_are_masked(
    psql: Psql, database: Database
) -> None:
    statement = """SELECT id AS tenant_id, 1 AS value, owner_email, set_config('search_path', 'public', false),
                     set_config('statement_timeout', '0', false), pg_advisory_lock(7)::text AS locked
                   FROM wf.tenant_list WHERE id = 'acme'"""
    psql("admin").execute(
        "INSERT INTO wf.own_detectors (name, means, every, severity, language, statement, fires, threshold)"
        " VALUES ('own_sly', 'x', '1 minute', 'error', 'sql', %s, 'above', 0)", [statement],
    )  # fmt: skip
    async with await psycopg.AsyncConnection.connect(database.login("worker"), autocommit=True) as worker:
        shown = "SELECT current_setting('search_path'), current_setting('statement_timeout'), current_user"
        before = await (await worker.execute(shown)).fetchone()
        [found] = await own_detectors.measured(worker, "own_sly", None) or []
        assert await (await worker.execute(shown)).fetchone() == before
        held = await worker.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert await held.fetchone() == (0,)
    assert "ana" not in found.labels["owner_email"] and "@" in found.labels["owner_email"]


async def test_only_an_admin_puts_detectors_and_nobody_becomes_their_role(psql: Psql, database: Database) -> None:
    for role in ("viewer", "support", "operator", "worker", "service"):
        denied(psql(role), "INSERT INTO wf.own_detectors DEFAULT VALUES", "DELETE FROM wf.own_detectors")
    for role in ("viewer", "operator", "admin", "worker", "service"):
        denied(psql(role), "SET ROLE wf_detector")
    for role in ("viewer", "operator", "worker", "service"):
        denied(psql(role), "SELECT wf.own_rows('SELECT 1')")
    denied(psql("viewer"), "SELECT wf.own_detector_rows('own_x')", "SELECT wf.own_columns('SELECT 1')")
    denied(psql("operator"), "SELECT wf.own_columns('SELECT 1')")
    operator = Home(database.login("operator"))
    await operator.open()
    with pytest.raises(NotPermitted):
        await apply(operator, LONG_NAMES)
    await operator.close()


# Against a Prometheus


@pytest.fixture
def source(tmp_path: Path) -> Iterator[PrometheusSeries]:
    with prometheus.running(tmp_path, ["# TYPE x counter"]) as url:
        (tmp_path / "mapping.toml").write_text(prometheus.MAPPING.format(url=url, scrape=15, timeout=10))
        yield PrometheusSeries(tmp_path / "mapping.toml", lambda of: Secret("x", str(of)), machine_now)


def share(value: str, tenant: str = "acme") -> str:
    return f'label_replace(label_replace(vector({value}), "tenant", "{tenant}", "", ""), "queue", "mail", "", "")'


@needs_prometheus
async def test_an_expression_is_judged_and_what_prometheus_no_longer_has_is_unknown(
    home: Home, psql: Psql, database: Database, source: PrometheusSeries
) -> None:
    home.metrics = source
    spec = {"name": "own_share", "means": "Mail that fails", "above": 0.1, "severity": "critical"}
    firing = ("acme", {"queue": "mail"}, 0.25, "firing")
    steps = [
        (share("0.25"), [firing]),
        (share("NaN"), [(*firing[:3], "unknown")]),
        (share("0.25") + " or " + share("0.01", "beta"), [firing]),
        (share("0.25", "gone") + " > 1", [(*firing[:3], "unknown")]),
        (share("0.05"), []),
    ]
    for expression, wanted in steps:
        await apply(home, spec | {"promql": expression})
        await evaluated(database, "own_share", source)
        assert open_alerts(psql, "own_share") == wanted, expression
    with pytest.raises(Refusal) as refused:
        await apply(home, spec | {"promql": "sum by ("})
    assert refused.value.code == "prometheus_refused"
    await source.close()


@needs_prometheus
async def test_while_prometheus_is_silent_its_alerts_are_unknown(
    home: Home, psql: Psql, database: Database, source: PrometheusSeries, tmp_path: Path
) -> None:
    home.metrics = source
    await apply(home, {"name": "own_share", "means": "x", "above": 0.1, "promql": share("0.25")})
    await evaluated(database, "own_share", source)
    away = tmp_path / "away.toml"
    away.write_text(prometheus.MAPPING.format(url="http://127.0.0.1:1", scrape=15, timeout=1))
    silent = PrometheusSeries(away, lambda of: Secret("x", str(of)), machine_now)
    for metrics, words in ((silent, "Prometheus at 127.0.0.1:1"), (None, "No Prometheus is configured")):
        await evaluated(database, "own_share", metrics)
        assert [each[3] for each in open_alerts(psql, "own_share")] == ["unknown"]
        error = one(psql("owner"), "SELECT error FROM wf.detectors WHERE name = 'own_share'")[0]
        assert words in error
    await evaluated(database, "own_share", source)
    assert [each[3] for each in open_alerts(psql, "own_share")] == ["firing"]
    await silent.close()
    await source.close()
