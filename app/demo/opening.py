"""A demonstration's home, ready to be looked at: copied from a prepared one, or prepared now, and caught up with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.demo import prepared, present
from app.demo.estate import Estate, make
from app.demo.site import Site, known_site
from app.embedded import start_worker
from app.homes import HomeChoice
from app.sealing import embedded_keys
from backends.embedded.server import EmbeddedHome
from controlplane.clock import machine_now
from controlplane.sealing import Sealing


@dataclass(frozen=True)
class Shown:
    """A home that runs. `until`: up to when it has requests."""

    home: EmbeddedHome
    estate: Estate
    site: Site
    until: datetime


def opened(
    seed: int,
    start: prepared.Start,
    report: Callable[[str], None],
    *,
    careless: bool,
    at_work: bool = True,
    nearly: Callable[[], None] = lambda: None,
) -> Shown:
    """`careless`: the folder is new and thrown away afterwards. Another is filled if it is empty. `at_work`: the home's
    worker is started. `nearly` is called when what is left takes less time than a console's start. Raises Refusal.
    """
    report("a PostgreSQL of its own")
    home, now = start.home, start.at
    sealing = Sealing(lambda: embedded_keys(HomeChoice("folder", str(home.folder), None, "")))
    record = start.record()
    taken_up = record is not None and not careless
    if record is None:
        from app.demo.preparing import prepare  # a lot to read, for the first start only

        record = prepare(seed, start, sealing, report, careless=careless)
        now = machine_now()
        credentials = home.ensure()
    else:
        credentials = start.credentials()
    owner = credentials.owner_conninfo()
    if taken_up:
        from backends.postgres.migrate import migrate

        migrate(owner, admin=credentials.login_user)
    estate, site = make(record.seed, record.now), known_site(owner, report, sealing, record.passwords, home.folder)
    if taken_up:
        now = estate.now
    else:
        estate = present.catch_up(estate, site, now, trail=True)
        present.sign(home.folder, owner)
    if at_work:
        start_worker(home)
    nearly()
    if not taken_up:
        present.look(site)
    return Shown(home, estate, site, now)
