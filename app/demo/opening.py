"""A demonstration's home, ready to be looked at: copied from a prepared one, or prepared now, and caught up with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from app.demo import hours, loading, prepared, present
from app.demo.estate import LATELY, Estate, make
from app.demo.site import Site, known_site, open_site
from app.embedded import embedded_at, start_worker
from app.homes import HomeChoice
from app.sealing import embedded_keys
from backends.checkpoint_folder import CheckpointFolder, signing_key
from backends.embedded.server import EmbeddedHome
from backends.postgres.migrate import migrate
from backends.postgres.notary import Notary
from controlplane.clock import machine_now
from controlplane.sealing import Sealing

# A crash of the machine may lose this data, which is thrown away anyway. And a stopped home shall be small.
CARELESS = (
    *("fsync = off", "full_page_writes = off", "synchronous_commit = off"),
    *("max_wal_size = '1GB'", "min_wal_size = '32MB'", "wal_recycle = off"),
)


@dataclass(frozen=True)
class Shown:
    """A home that runs. `until`: up to when it has requests."""

    home: EmbeddedHome
    estate: Estate
    site: Site
    until: datetime


def opened(seed: int, folder: Path, report: Callable[[str], None], *, careless: bool, at_work: bool = True) -> Shown:
    """`careless`: the folder is new and thrown away afterwards. Another is filled if it is empty. `at_work`: the home's
    worker is started. Raises Refusal.
    """
    report("a PostgreSQL of its own")
    home, now = embedded_at(folder), machine_now()
    sealing = Sealing(lambda: embedded_keys(HomeChoice("folder", str(folder), None, "")))
    record = prepared.restore(seed, folder, now) if careless else prepared.read(folder)
    taken_up = record is not None and not careless
    if record is None:
        record = _prepare(seed, home, sealing, report, careless=careless)
        now = machine_now()
    credentials = home.ensure()
    owner = credentials.owner_conninfo()
    if taken_up:
        migrate(owner, admin=credentials.login_user)
    estate, site = make(record.seed, record.now), known_site(owner, report, sealing, record.passwords, folder)
    if taken_up:
        now = estate.now
    else:
        estate = present.catch_up(estate, site, now, trail=True)
        _sign(home, owner)
    if at_work:
        start_worker(home)
    if not taken_up:
        present.look(site)
    if at_work:
        present.await_worker(site)
    return Shown(home, estate, site, now)


def _sign(home: EmbeddedHome, owner: str) -> None:
    """The key is in the home's folder: the worker signs with it, and it goes with the home."""
    key = signing_key(home.folder, make=True)
    assert key is not None
    asyncio.run(Notary(owner, CheckpointFolder(home.folder / "checkpoints"), key).sign())


def _prepare(
    seed: int, home: EmbeddedHome, sealing: Sealing, report: Callable[[str], None], *, careless: bool
) -> prepared.Record:
    """Fill the home, and keep a copy of it for the next time."""
    begun = machine_now()
    estate = make(seed, begun - LATELY)
    with ThreadPoolExecutor(1) as beside:
        history = beside.submit(list, hours.batches(estate))  # while the home is made
        credentials = home.ensure()
        owner = credentials.owner_conninfo()
        if careless:
            _be_careless(owner)
        report("its tables")
        migrate(owner, admin=credentials.login_user)
        loading.check(owner)
        new = loading.is_new(owner)
        site = open_site(owner, report, sealing, home.folder, begun)
        loading.load(estate, site, history.result, trail=new)
    _sign(home, owner)
    record = prepared.Record(seed, estate.now.isoformat(), site.passwords)
    prepared.write(home.folder, record)
    if careless:
        home.stop()
        prepared.keep(seed, home.folder)
    return record


def _be_careless(owner: str) -> None:
    with psycopg.connect(owner, autocommit=True) as connection:
        for setting in CARELESS:
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")
