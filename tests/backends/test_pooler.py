"""A home behind a real PgBouncer: in session mode all is as without it, in transaction mode nothing outlives a
transaction, and what cannot be had is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.cli.worker import reached
from app.homes import HomeChoice
from app.settings import Settings
from backends.postgres.home import Home
from backends.postgres.requests import LogImport, import_log
from controlplane.changes import Intent
from controlplane.errors import Refusal
from controlplane.listing import Query
from controlplane.live import LinkState
from controlplane.operations import Call, execute
from controlplane.operators.model import OperatorDirectory
from controlplane.registry import named
from controlplane.requestlogs.model import Format
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.tenants.model import TenantDirectory
from tests import pgbouncer
from tests.app.commands import Cli
from tests.backends.runs import make_tenants, opened
from tests.dataplane.clients import keys_module
from tests.pgbouncer import through
from tests.postgres import LOGIN_PASSWORD, Database

pytestmark = pytest.mark.skipif(pgbouncer.program() is None, reason="no PgBouncer could be had here")
LINE = '{"tenant_id": "t001", "route": "/a", "method": "GET", "status": 200, "at": "2026-11-20T10:00:00Z"}\n'


@pytest.fixture(params=["session", "transaction"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def port(database: Database, mode: str) -> Iterator[int]:
    """Sessions keep their connection; in transaction mode there are fewer of them than clients."""
    make_tenants(database.owner, 40)
    with pgbouncer.pgbouncer(database, mode, size=20 if mode == "session" else 2) as listens:
        yield listens


async def test_every_row_is_of_the_statement_that_asked_for_it(database: Database, port: int, mode: str) -> None:
    """Prepared names collide or, worse, mean another's statement: so often that psycopg would prepare."""
    admin = through(database.login("admin"), port)

    async def ask(home: Home, n: int) -> None:
        for _ in range(12):
            name = f"t{n:03}"
            page = await home.of(TenantDirectory).page(Query((), "id"), limit=5)
            assert next(row.id for row in page.rows) == "default"
            assert (await home.of(TenantDirectory).get(name)).id == name
            assert (await home.of(SubscriptionDirectory).standing(name)).subscription.tenant_id == name

    async with opened(admin) as one, opened(admin) as other:
        assert one.shared is (mode == "transaction")
        await asyncio.gather(*(ask(home, n) for n in range(1, 5) for home in (one, other)))


async def test_a_change_is_made_once_and_its_repeat_is_told(database: Database, port: int) -> None:
    async with opened(through(database.login("admin"), port)) as home:
        suspend = named("tenants.suspend")
        for n in range(1, 9):
            request = suspend.parse({"id": f"t{n:03}"})
            call = Call("unpaid", f"once-{n}")
            preview = await execute(home, suspend, request, Call("unpaid", f"once-{n}", dry_run=True))
            assert preview.dry_run and len(preview.rows) == 1
            assert not (await execute(home, suspend, request, call)).repeated
            assert (await execute(home, suspend, request, call)).repeated
        assert await home.recorded("never") is None
    with psycopg.connect(database.owner) as owner:
        assert owner.execute("SELECT count(*) FROM wf.changes").fetchone() == (8,)


async def test_what_is_set_holds_for_us_and_for_nobody_else(database: Database, port: int, mode: str) -> None:
    admin = through(database.login("admin"), port)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        for setting in ("datestyle = 'German'", "intervalstyle = 'sql_standard'", "timezone = 'Pacific/Kiritimati'"):
            owner.execute(f"ALTER DATABASE {database.name} SET {setting}".encode())
    shown = "SELECT {}".format(", ".join(f"current_setting('{name}')" for name in OURS))
    async with opened(admin) as home:
        for _ in range(3):
            async with home.connection() as link:
                assert await (await link.execute(shown.encode())).fetchone() == tuple(OURS.values())
            assert await home.of(OperatorDirectory).rows() is not None
            async with home.change(Intent("tenants.rename", f"r{_}", "f", dry_run=True)) as change:
                row = await (await change.connection.execute(shown.encode())).fetchone()  # type: ignore[attr-defined]
                assert row == tuple(OURS.values())
        if mode == "transaction":
            with psycopg.connect(admin, autocommit=True, prepare_threshold=None) as another:
                for _ in range(4):
                    assert another.execute("SELECT current_setting('statement_timeout')").fetchone() == ("0",)
                    assert another.execute("SELECT current_setting('datestyle')").fetchone() == ("German, DMY",)


