"""Runs one command: from its words to its exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.cli.output import finish, refuse, say
from app.start import VERSION, asks_for_help, given_id, wants_json
from controlplane.errors import Refusal, Usage
from controlplane.text import clean
from controlplane.urls import without_words_like_urls

if TYPE_CHECKING:
    import inspect

    from app.cli.asked import Reading


def run(words: list[str]) -> int:
    """Print the answer, or the refusal, and return the exit code."""
    as_json, request_id = wants_json(words), given_id(words) or f"wf-{os.urandom(12).hex()}"
    try:
        if not all(word.isprintable() or _is_text(word) for word in words):
            raise Usage("argument_not_text", "An argument is not UTF-8 text.")
        code = 0
        if words[:1] == ["--version"]:
            say(VERSION)
        elif not (asks_for_help(words) and _helped(words)):
            code = _carried_out(words, request_id)
        finish()
        return code
    except Refusal as refusal:
        return refuse(refusal, as_json=as_json, request_id=request_id)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        from app.faults import report

        return report(error, as_json=as_json, request_id=request_id)


def _helped(words: list[str]) -> bool:
    """Print the help that is asked for; the demonstration prints its own."""
    from app.cli.helping import answered, print_command_help

    if answered(words):
        return True
    if words[0] in ("complete", "demo"):
        return False
    command, named = _command_of(words)
    print_command_help(" ".join(words[:named]), command)
    return True


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _carried_out(words: list[str], request_id: str) -> int:
    """Run the command that the words name; its exit code."""
    import inspect

    if words[:1] == ["complete"]:  # for the shells' scripts; the words after it are foreign
        from app.cli.completion import print_candidates

        return print_candidates(words[1:])
    command, bound = parsed(words)
    if "asked" in bound.arguments:
        bound.arguments["asked"] = _named(bound.arguments["asked"], request_id)
    code = command(*bound.args, **bound.kwargs)
    if inspect.iscoroutine(code):
        import asyncio

        from app.faults import log_warnings

        log_warnings()
        code = asyncio.run(code)
    return code if isinstance(code, int) else 0


def parsed(words: Sequence[str]) -> tuple[Any, inspect.BoundArguments]:
    """Raises Usage `usage` with what cannot be understood."""
    from app.cli.parameters import parse

    command, named = _command_of(words)
    try:
        return command, parse(command, words[named:])
    except Usage as fault:
        raise _shown(fault, f"watchfloor {' '.join(words[:named])} --help") from None


def _command_of(words: Sequence[str]) -> tuple[Any, int]:
    from app.cli.tree import command_of

    try:
        return command_of(words)
    except Usage as fault:
        raise _shown(fault, fault.hint) from None


def _shown(fault: Usage, hint: str) -> Usage:
    """What is wrong with the words, without those that may be addresses with passwords."""
    if fault.code != "usage":
        return fault
    return Usage("usage", clean(without_words_like_urls(fault.message), 400), hint)


def _named(asked: Reading, request_id: str) -> Reading:
    """With the id of this request, unless the caller chose one."""
    from dataclasses import replace

    from app.cli.asked import Changing

    if isinstance(asked, Changing) and asked.request_id:
        return replace(asked, given_id=True)
    return replace(asked, request_id=request_id)
