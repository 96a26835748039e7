"""Lines of text that are drawn only where they are seen: a description of any length opens at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from controlplane.lists import Line
from controlplane.text import clean, fit, fold


class Lines(Widget, can_focus=True):
    """Scrollable lines. Text is made inert here; its own line breaks have been split before.

    Lines that are wider than the widget wrap, so that nothing is cut off. Without `folds` each line is one row.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"lines--{tone}" for tone in ("good", "bad", "warn", "muted", "unknown", "title")
    }
    DEFAULT_CSS = """
    Lines { height: 1fr; }
    Lines > .lines--good { color: $text-success; }
    Lines > .lines--bad { color: $text-error; text-style: bold; }
    Lines > .lines--warn { color: $text-warning; text-style: bold; }
    Lines > .lines--muted { color: $text-muted; }
    Lines > .lines--unknown { color: $text-muted; text-style: italic; }
    Lines > .lines--title { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll(1)", "down", show=False, id="lines.down"),
        Binding("k,up", "scroll(-1)", "up", show=False, id="lines.up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="lines.page_down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="lines.page_up"),
        Binding("g,home", "edge(-1)", "top", show=False, id="lines.top"),
        Binding("G,end", "edge(1)", "end", show=False, id="lines.end"),
    ]

    def __init__(self, lines: Sequence[Line] = (), *, folds: bool = True, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Line] = list(lines)
        self.folds = folds
        self.top = 0
        self._rows: list[tuple[str, str]] = []
        self._rows_width = -1  # none were made yet

    def show(self, lines: Sequence[Line]) -> None:
        """Replace the lines; the terminal is sent only the cells that changed."""
        if list(lines) != self.lines:
            self.lines = list(lines)
            self._rows_width = -1
            self.top = min(self.top, self._last_top())
            self.refresh()

    def rows(self) -> list[tuple[str, str]]:
        """The text of each row and its tone, at the current width."""
        width = self.size.width
        if self._rows_width != width:
            self._rows, self._rows_width = self._rows_in(width), width
        return self._rows

    def _rows_in(self, width: int) -> list[tuple[str, str]]:
        pairs = [(clean(line), "") if isinstance(line, str) else (clean(line[0]), line[1]) for line in self.lines]
        return [(row, tone) for text, tone in pairs for row in fold(text, max(2, width))] if self.folds else pairs

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows_in(width))

    def _last_top(self) -> int:
        return max(0, len(self.rows()) - max(1, self.size.height))

    def _move_to(self, top: int) -> None:
        top = max(0, min(top, self._last_top()))
        if top != self.top:
            self.top = top
            self.refresh()

    def action_scroll(self, by: int) -> None:
        self._move_to(self.top + by)

    def action_page(self, direction: int) -> None:
        self._move_to(self.top + direction * max(1, self.size.height - 1))

    def action_edge(self, direction: int) -> None:
        self._move_to(0 if direction < 0 else self._last_top())

    def render_line(self, y: int) -> Strip:
        rows, index, width = self.rows(), self.top + y, self.size.width
        text, tone = rows[index] if index < len(rows) else ("", "")
        style = self.get_component_rich_style(f"lines--{tone}") if tone else self.rich_style
        more = y == self.size.height - 1 and index < len(rows) - 1
        if more:
            text, style = f"… {len(rows) - index:,} more lines", self.get_component_rich_style("lines--muted")
        return Strip([Segment(fit(text, width), style)], width)
