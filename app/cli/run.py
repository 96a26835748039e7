"""Runs one command: from its words to its exit code."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import secrets
from typing import Any

from cyclopts import CycloptsError

from app.cli.asked import Changing, Reading
from app.cli.output import finish, refuse
from app.cli.tree import tree
from app.faults import log_warnings, report
from app.start import wants_json
from controlplane.errors import Refusal, Usage
from controlplane.text import clean
from controlplane.urls import without_words_like_urls


def run(words: list[str]) -> int:
    """Print the answer, or the refusal, and return the exit code."""
    as_json, request_id = wants_json(words), f"wf-{secrets.token_hex(12)}"
    log_warnings()
    if words[:1] == ["complete"]:  # for the shells' scripts; the words after it are foreign
        from app.cli.completion import print_candidates

        return print_candidates(words[1:])
    try:
        if not all(word.isprintable() or _is_text(word) for word in words):
            raise Usage("argument_not_text", "An argument is not UTF-8 text.")
        command, bound = parsed(words)
        asked = bound.arguments.get("asked")
        if asked is None and (default := inspect.signature(command).parameters.get("asked")) is not None:
            asked = default.default
        if isinstance(asked, Reading):
            asked = _named(asked, request_id)
            request_id = asked.request_id
            bound.arguments["asked"] = asked
        code = command(*bound.args, **bound.kwargs)
        if inspect.iscoroutine(code):
            code = asyncio.run(code)
        finish()
        return code if isinstance(code, int) else 0
    except Refusal as refusal:
        return refuse(refusal, as_json=as_json, request_id=request_id)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        return report(error, as_json=as_json, request_id=request_id)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(asked: Reading, request_id: str) -> Reading:
    if isinstance(asked, Changing) and asked.request_id:
        return dataclasses.replace(asked, given_id=True)
    return dataclasses.replace(asked, request_id=request_id)


def parsed(words: list[str]) -> tuple[Any, inspect.BoundArguments]:
    """Raises Usage `usage` with what cannot be understood."""
    try:
        command, bound, _ = tree(words).parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        noun = words[0] if words and words[0].isidentifier() else ""
        hint = f"watchfloor {noun} --help" if noun else "watchfloor --help"
        raise Usage("usage", clean(without_words_like_urls(str(error).removeprefix("Error: ")), 400), hint) from None
    return command, bound
