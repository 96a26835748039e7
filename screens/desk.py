"""What a screen may ask of the program around it; what is acted on, and what is said of it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from screens.session import Session

if TYPE_CHECKING:
    from controlplane.lists import ListOf
    from screens.work import Work

SAID_SECONDS = 6.0
"""So long words stand on the last line, in place of the keys; the next key ends them sooner."""


@dataclass(frozen=True)
class Target:
    """What an operation is done to: the subject fields, the version that was seen, and the row if it is in a list."""

    subject: Mapping[str, Any]
    version: int | None
    label: str
    row: Any = None

    @classmethod
    def of(cls, declared: ListOf[Any], row: Any) -> Target:
        """A row of a list."""
        return cls(declared.subject(row), getattr(row, "version", None), declared.label(row), row)


@dataclass(frozen=True)
class Done:
    """What to say about it, and whether it went well. `seconds`: after which it is not to be seen any more."""

    words: str
    tone: str = "good"
    seconds: float = SAID_SECONDS


class Desk(Protocol):
    """What a screen may ask of the program around it."""

    session: Session

    def go(self, noun: str, text: str = "") -> None: ...
    def back(self) -> bool:
        """Go to where one was before another list was gone to; False when there is no such place."""
        ...

    def leave(self, *, ask: bool = False) -> None: ...
    def commands(self) -> Mapping[str, str]:
        """What can be typed after `:`, with what it does; operations and nouns aside."""
        ...

    def open_thing(self, noun: str, key: str) -> None: ...
    def run_command(self, text: str) -> None: ...
    def complete_command(self, text: str) -> list[str]: ...
    def retry_link(self) -> None: ...
    def tell(self, done: Done) -> None: ...
    def start_work(self, work: Work, job: Coroutine[Any, Any, str]) -> None:
        """Do the job in the background; what it returns is said when it is done."""
        ...

    def drive_run(self, run_id: int, secrets_to: str = "") -> None:
        """Carry a run on in the background, also when its screen is left. Secrets are added to that file."""
        ...

    def hold_keys(self) -> None:
        """Keys that come now are for a dialog that is still on its way."""
        ...

    def release_keys(self, *, replay: bool) -> None: ...
    def unforeseen(self, error: BaseException) -> None: ...
