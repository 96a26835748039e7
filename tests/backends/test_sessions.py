"""A session of ours is the same whatever the environment, the role or the database would have; the way to a home by
URL is the one that they say. A database that cannot hold every text is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.homes import HomeChoice, home_name
from backends.postgres.home import Home
from backends.postgres.link import connect, dressed
from backends.postgres.migrate import migrate
from controlplane.errors import Refusal
from tests.app.commands import Cli
from tests.backends.runs import opened
from tests.postgres import LOGIN_PASSWORD, Database, Server
from tests.terminal.console import socket_of
from tests.terminal.link import CutLink

ODD = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "Pacific/Kiritimati",
    "search_path": "elsewhere",
    "extra_float_digits": "0",
    "statement_timeout": "5000",  # one that the first statement itself does not meet
}
OURS = {
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "search_path": "pg_catalog, pg_temp",
    "extra_float_digits": "1",
    "statement_timeout": "15s",
    "client_encoding": "UTF8",
}
SHOWN = "SELECT {}".format(", ".join(f"current_setting('{name}')" for name in OURS)).encode()


@pytest.fixture
def cli(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    cli = Cli(database, monkeypatch, capsys)
    cli.log_in()
    return cli


def by_environment(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", " ".join(f"-c {name}={value}" for name, value in ODD.items()))
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")


def by_role(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        for name, value in ODD.items():
            owner.execute(f"ALTER ROLE t_admin SET {name} = '{value}'".encode())
        owner.execute("ALTER ROLE t_admin SET client_encoding = 'LATIN1'")


@pytest.fixture(params=[by_environment, by_role])
def odd(request: pytest.FixtureRequest, cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A login's conninfo."""
    conninfo = database.login("admin")
    request.param(database, monkeypatch)
    yield conninfo
    for name in ("PGOPTIONS", "PGTZ", "PGDATESTYLE", "PGCLIENTENCODING"):
        monkeypatch.delenv(name, raising=False)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("ALTER ROLE t_admin RESET ALL")


async def test_a_session_is_the_same_whatever_is_set_elsewhere(odd: str) -> None:
    async with opened(odd) as home, home.connection() as link:
        assert await (await link.execute(SHOWN)).fetchone() == tuple(OURS.values())
    with connect(odd, "import") as session:
        assert session.execute(SHOWN).fetchone() == tuple(OURS.values())


def test_what_is_written_is_what_is_read_whatever_is_set_elsewhere(cli: Cli, odd: str) -> None:
    cli.done("tenants", "create", "acme", "--name", "Ärzte €", "--reason", "ΑΒΓ")
    shown = cli.done("tenants", "show", "acme")
    assert shown["item"]["name"] == "Ärzte €" and shown["item"]["created_at"].endswith("+00:00")
    assert shown["item"]["created_at"][:4] == cli.done("audit", "list")["as_of"][:4]


async def test_a_command_logs_in_once(database: Database) -> None:
    home = Home(database.login("viewer"), conversation="command")
    await home.open()
    try:
        for _ in range(2):
            async with home.connection() as connection:
                await connection.execute("SELECT 1")
        async with home.connection() as connection:
            mine = "SELECT count(*) FROM pg_stat_activity WHERE usename = session_user AND datname = current_database()"
            assert await (await connection.execute(mine)).fetchone() == (1,)
    finally:
        await home.close()


async def test_options_of_ones_own_stand(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    conninfo = database.login("viewer")
    monkeypatch.setenv("PGOPTIONS", "-c geqo=off")
    async with opened(conninfo) as home, home.connection() as link:
        assert await (await link.execute("SELECT current_setting('geqo')")).fetchone() == ("off",)
    assert "connect_timeout=5" in dressed("dbname=x", "test") and "tcp_user_timeout=10000" in dressed(
        "dbname=x", "test"
    )
    assert "connect_timeout=9" in dressed("connect_timeout=9", "test")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "7")
    assert "connect_timeout" not in dressed("dbname=x", "test")  # libpq reads it there


def test_a_service_names_the_way(cli: Cli, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = conninfo_to_dict(database.login("admin"))
    file = tmp_path / "services.conf"
    file.write_text("[acme]\n" + "".join(f"{name}={known[name]}\n" for name in ("host", "port", "dbname", "user")))
    with monkeypatch.context() as person:
        person.setenv("PGSERVICEFILE", str(file))
        assert cli("tenants", "list", "--home", "postgresql:///?service=acme").code == 0
        person.setenv("PGSERVICE", "acme")
        assert cli("tenants", "list", "--home", "postgresql://").code == 0
        person.setenv("PGSERVICE", "nosuch")
        answer = cli("tenants", "list", "--home", "postgresql://", "--json")
    assert answer.code == 6 and "nosuch" in answer.document["error"]["message"]
    assert home_name(HomeChoice("url", "postgresql:///?service=acme", None, "")) == "acme"
    assert home_name(HomeChoice("url", "postgresql://", None, "")) != "home"  # which is the embedded one


def test_an_address_beside_the_name_is_the_one_that_is_connected_to(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.login("admin")
    with CutLink(socket_of(database)) as link, monkeypatch.context() as person:
        person.setenv("PGPASSWORD", LOGIN_PASSWORD)
        person.setenv("PGHOSTADDR", "127.0.0.1")
        url = f"postgresql://t_admin@db.invalid:{link.port}/{database.name}"
        assert cli("tenants", "list", "--home", url).code == 0
        assert cli("home", "status", "--home", url).code == 0


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused_with_what_is_needed(
    postgres_server: Server,
    cli: Cli,
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"odd_{encoding.lower()}"
    with psycopg.connect(postgres_server.credentials.owner_conninfo("postgres"), autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'".encode()
        )
    database = Database(postgres_server.credentials.owner_conninfo(name), name)
    try:
        with pytest.raises(Refusal) as refused:
            migrate(database.owner)
        assert refused.value.code == "home_encoding" and encoding in refused.value.message
        assert "--encoding UTF8" in refused.value.hint
        cli.log_in(dbname=name)
        assert cli("tenants", "list", "--json").document["error"]["code"] == "home_encoding"
        assert cli.done("home", "status")["item"]["problem"]["code"] == "home_encoding"
    finally:
        postgres_server.drop(database)
