"""`ctrl+p`: everything that can be done or gone to, found by any letters of it."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.tenants.model import TenantDirectory
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.widgets.lines import Lines

MAX_PALETTE_ROWS = 12


class Palette(Dialog[str | None]):
    """Answers with the command line to run."""

    DEFAULT_CSS = """
    Palette Input { width: 100%; }
    Palette Lines { height: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "choose(1)", show=False, id="palette.down", priority=True),
        Binding("up", "choose(-1)", show=False, id="palette.up", priority=True),
    ]

    def __init__(self, session: Session, commands: dict[str, str]) -> None:
        super().__init__(session, "go to, or do")
        self.commands = commands
        self.found: list[tuple[str, str]] = []
        self.chosen = 0

    def parts(self) -> ComposeResult:
        yield Input(compact=True, placeholder="any part of a command or a tenant")
        yield Lines(folds=False)  # a row is a choice
        yield text("arrows choose · enter opens · esc closes", classes="hint")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.search("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.search(event.value)

    @work(exit_on_error=False, exclusive=True, group="palette")
    async def search(self, typed: str) -> None:
        """Commands by fuzzy match at once, tenants from the home after them."""
        self.found, self.chosen = matching(typed, self.commands), 0
        self._draw()
        if len(typed) >= 2 and self.session.plane is not None:
            query = Query((Term("word", (typed.lower(),)),))
            try:
                page = await self.session.plane.of(TenantDirectory).page(query, limit=MAX_PALETTE_ROWS)
            except Refusal:
                return
            self.found = [(f"tenants/{row.id}", row.name) for row in page.rows] + self.found
            self._draw()

    def _draw(self) -> None:
        lines: list[Line] = []
        for number, (command, words) in enumerate(self.found[:MAX_PALETTE_ROWS]):
            mark = "›" if number == self.chosen else " "
            line = f"{mark} {command:<28} {words}"
            lines.append((line, "title") if number == self.chosen else line)
        self.query_one(Lines).show(lines or [("nothing matches", "muted")])

    def action_choose(self, by: int) -> None:
        self.chosen = max(0, min(self.chosen + by, min(MAX_PALETTE_ROWS, len(self.found)) - 1))
        self._draw()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if self.chosen < len(self.found):
            command = self.found[self.chosen][0]
            self.dismiss(f"{self.session.context}/{command}" if command.startswith("tenants/") else command)


def matching(typed: str, commands: dict[str, str]) -> list[tuple[str, str]]:
    """Commands whose name or words match, best first; all of them, in order, for nothing typed."""
    if not typed.strip():
        return list(commands.items())
    from rapidfuzz import fuzz, process

    texts = {name: f"{name} {words}".lower() for name, words in commands.items()}
    hits = process.extract(typed.lower(), texts, scorer=fuzz.partial_ratio, score_cutoff=70, limit=MAX_PALETTE_ROWS)
    return [(name, commands[name]) for _, _, name in hits]
