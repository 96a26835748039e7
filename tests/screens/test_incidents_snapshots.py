"""How incidents look, frozen: at both sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from textual.pilot import Pilot

from app.console import Watchfloor
from controlplane.presence.model import PresenceDirectory
from tests.postgres import Database
from tests.screens.console import until
from tests.screens.incidents import fill
from tests.screens.test_snapshots import NARROW, WIDE, Steps, estate, frozen, steps

__all__ = ["estate"]
ONE = ":acme-stage/incidents/2"
SHOTS: dict[str, tuple[str, ...]] = {
    "list": ("7",),
    "one": (ONE,),
    "timeline": (ONE, "tab"),
    "consoles": (":consoles /person:ana,ben", "j"),
    "times": (":acme-stage/incidents/1", "tab", "tab"),
}


def shot(name: str) -> Steps:
    async def run(pilot: Pilot[None]) -> None:
        if name == "consoles":  # this one is counted as well, once it has said what it shows
            app = pilot.app
            assert isinstance(app, Watchfloor)
            await until(pilot, lambda: app.session.plane is not None)
            while await app.session.require_plane().of(PresenceDirectory).of(app.console_id) is None:
                await pilot.pause(0.05)
        await steps(*SHOTS[name])(pilot)

    return run


@pytest.fixture
def kept(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as connection:
        fill(connection)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(kept: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(kept), terminal_size=NARROW, run_before=shot(name))


@pytest.mark.parametrize("name", ["list", "one", "consoles"])
def test_wide(kept: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(kept), terminal_size=WIDE, run_before=shot(name))
