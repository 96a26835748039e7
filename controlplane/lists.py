"""A noun's list, declared once.

The console's table and its help, `list` on the command line with all its formats, exports, completion, filters and
orders are made from the declaration; a backend adds only what its query needs.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from controlplane.errors import Refusal, Usage
from controlplane.filters.grammar import Field, matches, one_name
from controlplane.filters.grammar import Kind as FilterKind
from controlplane.formatting import Form, count, milliseconds, percent, rate, show, spell
from controlplane.listing import Listing, Position, Query, Row
from controlplane.refusals import NO_ROW, Words
from controlplane.text import UNKNOWN, clean

if TYPE_CHECKING:
    from controlplane.filters.grammar import Term

R = TypeVar("R", bound=Row)

Tone = Literal["", "good", "bad", "warn", "muted", "unknown"]
Line = str | tuple[str, str]
"""A line of a description: its text, or its text and its tone ("title" is one too)."""
MEASURES: tuple[FilterKind, ...] = ("number", "milliseconds", "share", "flag")
"""A list sorted by a column of these kinds begins with the largest, or with yes."""
MAX_SORTED = 10_000
"""So many rows are sorted by a column that has no index; of more, a page would cost a look at each."""
MASKED = "it is masked"
MADE = "it is made from several values"
"""Why a column cannot be sorted."""
TIME_CELLS: Mapping[Form, int] = {"age": 6, "utc": 20, "local": 25}
"""How wide a time is in each form."""
EXTRA = 10
"""Columns of this priority and above are shown on wide screens only."""
WITH_REASON = ("letters", "messages")
"""The lists whose export needs a reason, which goes to the trail."""


class Cell(NamedTuple):
    """What one row shows in one column. A tone only repeats what the text says already, never replaces it."""

    text: str
    tone: Tone = ""


NO_VALUE = Cell(UNKNOWN, "unknown")


class Status(NamedTuple):
    """How a state is shown: a glyph, a tone, and a word where that differs from the state's name."""

    glyph: str
    tone: Tone = ""
    word: str = ""


class Kind(NamedTuple):
    """How the values of a column are shown, filtered and aligned.

    `show` is given a value (never None), the time now and the form of times. `width`: the least width in cells, unless
    the column says another.
    """

    filter: FilterKind
    show: Callable[[Any, datetime, Form], str | Cell]
    right: bool = False
    width: int = 0
    choices: tuple[str, ...] = ()
    none: Cell = NO_VALUE
    """What a value of None is shown as."""
    many: bool = False
    """A value is a list of texts."""
    timed: bool = False
    """A time, shown in the form that was chosen."""


TEXT = Kind("text", lambda value, now, form: str(value), none=Cell(""))
TEXTS = Kind("text", lambda value, now, form: " ".join(value), none=Cell(""), many=True)
TIME = Kind("age", lambda value, now, form: show(value, now, form), right=True, timed=True)
AGE = Kind("age", lambda value, now, form: show(value, now), right=True, width=6)
"""A time that is always shown as an age."""
UNTIL = Kind("until", TIME.show, right=True, timed=True)
NUMBER = Kind("number", lambda value, now, form: str(value), right=True)
ID = Kind("text", lambda value, now, form: str(value), right=True)
"""A number that is a name: shown without separators."""
COUNT = Kind("number", lambda value, now, form: count(value), right=True)
RATE = Kind("number", lambda value, now, form: rate(value), right=True)
SHARE = Kind("share", lambda value, now, form: percent(value), right=True)
MILLISECONDS = Kind("milliseconds", lambda value, now, form: milliseconds(value), right=True)
DURATION = Kind("number", lambda value, now, form: spell(value), right=True)
DOCUMENT = Kind("document", TEXT.show)
"""JSON: it is filtered by, and not shown."""
FLAG = Kind("flag", lambda value, now, form: "yes" if value else "")


def choice(*choices: str) -> Kind:
    return Kind("choice", TEXT.show, choices=choices, none=Cell(""))


