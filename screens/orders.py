"""A list in the order of one of its columns: `S`, then the column's letter."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import ClassVar, Generic, TypeVar

from textual import events, on
from textual.binding import Binding, BindingType

from controlplane.listing import Row
from controlplane.lists import ListOf
from screens.area import AreaScreen
from screens.desk import Done
from screens.widgets.bars import fitting
from screens.widgets.table import WindowTable

R = TypeVar("R", bound=Row)
Hints = Sequence[tuple[str, str]]
SORT_BY = " sort by  "
ROLE_CELLS = 12
"""Room for the role at the right end of the last line."""
RESORT_SECONDS = 3.0
"""For so long after `S e` another `e` reverses the order instead of exporting."""


class OrderedScreen(AreaScreen, Generic[R]):
    """`sorts` are the names of the columns that it can be sorted by; `show_list` reads it anew."""

    declared: ListOf[R]
    sorts: Sequence[str] = ()
    sort = ""
    descending = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("S", "choose_sort", "sort by a column", show=False, id="list.sort"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.choosing_sort = False
        self._resort = ("", 0.0)
        """The letter that the list was last sorted by, and until when pressing it again reverses the order."""

    def show_list(self) -> None:
        raise NotImplementedError

    @property
    def offered(self) -> Sequence[str]:
        """The columns that it can be sorted by as it is now."""
        return self.sorts if self.has_too_many else [*self.sorts, *self.declared.sorts_few]

    @property
    def has_too_many(self) -> bool:
        """Whether too many rows match to sort them by a column without an index."""
        return False

    def order_words(self) -> str:
        if self.choosing_sort:
            return "sort by which column?"
        return f"sort {self.sort} {'↓' if self.descending else '↑'}" if self.sort else ""

    def action_choose_sort(self) -> None:
        self.choosing_sort = bool(self.sorts)
        self.draw_frame()

    @property
    def shown_hints(self) -> Sequence[tuple[str, str]]:
        """While an order is chosen, the letters of the columns take the place of the keys."""
        return self.letters_shown()[1] if self.choosing_sort else super().shown_hints

    def letters_shown(self) -> tuple[Hints, Hints]:
        """The letters in place of the title, which gives way when they are many, and those in place of the keys."""
        pairs = tuple(self.sort_letters().items())
        room = self.size.width - ROLE_CELLS
        if len(fitting(pairs, room)) == len(pairs):
            return (), pairs
        above = fitting(pairs, self.size.width - len(SORT_BY))
        return tuple(above), pairs[len(above) :]

    def sort_letters(self) -> dict[str, str]:
        """A letter for each name: its first, or the next of its letters, or of all, that no earlier name has."""
        letters: dict[str, str] = {}
        for name in self.offered:
            letters.setdefault(name[0], name)
        for name in self.offered:
            if name not in letters.values():
                letters[next(letter for letter in name + ascii_lowercase if letter not in letters)] = name
        return letters

    @on(WindowTable.HeadingClicked)
    def _heading_clicked(self, event: WindowTable.HeadingClicked) -> None:
        name = event.column
        if name in self.offered:
            self._sort_by(name)
            self.draw_frame()
        else:
            few = name in self.declared.sorts_few
            why = self.declared.too_many_to_sort(name) if few else self.declared.cannot_sort(name)
            self.say(Done(f"{why.message} {why.hint}", "muted"))

    def on_key(self, event: events.Key) -> None:
        if self.choosing_sort:
            event.stop()
            event.prevent_default()
            self.choosing_sort = False
            name = self.sort_letters().get(event.character or "")
            if name:
                self._sort_by(name)
                self._resort = (event.character or "", event.time + RESORT_SECONDS)
            self.draw_frame()
            return
        letter, until = self._resort
        self._resort = ("", 0.0)
        if letter and event.character == letter and event.time < until:
            event.stop()
            event.prevent_default()
            self._sort_by(self.sort)
            self._resort = (letter, event.time + RESORT_SECONDS)

    def _sort_by(self, name: str) -> None:
        """Sort by a column in its sensible direction, unknown values last; the same column again reverses."""
        if name == self.sort:
            self.descending = not self.descending
        else:
            self.descending = self.declared.begins_descending(name)
        self.sort = name
        self.show_list()
