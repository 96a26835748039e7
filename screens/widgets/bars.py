"""The lines around every screen: header, title, footer. Each is one line, painted only when its text changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from controlplane.text import cells, clean, fit
from screens.widgets.painted import Line, Painted

GAP = "  "
SEPARATOR = " › "
MIN_NAME_CELLS = 8
"""The least cells of a breadcrumb; when even these do not fit, the middle breadcrumbs are dropped."""
MORE = " w: all"
"""What leads to the rest of a message that had to be cut."""
MIN_CRUMBS_CELLS = 20
"""Breadcrumbs shrink to so many cells before counts are dropped."""

Part = tuple[str, str]
"""Cleaned text and its component: text, good, bad, warn, muted, strong, environment, production."""


class Bar(Painted):
    """One line with a left end, which is cut when there is no room, and a right end."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"bar--{name}" for name in ("text", "good", "bad", "warn", "muted", "strong", "environment", "production")
    }
    DEFAULT_CSS = """
    Bar {
        height: 1;
        & > .bar--good { color: $text-success; }
        & > .bar--bad { color: $text-error; text-style: bold; }
        & > .bar--warn { color: $text-warning; text-style: bold; }
        & > .bar--muted { color: $text-muted; }
        & > .bar--strong { text-style: bold; }
        & > .bar--environment { text-style: bold reverse; }
        & > .bar--production { color: $text-error; text-style: bold reverse; }
    }
    """

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        """What stands at the left and at the right end of `width` cells."""
        raise NotImplementedError

    def lines(self) -> list[Line]:
        width = self.size.width
        if width < 1:
            return []
        left, right = self.parts(width)
        right_width = min(width, sum(cells(text) for text, _ in right))
        kept = [*_cut(left, width - right_width), *_cut(right, right_width)]
        return [tuple((text, self.look(f"bar--{name}")) for text, name in kept)]


def _cut(parts: list[Part], width: int) -> list[Part]:
    """Exactly `width` cells."""
    kept: list[Part] = []
    for text, name in parts:
        shown = text if cells(text) <= width else fit(text, width)
        kept.append((shown, name))
        width -= cells(shown)
    return [*kept, (" " * width, "text")]


class HeaderBar(Bar):
    """Where this is: environment, read-only, breadcrumbs; at the right end the link and what needs attention."""

    _environment, _read_only, _link = "", False, ""
    _crumbs: tuple[str, ...] = ()
    _counts: tuple[str, ...] = ()

    def show(
        self,
        *,
        environment: str,
        read_only: bool,
        crumbs: Sequence[str],
        link: str,
        counts: Sequence[str] = (),
    ) -> None:
        """`environment`: a word (PROD). `link`: "live", "stale 42s", … `counts`: the most important first."""
        self._environment, self._read_only, self._link = clean(environment, 20), read_only, clean(link, 60)
        self._crumbs = tuple(clean(crumb, 200) for crumb in crumbs)
        self._counts = tuple(clean(count, 60) for count in counts)
        self.repaint()

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        kind = "production" if self._environment.upper().startswith("PROD") else "environment"
        left: list[Part] = [(f" {self._environment} ", kind)] if self._environment else []
        if self._read_only:
            left.append((" RO", "strong"))
        left.append((GAP, "text"))
        room = width - sum(cells(text) for text, _ in left)
        right: list[Part] = [(GAP, "text"), (self._link, _link_tone(self._link))]
        used = cells(self._link) + len(GAP)
        for count in self._counts:
            used += len(GAP) + cells(count)
            if room - used < MIN_CRUMBS_CELLS:
                break
            right.append((GAP + count, "text"))
        room -= sum(cells(text) for text, _ in right) + 1
        return [*left, (breadcrumbs(self._crumbs, room), "strong")], [*right, (" ", "text")]