def status(statuses: Mapping[Any, Status], choices: Sequence[str] = ()) -> Kind:
    """`choices`: the states that can be filtered by, where that is not all of them."""
    return Kind(
        "choice", lambda value, now, form: status_cell(statuses, value), choices=tuple(choices) or tuple(statuses)
    )


def status_cell(statuses: Mapping[Any, Status], state: str) -> Cell:
    glyph, tone, word = statuses.get(state, Status("?", "unknown", "unknown"))
    return Cell(f"{glyph} {word or state}", tone)


def toned(words: str, tone: Tone = "") -> Cell:
    """A measure in words; an unknown one gets the tone for unknown."""
    return Cell(words, "unknown" if words == UNKNOWN else tone)


class Column(NamedTuple, Generic[R]):
    """One field of a list's rows, which filters, orders, views and completion call by its `name`.

    `field`: the row's attribute, which is also its name in a record (JSON, exports), where that is not `name`; `value`
    computes the value where there is no attribute. `cell` replaces what the kind shows; `said` is what a screen reader
    reads instead of a picture made of characters; `rank` what a list in memory is sorted by. `priority`: 1 stays
    longest on a narrow screen, EXTRA and above need a wide one, 0 is not in the table. `grow`: it takes a share of the
    width that is left. `what`: its line of help. `also`: further names, besides the title and `field`, which are always
    accepted.
    """

    name: str
    kind: Kind = TEXT
    priority: int = 0
    width: int = 0
    title: str = ""
    field: str = ""
    what: str = ""
    value: Callable[[R], Any] | None = None
    cell: Callable[[R, datetime], str | Cell] | None = None
    said: Callable[[R], str] | None = None
    rank: Callable[[R], Any] | None = None
    grow: bool = False
    sorts: bool = False
    unsorted: str = ""
    filters: bool = True
    also: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        return self.title or self.name.upper()

    @property
    def called(self) -> str:
        """In a sentence."""
        return self.name.replace("_", " ")

    @property
    def typed_title(self) -> str:
        """The title as it is typed: ERR% is err, OLD KEY is old_key, # is nothing."""
        return re.sub(r"\W+", "_", re.sub(r"[/%].*", "", self.heading.lower())).strip("_")

    @property
    def attribute(self) -> str:
        return self.field or self.name

    def value_of(self, row: R) -> Any:
        return self.value(row) if self.value else getattr(row, self.attribute)

    @property
    def needs_time(self) -> bool:
        """Whether its words depend on the time."""
        return self.cell is not None or self.kind.filter in ("age", "until")

    def shown(self, row: R, now: datetime, form: Form) -> Cell:
        if self.cell is not None:
            made = self.cell(row, now)
        else:
            value = self.value_of(row)
            made = self.kind.none if value is None else self.kind.show(value, now, form)
        return made if isinstance(made, Cell) else Cell(made)

    def plain(self, row: R, now: datetime) -> str:
        """As a file or a pipe wants it: a state without its glyph, times in UTC."""
        if self.cell is None and self.kind.choices:
            return str(self.value_of(row))
        return self.shown(row, now, "utc").text

    def cells(self, form: Form) -> int:
        """The least width; that of a time depends on its form and leaves room for the sort arrow."""
        if self.kind.timed:
            return max(TIME_CELLS[form], len(self.heading) + 1)
        return self.width or self.kind.width

    def filter_field(self, taken: Set[str]) -> Field:
        """`taken`: names that are not free: those of the list's columns, and the further names of those before it."""
        names = dict.fromkeys([*self.also, self.typed_title, self.attribute])
        also = tuple(name for name in names if name and name not in taken)
        return Field(self.name, self.kind.filter, self.kind.choices, self.what, also)


