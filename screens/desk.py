"""What a screen may ask of the program around it; the target of an operation, and the message about its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from screens.session import Session

if TYPE_CHECKING:
    from controlplane.listing import View
    from controlplane.lists import ListOf
    from controlplane.operations import Keep
    from controlplane.owncommands import OwnCommand
    from controlplane.presence.model import Presence
    from screens.work import Work

SAID_SECONDS = 6.0
"""How long a message stays on the last line, in place of the keys; the next key removes it sooner."""


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
    """A message, and whether it went well (`tone`). `seconds`: how long it may be seen."""

    words: str
    tone: str = "good"
    seconds: float = SAID_SECONDS


class Shows(Protocol):
    """A screen that can say what it shows, and be told to show something else."""

    noun: str

    def as_view(self) -> View: ...
    def look_like(self, view: View) -> None: ...


class Desk(Protocol):
    """What a screen may ask of the program around it."""

    session: Session

    @property
    def area(self) -> Shows | None:
        """The screen that a person works in, also while a dialog is over it."""
        ...

    def go(self, noun: str, text: str = "") -> None: ...
    def back(self) -> bool:
        """Go back to what was shown before this; False when there was nothing."""
        ...

    def forward(self) -> bool:
        """Go forward again to what was left by going back; False when there is nothing."""
        ...

    def kept_columns(self, noun: str) -> Sequence[str]:
        """The columns that the person has chosen for a list, in their order; none: its own."""
        ...

    def keep_columns(self, noun: str, columns: Sequence[str]) -> None: ...
    def saved_views(self) -> Sequence[tuple[str, str]]:
        """The name of each saved view, and what it shows in words."""
        ...

    def own_commands(self, noun: str) -> Sequence[OwnCommand]:
        """The commands that the settings allow on a noun's rows."""
        ...

    def run_own(self, argv: Sequence[str], seconds: float, take: Callable[[str], None]) -> Awaitable[str]:
        """Run a program; how it ended, in words. Cancelled, it ends the program."""
        ...

    def keeps_preview(self, noun: str) -> bool:
        """Whether the person wants a preview beside a noun's list."""
        ...

    def keep_preview(self, noun: str, wanted: bool) -> None: ...
    def leave(self, *, ask: bool = False) -> None: ...
    def commands(self) -> Mapping[str, str]:
        """The commands that can be typed after `:`, with what each does, without operations and nouns."""
        ...

    def open_thing(self, noun: str, key: str) -> None: ...
    def follow(self, other: Presence) -> None:
        """Show what another console shows, from now on."""
        ...

    def stop_following(self) -> bool:
        """False when it follows nobody."""
        ...

    def run_command(self, text: str) -> None: ...
    def complete_command(self, text: str) -> list[str]: ...
    def retry_link(self) -> None: ...
    def tell(self, done: Done) -> None: ...
    def start_work(self, work: Work, job: Coroutine[Any, Any, str]) -> None:
        """Do the job in the background, and show what it returns when it is done."""
        ...

    def drive_run(self, run_id: int) -> None:
        """See a run through in the background, also when its screen is left."""
        ...

    def run_gate(self, number: int, title: str) -> None:
        """Carry out a gate's run that was begun, in the background."""
        ...

    async def look_outside(self, check: Any) -> Mapping[str, Any]:
        """What a check sees outside of the home. Raises Refusal when that must not be asked from here."""
        ...

    def keep_secrets(self, path: str) -> Keep:
        """Stores secrets in a new file that only its owner can read."""
        ...

    def hold_keys(self) -> None:
        """Keep the keys that are typed from now on for a dialog that is about to open."""
        ...

    def release_keys(self, *, replay: bool) -> None: ...
    def unforeseen(self, error: BaseException) -> None: ...
