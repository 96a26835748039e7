"""The lists of sources, and of the messages that are dead outside the home."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from controlplane.formatting import age, relative
from controlplane.lists import COUNT, TIME, Cell, Column, Line, ListOf, Status, status
from controlplane.queues.refusals import NO_MESSAGE, NO_SOURCE
from controlplane.queues.source import DeadMessage
from controlplane.queues.sources import (
    SOURCE_STATES,
    MessageDirectory,
    SourceDirectory,
    SourceRow,
    SourceState,
)
from controlplane.text import UNKNOWN, clean

STATUSES: dict[SourceState, Status] = {
    "ok": Status("●", "good"),
    "down": Status("✕", "bad"),
    "unknown": Status("?", "unknown"),
}
assert tuple(STATUSES) == SOURCE_STATES


def _waiting(row: SourceRow, now: datetime) -> Cell:
    if row.waiting is None:
        return Cell(UNKNOWN, "unknown")
    words = ("" if row.exact else "~") + f"{row.waiting:,}"
    return Cell(words, "unknown" if row.state != "ok" else "bad" if row.waiting else "muted")


def _place(row: SourceRow, now: datetime) -> Cell:
    if row.fault:
        return Cell(clean(row.fault, 300), "bad")
    return Cell(row.moving, "warn") if row.moving else Cell(clean(row.where, 200), "muted")


def why_source(row: SourceRow, now: datetime) -> list[Line]:
    lines: list[Line] = [
        (f"source {clean(row.id, 64)}: {clean(row.kind, 40)}", "title"),
        f"at {clean(row.where, 300)}",
        f"what is shown is {age(row.as_of, now)} old" if row.as_of else "it has not answered yet",
        f"it can: {row.able or 'nothing'}",
    ]
    if row.waiting is not None and not row.exact:
        lines.append(("the number is an estimate: counting took too long", "warn"))
    if row.entered is None and row.kind != "home":
        lines.append("the rate in is unknown: the source does not say when messages died, or did not answer")
    if row.kind != "home":
        lines.append("the rate out counts what was replayed and discarded from here")
    if row.moving:
        lines.append((f"its last redrive: {row.moving}", "warn"))
    if row.fault:
        lines.append((f"{clean(row.fault, 400)} [{row.code}]", "bad"))
    return lines


SOURCES: ListOf[SourceRow] = ListOf(
    "sources",
    SourceRow,
    of=lambda plane: plane.of(SourceDirectory),
    summary="List sources of dead letters: how many, how old, how many came and went within the last hour.",
    few=True,
    means="Sources of dead letters: this home, and those that the settings name. Enter shows their causes.",
    nothing="There is no source.",
    missing=NO_SOURCE,
    label=lambda row: f"source {clean(row.id, 64)}",
    opens=lambda row: ("queues", f"?source:{row.id}"),
    why=why_source,
    search=lambda row: (row.id, row.kind, row.where),
    columns=(
        Column("source", priority=1, width=14, grow=True, field="id", title="SOURCE"),
        Column("state", status(STATUSES), priority=2, width=9),
        Column("dead", COUNT, priority=1, width=8, field="waiting", cell=_waiting, what="messages that wait"),
        Column("oldest", TIME, priority=2, what="when the oldest died"),
        Column("in", COUNT, priority=3, width=6, field="entered", title="IN/H", what="died within the last hour"),
        Column("out", COUNT, priority=3, width=6, field="settled", title="OUT/H",
               what="replayed or discarded within the last hour"),
        Column("seen", TIME, priority=4, field="as_of", what="when it answered last"),
        Column("kind", priority=6, width=9),
        Column("where", filters=False, priority=5, width=16, grow=True, cell=_place),
        Column("can", filters=False, priority=10, width=16, field="able"),
    ),
    key=("source",),
)  # fmt: skip


def _error(message: DeadMessage, now: datetime) -> Cell:
    return Cell(clean(message.error, 400) or "it does not say why", "" if message.error else "unknown")


def _act(message: DeadMessage, now: datetime) -> Cell:
    return Cell(clean(message.act, 40), "warn" if message.act else "")


def why_message(message: DeadMessage, now: datetime) -> list[Line]:
    lines: list[Line] = [
        (f"message {clean(message.name, 100)} of {clean(message.source, 64)}", "title"),
        f"error: {clean(message.error, 2000) or 'its source does not say why it died'}",
        f"cause: {message.cause_id}, {clean(message.cause, 500) or 'no message'}",
        f"died {relative(message.dead_at, now)}" if message.dead_at else "its source does not say when it died",
        f"replayed from here: {message.replays} times",
        "a replay queues it again in its own system, which decides the order",
    ]
    if message.act:
        lines.append((f"begun, and its outcome is not known: {clean(message.act, 40)}", "warn"))
    return lines


def message_record(message: DeadMessage, now: datetime) -> dict[str, Any]:
    record = dataclasses.asdict(message)
    return {"id": message.id, **record, "cause": message.cause, "cause_id": message.cause_id}


MESSAGES: ListOf[DeadMessage] = ListOf(
    "messages",
    DeadMessage,
    of=lambda plane: plane.of(MessageDirectory),
    order="-age",
    summary="List dead messages of other systems; filter with source:…, cause:… or age>2d.",
    few=True,
    means="Dead messages of other systems. Replay one with a, then r; mark several of one source with space.",
    nothing="No message is dead outside this home, as far as its sources answer: :sources",
    missing=NO_MESSAGE,
    label=lambda message: f"{clean(message.source, 64)} {clean(message.name, 60)}",
    opens=lambda message: ("messages", message.key),
    why=why_message,
    record=message_record,
    search=lambda message: (message.name, message.handler, message.tenant_id, message.error_class, message.cause),
    columns=(
        Column("source", priority=1, width=10, grow=True),
        Column("message", priority=1, width=10, field="name", grow=True),
        Column("age", TIME, priority=2, field="dead_at", sorts=True, also=("dead",)),
        Column("handler", priority=4, width=12, grow=True),
        Column("tenant", priority=3, width=10, field="tenant_id", grow=True),
        Column("error", filters=True, priority=1, width=22, grow=True, cell=_error),
        Column("attempts", COUNT, priority=5, width=5, title="TRIES"),
        Column("replays", COUNT, priority=6, width=7, what="replayed from here before"),
        Column("act", priority=3, width=10, cell=_act, what="begun from here, without a known outcome"),
        Column("created", TIME, priority=10, field="created_at", filters=False),
        Column("cause", priority=11, width=16, field="cause_id", what="the digits of its cause"),
        Column("queue"),
        Column("class", field="error_class"),
        Column("release"),
        Column("key", field="idempotency_key"),
        Column("id", field="id", what="source/message"),
    ),
    key=("id",),
)  # fmt: skip
