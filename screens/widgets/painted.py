"""A widget made of lines that are compared before they are painted: only cells that changed go out."""

from __future__ import annotations

from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from controlplane.text import cells

Piece = tuple[str, Style]
"""Cleaned text and its style. A piece keeps its place from one painting to the next, so that they compare."""
Line = tuple[Piece, ...]


class Painted(Widget):
    """Subclasses say in `lines` what is to be seen now, and call `repaint` when that may have changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._painted: list[Line] | None = None
        self._painted_size = Size()
        self._strips: dict[int, Strip] = {}
        self._looks: dict[str, Style] = {}

    def lines(self) -> list[Line]:
        """At most `self.size.height` lines, each of exactly `self.size.width` cells."""
        raise NotImplementedError

    def look(self, component: str) -> Style:
        """The style of a component class, as the theme has it now."""
        style = self._looks.get(component)
        if style is None:
            style = self._looks[component] = self.get_component_rich_style(component)
        return style

    def repaint(self) -> None:
        """Compare with what is on the screen, and have only the cells painted that differ."""
        old, new = self._painted if self._painted_size == self.size else None, self.lines()
        self._painted, self._painted_size = new, self.size
        if old is None or len(old) != len(new):
            self._strips.clear()
            self.refresh()
            return
        regions: list[Region] = []
        for y, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after:
                self._strips.pop(y, None)
                # Up to the last cell that differs at once: cutting the line at each run takes longer than comparing
                # its cells once more, before they are sent.
                if spans := changed(before, after):
                    left, right = spans[0][0], sum(spans[-1])
                    regions.append(Region(left, y, right - left, 1))
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        if self._painted is None or self._painted_size != self.size:
            self._forget()
            self._painted, self._painted_size = self.lines(), self.size
        if y >= len(self._painted):
            return Strip.blank(self.size.width, self.rich_style)
        if y not in self._strips:
            self._strips[y] = strip(self._painted[y], self.size.width)
        return self._strips[y]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._looks.clear()
        self._forget()

    def _forget(self) -> None:
        self._painted = None
        self._strips.clear()


def strip(line: Line, width: int) -> Strip:
    """One segment for each run of equal style: a third of the bytes of one for each cell of a table."""
    runs = groupby(line, key=lambda piece: piece[1])
    segments = [Segment("".join(text for text, _ in pieces), style) for style, pieces in runs]
    return Strip([segment for segment in segments if segment.text], width)


def changed(before: Line, after: Line) -> list[tuple[int, int]]:
    """The runs of cells that differ, as (x, width)."""
    if [cells(text) for text, _ in before] != [cells(text) for text, _ in after]:
        return [(0, sum(cells(text) for text, _ in after))]
    spans: list[tuple[int, int]] = []
    x = 0
    for old, new in zip(before, after, strict=True):
        width = cells(new[0])
        if old != new and width:
            if spans and sum(spans[-1]) == x:
                spans[-1] = (spans[-1][0], spans[-1][1] + width)
            else:
                spans.append((x, width))
        x += width
    return spans
