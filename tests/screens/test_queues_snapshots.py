"""How dead letters look, frozen: at both sizes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.postgres import Database
from tests.screens.letters import ROWS
from tests.screens.test_snapshots import NARROW, WIDE, estate, frozen, steps

__all__ = ["estate"]
ONE = ":acme-stage/letters/1"
SHOTS: dict[str, tuple[str, ...]] = {
    "causes": ("5",),
    "why": ("5", "w"),
    "letters": ("5", "enter"),
    "facts": (ONE,),
    "message": (ONE, "tab"),
    "attempts": (ONE, "tab", "tab"),
    "difference": (ONE, "tab", "tab", "tab"),
    "edit_form": (ONE, "a", "e"),
}


@pytest.fixture
def letters(estate: Database) -> Database:
    with psycopg.connect(estate.owner, autocommit=True) as owner:
        for statement in ROWS.split(";\n"):  # each on its own: a letter is written at the end of a transaction
            owner.execute(statement.encode())
    return estate


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(letters: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(letters), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["causes", "letters", "facts"])
def test_wide(letters: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(letters), terminal_size=WIDE, run_before=steps(*SHOTS[name]))
