"""The promises of docs/data-plane.md, kept by both reference clients against a real home."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.backends.keys import do, make_keys, make_tenants
from tests.backends.runs import opened
from tests.dataplane.clients import KINDS, Away, Client, InPython, client, until, url
from tests.postgres import Database
from tests.terminal.link import CutLink

PROMISED = 1.0
REVOKE = "UPDATE wf.api_keys SET revoked_at = now(), revoked_reason = 'leaked' WHERE id LIKE '%1'"
LISTENERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'LISTEN|wf_data.news'"
    " AND pid <> pg_backend_pid()"
)
ASKED = "SELECT max(query_start) FROM pg_stat_activity WHERE query ~ '^SELECT . FROM wf_data.authenticate'"


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    """The tenant acme has one key, whose secret is "1"."""
    make_tenants(database.owner, "acme")
    make_keys(database.owner, 1)
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection


def begin(service: Client, owner: psycopg.Connection) -> None:
    """Until it lets the key in from memory: without a question."""

    def from_memory() -> bool:
        before = owner.execute(ASKED).fetchone()
        return _answered(service) is None and owner.execute(ASKED).fetchone() == before != (None,)

    until(from_memory)


def _answered(service: Client) -> str | None:
    try:
        return service.refusal("1")
    except Away:
        return "away"


def last_let_in(service: Client, since: float, secret: str = "1", *, away_counts: bool = False) -> float:
    """Seconds from `since` to the begin of the last call that was let in before the first that was refused."""
    last = 0.0
    while True:
        began = time.monotonic()
        assert began - since < 10, "never refused"
        try:
            if service.refusal(secret) is not None:
                return last
        except Away:
            if away_counts:
                return last
            continue
        last = began - since


def cut(owner: psycopg.Connection) -> None:
    owner.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}".encode())


def mute(owner: psycopg.Connection) -> None:
    """As a pooler does that delivers no notifications."""
    row = owner.execute("SELECT pg_get_functiondef('wf.tell_services'::regproc)").fetchone()
    assert row is not None and "PERFORM pg_notify" in row[0]
    owner.execute(row[0].replace("PERFORM pg_notify", "PERFORM concat").encode())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("meanwhile", [None, cut, mute], ids=["notified", "listening cut", "only polling"])
def test_a_revoked_key_is_refused_within_a_second(
    database: Database, owner: psycopg.Connection, kind: str, meanwhile: Callable[[psycopg.Connection], None] | None
) -> None:
    with client(kind, url(database.login("service"))) as service:
        begin(service, owner)
        if meanwhile is not None:
            meanwhile(owner)
        owner.execute(REVOKE)
        assert last_let_in(service, time.monotonic()) <= PROMISED
        assert service.refusal("1") == "key_revoked"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_believed_a_second_after_the_home_fell_silent(
    database: Database, owner: psycopg.Connection, kind: str
) -> None:
    parts = conninfo_to_dict(database.owner)
    with CutLink(f"{parts['host']}/.s.PGSQL.{parts['port']}") as link, ThreadPoolExecutor(1) as pool:
        home = url(database.login("service"), host="127.0.0.1", port=link.port)
        with client(kind, home) as service:
            begin(service, owner)
            link.freeze()
            frozen = time.monotonic() + 0.1  # when it surely is
            owner.execute(REVOKE)
            asked = pool.submit(last_let_in, service, frozen, away_counts=True)
            until(lambda: asked.done() or time.monotonic() - frozen > PROMISED + 0.5)  # a call that hangs is not let in
            link.cut()
            assert 0 < asked.result(10) <= PROMISED, "from memory, for the rest of its second"
            link.restore()
            until(lambda: _answered(service) == "key_revoked")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_connection_may_be_to_a_home_that_was_restored(
    database: Database, owner: psycopg.Connection, kind: str
) -> None:
    with client(kind, url(database.login("service"))) as service:
        owner.execute("UPDATE wf.api_keys SET scopes = '{read}'")
        begin(service, owner)
        owner.execute("ALTER TABLE wf.api_keys DISABLE TRIGGER tell_services")
        owner.execute(REVOKE)  # no news tell of it: so it was in the backup
        assert service.refusal("1") is None
        cut(owner)
        until(lambda: _answered(service) == "key_revoked")


class Calling:
    """A service that calls all the time with the secret that it has just now."""

    def __init__(self, service: Client, secret: str) -> None:
        self.service, self.secret = service, secret
        self.calls: Counter[str] = Counter()
        self.refused: list[tuple[str, str | None]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self._thread.start()

    def _call(self) -> None:
        while not self._over.wait(0.001):
            secret = self.secret
            try:
                refused = self.service.refusal(secret)
            except Exception as error:
                refused = repr(error)
            if refused is not None:
                self.refused.append((secret, refused))
            self.calls[secret] += 1

    async def many_more(self) -> None:
        """Enough for several polls, and whatever a notification does."""
        began = self.calls[self.secret]
        await asyncio.to_thread(until, lambda: self.calls[self.secret] >= began + 300)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


async def test_no_caller_is_refused_through_a_rotation(database: Database, owner: psycopg.Connection) -> None:
    url_ = url(database.login("service"))
    with ExitStack() as stack:
        async with opened(database.login("operator")) as home:
            made = await do(home, "keys.create", tenant_id="acme", scopes=["read"])
            assert made.secret is not None
            services = [stack.enter_context(client(kind, url_)) for kind in KINDS]
            calling = [Calling(service, made.secret) for service in services]
            for each in calling:
                stack.callback(each.end)

            async def all_call() -> None:
                await asyncio.gather(*(each.many_more() for each in calling))

            await all_call()
            rotated = await do(home, "keys.rotate", id=made.result["id"], grace="1h")
            assert rotated.secret is not None
            await all_call()  # with the old one, in its grace
            calling[0].secret = rotated.secret
            await all_call()  # one has changed over, the other not yet
            calling[1].secret = rotated.secret
            await all_call()
            for each in calling:
                each.end()
                assert each.refused == [] and set(each.calls) == {made.secret, rotated.secret}
                assert each.service.refusal(made.secret) is None, "its grace is not over"
            await do(home, "keys.grace", id=made.result["id"], grace="0")
            ended = time.monotonic()
            for each in calling:
                assert await asyncio.to_thread(last_let_in, each.service, ended, made.secret) <= PROMISED
                assert each.service.refusal(made.secret) == "key_expired"
                assert each.service.refusal(rotated.secret) is None


def test_an_answer_that_is_older_than_the_news_is_not_kept(database: Database, owner: psycopg.Connection) -> None:
    with client("python", url(database.login("service"))) as service:
        assert isinstance(service, InPython)
        begin(service, owner)
        keys, ask = service.keys, service.keys._row

        def late(asked: object) -> object:
            row = ask(asked)
            owner.execute(REVOKE)
            until(lambda: keys._seen)
            return row

        keys._row = late
        assert service.refusal("1", "192.0.2.1") is None, "it was good when it was asked"
        keys._row = ask
        assert service.refusal("1", "192.0.2.1") == "key_revoked"
