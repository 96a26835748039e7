"""The words that were given up are nowhere shown: neither on screens, nor by commands, nor in the docs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.known import known

CHECKOUT = Path(__file__).parents[1]
SHOWN = ("app", "screens", "controlplane")
GIVEN_UP = {
    "was rolled up yet": "No data yet. Start a worker: watchfloor worker",
    "nothing is known of any tenant|of no tenant is anything known": "No tenant data",
    r"of any \d+d|, of \{window\}": "rolling 30 days",
    "late in rotation": "old keys still in use",
    "has to do with it": "No match",
    r"\bgoes on$|\benter goes on": "next",
    "no way back": "Cannot be undone",
    "refuse a key for good|gives? (it|a key) up for good": "Revoke a key",
    "key a successor|has a successor|without a successor": "Rotate a key",
    r"\bin all$|\bin all\b(?! (tenants|files|cases|of|that|who|its|their|three|four|five|modes|roles))": "total",
    "nobody drives": "Interrupted",
    "ended well": "Succeeded",
    "past the operations": "changed by direct SQL",
    r"\btime form\b": "time format",
    "the link again": "reconnect",
    "what lost|which lost|lost against": "overridden",
    r"whole (estate|fleet)\b": "all tenants",
    r"\bvouch": "proves",
    r"takes? (no|a) second person": "needs a second person",
    r"\bstrange (in|of)\b|(is|are|nothing) strange": "unusual; anomalies",
    r"\b(who|whoever) heard\b|\bheard that\b|would have heard": "was told",
    r"\banew\b": "again",
    "(cannot|can) be taken back": "undone",
    "what came of it": "the result",
    r"for you alone\b": "readable only by you",
    "taken for chance": "counts as chance",
    "(not known|nothing is known of it) any more|nothing more is known": "unknown",
    "how (it|things|each|that) stands?": "its state, the situation",
    r"\bunder way first\b": "open ones first",
    "(pane|chart) before|where you were before": "previous",
    "held against": "compared with",
    "left out: the whole": "default: all tenants",
}
"""Patterns, and what is said instead."""
INSTEAD = re.compile("|".join(f"(?:{pattern})" for pattern in GIVEN_UP), re.IGNORECASE)


def shown_by(path: Path) -> Iterator[tuple[int, str]]:
    """The texts in a module that are not docstrings: what it could show."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    beside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | beside:
            yield node.lineno, node.value


def test_what_the_program_shows() -> None:
    found = [
        f"{path.relative_to(CHECKOUT)}:{line}: {text}"
        for folder in SHOWN
        for path in CHECKOUT.joinpath(folder).rglob("*.py")
        for line, text in shown_by(path)
        if INSTEAD.search(text)
    ]
    assert not found, "\n".join(found)


def test_the_help_of_commands() -> None:
    found = [f"{each.noun} {each.verb}: {each.summary}" for each in known() if INSTEAD.search(each.summary)]
    assert not found, "\n".join(found)


PAGES = [CHECKOUT / "README.md", *(page for page in CHECKOUT.joinpath("docs").glob("*.md") if page.stem != "glossary")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages(page: Path) -> None:
    found = [line for line in page.read_text(encoding="utf-8").splitlines() if INSTEAD.search(line)]
    assert not found, "\n".join(found)


def test_each_pattern_finds_what_it_is_for() -> None:
    for said in (
        "nothing was rolled up yet: see workers",
        "99% within 2000 ms, of any 30d",
        "3 keys late in rotation",
        "nothing strange",
        "who heard",
    ):
        assert INSTEAD.search(said), said
    for said in ("Succeeded", "in all tenants", "No match", "the run goes on with its next item", "2 in total"):
        assert not INSTEAD.search(said), said