class TitleLine(Bar):
    """What is shown: noun, count, filter, order. A filter that cannot be read says so here, in the words given."""

    _noun = _count = _filter = _fault = _order = ""

    def show(self, *, noun: str, count: str = "", filter: str = "", fault: str = "", order: str = "") -> None:
        """`count`: "38 of 1,204". `fault`: what is wrong with the filter; it takes the place of the order."""
        self._noun, self._count, self._filter = clean(noun, 60), clean(count, 500), clean(filter, 500)
        self._fault, self._order = clean(fault, 500), clean(order, 60)
        self.repaint()

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        left: list[Part] = [(" " + self._noun, "strong"), (GAP + self._count if self._count else "", "text")]
        room = width - sum(cells(text) for text, _ in left) - len(GAP)
        if self._fault:
            if self._filter:
                left.append((GAP + fit(self._filter, min(cells(self._filter), max(0, room // 3)), cut="middle"), "bad"))
            return [*left, (GAP + "! " + self._fault, "bad")], []
        wanted = min(cells(self._filter), MIN_CRUMBS_CELLS)  # so much of the filter matters more than the order
        order = self._order if cells(self._order) + len(GAP) + 1 + wanted <= room else ""
        if self._filter:
            left.append((GAP + self._filter, "warn"))  # rows are hidden: not to be overlooked
        return left, [(GAP + order + " ", "muted")] if order else []


class FooterBar(Bar):
    """Which keys do what here, or what just happened; at the right end the role."""

    _hints: tuple[tuple[str, str], ...] = ()
    _role = _said = _tone = ""

    def show(self, *, hints: Sequence[tuple[str, str]], role: str, said: str = "", tone: str = "") -> None:
        """`hints`: (key, what it does), the most important first; that of `?` is never dropped.

        `said`: takes the place of the hints; `tone`: good, bad, warn or muted.
        """
        self._hints = tuple((clean(key, 20), clean(word, 40)) for key, word in hints)
        self._role, self._said = clean(role, 60), clean(said, 500)
        self._tone = tone if tone in ("good", "bad", "warn", "muted") else "text"
        self.repaint()

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        right: list[Part] = [(GAP + self._role + " ", "muted")] if self._role else []
        room = width - sum(cells(text) for text, _ in right) - 1
        if self._said:
            right = right if room >= 20 else []
            room = width - sum(cells(text) for text, _ in right) - 1
            if cells(self._said) > room:
                return [(" " + fit(self._said, room - len(MORE)), self._tone), (MORE, "strong")], right
            return [(" " + self._said, self._tone)], right
        left: list[Part] = [(" ", "text")]
        for key, word in fitting(self._hints, room):
            left += [(key, "strong"), (" " + word + GAP, "text")]
        return left, right


def fitting(hints: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """As many hints as `width` cells hold, in their order; the last ones go first, that of `?` never."""
    kept = [hint for hint in hints if hint[0] == "?"]
    room = width - sum(_size(hint) for hint in kept)
    for hint in hints:
        if hint in kept:
            continue
        room -= _size(hint)
        if room < 0:
            break
        kept.append(hint)
    return [hint for hint in hints if hint in kept]


def breadcrumbs(names: Sequence[str], width: int) -> str:
    """Cleaned names joined by ›, in at most `width` cells: long ones cut in the middle, then the middle ones go."""
    text = SEPARATOR.join(names)
    limit = max((cells(name) for name in names), default=0)
    while cells(text) > width and limit > MIN_NAME_CELLS:
        limit -= 1
        text = SEPARATOR.join(_at_most(name, limit) for name in names)
    if cells(text) > width and len(names) > 2:
        text = SEPARATOR.join((_at_most(names[0], limit), "…", _at_most(names[-1], limit)))
    return _at_most(text, width)


def _at_most(text: str, width: int) -> str:
    return text if cells(text) <= width else fit(text, width, cut="middle")


def _size(hint: tuple[str, str]) -> int:
    return cells(hint[0]) + 1 + cells(hint[1]) + len(GAP)


def _link_tone(link: str) -> str:
    return {"live": "good", "offline": "bad"}.get(link.split(" ")[0].rstrip(",:"), "warn") if link else "text"
