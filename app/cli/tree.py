"""All commands: nouns with their verbs. Operations come from the registry; the few others are named here.

Only what a command needs is imported: a list needs neither the registry nor the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

from app.cli.asked import READING, Reading
from app.cli.known import Known, known
from app.cli.parameters import Parameter, taken_by
from controlplane import nouns
from controlplane.errors import Usage
from controlplane.nouns import Noun, load, noun_named

OF_LISTS = {"keys stale": "app.cli.stale:stale"}
"""Lists that take more than a filter."""

SINGLE: dict[str, str] = {
    "undo": "app.cli.undoing:undo",
    "overview": "app.cli.overview:overview",
    "find": "app.cli.find:find",
    "operations": "app.cli.tree:list_operations",
    "completion": "app.cli.completion:print_script",
    "worker": "app.cli.worker:worker",
    "demo": "app.cli.tree:demo",
    "serve": "app.cli.serve:serve",
}


def command_of(words: Sequence[str]) -> tuple[Callable[..., Any], int]:
    """The command that the words begin with, and of how many words its name is. Raises Usage."""
    first, second = words[0], words[1] if len(words) > 1 else ""
    if first in SINGLE:
        return load(SINGLE[first]), 1
    if reading := reads().get(f"{first} {second}"):
        return reading(), 2
    if noun_named(first) is None:
        raise Usage("usage", f"There is no command {first}.{_near(first, top_names())}", "watchfloor --help")
    verbs = sorted(each.verb for each in known() if each.noun == first and each.verb)
    if not second or second.startswith("-"):
        raise Usage("verb_missing", f"{first}: what is to be done?", f"watchfloor {first} {', '.join(verbs)}")
    from app.cli.generated import command
    from controlplane.registry import find

    if (operation := find(f"{first}.{second}")) is None:
        raise Usage("usage", f"{first} has no command {second}.{_near(second, verbs)}", f"watchfloor {first} --help")
    return command(operation), 2


def top_names() -> list[str]:
    return [*(each.name for each in nouns.NOUNS), *SINGLE]


def _near(word: str, words: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, words, 1)
    return f" Did you mean {near[0]}?" if near else ""


def every() -> dict[str, Callable[..., Any]]:
    """Every command by its words, with all operations loaded."""
    from app.cli.generated import command
    from controlplane.registry import operations

    found = {words: reading() for words, reading in reads().items()}
    for operation in operations().values():
        found.setdefault(f"{operation.noun} {operation.verb}", command(operation))
    return dict(sorted(found.items())) | {name: load(place) for name, place in SINGLE.items()}


def described() -> Iterator[Known]:
    """What `app/cli/known.tsv` holds: a line for each command."""
    for words, command in every().items():
        noun, _, verb = words.partition(" ")
        options = sorted(name for option in taken_by(command).options for name in option.names)
        yield Known(noun, verb, summary(command), tuple(options))


def summary(command: Callable[..., Any]) -> str:
    """The first paragraph of what it says of itself, on one line."""
    return " ".join((command.__doc__ or "").strip().partition("\n\n")[0].split())


def reads() -> dict[str, Callable[[], Callable[..., Any]]]:
    """The commands that are not operations, or do more than one, each with what loads it."""
    found: dict[str, Callable[[], Callable[..., Any]]] = {}
    for noun in nouns.NOUNS:
        if noun.list:
            found[noun.listed or f"{noun.name} list"] = partial(_list, noun)
            found[f"{noun.name} show"] = partial(_show, noun)
        found |= {f"{noun.name} {verb}": partial(load, place) for verb, place in noun.commands.items()}
    return found | {words: partial(load, place) for words, place in OF_LISTS.items()}


def _list(noun: Noun) -> Callable[..., Any]:
    from app.cli.lists import listing_command

    return listing_command(load(noun.list))


def _show(noun: Noun) -> Callable[..., Any]:
    from app.cli.lists import show_command

    return show_command(noun)


def list_operations(*, asked: Reading = READING) -> None:
    """List everything that an operator can do: role, risk, undo, and the request's JSON Schema."""
    from app.cli.output import Column, listed, table
    from controlplane.clock import machine_now
    from controlplane.registry import describe, operations

    found = operations().values()
    if asked.json:
        listed([describe(operation) for operation in found], machine_now())
        return
    columns = [Column("OPERATION"), Column("ROLE"), Column("RISK"), Column("UNDO"), Column("WHAT IT DOES")]
    table(columns, [[o.name, o.role, o.risk.value, o.undo or "–", o.summary] for o in found])


def demo(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Open the console on a temporary home with a live demonstration."""
    from app.demo.command import run

    code: int = run(list(words))
    return code
