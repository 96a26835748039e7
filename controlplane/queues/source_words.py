"""Messages outside the home, and sources, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controlplane import jsontext
from controlplane.formatting import age, relative
from controlplane.lists import Line
from controlplane.queues.held import SAMPLE
from controlplane.queues.model import Message
from controlplane.queues.source import DeadMessage, Said
from controlplane.queues.sources import OutsideCause, SourceAct, SourceRow
from controlplane.queues.words import payload_lines
from controlplane.text import UNKNOWN, clean

MAX_SOURCE_LINES = 6
"""So many sources have a line of their own above the causes."""


def source_lines(rows: Sequence[SourceRow], now: datetime) -> list[Line]:
    """A line for each source outside: what waits there, or why it does not answer and how old what is shown is."""
    lines = [_line(row, now) for row in rows[:MAX_SOURCE_LINES]]
    if (more := len(rows) - MAX_SOURCE_LINES) > 0:
        lines.append((f"… {more} more: :sources", "muted"))
    return lines


def _line(row: SourceRow, now: datetime) -> Line:
    name, fault = clean(row.id, 24), clean(row.fault, 200).removeprefix(f"{row.id} ")
    if row.waiting is None:
        return (f"{name}: {fault or 'being read'}", "bad" if row.fault else "muted")
    words = f"{name} {'' if row.exact else '~'}{row.waiting:,}"
    if row.oldest is not None:
        words += f", oldest {age(row.oldest, now)}"
    words += f", in {UNKNOWN if row.entered is None else f'{row.entered:,}/h'}, out {row.settled or 0:,}/h"
    if row.fault:
        return (f"{words} · as of {age(row.as_of, now)} ago: {fault}", "bad")
    return (words, "" if row.waiting else "muted")


def why_outside(cause: OutsideCause, now: datetime) -> list[Line]:
    """Why the messages of a cause outside are together, and what is known of them."""
    least = "" if cause.whole else "at least "
    return [
        (f"cause {cause.id}: {clean(cause.handler, 100)}", "title"),
        clean(cause.cause, 500) or "its source does not say why its messages died",
        f"class: {clean(cause.error_class, 100) or 'none'}",
        f"queue: {clean(cause.queue, 100)}; source: {clean(cause.source, 64)}, outside this home",
        f"{least}{cause.waiting:,} wait, of {least}{cause.tenants:,} tenants",
        *([] if cause.whole else [(f"counted among the {SAMPLE:,} that are held of its source", "warn")]),
        f"first {relative(cause.first_seen, now)}, last {relative(cause.last_seen, now)}",
        f"died in: {', '.join(clean(each, 60) for each in cause.releases) or 'no known release'}",
        "one cause: the same queue, handler and class, and the same message",
        "without ids, numbers, quoted texts, addresses and times",
        f"fingerprint: {cause.fingerprint}",
        "a replay queues them again in their own system, which decides the order",
    ]


def message_facts(message: DeadMessage, now: datetime) -> list[Line]:
    """What a person needs first."""
    rows = {
        "source": clean(message.source, 64),
        "message": clean(message.name, 200),
        "handler": clean(message.handler, 200),
        "queue": clean(message.queue, 200),
        "class": clean(message.error_class, 100) or "none",
        "tenant": clean(message.tenant_id, 100) if message.tenant_id else "none",
        "attempts": UNKNOWN if message.attempts is None else f"{message.attempts:,}",
        "created": relative(message.created_at, now) if message.created_at else UNKNOWN,
        "died": relative(message.dead_at, now) if message.dead_at else f"{UNKNOWN}: its source does not say when",
        "key": clean(message.idempotency_key, 200) if message.idempotency_key else "none",
        "release": clean(message.release, 100) or UNKNOWN,
        "replayed": f"{message.replays} times from here",
        "cause": message.cause_id,
    }
    begun: list[Line] = [(f"begun, outcome unknown: {clean(message.act, 40)}", "warn")] if message.act else []
    return [
        (clean(message.error, 600) or "its source does not say why it died", "title"),
        *begun,
        "",
        *(f"{name:<10}{value}" for name, value in rows.items()),
    ]


def said_lines(said: Said | None) -> list[Line]:
    if said is None:
        return payload_lines(None, 0)
    cut = said.size > len(said.payload)
    return payload_lines(
        Message(said.payload, cut, None if cut else indented(said.payload), said.headers, None), said.size
    )


def act_lines(acts: Sequence[SourceAct], now: datetime) -> list[Line]:
    """What was done to a message from here, the newest first."""
    lines: list[Line] = []
    for act in acts:
        state = act.standing(now)
        tone = {"done": "good", "refused": "bad"}.get(state, "warn")
        many = f", one of {len(act.things):,}" if len(act.things) > 1 else ""
        lines.append((f"{act.verb} {state}, {relative(act.at, now)} by {clean(act.actor, 63)}{many}", tone))
        lines.append((f"   {clean(act.reason, 300)}", "muted"))
        if act.detail:
            lines.append((f"   {clean(act.detail, 600)}", "muted"))
    return lines or [("nothing was done to it from here", "muted")]


class _Real(str):
    """A number as it was written."""


def indented(payload: bytes) -> str | None:
    """JSON on lines of its own, with every number as it came; None for what is none."""
    try:
        return _written(jsontext.read(payload, real=_Real), 0)
    except (ValueError, UnicodeDecodeError):
        return None


def _written(value: Any, depth: int) -> str:
    if isinstance(value, _Real):
        return str(value)
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict) and value:
        parts = [
            f"{inner}{json.dumps(name, ensure_ascii=False)}: {_written(part, depth + 1)}"
            for name, part in value.items()
        ]
        return "{\n" + ",\n".join(parts) + f"\n{outer}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _written(part, depth + 1) for part in value) + f"\n{outer}]"
    return json.dumps(value, ensure_ascii=False)
