"""A worker's heartbeat: a thread with a connection of its own, so that no job can starve it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

import psycopg
from psycopg.conninfo import make_conninfo

from backends.postgres.link import Link, connect
from controlplane.errors import Refusal

BEAT_SECONDS = 5.0
LEASE_SECONDS = 15.0
"""The same as the home's wf.worker_lease; a test compares the two."""


class Heart:
    """Sends heartbeats until it is stopped. `may` says whether it may send one now. `on_lost` is called once, in the
    thread, when the home has given the worker up, or must have by now.
    """

    def __init__(self, conninfo: str, worker: int, may: Callable[[], bool], on_lost: Callable[[], None]) -> None:
        # Waiting longer is useless: an answer after the end of the lease does not count.
        self.conninfo = make_conninfo(conninfo, connect_timeout=3, tcp_user_timeout=4000)
        self.worker, self.may, self.on_lost = worker, may, on_lost
        self._stop = Event()
        self._thread = Thread(target=self._beat_on, name="heart", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(BEAT_SECONDS)

    def _beat_on(self) -> None:
        beaten = time.monotonic()
        link: Link | None = None
        while not self._stop.wait(BEAT_SECONDS):
            if self.may():
                began = time.monotonic()
                try:
                    if link is None or link.closed:
                        link = connect(self.conninfo, "heart", statement=3)
                        link.limit = 4
                    if link.execute("SELECT wf.beat(%s)", [self.worker]).fetchone() != (True,):
                        break
                    beaten = began
                except (psycopg.Error, Refusal):
                    _hang_up(link)
            if time.monotonic() - beaten > LEASE_SECONDS:
                break
        _hang_up(link)
        if not self._stop.is_set():
            self.on_lost()


def _hang_up(link: Link | None) -> None:
    if link is not None:
        with suppress(psycopg.Error):
            link.close()
