"""An embedded home as programs use it: with its schema and its worker, and brought back when it died."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from app.environment import hide_libpq
from app.homes import HomeChoice, default_folder
from backends.embedded.server import Credentials, EmbeddedHome
from controlplane.errors import HomeUnreachable, Usage
from controlplane.urls import shown_url

WORKER = "app.home_worker"


def folder_of(choice: HomeChoice) -> Path:
    """Raises Usage when the choice is a PostgreSQL by URL."""
    if choice.kind != "folder":
        raise Usage(
            "home_not_embedded",
            f"{shown_url(choice.value or '')} is a PostgreSQL of its own: it is not started or stopped from here.",
            "Embedded homes are named by a folder: --home ./folder",
        )
    return Path(choice.value) if choice.value else default_folder()


def embedded_at(folder: Path) -> EmbeddedHome:
    """The embedded home in a folder. From here on connections take nothing from the environment."""
    hide_libpq()
    return EmbeddedHome(folder)


def embedded_of(choice: HomeChoice) -> EmbeddedHome:
    """Raises Usage when the choice is a PostgreSQL by URL."""
    return embedded_at(folder_of(choice))


def bring_up(home: EmbeddedHome, report: Callable[[str], None] = lambda words: None) -> Credentials:
    """Make the home if there is none, start it, and migrate it to this program's schema. Its worker: see
    `start_worker`. `report` is called with words for what takes long.
    """
    from backends.postgres.migrate import migrate

    report("starting a PostgreSQL of your own" if home.known() else "making a PostgreSQL of your own")
    credentials = home.ensure()
    report("making its tables, or bringing them up to date")
    renew_worker(home, migrate(credentials.owner_conninfo(), admin=credentials.login_user))
    return credentials


def renew_worker(home: EmbeddedHome, applied: Sequence[str]) -> None:
    """After a migration: stop the worker, which is of an older program, and start this program's."""
    if applied and home.has_worker:
        home.stop_worker()
        start_worker(home)


def worker_conninfo(home: EmbeddedHome) -> str:
    """The conninfo for a worker. The home is this account's own, so the worker needs no login of its own; it takes the
    worker's role, to have no more rights than that.
    """
    from psycopg.conninfo import make_conninfo

    if (known := home.known()) is None:
        raise HomeUnreachable("home_absent", f"There is no home in {home.folder}.")
    return make_conninfo(known.owner_conninfo(), options="-c role=wf_worker")


def start_worker(home: EmbeddedHome) -> None:
    """Start the home's own worker, unless it runs. It outlives this program."""
    root = str(Path(__file__).parents[1])  # the worker is of the same installation, wherever it was started from
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    home.start_worker([sys.executable, "-m", WORKER, str(home.folder)], {**os.environ, "PYTHONPATH": paths})


def bring_back(home: EmbeddedHome) -> bool:
    """When the home cannot be reached: start the server and the worker if they died. True when the server had.

    Raises Refusal: a home that was stopped or destroyed stays so, and one that cannot be started says why.
    """
    back = home.revive()
    if not home.stopped:
        start_worker(home)
    return back
