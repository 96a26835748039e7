"""How runbooks look, frozen: at both sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.runbooks import fill
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
EXECUTION = ":acme-stage/executions/1"
SHOTS: dict[str, tuple[str, ...]] = {
    "runbooks": (":runbooks",),
    "runbook": (":acme-stage/runbooks/key-leak",),
    "executions": (":executions",),
    "execution": (EXECUTION,),
    "trail": (EXECUTION, "tab", "tab"),
    "step": (EXECUTION, "k", "k", "enter"),
}


@pytest.fixture
def begun(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as connection:
        fill(connection)
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(begun: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(begun), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["runbook", "execution"])
def test_wide(begun: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(begun), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
