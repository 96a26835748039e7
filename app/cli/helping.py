"""The help of the program, of a noun and of a command. That of the program and of a noun loads no operation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from app.cli.known import known
from app.cli.output import say
from controlplane import nouns

PROGRAM = "The control plane of a multi-tenant SaaS. Without a command, it opens the console."
EXIT_CODES = (
    "Exit codes: 0 done, 1 refused, 2 usage, 3 not permitted, 4 not found, 5 conflict, 6 home unreachable, "
    "7 outcome unknown, 8 done but the answer could not be written."
)
OF_PROGRAM = (
    ("--home HOME", "A PostgreSQL URL, a folder for an embedded home, or a profile's name."),
    ("--plain", "Print the first list as text instead of opening the console."),
    ("--accessible", "Open the console for a screen reader: lines of text, charts in words, nothing moves by itself."),
    ("--version", "Print the version."),
    ("--help, -h", "Print this, or the help of a command."),
)
WIDEST = 100
"""Cells of a line, also on a wider terminal: longer lines are hard to read."""
Rows = Sequence[tuple[str, str]]


def answered(words: Sequence[str]) -> bool:
    """Print the help of the program or of a noun, when these words, which ask for help, name no command."""
    named = [word for word in words[:2] if not word.startswith("-")]
    if not named:
        _print(program_help())
    elif len(named) == 1 and (noun := nouns.noun_named(named[0])) and not _is_command(noun.name):
        _print(noun_help(noun.name, noun.help))
    else:
        return False
    return True


def _is_command(name: str) -> bool:
    return any(each.noun == name and not each.verb for each in known())


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        say(line)


def program_help() -> Iterator[str]:
    single = {each.noun: each.summary for each in known() if not each.verb}
    commands = {each.name: each.help for each in nouns.NOUNS} | single
    yield "Usage: watchfloor [--home HOME] [COMMAND | LINK]"
    yield from ("", *wrapped(PROGRAM), "", "Commands:", *rows(sorted(commands.items())))
    yield from ("", "Options:", *rows(OF_PROGRAM), "", *wrapped(EXIT_CODES))


def noun_help(name: str, about: str) -> Iterator[str]:
    commands = sorted((each.verb, each.summary) for each in known() if each.noun == name)
    yield from (f"Usage: watchfloor {name} COMMAND", "", *wrapped(about), "", "Commands:", *rows(commands))
    yield from ("", *wrapped(EXIT_CODES))


def print_command_help(name: str, command: Callable[..., Any]) -> None:
    _print(command_help(name, command))


def command_help(name: str, command: Callable[..., Any]) -> Iterator[str]:
    from app.cli.parameters import required, taken_by, value_words

    taken = taken_by(command)
    arguments = []
    for each in taken.arguments:
        word = f"{each.name.upper().replace('_', '-')}{'…' if each.several else ''}"
        arguments.append((word if required(each) and not each.several else f"[{word}]", each.note.help))
    options = []
    for each in taken.options:
        value = "" if each.flag else f" {value_words(each)}"
        default = f" [{each.default}]" if each.default and isinstance(each.default, str | int | float) else ""
        needed = " (required)" if required(each) else ""
        options.append((", ".join(each.names) + value, f"{each.note.help}{needed}{default}".strip()))
    yield " ".join([f"Usage: watchfloor {name}", *(["[OPTIONS]"] if options else []), *(word for word, _ in arguments)])
    for paragraph in (command.__doc__ or "").strip().split("\n\n"):
        yield from ("", *wrapped(" ".join(paragraph.split())))
    if any(about for _, about in arguments):
        yield from ("", "Arguments:", *rows([(word.strip("[]"), about) for word, about in arguments if about]))
    if options:
        yield from ("", "Options:", *rows(options))
    yield from ("", *wrapped(EXIT_CODES))


def rows(pairs: Rows) -> Iterator[str]:
    """Two columns; a first word that is too wide for its column has a line of its own."""
    size = min(max(len(left) for left, _ in pairs), 26)
    for left, right in pairs:
        first, *more = list(wrapped(right, size + 4)) or [""]
        if len(left) > size:
            yield f"  {left}"
            left = ""
        yield f"  {left:<{size}}  {first}".rstrip()
        yield from (f"{'':{size + 4}}{line}" for line in more)


def wrapped(text: str, taken: int = 0) -> Iterator[str]:
    """Lines as wide as the terminal allows beside what `taken` cells hold."""
    width, line = max(_width() - taken, 20), ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line


def _width() -> int:
    try:
        return min(int(os.environ["COLUMNS"]), WIDEST)
    except (KeyError, ValueError):
        pass
    try:
        return min(os.get_terminal_size(1).columns, WIDEST)
    except OSError:
        return 80
