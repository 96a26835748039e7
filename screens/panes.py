"""The parts of a detail screen as data: what each shows of the thing, and what is under the cursor in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from textual.widget import Widget

from controlplane.audit.list import AUDIT
from controlplane.errors import Refusal
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.lists import Column, Line, ListOf
from controlplane.telemetry.charts import ChartSpec, HeatSpec
from screens.columns import table_columns
from screens.desk import Target
from screens.session import Session
from screens.widgets.chart import Chart
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

T = TypeVar("T")
F = TypeVar("F")
READING = ("reading …",)
"""What stands in a pane until something was read for it."""


@dataclass(frozen=True)
class Reading(Generic[T, F]):
    """Data that is too expensive to read with every tick: it is read again after `every` seconds at the soonest, and
    at once when the thing has another version.
    """

    read: Callable[[ControlPlane, T, datetime], Awaitable[F]]
    every: float = 0.0


class NotRead(Exception):
    """A reading has not come back yet."""


@dataclass(frozen=True)
class Seen(Generic[T]):
    """What a pane draws from. `width`: the cells of a line; longer lines wrap."""

    thing: T
    now: datetime
    width: int = 76
    found: Mapping[Reading[Any, Any], Any] = field(default_factory=dict)
    """What each reading returned, or the Refusal that it raised."""

    def of(self, reading: Reading[T, F]) -> F:
        """What the reading returned. Raises NotRead, or the Refusal that it raised: the pane then shows it."""
        if reading not in self.found:
            raise NotRead
        found: F | Refusal = self.found[reading]
        if isinstance(found, Refusal):
            raise found
        return found

    def known(self, reading: Reading[T, F]) -> F | None:
        """What the reading returned; None while that is not known."""
        found: F | Refusal | None = self.found.get(reading)
        return None if isinstance(found, Refusal) else found


class Pane:
    """A named pane of a thing. A pane of none of the kinds below is a subclass of its own."""

    name: str

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")

    def widget(self, session: Session) -> Widget:
        raise NotImplementedError

    def draw(self, widget: Any, seen: Seen[Any]) -> None:
        """Show what is known now; a table reads by itself. Raises NotRead, or the Refusal that a reading raised."""

    def tell(self, widget: Any, lines: Sequence[Line]) -> None:
        """Say why there is nothing to be shown."""


@dataclass(frozen=True)
class Facts(Pane):
    """Lines of text."""

    name: str
    lines: Callable[[Seen[Any]], Sequence[Line]]

    def widget(self, session: Session) -> Widget:
        return Lines(READING, id=self.name)

    def draw(self, widget: Lines, seen: Seen[Any]) -> None:
        widget.show(self.lines(seen))

    def tell(self, widget: Lines, lines: Sequence[Line]) -> None:
        widget.show(lines)


@dataclass(frozen=True)
class ChartPane(Pane):
    """`words`: what stands there when there is nothing to draw."""

    name: str
    chart: Callable[[Seen[Any]], ChartSpec | HeatSpec | None]
    words: str = "no data"

    def widget(self, session: Session) -> Widget:
        return Chart(id=self.name)

    def draw(self, widget: Chart, seen: Seen[Any]) -> None:
        widget.show(self.chart(seen), words=self.words)

    def tell(self, widget: Chart, lines: Sequence[Line]) -> None:
        widget.show(None, words=lines[0] if isinstance(lines[0], str) else lines[0][0])


@dataclass(frozen=True)
class TablePane(Pane):
    """Rows of a list: `query` selects those of the thing with this key.

    `at`: a row's time, at which its charts open. `none`: the target of the list's operations when there is no row
    under the cursor, for rows that are things of their own.
    """

    name: str
    declared: ListOf[Any]
    columns: Sequence[Column[Any]]
    query: Callable[[str], Query]
    empty: str
    at: Callable[[Any], datetime] | None = None
    none: Callable[[str], Target] | None = None

    def widget(self, session: Session) -> Widget:
        return WindowTable(table_columns(self.columns, session), empty=self.empty, id=self.name)


def timeline(field: str, *nouns: str) -> TablePane:
    """All that was done to the thing: audit rows whose `field` is its key, of these nouns or of all."""

    def query(key: str) -> Query:
        among = (Term("is", nouns, "noun"),) if nouns else ()
        return Query((Term("is", (key,), field), *among), "at", True)

    return TablePane("timeline", AUDIT, AUDIT.table, query, "Nothing was done to it yet.", at=attrgetter("at"))
