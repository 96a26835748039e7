"""What can go wrong, in words for a tired person, each with a stable code.

A refusal is an answer, not a crash: nothing was changed. Its class decides the exit code of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class Refusal(Exception):
    """The console will not do this: `code` is stable, `message` says what happened, `hint` what to do.

    `why` is the path that led here, outermost first: what the key `w` shows. `brief`: the message in short, for the
    link's place in the header. `slow`: a person has to put it right, so it is not retried at once.
    """

    exit_code: ClassVar[int] = 1
    brief = ""
    slow = False

    def __init__(self, code: str, message: str, hint: str = "", why: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.why = tuple(why)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip() + f" [{self.code}]"


class Usage(Refusal):
    """The request cannot be read: an unknown field, a malformed id, a value out of range."""

    exit_code = 2


class NotPermitted(Refusal):
    exit_code = 3


class NotFound(Refusal):
    exit_code = 4


class Conflict(Refusal):
    """Someone else was first: a stale version, a name that is taken, a request id used for something else."""

    exit_code = 5


class HomeUnreachable(Refusal):
    """The home cannot be used now."""

    exit_code = 6

    def __init__(
        self, code: str, message: str, hint: str = "", why: Sequence[str] = (), *, brief: str = "", slow: bool = False
    ) -> None:
        super().__init__(code, message, hint, why)
        self.brief = brief
        self.slow = slow


class AnswerLost(Refusal):
    """The change is committed, but its answer could not be written."""

    exit_code = 8


class OutcomeUnknown(Refusal):
    """The link died between the commit and its answer, and the home cannot be asked."""

    exit_code = 7
