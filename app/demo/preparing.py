"""The demonstration's first start: its home is made and filled, and a copy of it kept for later starts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg

from app.demo import hours, loading, prepared, present
from app.demo.estate import LATELY, make
from app.demo.site import open_site
from backends.postgres.migrate import migrate
from controlplane.sealing import Sealing

# A crash of the machine may lose this data, which is thrown away anyway. And a stopped home shall be small.
CARELESS = (
    *("fsync = off", "full_page_writes = off", "synchronous_commit = off"),
    *("max_wal_size = '1GB'", "min_wal_size = '32MB'", "wal_recycle = off"),
)


def prepare(
    seed: int, start: prepared.Start, sealing: Sealing, report: Callable[[str], None], *, careless: bool
) -> prepared.Record:
    """Fill the home, and keep a copy of it for the next time."""
    home, estate = start.home, make(seed, start.at - LATELY)
    with ThreadPoolExecutor(1) as beside:
        history = beside.submit(list, hours.batches(estate))  # while the home is made
        credentials = start.credentials()
        owner = credentials.owner_conninfo()
        if careless:
            _be_careless(owner)
        report("its tables")
        migrate(owner, admin=credentials.login_user)
        loading.check(owner)
        new = loading.is_new(owner)
        site = open_site(owner, report, sealing, home.folder, start.at)
        loading.load(estate, site, history.result, trail=new)
    present.sign(home.folder, owner)
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
