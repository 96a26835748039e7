"""An embedded home as programs use it: with its schema and its worker, and brought back when it died."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from app.environment import hide_libpq
from app.homes import HomeChoice, redact
from backends.embedded.server import Credentials, EmbeddedHome, default_folder
from controlplane.errors import HomeUnreachable, Usage

WORKER = "app.home_worker"


def folder_of(choice: HomeChoice) -> Path:
    """Raises Usage when the choice is a PostgreSQL by URL."""
    if choice.kind != "folder":
        raise Usage(
            "home_not_embedded",
            f"{redact(choice.value or '')} is a PostgreSQL of its own: it is not started or stopped from here.",
            "Embedded homes are named by a folder: --home ./folder",
        )
    return Path(choice.value) if choice.value else default_folder()


def embedded_at(folder: Path) -> EmbeddedHome:
    """From here on the program's connections take nothing from the environment."""
    hide_libpq()
    return EmbeddedHome(folder)


def embedded_of(choice: HomeChoice) -> EmbeddedHome:
    """Raises Usage when the choice is a PostgreSQL by URL."""
    return embedded_at(folder_of(choice))


def bring_up(home: EmbeddedHome, report: Callable[[str], None] = lambda words: None) -> Credentials:
    """Make it if there is none; start it, with this program's schema. Its worker: see `start_worker`. `report` hears
    what takes long.
    """
    from backends.postgres.migrate import migrate

    report("starting a PostgreSQL of your own" if home.known() else "making a PostgreSQL of your own")
    credentials = home.ensure()
    report("making its tables, or bringing them up to date")
    renew_worker(home, migrate(credentials.owner_conninfo(), admin=credentials.login_user))
    return credentials


def renew_worker(home: EmbeddedHome, applied: Sequence[str]) -> None:
    """After a migration: the worker that lives is of the program before, so it ends, and this program's begins."""
    if applied and home.has_worker:
        home.stop_worker()
        start_worker(home)


def worker_conninfo(home: EmbeddedHome) -> str:
    """How a worker reaches it. The home is this account's own: no login is needed, but no more rights than a worker's
    are taken along.
    """
    from psycopg.conninfo import make_conninfo

    if (known := home.known()) is None:
        raise HomeUnreachable("home_absent", f"There is no home in {home.folder}.")
    return make_conninfo(known.owner_conninfo(), options="-c role=wf_worker")


def start_worker(home: EmbeddedHome) -> None:
    """The home's own worker, unless it lives. It outlives this program."""
    root = str(Path(__file__).parents[1])  # the worker is of the same installation, wherever it was started from
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    home.start_worker([sys.executable, "-m", WORKER, str(home.folder)], {**os.environ, "PYTHONPATH": paths})


def bring_back(home: EmbeddedHome) -> bool:
    """For whoever finds that the home is away: start what died, the server and its worker. True when the server had.

    Raises Refusal: a home that was stopped or destroyed stays so, and one that cannot be started says why.
    """
    back = home.revive()
    if not home.stopped:
        start_worker(home)
    return back
