"""The lists of dead letters: the causes, those with the most waiting messages first; and the messages, newest first."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from controlplane.lists import COUNT, DOCUMENT, FLAG, ID, TEXTS, TIME, UNTIL, Cell, Column, ListOf, Status, status
from controlplane.queues.everywhere import AllCauses
from controlplane.queues.model import STATES, Cause, Letter, LetterDirectory, State
from controlplane.queues.refusals import NO_CAUSE, NO_LETTER
from controlplane.queues.source_words import why_outside
from controlplane.queues.sources import OutsideCause
from controlplane.queues.words import cause_words, hours_said, hours_words, obstacle_words, why_cause, why_letter
from controlplane.text import clean

STATUSES: dict[State, Status] = {
    "dead": Status("✕", "bad"),
    "quarantined": Status("■", "warn"),
    "replaying": Status("◐", "warn"),
    "replayed": Status("●", "good"),
    "discarded": Status("○", "muted"),
}
assert tuple(STATUSES) == STATES


def _waiting(cause: Cause, now: datetime) -> Cell:
    more = "+" if isinstance(cause, OutsideCause) and not cause.whole else ""
    return Cell(f"{cause.waiting:,}{more}", "bad" if cause.dead else "warn" if cause.quarantined else "muted")


def _record(cause: Cause, now: datetime) -> dict[str, Any]:
    """`whole`: of a source outside, whether all of its messages were counted."""
    return dataclasses.asdict(cause) | {"whole": getattr(cause, "whole", True)}


def _opens(cause: Cause) -> tuple[str, str]:
    """Its messages that wait."""
    if isinstance(cause, OutsideCause):
        return "messages", f"?source:{cause.source} cause:{cause.id}"
    return "letters", f"?cause:{cause.id} state:dead,quarantined"


def _cause(cause: Cause, now: datetime) -> Cell:
    return Cell(cause_words(cause), "" if cause.waiting else "muted")


CAUSES: ListOf[Cause] = ListOf(
    "queues",
    Cause,
    of=lambda plane: AllCauses(plane, CAUSES),
    order="-dead",
    unsorted="causes come from several sources",
    summary="List the causes of dead letters, one line per cause, those with the most waiting messages first.",
    means="Dead letters, one line per cause. Enter shows its messages; a, then r, replays all that are dead.",
    nothing="No dead letter. What fails on its last try is kept here until somebody replays it.",
    missing=NO_CAUSE,
    label=lambda cause: f"{cause.handler}: {clean(cause.cause, 60)}",
    opens=_opens,
    why=lambda cause, now: why_outside(cause, now) if isinstance(cause, OutsideCause) else why_cause(cause, now),
    record=_record,
    search=lambda cause: (cause.handler, cause.error_class, cause.cause),
    operations=("queues.replay", "queues.discard", "queues.quarantine", "queues.release", "queues.fixed"),
    name="causes",
    columns=(
        Column("dead", COUNT, priority=1, width=7, field="waiting", cell=_waiting, sorts=True,
               what="messages that wait: dead or quarantined"),
        Column("handler", priority=2, width=14, grow=True, what="what failed"),
        Column("cause", filters=False, priority=1, width=20, grow=True, cell=_cause),
        Column("tenants", COUNT, priority=4, width=7, what="tenants with a message that waits"),
        Column("last", TIME, priority=3, field="last_seen", sorts=True, what="when one died last"),
        Column("first", TIME, priority=8, field="first_seen", filters=False),
        Column("day", filters=False, priority=5, width=12, title="24 HOURS", field="hours",
               cell=lambda cause, now: hours_words(cause), said=hours_said),
        Column("replayed", COUNT, priority=6, width=8, what="how many were replayed"),
        Column("quarantined", COUNT, priority=7, width=11),
        Column("source", priority=9, width=10, also=("from",)),
        Column("error", priority=10, width=14, grow=True, field="error_class", title="CLASS",
               what="the class of the error"),
        Column("fixed", priority=10, width=8, field="fixed_in", title="FIXED IN"),
        Column("gate", filters=False, priority=10, width=10, field="gate_verdict", what="what its gate decided"),
        Column("ready", FLAG, priority=12, width=6, what="fixed, and the gate passed: replay it"),
        Column("releases", TEXTS, priority=11, width=10, what="the releases that failed"),
        Column("id", what="the cause, as in a message's cause:"),
    ),
)  # fmt: skip


def _error(letter: Letter, now: datetime) -> Cell:
    return Cell(clean(letter.error or letter.cause, 400), "muted" if letter.settled_at else "")


def _state(letter: Letter, now: datetime) -> Cell:
    glyph, tone, _ = STATUSES[letter.state]
    return Cell(f"{glyph} {letter.state}" + (" HOLD" if letter.hold else ""), tone)


LETTERS: ListOf[Letter] = ListOf(
    "letters",
    Letter,
    of=lambda plane: plane.of(LetterDirectory),
    order="-age",
    summary="List dead messages, newest first; filter with cause:…, payload.user.id:42 or age>2d.",
    means="Dead messages, one by one. Replay one with a, then r; mark several with space, or all with *.",
    nothing="No dead message.",
    missing=NO_LETTER,
    label=lambda letter: f"letter {letter.id}",
    opens=lambda letter: ("letters", letter.key),
    why=why_letter,
    name="dead letters",
    columns=(
        Column("id", ID, priority=1, width=7, title="LETTER", sorts=True),
        Column("state", status(STATUSES), priority=2, width=13, cell=_state),
        Column("age", TIME, priority=2, field="dead_at", sorts=True, also=("dead",)),
        Column("handler", priority=4, width=14, grow=True, sorts=True),
        Column("tenant", priority=3, width=10, field="tenant_id", grow=True),
        Column("error", priority=1, width=22, grow=True, cell=_error, what="of its last attempt"),
        Column("attempts", COUNT, priority=5, width=5, field="attempt_count", title="TRIES"),
        Column("replays", COUNT, priority=6, width=7, what="replayed before, and died of the same"),
        Column("verdict", filters=False, priority=6, width=14, field="obstacle",
               cell=lambda letter, now: obstacle_words(letter), what="what would refuse its replay now"),
        Column("kept", UNTIL, priority=10, field="kept_until", filters=False, title="KEPT FOR"),
        Column("cause", priority=11, width=16, field="cause_id", what="the digits of its cause"),
        Column("class", field="error_class"),
        Column("source"),
        Column("queue"),
        Column("release"),
        Column("key", field="idempotency_key", what="its idempotency key"),
        Column("hold", FLAG),
        Column("edited", FLAG, field="is_edited"),
        Column("payload", DOCUMENT, field="is_edited", what="payload.user.id:42, or a JSON path"),
    ),
)  # fmt: skip
