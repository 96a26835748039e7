"""Blocks of lines beside each other. Each line opens something; the arrow keys move from line to line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.message import Message

from controlplane.overview.entries import Entry
from controlplane.overview.model import HOURS
from controlplane.telemetry.charts import sparkline
from controlplane.text import cells, clean, fit
from screens.widgets.painted import Line, Painted, Piece

GUTTER = 2
MIN_PAIR_CELLS = 72
"""With fewer cells the blocks stand below each other."""
MAX_LINES_ALONE = 5
"""Lines of a block when the blocks stand below each other."""
LABEL, VALUE = 10, 11
GLYPHS = {"good": "● ", "bad": "✕ ", "warn": "◐ ", "unknown": "? ", "muted": "", "": ""}
"""A tone is never told by its colour alone."""


class Block(NamedTuple):
    """Parts that stand under one title."""

    title: str
    parts: tuple[str, ...]
    top: bool = False
    """Its entries are the first of a longer list: those without room are left out without a word."""
    least: int = 4
    """The least lines that it gets, its title included."""


class Fault(NamedTuple):
    """Stands in place of a part that could not be read, or has not been read yet."""

    words: str
    tone: str = "muted"


Content = Sequence[Entry] | Fault
Spot = tuple[str, str]
"""The identity of a line: its part and the entry's key."""


class _Placed(NamedTuple):
    x: int
    y: int
    width: int
    spot: Spot | None
    entry: Entry | None
    words: str = ""
    tone: str = ""


