"""All commands: nouns with their verbs. Operations come from the registry; the few others are named here.

Only what a command needs is imported: a list needs neither the registry nor the operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from cyclopts import App, Parameter

from app.cli.asked import READING, Reading
from app.start import version
from controlplane import nouns
from controlplane.nouns import Noun, load, noun_named

OF_LISTS = {"keys stale": "app.cli.keys:stale"}
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


EXIT_CODES = (
    "Exit codes: 0 done, 1 refused, 2 usage, 3 not permitted, 4 not found, 5 conflict, 6 home unreachable, "
    "7 outcome unknown, 8 done but the answer could not be written."
)


def tree(words: list[str]) -> App:
    """The commands that `words` can mean; all of them when the first two words do not tell."""
    from controlplane.errors import Usage

    app = App(
        "watchfloor",
        help="The control plane of a multi-tenant SaaS.",
        help_epilogue=EXIT_CODES,
        version=version,
        help_format="plaintext",
    )
    reading = reads().get(" ".join(words[:2]))
    if reading:
        noun = App(words[0], help=_help(words[0]))
        noun.command(reading(), name=words[1])
        app.command(noun)
    elif words and words[0] in SINGLE:
        app.command(load(SINGLE[words[0]]), name=words[0])
    else:
        found = whole(app)
        verb = words[1] if len(words) > 1 else "-"
        if words and words[0] in found and verb.startswith("-") and verb not in ("--help", "-h"):
            verbs = ", ".join(sorted(name for name in found[words[0]] if not name.startswith("-")))
            raise Usage("verb_missing", f"{words[0]}: what is to be done?", f"watchfloor {words[0]} {verbs}")
    return app


def whole(app: App) -> dict[str, App]:
    """Put every command into `app`; the nouns among them."""
    from app.cli.generated import command
    from controlplane.registry import operations

    made: dict[str, App] = {}

    def noun(name: str) -> App:
        if name not in made:
            made[name] = App(name, help=_help(name))
            app.command(made[name])
        return made[name]

    found = reads()
    for words, reading in found.items():
        name, verb = words.split(" ")
        noun(name).command(reading(), name=verb)
    for operation in operations().values():
        if f"{operation.noun} {operation.verb}" not in found:
            noun(operation.noun).command(command(operation), name=operation.verb)
    for name, place in SINGLE.items():
        app.command(load(place), name=name)
    return made


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


def _help(name: str) -> str:
    noun = noun_named(name)
    return noun.help if noun else f"{name.capitalize()}."


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
    """Open the console on a throw-away home with the demonstration estate."""
    from app.demo.command import run

    code: int = run(list(words))
    return code