# Nothing compares lists, and methods for it would take a part of every start.
@dataclass(frozen=True, eq=False, repr=False)
class ListOf(Generic[R]):
    """A list: where its rows come from, its columns, and the words about it.

    `of` is given the control plane and, for a list within a thing (the items of a run), that thing's key. `order` is
    the default order: a column's name, with "-" in front to reverse it; "": the order in which the rows are found, and
    no other. `summary` is the help of its command, `means` that of its screen; `nothing` is shown when it is empty,
    `empty` when no row matches the filter. `key`: the columns whose values name a row, which `show` and the operations
    take; `named`: how one is found by what a person calls it, besides its key; `missing`: the refusal of a key that no
    row has; `label`: what a person calls the row. `opens`: the noun and the key that enter opens, or "?" and a filter
    of that noun's list; None: enter describes the row. `search`: the texts of a row that words are looked for in, for a
    list in memory. `few`: it is in memory, so that every column of its table sorts. `unsorted`: why only the columns
    with an index sort, however few rows match. `operations`: the names of those offered on a row; None: all that are
    done on such a row. `charts`: what opens a row's charts, as text.
    """

    noun: str
    row: type[R]
    of: Callable[..., Listing[R]]
    columns: tuple[Column[R], ...]
    means: str
    nothing: str
    order: str = ""
    summary: str = ""
    empty: str = "Nothing matches. Press esc to clear the filter."
    key: tuple[str, ...] = ("id",)
    named: Callable[..., Awaitable[R]] | None = None
    missing: Words = NO_ROW
    label: Callable[[R], str] = lambda row: row.key
    record: Callable[[R, datetime], dict[str, Any]] = lambda row, now: as_record(row)
    opens: Callable[[R], tuple[str, str] | None] = lambda row: None
    why: Callable[[R, datetime], Sequence[Line]] = lambda row, now: ()
    charts: Callable[[R, datetime], str] = lambda row, now: ""
    search: Callable[[R], Sequence[str | None]] | None = None
    few: bool = False
    unsorted: str = ""
    operations: tuple[str, ...] | None = None
    name: str = ""
    """What it is called in sentences, where that is not its noun."""

    @property
    def called(self) -> str:
        return self.name or self.noun

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What it can be filtered by."""
        filtered = [column for column in self.columns if column.filters]
        taken = {column.name for column in filtered}
        fields = []
        for column in filtered:
            fields.append(column.filter_field(taken))
            taken |= {*fields[-1].also}
        return tuple(fields)

    @cached_property
    def sorts(self) -> tuple[str, ...]:
        """What it can be sorted by, however long it is; its own order first."""
        own = self.order.removeprefix("-")
        if not own and not self.few:
            return ()
        found = [each for each in self.columns if each.sorts or (self.few and each.priority and self._has_value(each))]
        names = tuple(column.name for column in found if column.name != own)
        return (own, *names) if own else names

    @cached_property
    def sorts_few(self) -> tuple[str, ...]:
        """What else it can be sorted by while at most MAX_SORTED rows match."""
        if self.few or self.unsorted or not self.order:
            return ()
        found = [each for each in self.table if not each.unsorted and self._is_field(each)]
        return tuple(column.name for column in found if column.name not in self.sorts)

    def _is_field(self, column: Column[R]) -> bool:
        return column.attribute in getattr(self.row, "__dataclass_fields__", ())

    def _has_value(self, column: Column[R]) -> bool:
        """Whether a column has a value of its own: some only have words."""
        there = self._is_field(column) or hasattr(self.row, column.attribute)
        return there or column.value is not None or column.rank is not None

    @property
    def table(self) -> tuple[Column[R], ...]:
        """The columns of the table, from left to right."""
        return tuple(column for column in self.columns if column.priority)

    @property
    def printed(self) -> tuple[Column[R], ...]:
        """The columns on the command line: the id, which commands take, then those that are not for wide screens."""
        kept = tuple(column for column in self.table if column.priority < EXTRA and column.name != "id")
        return (*(column for column in self.columns if column.name == "id"), *kept)

    @property
    def key_columns(self) -> tuple[Column[R], ...]:
        return tuple(self.column(name) for name in self.key)

    def subject(self, row: R) -> dict[str, Any]:
        """The fields of a request that name the row."""
        return {column.attribute: column.value_of(row) for column in self.key_columns}

    def column(self, name: str) -> Column[R]:
        return next(column for column in self.columns if column.name == name)

    def column_called(self, name: str) -> Column[R]:
        """A column of the table by any of its names. Raises Usage `column_unknown`."""
        for column in self.table:
            if name in (column.name, column.attribute, column.typed_title, *column.also):
                return column
        raise Usage(
            "column_unknown",
            f"{self.called.capitalize()} have no column {clean(name, 60)}.",
            f"Columns: {', '.join(column.name for column in self.table)}.",
        )

    def order_of(self, asked: str) -> tuple[str, bool]:
        """The column and whether its order is reversed, from "-err" or any name of a field. "" is the default order.

        Raises Usage `sort_unknown`.
        """
        asked = asked or self.order
        if not asked:
            return "", False
        name, every = asked.removeprefix("-"), (*self.sorts, *self.sorts_few)
        name = name if name in every else one_name(name, self.fields)
        if name not in every:
            raise self.cannot_sort(name)
        return name, asked.startswith("-")

    def cannot_sort(self, name: str) -> Usage:
        """Why it cannot be sorted by a column, and what to do instead."""
        column = next((each for each in self.table if each.name == name), None)
        others = f"Sort by: {', '.join([*self.sorts, *self.sorts_few])}." if self.sorts else "It has one order."
        if column is None or not self.sorts:
            return Usage("sort_unknown", f"{self.called.capitalize()} cannot be sorted by {clean(name, 60)}.", others)
        why = column.unsorted or self.unsorted or MADE
        instead = f"Filter with {name}:…" if column.filters else others
        return Usage("sort_unknown", f"{column.called.capitalize()} cannot be sorted: {why}.", instead)

    def too_many_to_sort(self, name: str) -> Refusal:
        return Refusal(
            "too_many_to_sort",
            f"More than {MAX_SORTED:,} {self.called} match: filter them to sort by {self.column(name).called}.",
            f"Or sort by: {', '.join(self.sorts)}.",
        )

    def begins_descending(self, name: str) -> bool:
        """Whether a list that is sorted by this column begins with the largest: measures do, and what the list's own
        order says so of.
        """
        if name == self.order.removeprefix("-"):
            return self.order.startswith("-")
        return self.column(name).kind.filter in MEASURES

    # A list in memory

    def matching(self, rows: Sequence[R], terms: Sequence[Term], now: datetime) -> list[R]:
        """The rows that match a filter, by the same rules as in the database."""
        return [row for row in rows if matches(terms, self._filtered(row), now)]

    def _filtered(self, row: R) -> dict[str, Any]:
        known = {column.name: column.value_of(row) for column in self.columns if column.filters}
        return known | {"": list(self.search(row) if self.search else (row.key,))}

    def position(self, row: R, query: Query) -> Position:
        """A row's position in the order; unknown values are last in both directions."""
        column = self.column(query.sort or self.sorts[0])
        value = _scalar(column.rank(row) if column.rank else column.value_of(row))
        known = value is not None and value != ""
        return (known == query.descending, value if known else 0, row.key)  # what is descending is read from the end


def as_record(row: Any) -> dict[str, Any]:
    """A row's fields, those of rows within it too: as `dataclasses.asdict`, but what cannot change is not copied, which
    takes a tenth of the time.
    """
    return {name: _as_record(getattr(row, name)) for name in row.__dataclass_fields__}


def _as_record(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | datetime):
        return value
    if isinstance(value, list):
        return [_as_record(each) for each in value]
    if type(value) is tuple:
        return tuple(_as_record(each) for each in value)
    if isinstance(value, dict):
        return {name: _as_record(each) for name, each in value.items()}
    return as_record(value) if is_dataclass(value) else value


def _scalar(value: Any) -> Any:
    """A value that orders as it does, and that a cursor can hold."""
    match value:
        case datetime():
            return value.timestamp()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return float(value)
        case list() | tuple() | set() | frozenset():
            return " ".join(map(str, value))
        case None | bool() | int() | float() | str():
            return value
    return str(value)
