"""One message that is dead outside the home: what it died of, what it says, and what was done to it from here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.filters.grammar import Term
from controlplane.lists import Line
from controlplane.queues.source import DeadMessage, Said
from controlplane.queues.source_lists import message_record, why_message
from controlplane.queues.source_words import act_lines, message_facts, said_lines
from controlplane.queues.sources import MessageDirectory, SourceAct
from screens.desk import Target
from screens.detail import TENANT, DetailScreen, Related
from screens.panes import Facts, Reading, Seen

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

EVERY_SECONDS = 10.0
"""How often another system is asked for one message."""


def of_cause(screen: Any) -> tuple[Term, ...] | None:
    return (Term("is", (screen.row.cause_id,), "cause"),) if screen.row else None


async def read_said(plane: ControlPlane, message: DeadMessage, now: datetime) -> Said | None:
    return await plane.of(MessageDirectory).said(message)


async def read_acts(plane: ControlPlane, message: DeadMessage, now: datetime) -> Sequence[SourceAct]:
    return await plane.of(MessageDirectory).acts(message.source, message.name)


SAID = Reading(read_said, EVERY_SECONDS)
ACTS = Reading(read_acts, EVERY_SECONDS)
CAUSE = Related("cause", "X", "its cause's messages", "cause", "messages", of=of_cause, lists=True)


class MessageScreen(DetailScreen[DeadMessage]):
    noun = "messages"
    rows = DeadMessage
    means = "One dead message of another system: its error, its payload, and what was done to it from here."
    panes = (
        Facts("facts", lambda seen: message_facts(seen.thing, seen.now)),
        Facts("message", lambda seen: said_lines(seen.of(SAID))),
        Facts("acts", lambda seen: act_lines(seen.of(ACTS), seen.now)),
    )
    grid, widths, heights = ("facts message", "acts message"), "1fr 1fr", "2fr 1fr"
    readings = (SAID, ACTS)
    related = (TENANT, CAUSE)

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self._asked = float("-inf")

    async def read(self, plane: ControlPlane) -> DeadMessage:
        if self.thing is None or self.session.ticks() - self._asked >= EVERY_SECONDS:
            self._asked = self.session.ticks()
            return await super().read(plane)
        return self.thing

    def record_of(self, thing: DeadMessage) -> dict[str, Any]:
        return message_record(thing, self.session.clock())

    def target(self) -> Target:
        source, _, name = self.thing_id.partition("/")
        return Target({"source": source, "ids": [name]}, None, self.label, self.row)

    def why(self, seen: Seen[DeadMessage]) -> list[Line]:
        return why_message(seen.thing, seen.now)
