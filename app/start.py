"""How the program was called: a link for the console, or a command's words. Nothing heavy is imported for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

VERSION = "0.1.0"
HELP = ("--help", "-h")


class Start(NamedTuple):
    """How the program was called. `link` opens the console at a view; `words` are a command's."""

    words: tuple[str, ...] = ()
    link: str | None = None
    home: str | None = None
    plain: bool = False
    accessible: bool = False


def read(argv: list[str]) -> Start:
    """The options that may stand before a command are the console's too; a link has a slash, no command has."""
    home, flags, at = None, set(), 0
    while at < len(argv):
        word = argv[at]
        if word == "--home" and at + 1 < len(argv):
            home, at = argv[at + 1], at + 2
        elif word.startswith("--home="):
            home, at = word.removeprefix("--home="), at + 1
        elif word in ("--plain", "--accessible", "--json"):
            flags.add(word)
            at += 1
        else:
            break
    words, plain, accessible = argv[at:], "--plain" in flags, "--accessible" in flags
    if len(words) == 1 and "/" in words[0] and not words[0].startswith("-"):
        return Start((), words[0], home, plain, accessible)
    if not words and "--json" in flags:
        words = ["tenants", "list"]
    if words:  # what stood before the command is the command's
        given = [*(["--home", home] if home is not None else []), *(["--json"] if "--json" in flags - {*words} else [])]
        given += ["--accessible"] if accessible and words[0] == "demo" else []
        words = [*words[:2], *given, *words[2:]]
    return Start(tuple(words), None, home, plain, accessible)


def asks_for_help(words: Sequence[str]) -> bool:
    before = words[: words.index("--")] if "--" in words else words
    return any(word in HELP for word in before)


def wants_json(argv: list[str]) -> bool:
    """Whether the answer must be a JSON document, also when the words cannot be understood."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in words


def given_id(words: list[str]) -> str:
    """The request id that the caller chose, for messages also when the words cannot be understood."""
    found = ""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--":
            break
        if word == "--request-id":
            found = following
        elif word.startswith("--request-id="):
            found = word.partition("=")[2]
    return found
