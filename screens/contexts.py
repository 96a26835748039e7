"""The contexts to choose from: the embedded home, the profiles of the settings, and kinds that are still to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from textual import work

from controlplane.clock import machine_now
from controlplane.listing import Listing
from controlplane.lists import Cell, Column, Line, ListOf
from controlplane.memorylist import MemoryList
from screens.desk import Done
from screens.lists import ListScreen
from screens.widgets.bars import TitleLine


@dataclass(frozen=True)
class ContextRow:
    """`password` says where it comes from, never what it is. `why_not`: why it cannot be opened ("" when it can)."""

    name: str
    kind: str
    environment: str
    read_only: bool
    address: str
    password: str
    here: bool = False
    why_not: str = ""

    @property
    def key(self) -> str:
        return self.name


class Chooser(Protocol):
    """What this screen asks of the program around it."""

    def contexts(self) -> tuple[ContextRow, ...]: ...
    def choose_context(self, name: str) -> None: ...
    async def password_places(self, name: str) -> list[str]:
        """The places that are asked for the password, and what each answered; may take seconds."""
        ...


def _environment(row: ContextRow, now: datetime) -> Cell:
    return Cell(row.environment, "bad" if row.environment == "production" else "")


def _address(row: ContextRow, now: datetime) -> Cell:
    return Cell(row.why_not or row.address.removeprefix("postgresql://"), "muted" if row.why_not else "")


CONTEXTS = ListOf(
    "contexts",
    ContextRow,
    of=lambda chooser: Contexts(chooser),
    means="The control planes that this console can open. Passwords are never shown, only where they come from.",
    nothing="There is no context.",
    operations=(),
    columns=(
        Column("name", priority=1, width=14, title="CONTEXT",
               cell=lambda row, now: ("• " if row.here else "  ") + row.name),
        Column("environment", priority=2, width=11, cell=_environment),
        Column("mode", priority=3, width=4, value=lambda row: "" if row.why_not else "RO" if row.read_only else "RW"),
        Column("address", priority=4, width=20, title="WHERE", grow=True, cell=_address),
        Column("password", priority=5, width=18, title="PASSWORD FROM"),
        Column("kind", priority=6, width=10),
    ),
)  # fmt: skip


class Contexts(MemoryList[ContextRow]):
    declared = CONTEXTS

    def __init__(self, chooser: Chooser) -> None:
        self.chooser = chooser

    async def rows(self) -> tuple[tuple[ContextRow, ...], datetime]:
        return self.chooser.contexts(), machine_now()


class ContextsScreen(ListScreen[ContextRow]):
    """It needs no home: it is there to choose one."""

    declared = CONTEXTS
    hints = (("enter", "switch to it"), ("w", "password places"), ("esc", "back"), (":", "command"), ("?", "help"))

    @property
    def chooser(self) -> Chooser:
        return cast(Chooser, self.app)

    @property
    def is_readable(self) -> bool:
        return self.is_attached

    def listing(self) -> Listing[ContextRow]:
        return self.declared.of(self.chooser)

    def draw_title(self, title: TitleLine) -> None:
        title.show(noun="contexts", count=f"{len(self.chooser.contexts())} · now: {self.session.context}")

    def open_row(self, row: ContextRow) -> None:
        if row.why_not:
            self.say(Done(f"{row.name}: {row.why_not}", "warn"))
        else:
            self.chooser.choose_context(row.name)

    def action_why(self) -> None:
        row = self.current()
        if row is not None:
            self._show_places(row)

    @work(exit_on_error=False, group="why", exclusive=True)
    async def _show_places(self, row: ContextRow) -> None:
        from screens.dialogs.viewer import Viewer

        self.say(Done("asking the keyring and the other places …", "muted"))
        lines: list[Line] = [(row.name, "title"), row.why_not or row.address, ""]
        lines += await self.chooser.password_places(row.name)
        self.say(None)
        self.app.push_screen(Viewer(self.session, "why", lines))
