"""How incidents look, frozen: at both sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.incidents import fill
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
ONE = ":acme-stage/incidents/2"
SHOTS: dict[str, tuple[str, ...]] = {
    "list": ("7",),
    "one": (ONE,),
    "timeline": (ONE, "tab"),
    "consoles": (":consoles /person:ana,ben", "j"),
    "times": (":acme-stage/incidents/1", "tab", "tab"),
}


@pytest.fixture
def kept(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as connection:
        fill(connection)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(kept: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(kept), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["list", "one", "consoles"])
def test_wide(kept: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(kept), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
