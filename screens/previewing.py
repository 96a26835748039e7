"""A preview beside a list: what enter would show first of the row under the cursor, on wide terminals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget

from controlplane.errors import Refusal
from controlplane.listing import Row
from controlplane.lists import Line
from controlplane.nouns import load, noun_named
from screens.desk import Done
from screens.orders import OrderedScreen
from screens.panes import Facts, NotRead, Seen
from screens.session import Session
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

R = TypeVar("R", bound=Row)
WIDE_COLUMNS = 120
PREVIEW_COLUMNS = 46
REST_SECONDS = 0.15
"""The cursor rests for so long on a row before it is read."""


class PreviewingScreen(OrderedScreen[R]):
    """The cursor never waits for the preview: it is read in a worker, and the next row's reading ends this one's."""

    DEFAULT_CSS = """
    PreviewingScreen #beside { height: 1fr; }
    PreviewingScreen #beside > WindowTable { width: 1fr; }
    PreviewingScreen #preview { display: none; border-left: solid $panel; padding: 0 1; }
    PreviewingScreen #preview.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "preview", "preview beside the list", show=False, id="list.preview"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.previews = False
        self._previewed: Any = None
        """The row that the preview is of, as it was then."""
        self._resting: Timer | None = None

    def beside(self, table: Widget) -> Widget:
        """The table with room for a preview on its right."""
        preview = Lines(id="preview")
        preview.styles.width = PREVIEW_COLUMNS
        return Horizontal(table, preview, id="beside")

    def action_preview(self) -> None:
        if self.size.width < WIDE_COLUMNS:
            self.say(Done(f"a preview needs {WIDE_COLUMNS} columns; here enter opens it", "warn"))
            return
        self.previews = not self.previews
        self.desk.keep_preview(self.noun, self.previews)
        self.lay_out_preview()

    def lay_out_preview(self) -> None:
        """Show it where it is wanted and has room."""
        for preview in self.query("#preview"):
            preview.set_class(self.previews and self.size.width >= WIDE_COLUMNS, "shown")
        self._previewed = None
        self.preview_soon()

    @on(WindowTable.Highlighted)
    @on(WindowTable.Loaded)
    def preview_soon(self) -> None:
        row = self.current()
        if self.previews and self.size.width >= WIDE_COLUMNS and row != self._previewed:
            if self._resting is not None:
                self._resting.stop()
            self._resting = self.set_timer(REST_SECONDS, self._preview)

    @work(exit_on_error=False, group="preview", exclusive=True)
    async def _preview(self) -> None:
        row = self.current()
        if row is None or self.session.plane is None:
            lines: Sequence[Line] = ()
        else:
            leads = self.declared.opens(row) or ("", "")
            lines = await preview_lines(self.session, *leads, PREVIEW_COLUMNS - 4)
            lines = lines or self.own_lines(row)
        for preview in self.query("#preview").results(Lines):
            preview.top = 0
            preview.show(lines)
        self._previewed = row

    def own_lines(self, row: R) -> list[Line]:
        """Every field that is known, of a row that enter opens no screen of."""
        from screens.dialogs.viewer import described

        record = self.declared.record(row, self.session.clock())
        return [(self.declared.label(row) or row.key, "title"), *described({k: v for k, v in record.items() if v})]


async def preview_lines(session: Session, noun: str, key: str, width: int) -> Sequence[Line]:
    """What the screen of a thing says first of it; nothing when it has no screen. What it is refused is said."""
    found = noun_named(noun)
    if found is None or not found.detail or key.startswith("?"):
        return ()
    screen, plane = load(found.detail)(key), session.require_plane()
    facts = screen.panes[0]
    if not isinstance(facts, Facts):
        return ()
    try:
        thing = await screen.read(plane)
        seen: Seen[Any] = Seen(thing, session.clock(), width)
        try:
            return facts.lines(seen)
        except NotRead:
            read = {each: await each.read(plane, thing, seen.now) for each in screen.readings}
            return facts.lines(Seen(thing, seen.now, width, read))
    except Refusal as refusal:
        return [(refusal.message, "bad"), refusal.hint]
