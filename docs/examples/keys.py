"""The reference client for a service: says who is calling, from memory, and never later than promised.

    keys = Keys("postgresql://shop@db.example/watchfloor")
    caller = keys.authenticate(secret, "203.0.113.9")
    if caller.refusal: ...   # 401 or 403, with that word

An answer is kept until there are news of its key or tenant. Usually a notification brings them at once; when it is
lost, polling does. When the home has not answered for a second, nothing is answered from memory any more.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

POLL_SECONDS = 0.4
# A dead network is noticed after two seconds. Nothing is prepared: a pooler may run the next statement elsewhere.
LINK = {"connect_timeout": 2, "tcp_user_timeout": 2000, "prepare_threshold": None}
TRUSTED_SECONDS = 1.0
"""How long after the home's last answer its answers are trusted."""
MOST_KEPT = 100_000


@dataclass(frozen=True)
class Caller:
    """`refusal` is None when the call may be made, else a stable word: key_revoked, tenant_suspended, …"""

    tenant: str | None
    project: str | None
    key_id: str | None
    env: str | None
    scopes: tuple[str, ...]
    good_until: datetime | None
    version: int
    refusal: str | None

    def may(self, scope: str) -> bool:
        """Scopes deny by default."""
        return self.refusal is None and scope in self.scopes


class Keys:
    """Safe for use by many threads. `close` ends the listening thread."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._asking = threading.Lock()
        self._connection: psycopg.Connection | None = None
        self._kept: dict[tuple[bytes, str | None], Caller] = {}
        self._keeping = threading.Lock()
        self._seen = 0
        self._heard_at = float("-inf")
        self._closed = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="keys", daemon=True)
        self._listener.start()

    def authenticate(self, secret: str, address: str | None = None) -> Caller:
        """Raises psycopg.Error when the home cannot be asked: refuse the call then."""
        asked = (hashlib.sha256(secret.encode()).digest(), address)
        caller = self._remembered(asked)
        if caller is None:
            caller = self._ask(asked)
            self._keep(asked, caller)
        return caller

    def close(self) -> None:
        self._closed.set()
        self._listener.join()
        if self._connection is not None:
            self._connection.close()

    def _remembered(self, asked: tuple[bytes, str | None]) -> Caller | None:
        caller = self._kept.get(asked)
        if caller is None or time.monotonic() - self._heard_at > TRUSTED_SECONDS:
            return None
        return None if caller.good_until is not None and caller.good_until <= datetime.now(UTC) else caller

    def _ask(self, asked: tuple[bytes, str | None]) -> Caller:
        with self._asking:
            rested = self._connection is not None and not self._connection.closed
            try:
                row = self._row(asked)
            except psycopg.OperationalError:
                if not rested or not self._connection.closed:
                    raise
                row = self._row(asked)  # the idle connection had died: once more, on a new one
        tenant, project, key_id, env, scopes, good_until, version, refusal = row
        return Caller(tenant, project, key_id, env, tuple(scopes or ()), good_until, version or 0, refusal)

    def _row(self, asked: tuple[bytes, str | None]) -> tuple:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True, **LINK)
        return self._connection.execute("SELECT * FROM wf_data.authenticate(%s, %s)", asked).fetchone()

    def _keep(self, asked: tuple[bytes, str | None], caller: Caller) -> None:
        """Keep only a valid answer, and only if no news came since it was asked for: they may be about it."""
        with self._keeping:
            if caller.refusal is None and caller.version >= self._seen:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.clear()
                self._kept[asked] = caller

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with psycopg.connect(self._conninfo, autocommit=True, **LINK) as connection:
                    connection.execute("LISTEN wf_keys")
                    with self._keeping:  # this may be another server, or a restored one
                        self._kept, self._seen = {}, 0
                    while not self._closed.is_set():
                        self._read_news(connection)
                        for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                            pass
            except psycopg.Error:
                self._closed.wait(POLL_SECONDS)

    def _read_news(self, connection: psycopg.Connection) -> None:
        asked_at = time.monotonic()
        news = connection.execute("SELECT version, tenant, key_id FROM wf_data.news(%s)", [self._seen]).fetchall()
        with self._keeping:
            if news:
                told = {(tenant, key_id) for _, tenant, key_id in news}
                self._kept = {asked: caller for asked, caller in self._kept.items() if not _is_about(caller, told)}
                self._seen = news[-1][0]
            self._heard_at = asked_at


def _is_about(caller: Caller, told: set[tuple[str | None, str | None]]) -> bool:
    """News without a tenant are about everything, without a key about all keys of the tenant."""
    return not told.isdisjoint([(None, None), (caller.tenant, None), (caller.tenant, caller.key_id)])
