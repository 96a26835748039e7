"""One dead message: what it died of, its attempts, what it says, and how it differs from the last that succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.audit.model import Record
from controlplane.filters.grammar import Term
from controlplane.lists import Line
from controlplane.queues.model import Letter, LetterDirectory, Message, Success
from controlplane.queues.words import attempt_lines, difference_lines, fact_lines, payload_lines, why_letter
from screens.detail import TENANT, DetailScreen, Related
from screens.panes import Facts, Seen

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


@dataclass(frozen=True)
class LetterRead:
    """A letter with all that is known of it."""

    letter: Letter
    attempts: Sequence[Record]
    message: Message | None
    success: Success | None


def of_cause(screen: Any) -> tuple[Term, ...] | None:
    return (Term("is", (screen.cause,), "cause"),) if screen.cause else None


CAUSE = Related("cause", "X", "its cause's messages", "cause", "letters", of=of_cause, lists=True)
DELIVERY = Related(
    "delivery", "V", "its delivery", "delivery", "deliveries", of=lambda screen: screen.source_id("deliveries")
)
JOB = Related("job", "J", "its job", "job", "jobs", of=lambda screen: screen.source_id("jobs"))
ALERT = Related("alert", "L", "the alert that it is about", "alert", "alerts", of=lambda screen: screen.header("alert"))
KEY = Related("key", "K", "the API key that it names", "key", "keys", of=lambda screen: screen.header("key_id"))


class LetterScreen(DetailScreen[LetterRead]):
    noun = "letters"
    numbered = True
    rows = Letter
    means = "One dead message: its error, every attempt, its payload, and how it differs from one that succeeded."
    panes = (
        Facts("facts", lambda seen: fact_lines(seen.thing.letter, seen.now)),
        Facts("message", lambda seen: payload_lines(seen.thing.message, seen.thing.letter.payload_bytes)),
        Facts("attempts", lambda seen: attempt_lines(seen.thing.attempts)),
        Facts("difference", lambda seen: difference_lines(seen.thing.message, seen.thing.success, seen.now)),
    )
    grid, widths, heights = ("facts message", "attempts difference"), "1fr 1fr", "1fr 1fr"
    related = (TENANT, CAUSE, JOB, DELIVERY, ALERT, KEY)

    async def read(self, plane: ControlPlane) -> LetterRead:
        letters, number = plane.of(LetterDirectory), int(self.thing_id)
        letter = await letters.get(number)
        return LetterRead(
            letter, await letters.attempts(number), await letters.message(number), await letters.last_success(number)
        )

    def row_of(self, thing: LetterRead) -> Letter:
        return thing.letter

    @property
    def label(self) -> str:
        return f"letter {self.thing_id}"

    @property
    def cause(self) -> str | None:
        return None if self.row is None else str(self.row.cause_id)

    def source_id(self, source: str) -> str | None:
        """What it stands for, when it is of this source."""
        return None if self.row is None or self.row.source != source else str(self.row.source_id)

    def header(self, name: str) -> str | None:
        message = None if self.thing is None else self.thing.message
        found = None if message is None else message.headers.get(name)
        return None if found is None else str(found)

    def why(self, seen: Seen[LetterRead]) -> list[Line]:
        return why_letter(seen.thing.letter, seen.now)
