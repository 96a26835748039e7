"""How gates look, frozen: at both sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from backends.postgres import gates
from tests.postgres import Database
from tests.screens.gates import fill
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
CLOSED, RUN = ":acme-stage/gates/release/production", ":acme-stage/decisions/4"
SHOTS: dict[str, tuple[str, ...]] = {
    "board": ("6",),
    "why": (CLOSED,),
    "checks": (CLOSED, "tab"),
    "history": (CLOSED, "tab", "tab"),
    "run": (RUN,),
    "difference": (RUN, "tab", "tab"),
    "waivers": (":waivers",),
}


@pytest.fixture
def kept(estate: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(gates, "MOMENT", "SELECT timestamptz '2025-11-21T12:00Z'")
    with psycopg.connect(estate.owner) as connection:
        fill(connection)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(kept: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(kept), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["board", "why", "run"])
def test_wide(kept: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(kept), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
