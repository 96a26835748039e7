"""What is asked before something runs, and that everything comes through the one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from controlplane.carrying import level
from controlplane.changes import Drawn
from controlplane.operations import Risk
from controlplane.registry import named, operations

ORDER = list(Risk)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "production", "number", "asks"),
    [
        ("tenants.suspend", False, 1, Risk.CONFIRM),
        ("tenants.suspend", False, 10, Risk.CONFIRM),
        ("tenants.suspend", False, 11, Risk.TYPED),
        ("tenants.suspend", False, 300, Risk.TYPED),
        ("tenants.suspend", True, 1, Risk.TYPED),
        ("keys.rotate", False, 1, Risk.CONFIRM),  # the old key stays good
        ("keys.rotate", False, 2, Risk.TYPED),  # many of them are not put right by hand
        ("keys.rotate", True, 1, Risk.TYPED),
        ("subscriptions.convert-trial", False, 1, Risk.TYPED),  # no way back
        ("keys.revoke", False, 1, Risk.TYPED),
        ("tenants.create", False, 1, Risk.PREVIEW),
        ("tenants.create", True, 1, Risk.PREVIEW),
        ("runs.pause", True, 1, Risk.SAFE),
    ],
)
def test_the_guard_grows_with_what_is_touched(name: str, production: bool, number: int, asks: Risk) -> None:
    assert level(named(name), production=production, number=number) is asks


def test_more_things_never_ask_for_less_and_production_neither() -> None:
    for operation in operations().values():
        asked = [
            [ORDER.index(level(operation, production=production, number=number)) for number in (1, 2, 10, 11, 300)]
            for production in (False, True)
        ]
        assert all(row == sorted(row) for row in asked)
        assert all(development <= production for development, production in zip(*asked, strict=True))


def test_what_was_drawn_is_drawn_again_in_its_order() -> None:
    first = Drawn()
    assert [first.draw(lambda: "a"), first.draw(lambda: "b")] == ["a", "b"]
    again = Drawn(first.values)
    assert [again.draw(lambda: "x") for _ in range(3)] == ["a", "b", "x"]


def test_screens_and_commands_run_nothing_past_the_one_way() -> None:
    """`execute` neither previews nor asks."""
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "screens").rglob("*.py")]:
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module == "controlplane.operations"
            for alias in node.names
        }
        assert "execute" not in names or "demo" in path.parts, path