class Glance(Painted, can_focus=True):
    """`wide`: a part whose entries take a whole line each; `pairs`: one block, or two that stand beside each other."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"glance--{name}" for name in ("text", "title", "cursor", "good", "bad", "warn", "muted", "unknown")
    }
    DEFAULT_CSS = """
    Glance {
        height: 1fr;
        & > .glance--title { text-style: bold; color: $text-muted; }
        & > .glance--cursor { text-style: bold; }
        &:focus > .glance--cursor { text-style: bold reverse; }
        & > .glance--good { color: $text-success; }
        & > .glance--bad { color: $text-error; text-style: bold; }
        & > .glance--warn { color: $text-warning; }
        & > .glance--muted { color: $text-muted; }
        & > .glance--unknown { color: $text-muted; text-style: italic; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "step(0, 1)", "down", show=False, id="glance.down"),
        Binding("k,up", "step(0, -1)", "up", show=False, id="glance.up"),
        Binding("l,right", "step(1, 0)", "to the right", show=False, id="glance.right"),
        Binding("h,left", "step(-1, 0)", "to the left", show=False, id="glance.left"),
        Binding("tab,pagedown", "block(1)", "next part", show=False, id="glance.next"),
        Binding("shift+tab,pageup", "block(-1)", "part before", show=False, id="glance.previous"),
        Binding("g,home", "edge(0)", "first", show=False, id="glance.first"),
        Binding("G,end", "edge(-1)", "last", show=False, id="glance.last"),
        Binding("enter", "open", "open", show=False, id="glance.open"),
    ]

    class Opened(Message):
        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    class Moved(Message):
        """The cursor stands on another line."""

    def __init__(self, wide: Block, pairs: Sequence[tuple[Block, ...]], *, single: bool = False) -> None:
        """`single`: one below the other, on any screen."""
        super().__init__()
        self.wide, self.pairs, self.single = wide, tuple(pairs), single
        self.contents: Mapping[str, Content] = {}
        self.cursor: Spot | None = None
        self._top = 0

    def show(self, contents: Mapping[str, Content]) -> None:
        """By part; what is not in it was not read yet."""
        self.contents = dict(contents)
        self.repaint()

    # The cursor belongs to an entry, not to its place.

    def current(self) -> Entry | None:
        return next((each.entry for each in self._placed() if each.spot == self._here()), None)

    def _stops(self) -> list[_Placed]:
        return [each for each in self._placed() if each.spot is not None]

    def _here(self) -> Spot | None:
        spots = [each.spot for each in self._stops()]
        if self.cursor in spots:
            return self.cursor
        same = [spot for spot in spots if self.cursor and spot and spot[0] == self.cursor[0]]
        return same[0] if same else spots[0] if spots else None

    def _go(self, stop: _Placed | None) -> None:
        if stop is not None and stop.spot != self.cursor:
            self.cursor = stop.spot
            self._follow(stop)
            self.repaint()
            self.post_message(self.Moved())

    def _follow(self, stop: _Placed) -> None:
        height = self.size.height
        last = max(0, max(each.y for each in self._placed()) + 1 - height)
        self._top = min(last, max(min(self._top, stop.y - 1), stop.y - height + 1, 0))

    def action_step(self, dx: int, dy: int) -> None:
        stops, here = self._stops(), self._here()
        at = next((each for each in stops if each.spot == here), None)
        if at is None:
            return
        if dy:
            ahead = [each for each in stops if (each.y - at.y) * dy > 0]
            same = [each for each in ahead if each.x < at.x + at.width and at.x < each.x + each.width]
            self._go(min(same or ahead, key=lambda each: (abs(each.y - at.y), each.x), default=None))
        else:
            side = [each for each in stops if (each.x - at.x) * dx > 0]
            self._go(min(side, key=lambda each: abs(each.y - at.y), default=None))

    def action_block(self, by: int) -> None:
        """To the first line of the next block, or of the one before."""
        blocks = [self.wide, *(block for pair in self.pairs for block in pair)]
        stops, here = self._stops(), self._here()
        firsts = [[each for each in stops if each.spot and each.spot[0] in block.parts][:1] for block in blocks]
        places = [found[0] for found in firsts if found]
        if here is not None and places:
            filled = [block for block, found in zip(blocks, firsts, strict=True) if found]
            now = next(place for place, block in enumerate(filled) if here[0] in block.parts)
            self._go(places[(now + by) % len(places)])

    def action_edge(self, place: int) -> None:
        stops = self._stops()
        if stops:
            self._go(sorted(stops, key=lambda each: (each.y, each.x))[place])

    def action_open(self) -> None:
        entry = self.current()
        if entry is not None:
            self.post_message(self.Opened(entry))

    # Where everything stands

    def _placed(self) -> list[_Placed]:
        width, height = self.size
        if self.single or width < MIN_PAIR_CELLS:
            return self._alone(width)
        top = self._lines_of(self.wide, 0, 0, width, 99)
        y = len(top)
        least = [max(min(block.least, self._needs(block)) for block in pair) for pair in self.pairs]
        more = max(0, height - y - sum(least))
        placed = top
        for place, pair in enumerate(self.pairs):
            lines = least[place] + more // len(least) + (place < more % len(least))
            half = width // len(pair)
            for x, block in zip((0, half), pair, strict=False):
                placed.append(_Placed(x, y, half, None, None, block.title, "title"))
                placed += self._lines_of(block, x, y + 1, width - half if x else half, lines - 1)
            y += lines
        return placed

    def _needs(self, block: Block) -> int:
        """The lines that it fills, its title included; as many as it may have while a part of it was not read yet."""
        contents = [self.contents.get(part) for part in block.parts]
        if None in contents:
            return block.least
        return 1 + sum(1 if isinstance(each, Fault) else len(each or ()) for each in contents)

    def _alone(self, width: int) -> list[_Placed]:
        placed = self._lines_of(self.wide, 0, 0, width, 99)
        y = len(placed)
        for block in (block for pair in self.pairs for block in pair):
            placed.append(_Placed(0, y, width, None, None, block.title, "title"))
            found = self._lines_of(block, 0, y + 1, width, MAX_LINES_ALONE)
            placed += found
            y += 1 + len(found)
        return placed

    def _lines_of(self, block: Block, x: int, y: int, width: int, most: int) -> list[_Placed]:
        """At most `most` lines; the last one says how many entries did not fit."""
        lines: list[_Placed] = []
        for part in block.parts:
            content = self.contents.get(part, Fault("not read yet"))
            if isinstance(content, Fault):
                lines.append(_Placed(x, 0, width, None, None, content.words, content.tone))
            else:
                lines += [_Placed(x, 0, width, (part, entry.key), entry) for entry in content]
        if len(lines) > most and block.top:
            lines = lines[:most]
        elif len(lines) > most:
            hidden = len(lines) - most + 1
            lines = [*lines[: most - 1], _Placed(x, 0, width, None, None, f"… {hidden} more", "muted")]
        return [line._replace(y=y + place) for place, line in enumerate(lines)]

    # How it looks

    def lines(self) -> list[Line]:
        width, height = self.size
        if width < 1 or height < 1:
            return []
        here = self._here() if self.has_focus or self.cursor else None
        placed = self._placed()
        self._top = min(self._top, max(0, max((each.y for each in placed), default=0) + 1 - height))
        rows: dict[int, list[_Placed]] = {}
        for each in placed:
            rows.setdefault(each.y - self._top, []).append(each)
        painted: list[Line] = []
        for y in range(height):
            pieces: list[Piece] = []
            x = 0
            for each in sorted(rows.get(y, ()), key=lambda placed: placed.x):
                pieces += [self._piece(" " * (each.x - x), ""), *self._pieces(each, each.spot == here)]
                x = each.x + each.width
            painted.append((*pieces, self._piece(" " * (width - x), "")))
        return painted

    def _pieces(self, each: _Placed, chosen: bool) -> list[Piece]:
        """Exactly `each.width` cells."""
        room = each.width - GUTTER
        if each.entry is None:
            text = each.words.upper() if each.tone == "title" else each.words
            shown = " " * (1 if each.tone == "title" else GUTTER)
            return [self._piece(shown + fit(clean(text), each.width - len(shown)), each.tone)]
        entry = each.entry
        mark = "› " if chosen else "  "
        value = clean(GLYPHS[entry.tone] + entry.value)
        if entry.trend is not None:
            runs = self._trending(entry, value, room)
        else:
            size = min(cells(value), max(0, room - 4))
            label, words = clean(entry.label), clean(entry.words)
            left = room - size - 1
            if words and left - cells(words) - 2 >= min(cells(label), LABEL):
                gap = left - cells(words) - 2
                runs = [(fit(label, gap) + "  ", ""), (fit(words, left - gap - 2, "right") + " ", "muted")]
            else:
                runs = [(fit(label, left) + " ", "")]
            runs.append((fit(value, size, "right"), entry.tone))
        pieces = _within([(mark, ""), *runs], each.width)
        return [self._piece(text, "cursor" if chosen else tone) for text, tone in pieces]

    def _trending(self, entry: Entry, value: str, room: int) -> list[tuple[str, str]]:
        assert entry.trend is not None
        label, shown = (fit(clean(entry.label), LABEL), ""), (fit(value, VALUE, "right") + "  ", entry.tone)
        size = HOURS * 2 if room >= LABEL + VALUE + HOURS * 2 + 36 else HOURS
        spread = [each for each in entry.trend for _ in range(size // HOURS)]
        rest = room - LABEL - VALUE - 2
        known = any(each is not None for each in entry.trend)
        if self.single:  # for a screen reader
            about = "; ".join(filter(None, (entry.words, entry.said)))
            return [label, shown, (fit(clean(about), rest), "muted")]
        if not known or rest < size + 14:
            return [label, shown, (fit(clean(entry.words), rest), "muted")]
        words = fit(clean(entry.words), rest - size - 2)
        return [label, shown, (sparkline(spread, size) + "  ", ""), (words, "muted")]

    def _piece(self, text: str, tone: str) -> Piece:
        return text, self.look(f"glance--{tone or 'text'}")

    def on_focus(self) -> None:
        self.repaint()

    def repaint(self) -> None:
        super().repaint()
        here = next((each for each in self._placed() if each.spot is not None and each.spot == self._here()), None)
        if self.has_focus and here is not None and self.app.has_class("accessible"):
            self.app.cursor_position = self.region.offset + Offset(here.x, here.y - self._top)


def _within(runs: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """The runs that fit: on a very narrow screen the end of a line is cut."""
    kept: list[tuple[str, str]] = []
    for text, tone in runs:
        kept.append((text if cells(text) <= width else fit(text, width), tone))
        width -= cells(kept[-1][0])
    return kept