OURS = {
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "30s",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "search_path": "pg_catalog, pg_temp",
}


async def test_news_come_and_polling_is_said(database: Database, port: int, mode: str) -> None:
    states: list[LinkState] = []
    news = asyncio.Event()
    async with opened(through(database.login("admin"), port)) as home:
        watching = asyncio.create_task(home.feed.watch(news.set, states.append))
        try:
            async with asyncio.timeout(60):
                await news.wait()
                assert states[-1] == LinkState("live", polling=mode == "transaction")
                for name in ("first", "second"):
                    news.clear()
                    with psycopg.connect(database.owner) as owner:
                        owner.execute("INSERT INTO wf.tenants (id, name) VALUES (%s, %s)", [name, name])
                    await news.wait()
        finally:
            watching.cancel()


def test_the_reference_client_of_a_service_asks_through_it(database: Database, port: int) -> None:
    service = through(database.login("service"), port)
    one, other = keys_module().Keys(service), keys_module().Keys(service)
    try:
        for n in range(24):
            for client in (one, other):
                assert client.authenticate(f"wf_test_{n}").refusal == "key_unknown"
    finally:
        one.close()
        other.close()


def test_what_needs_a_session_is_refused_where_there_is_none(
    database: Database, port: int, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "requests.jsonl"
    log.write_text(LINE * 3)
    job = LogImport(log, Format.JSONL)
    choice = HomeChoice("url", pgbouncer.url(database, port, "worker"), None, "a test")
    monkeypatch.setenv("PGPASSWORD", LOGIN_PASSWORD)
    settings = Settings(tmp_path / "settings.toml")
    if mode == "session":
        assert import_log(through(database.login("operator"), port), job).rows == 3
        assert reached(choice, settings)
        return
    for act in (lambda: import_log(through(database.login("operator"), port), job), lambda: reached(choice, settings)):
        with pytest.raises(Refusal) as refused:
            act()
        assert refused.value.code == "home_pooled" and "pool_mode = session" in refused.value.hint


def test_what_the_pooler_refuses_is_said_with_what_to_set(
    database: Database,
    port: int,
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli = Cli(database, monkeypatch, capsys)
    monkeypatch.setenv("WATCHFLOOR_HOME", pgbouncer.url(database, port))
    monkeypatch.setenv("PGPASSWORD", LOGIN_PASSWORD)
    status = cli.done("home", "status")["item"]
    assert status["usable"] is True and mode in status["pooler"]
    assert cli.done("tenants", "list")["total"] == 41
    monkeypatch.setenv("PGOPTIONS", "-c geqo=off")
    answer = cli("tenants", "list", "--json")
    error = answer.document["error"]
    assert (answer.code, error["code"]) == (6, "home_pooler_refuses")
    assert "PGOPTIONS" in error["hint"] and "ignore_startup_parameters = options" in error["hint"]


def test_a_pooler_that_is_full_or_alone_is_told_from_a_home_that_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = Cli(database, monkeypatch, capsys)
    monkeypatch.setenv("PGPASSWORD", LOGIN_PASSWORD)
    with pgbouncer.pgbouncer(database, "transaction", more="max_client_conn = 1\n") as listens:
        monkeypatch.setenv("WATCHFLOOR_HOME", pgbouncer.url(database, listens))
        with psycopg.connect(through(database.login("viewer"), listens)):
            assert cli("tenants", "list", "--json").document["error"]["code"] == "home_connections_used_up"
        monkeypatch.setenv("WATCHFLOOR_HOME", pgbouncer.url(database, listens) + "_gone")
        answer = cli("tenants", "list", "--json").document["error"]
        assert answer["code"] == "home_database_missing", answer
