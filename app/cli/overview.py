"""`overview`: the fleet at a glance, in the parts that the console shows."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from app.cli.asked import READING, Reading, opened
from app.cli.output import error_of, facts, say
from controlplane.errors import Refusal
from controlplane.overview.entries import PARTS, Entry
from controlplane.overview.model import OverviewSource
from controlplane.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


async def overview(*, asked: Reading = READING) -> int:
    """Look at all tenants at once: traffic, those that fail, what is due, work, regions, what changed.

    A part that cannot be read says so in its place; then the exit code is that of its refusal.
    """
    async with opened(asked) as context:
        answers = await read(context.home.of(OverviewSource))
        now = context.home.clock.now()
    refused = [answer for answer in answers.values() if isinstance(answer, Refusal)]
    if asked.json:
        from app.cli.output import document

        parts = {name: _record(answer, asked.request_id) for name, answer in answers.items()}
        document({"parts": parts, "as_of": now})
    else:
        _print(answers, now)
    return refused[0].exit_code if refused else 0


async def read(glance: OverviewSource) -> Mapping[str, Any]:
    """Every part's answer, or the refusal in its place; all parts are read at once."""
    found = await asyncio.gather(*(part.read(glance) for part in PARTS), return_exceptions=True)
    for answer in found:
        if isinstance(answer, BaseException) and not isinstance(answer, Refusal):
            raise answer
    return dict(zip((part.name for part in PARTS), found, strict=True))


def _record(answer: Any, request_id: str) -> Any:
    if isinstance(answer, Refusal):
        return {"error": error_of(answer, request_id)}
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return dataclasses.asdict(answer)
    return [dataclasses.asdict(each) for each in answer]


def _print(answers: Mapping[str, Any], now: datetime) -> None:
    for place, part in enumerate(PARTS):
        if place:
            say()
        say(part.title.upper())
        answer = answers[part.name]
        if isinstance(answer, Refusal):
            say(clean(f"  not read: {answer.message}"))
        else:
            facts((f"  {clean(entry.label)}", _words(entry)) for entry in part.entries(answer, now))


def _words(entry: Entry) -> str:
    return "  ".join(filter(None, (entry.value, entry.words)))
