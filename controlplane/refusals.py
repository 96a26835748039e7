"""The words of a refusal are written once, beside its noun, for the rule and for the home's constraint.

Those that belong to no noun are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.errors import Conflict, NotFound, Refusal, Usage


@dataclass(frozen=True)
class Words:
    """`code` is also the constraint's name, unless `constraint` says another. A call returns the Refusal to raise."""

    code: str
    kind: type[Refusal]
    message: str
    hint: str = ""
    constraint: str = ""

    def __call__(self, message: str | None = None, hint: str | None = None, why: Sequence[str] = ()) -> Refusal:
        """A caller that knows more gives its own message, hint or path."""
        return self.kind(
            self.code, self.message if message is None else message, self.hint if hint is None else hint, why
        )

    def of(self, *things: object) -> Refusal:
        """With the placeholders of message and hint filled in."""
        return self(self.message.format(*things), self.hint.format(*things))


REQUEST_ID_REUSED = Words(
    "request_id_reused", Conflict, "The request id was used for something else.", "Use a new one."
)
NO_ROW = Words("no_row", NotFound, "There is no {} in this list.")
TOO_MANY_TO_SORT = Words(
    "too_many_to_sort", Refusal, "More than {0} {1} match: filter them to sort by {2}.", "Or sort by: {3}."
)
STALE_VERSION = Words(
    "stale_version", Conflict, "Somebody changed it since it was looked at.", "Look at it again, then repeat."
)
NO_UNDO = Words("no_undo", Refusal, "It cannot be taken back.")
OPERATION_UNKNOWN = Words(
    "operation_unknown", Usage, "There is no operation of that name.", "watchfloor operations lists them."
)

CONSTRAINTS = (
    Words("command_note", Usage, "A command of one's own is recorded by itself, when it is run."),
    Words("change_result_size", Refusal, "The result of the change is too large to be kept.", "Do less at once."),
    Words("moment_range", Refusal, "A time must lie between the years 1970 and 2199.", "Leave it out for none."),
    Words("day_range", Refusal, "A day must lie between the years 1970 and 2199."),
    Words("line_length", Refusal, "A name or code has at most 400 characters.", "Shorten it."),
    Words("words_length", Refusal, "A reason or remark has at most 2,000 characters.", "Keep a link to the rest."),
    Words("document_depth", Refusal, "A JSON document is nested at most 64 levels deep.", "Keep it flatter."),
    Words("document_size", Refusal, "A JSON document has at most 65,536 bytes.", "Keep a link instead."),
    Words(
        "lines_size", Refusal, "A list has at most 1,000 entries and 65,536 bytes, none of them empty.", "Shorten it."
    ),
    Words(
        "lock_held",
        Conflict,
        "Somebody else holds a lock that this needs, and does not release it.",
        "Try again; if it is still held, find who: SELECT pid, usename, state FROM pg_stat_activity"
        " WHERE xact_start IS NOT NULL.",
    ),
)
