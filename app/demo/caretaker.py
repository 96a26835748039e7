"""The process behind a demonstration: `python -m app.demo.caretaker SEED [FOLDER]`.

It starts the home, filled or copied from a prepared one, and keeps writing traffic. It ends when its stdin is closed,
which happens however the program that started it ends. It then stops the server and, unless a FOLDER was named, removes
the folder. It reports on stdout, one JSON object per line: `say`; `ready` with the home's folder; or `refused`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from app.demo import folders
from app.embedded import bring_back, embedded_at, start_worker
from app.homes import HomeChoice
from app.sealing import embedded_keys
from controlplane.clock import machine_now
from controlplane.errors import Refusal
from controlplane.sealing import Sealing

if TYPE_CHECKING:
    from app.demo.prepared import Record
    from backends.embedded.server import EmbeddedHome

# A crash of the machine may lose this data, which is thrown away anyway.
CARELESS = (
    *("fsync = off", "full_page_writes = off", "synchronous_commit = off"),
    *("max_wal_size = '1GB'", "min_wal_size = '32MB'", "wal_recycle = off"),  # so that a stopped home is small
)


def main(seed: int, kept: Path | None) -> None:
    _end_with_parent()
    try:
        with _folder(kept) as folder:
            perform(seed, folder, careless=kept is None)
    except Refusal as refusal:
        tell(refused={"code": refusal.code, "message": refusal.message, "hint": refusal.hint})
    except Exception as error:
        from app.faults import write

        where = write(traceback.format_exc())
        words = {"message": f"The demonstration stopped: {type(error).__name__}.", "hint": f"More is in {where}."}
        tell(refused={"code": "demo_failed", **words})


def tell(**what: Any) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        print(json.dumps(what), flush=True)


def report(words: str) -> None:
    tell(say=f"Preparing the demonstration: {words}")


def _end_with_parent() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the program on the screen
    signal.signal(signal.SIGTERM, _end)

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, daemon=True).start()


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not disturb the clean-up
    raise SystemExit


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """The home's folder. Afterwards the server is stopped, and the folder removed if it was made here."""
    if kept is not None:
        home = embedded_at(kept)
        was_running = home.status().state == "running"  # then others use it
        try:
            yield kept
        finally:
            if not was_running:
                home.stop()
        return
    folders.sweep()
    folder, held = folders.make()
    try:
        yield folders.home(folder)
    finally:
        folders.remove(folder)
        os.close(held)


def perform(seed: int, folder: Path, *, careless: bool) -> None:
    from app.demo import prepared, present, traffic
    from app.demo.estate import make
    from app.demo.site import known_site

    now = machine_now()
    report("a PostgreSQL of its own")
    record = prepared.restore(seed, folder, now) if careless else prepared.read(folder)
    home = embedded_at(folder)
    sealing = Sealing(lambda: embedded_keys(HomeChoice("folder", str(folder), None, "")))
    taken_up = record is not None and not careless
    if record is None:
        record = _prepare(seed, home, sealing, careless=careless)
        now = machine_now()
    owner = (credentials := home.ensure()).owner_conninfo()
    if taken_up:
        _migrate(owner, credentials.login_user)
    estate = make(record.seed, record.now)
    site = known_site(owner, report, sealing, record.passwords, folder)
    if not taken_up:
        estate = present.catch_up(estate, site, now, trail=True)
    start_worker(home)
    tell(ready=str(folder))
    asyncio.run(_until_told(traffic.run(estate, site, lambda: bring_back(home), estate.now if taken_up else now)))


def _prepare(seed: int, home: EmbeddedHome, sealing: Sealing, *, careless: bool) -> Record:
    """Fill the home, and keep a copy of it for the next time."""
    from app.demo import loading, prepared
    from app.demo.estate import LATELY, make
    from app.demo.site import open_site
    from backends.checkpoint_folder import CheckpointFolder, signing_key
    from backends.postgres.notary import Notary

    begun = machine_now()
    credentials = home.ensure()
    key = signing_key(
        home.folder, make=True
    )  # in the home's folder: the worker signs with it, and it goes with the home
    assert key is not None
    owner = credentials.owner_conninfo()
    if careless:
        _be_careless(owner)
    report("its tables")
    _migrate(owner, credentials.login_user)
    loading.check(owner)
    estate = make(seed, machine_now() - LATELY)
    site = open_site(owner, report, sealing, home.folder, begun)
    loading.load(estate, site, trail=loading.is_new(owner))
    asyncio.run(Notary(owner, CheckpointFolder(home.folder / "checkpoints"), key).sign())
    record = prepared.Record(seed, estate.now.isoformat(), site.passwords)
    prepared.write(home.folder, record)
    if careless:
        home.stop()
        prepared.keep(seed, home.folder)
    return record


def _migrate(owner: str, login: str) -> None:
    from backends.postgres.migrate import migrate

    migrate(owner, admin=login)


def _be_careless(owner: str) -> None:
    import psycopg

    with psycopg.connect(owner, autocommit=True) as connection:
        for setting in CARELESS:
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")


async def _until_told(traffic: Any) -> None:
    task = asyncio.ensure_future(traffic)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
