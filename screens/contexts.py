"""The contexts to choose from: the embedded home, the profiles of the settings, and kinds that are still to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from textual import on, work
from textual.widget import Widget

from controlplane.clock import machine_now
from controlplane.listing import Count, Page, Position, Query
from controlplane.lists import Cell, Line
from screens.area import AreaScreen
from screens.desk import Done
from screens.widgets.bars import TitleLine
from screens.widgets.columns import Column
from screens.widgets.table import WindowTable


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


@dataclass(frozen=True)
class Fixed:
    """A list that is held in memory, for the table to page through."""

    rows: tuple[ContextRow, ...]

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[ContextRow]:
        return Page(self.rows, tuple((row.key,) for row in self.rows), True, True, machine_now())

    async def count(self, query: Query, cap: int = 10_000) -> Count:
        return Count(len(self.rows))


class Chooser(Protocol):
    """What this screen asks of the program around it."""

    def contexts(self) -> tuple[ContextRow, ...]: ...
    def choose_context(self, name: str) -> None: ...
    async def password_places(self, name: str) -> list[str]:
        """The places that are asked for the password, and what each answered; may take seconds."""
        ...


COLUMNS: Sequence[Column[ContextRow]] = (
    Column("name", "CONTEXT", 14, 1, lambda c: Cell(("• " if c.here else "  ") + c.name)),
    Column(
        "environment",
        "ENVIRONMENT",
        11,
        2,
        lambda c: Cell(c.environment, "bad" if c.environment == "production" else ""),
    ),
    Column("mode", "MODE", 4, 3, lambda c: Cell("" if c.why_not else "RO" if c.read_only else "RW")),
    Column(
        "address",
        "WHERE",
        20,
        4,
        lambda c: Cell(c.why_not or c.address.removeprefix("postgresql://"), "muted" if c.why_not else ""),
        grow=True,
    ),
    Column("password", "PASSWORD FROM", 18, 5, lambda c: Cell(c.password)),
    Column("kind", "KIND", 10, 6, lambda c: Cell(c.kind)),
)


class ContextsScreen(AreaScreen):
    noun = "contexts"
    means = "The control planes that this console can drive. Passwords are never shown, only where they come from."
    hints = (("enter", "switch to it"), ("w", "password places"), ("esc", "back"), (":", "command"), ("?", "help"))

    @property
    def chooser(self) -> Chooser:
        return cast(Chooser, self.app)

    def body(self) -> Widget:
        return WindowTable(COLUMNS, empty="There is no context.")

    def on_mount(self) -> None:
        self.focus_body()
        self._read()

    def _read(self) -> None:
        table: WindowTable[ContextRow] = self.query_one(WindowTable)
        rows = self.chooser.contexts()
        table.show(Fixed(rows), Query())
        self.draw_frame()

    async def refresh_data(self) -> None:
        if self.is_mounted:
            self._read()

    def draw_title(self, title: TitleLine) -> None:
        title.show(noun="contexts", count=f"{len(self.chooser.contexts())} · now: {self.session.context}")

    def current(self) -> ContextRow | None:
        row: ContextRow | None = self.query_one(WindowTable).cursor_row
        return row

    def operations(self) -> list[Any]:
        return []

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        row = cast(ContextRow, event.row)
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
