"""What every test stands on: an environment that is the same everywhere, and a real PostgreSQL when asked for.

`database` is a fresh migrated database, `empty_database` one without our schema; both are gone after the test.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from tests import demonstration, secrecy
from tests.postgres import Database, Server, running_server

# Outside of the tests these change what the program draws, where it connects, and whose data it touches.
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TEXTUAL", "TEXTUAL_THEME", "SSH_CONNECTION", "LC_ALL", "LC_TIME")
_numbers = itertools.count(1)
settings.register_profile("unhurried", deadline=None)  # how long an example takes depends on who else is at work
settings.load_profile("unhurried")
# Who starts the tests behind their terminal may ignore these, and what they start would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# With it, every program that the tests start, and every worker of theirs, would compile all its modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: half of a test's time is spent waiting for a server, a screen, a lease, or a signal."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files beside the folders hold the longest tests: they begin first, so that none of them ends alone."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that the others work for is the last to end
        shutil.rmtree(demonstration.cache(), ignore_errors=True)


@pytest.fixture
def prepared_demonstration(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where demonstrations find a prepared one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(demonstration.cache()))
    return demonstration.cache()


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture(autouse=True)
def frozen_environment(_homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's own folder per test; nothing of the real person is read or written. Programs started inherit it."""
    person = _homes / str(next(_numbers))
    person.mkdir()
    for name in [name for name in os.environ if name in UNSET or name.startswith(("PG", "WATCHFLOOR_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(person))
    for name in ("CONFIG", "DATA", "STATE", "CACHE", "RUNTIME"):
        monkeypatch.setenv(f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}", str(person / name.lower()))
    # Root's home is not below HOME, so the program's own variable points away from it too.
    monkeypatch.setenv("WATCHFLOOR_HOME", str(person / "home"))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield person
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither in a log nor in a file, once all tests are through. `database` looks at the home after each."""
    watch = secrecy.LogWatch()
    logging.getLogger().addHandler(watch)
    yield
    logging.getLogger().removeHandler(watch)
    assert not watch.found
    assert not secrecy.in_files(tmp_path_factory.getbasetemp().rglob("*"))
    assert not secrecy.in_files(Path(__file__).parent.rglob("__snapshots__/**/*"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with running_server() as server:
        yield server
        assert not secrecy.in_files([server.log])


@pytest.fixture(scope="session")
def template_database(postgres_server: Server) -> str:
    """The name of a database with all migrations applied; nobody may connect to it while it is copied.

    A module whose tests begin with the same many rows has a fixture of this name, which fills a copy of it once.
    """
    return postgres_server.make_template()


@pytest.fixture
def empty_database(postgres_server: Server) -> Iterator[Database]:
    database = postgres_server.create()
    yield database
    postgres_server.drop(database)


@pytest.fixture(scope="module")
def _fleet(postgres_server: Server, template_database: str) -> Iterator[str]:
    """Not older than a module's tests: what is some minutes old is said to be stale."""
    from tests import overview

    with postgres_server.database(template_database) as database:
        with psycopg.connect(database.owner) as connection:
            overview.fill(connection)
        yield database.name


@pytest.fixture
def fleet(postgres_server: Server, _fleet: str) -> Iterator[Database]:
    """A home of which every part of the overview has something to say."""
    with postgres_server.database(_fleet) as database:
        yield database


@pytest.fixture
def database(postgres_server: Server, template_database: str) -> Iterator[Database]:
    with postgres_server.database(template_database) as database:
        yield database
        with psycopg.connect(database.owner) as connection:
            left = secrecy.in_database(connection)
    assert not left
