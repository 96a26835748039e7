"""A link opened where no screen can be drawn: the same view as a table."""

from __future__ import annotations

import sys

from app.homes import HomeChoice
from app.links import Link, chosen_by, demonstration, read
from controlplane.errors import Refusal
from controlplane.nouns import load, noun_named
from controlplane.text import clean_lines


def show(text: str, home: str | None) -> int:
    """Print the view; returns the exit code. `home`: as --home names it."""
    import os

    from app.cli.run import run
    from app.homes import resolve_home
    from app.settings import load

    link = read(text)
    try:
        settings = load()
        choice = resolve_home(home, os.environ, settings)
        choice_of_link = chosen_by(link, settings, choice, named=home is not None)
        return run([*words_of(link), "--home", home or _option(link, choice_of_link)])
    except Refusal as refusal:
        print(clean_lines(str(refusal)), file=sys.stderr)
        return refusal.exit_code


def words_of(link: Link) -> list[str]:
    """The command that shows what the link leads to."""
    if link.noun == "overview":
        return ["overview"]
    if link.noun == "find":
        return ["find", link.filter]
    noun = noun_named(link.noun)
    if link.key:
        key = link.key.split("/", len(load(noun.list).key) - 1) if noun and noun.list else [link.key]
        return [link.noun, "show", *key]
    listing = noun.listed if noun and noun.listed else f"{link.noun} list"
    return [*listing.split(), *([link.filter] if link.filter else [])]


def _option(link: Link, choice: HomeChoice | None) -> str:
    from app.embedded import folder_of

    if choice is None:
        return str(demonstration(link))
    return choice.profile or (choice.value if choice.kind == "url" else None) or str(folder_of(choice))
