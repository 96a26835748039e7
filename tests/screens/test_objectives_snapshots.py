"""How objectives look, frozen: at both sizes, the burn-down also in 16 colours."""

from __future__ import annotations

from typing import Any

import pytest

from backends.postgres import stores
from backends.postgres.home import Home
from backends.postgres.objectives import Objectives
from tests.postgres import Database
from tests.screens.objectives import FrozenObjectives
from tests.screens.test_snapshots import NARROW, NOW, WIDE, frozen, steps

ONE = ":acme-stage/objectives/1"
SHOTS: dict[str, tuple[str, ...]] = {
    "list": (":objectives",),
    "budget": (ONE,),
    "burned": (ONE, "tab"),
    "burndown": (ONE, "tab", "tab"),
    "what_if": (ONE, "minus", "minus"),
    "unknown": (":acme-stage/objectives/3",),
    "why": (ONE, "w"),
}


@pytest.fixture(autouse=True)
def objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen(FrozenObjectives):
        def __init__(self, home: Home) -> None:
            super().__init__(NOW)

    found = stores._found
    instead = {Objectives: Frozen}

    def frozen_found(port: Any, among: tuple[str, ...]) -> Any:
        each = found(port, among)
        return instead.get(each, each)

    monkeypatch.setattr(stores, "_found", frozen_found)


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(database: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(database), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["list", "budget", "burndown", "what_if"])
def test_wide(database: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(database), terminal_size=WIDE, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_sixteen_colours(database: Database, snap_compare: Any, size: tuple[int, int]) -> None:
    app = frozen(database, theme="sixteen")
    assert snap_compare(app, terminal_size=size, run_before=steps(*SHOTS["burndown"]))
