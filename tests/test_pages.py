"""The pages that the program makes are current, and no page leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.pages import pages

CHECKOUT = Path(__file__).parents[1]
WRITTEN = [*CHECKOUT.glob("*.md"), *CHECKOUT.joinpath("docs").glob("*.md")]


def test_keys_and_the_man_page_are_current() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, "run: .venv/bin/python -m docs.pages"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_in_the_index() -> None:
    index = (CHECKOUT / "docs/README.md").read_text(encoding="utf-8")
    missing = [page.name for page in CHECKOUT.joinpath("docs").glob("*.md") if f"]({page.name}" not in index]
    assert missing == ["README.md"]


def test_the_codes_of_the_troubleshooting_page_are_refusals() -> None:
    refusals = CHECKOUT.joinpath("docs/troubleshooting.md").read_text(encoding="utf-8").partition("## Refusals")[2]
    codes = {code for row in re.findall(r"^\| (`.*?) \|", refusals, re.M) for code in re.findall(r"`(\w+)`", row)}
    floors = (path for floor in ("app", "controlplane", "backends") for path in CHECKOUT.joinpath(floor).rglob("*.py"))
    code = "".join(path.read_text(encoding="utf-8") for path in floors)
    assert codes
    assert not [each for each in codes if f'"{each}"' not in code]
