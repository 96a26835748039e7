"""One thing in panes: all of them on a wide terminal, one at a time on a narrow one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from controlplane.errors import HomeUnreachable, NotFound, Refusal
from controlplane.filters.grammar import Term
from controlplane.filters.grammar import render as render_filter
from controlplane.lists import Line
from controlplane.nouns import list_named
from controlplane.telemetry.chartviews import View, around, render
from controlplane.telemetry.model import Scope
from controlplane.text import clean
from screens.actions import choice_lines
from screens.area import AreaScreen
from screens.columns import table_columns
from screens.desk import Done, Target
from screens.panes import READING, NotRead, Pane, Reading, Seen, TablePane
from screens.widgets.bars import TitleLine
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

WIDE_COLUMNS = 110
MIN_LINE_CELLS = 30
"""The least cells of a line in a pane, however narrow the pane is."""
READING_IDLE_FACTOR = 20
"""After a reading, at least this many times as long as it took pass before the next, to keep the load low."""
MAX_TITLE = 60
"""Characters of a name that somebody else chose: it must not push the state off the screen. `d` shows all of it."""
HINTED = 2
"""How many of the related nouns have room on the last line."""
T = TypeVar("T")
Hints = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Related:
    """A noun that a key opens from the thing; the binding's id is `detail.` and its name. `of` takes the screen and
    gives the related thing's key or, where it `lists` several, the terms of their list's filter. None: there is none,
    or it is not known yet.
    """

    name: str
    key: str
    words: str
    hint: str
    noun: str
    of: Callable[[Any], Any] = attrgetter("tenant_id")
    lists: bool = False

    @property
    def binding(self) -> Binding:
        return Binding(self.key, f"related('{self.name}')", self.words, show=False, id=f"detail.{self.name}")


@dataclass(frozen=True)
class Also:
    """An operation that is not done on the thing, and is offered beside it. `subject` takes the screen and gives the
    fields that name what it is done on; None: it is not offered now.
    """

    operation: str
    subject: Callable[[Any], Mapping[str, Any] | None] = lambda screen: {}


def of_tenant(screen: Any) -> tuple[Term, ...] | None:
    return (Term("is", (screen.tenant_id,), "tenant"),) if screen.tenant_id else None


API_KEYS = Related("api_keys", "A", "the tenant's API keys", "keys", "keys", of=of_tenant, lists=True)
WEBHOOKS = Related("webhooks", "W", "the tenant's webhooks", "webhooks", "webhooks", of=of_tenant, lists=True)
PLAN = Related("plan", "P", "the tenant's plan", "plan", "subscriptions")
TENANT = Related("tenant", "O", "its tenant", "tenant", "tenants")


class DetailScreen(AreaScreen, Generic[T]):
    """Subclasses give the data below. The first pane shows facts, or why the thing cannot be read."""

    numbered: ClassVar[bool] = False
    """Its key is a number."""
    panes: ClassVar[Sequence[Pane]] = ()
    """In the order of `tab`."""
    grid: ClassVar[Sequence[str]] = ()
    """Their layout on a wide terminal: rows of names; a repeated name spans so many cells of the grid."""
    widths: ClassVar[str] = "2fr 3fr"
    heights: ClassVar[str] = "1fr 1fr"
    readings: ClassVar[Sequence[Reading[Any, Any]]] = ()
    related: ClassVar[Sequence[Related]] = ()
    own_hints: ClassVar[Hints] = ()
    subject: ClassVar[str] = "id"
    """The field of a request that is the thing's key."""
    also: ClassVar[Sequence[Also]] = ()
    DEFAULT_CSS = """
    DetailScreen Lines { padding: 0 1; }
    DetailScreen #panes { layout: grid; grid-gutter: 0 1; }
    DetailScreen #panes > * { border-top: solid $panel; border-title-color: $text-muted; }
    DetailScreen.narrow #panes { layout: vertical; }
    DetailScreen.narrow #panes > * { border: none; }
    DetailScreen.narrow #panes > * { display: none; }
    DetailScreen.narrow #panes > .chosen { display: block; height: 1fr; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", "next pane", show=False, id="detail.next_pane"),
        Binding("shift+tab", "pane(-1)", "previous pane", show=False, id="detail.previous_pane"),
    ]

    def __init_subclass__(cls, **options: Any) -> None:
        cls.BINDINGS = [*cls.__dict__.get("BINDINGS", ()), *(each.binding for each in cls.related)]
        cls.hints = cls._hints(cls.related)
        super().__init_subclass__(**options)

    def __init__(self, key: str) -> None:
        super().__init__()
        is_number = key.isascii() and key.isdigit() and len(key) < 19
        self.thing_id = key if is_number or not self.numbered else "0"  # which no thing has
        self.unknown = "" if is_number or not self.numbered else key
        """What was asked for, where that is no number."""
        self.thing: T | None = None
        self.chosen = self.panes[0].name
        self.found: dict[Reading[Any, Any], Any] = {}
        """What each reading returned, or the Refusal that it raised."""
        self._under_way: set[Reading[Any, Any]] = set()
        self._rests: dict[Reading[Any, Any], tuple[float, int | None]] = {}
        """Until when each reading pauses, and the version of the thing then: another version ends the pause."""

    @classmethod
    def _hints(cls, related: Sequence[Related]) -> Hints:
        keys = [(each.key, each.hint) for each in related[:HINTED]]
        return (("tab", "next pane"), *cls.own_hints, ("a", "act"), *keys, ("w", "why"), ("?", "help"))

    @property
    def shown_hints(self) -> Hints:
        if self.thing is None:
            return self.hints
        return self._hints([each for each in self.related if each.of(self) is not None])

    # What a subclass says of the thing

    async def read(self, plane: ControlPlane) -> T:
        """The thing as it is now: a row of its list, unless a subclass reads more. Raises NotFound, Refusal."""
        thing: T = await list_named(self.noun).of(plane).get(self.thing_id)
        return thing

    def row_of(self, thing: T) -> Any:
        """What operations are done on: a row of the noun, with its version."""
        return thing

    @property
    def row(self) -> Any:
        """None while the thing is not read, or not there."""
        return None if self.thing is None else self.row_of(self.thing)

    def record_of(self, thing: T) -> dict[str, Any]:
        """Every field, for `d`."""
        return dataclasses.asdict(self.row_of(thing))

    def why(self, seen: Seen[T]) -> Sequence[Line]:
        """Why the thing is as it is shown, for `w`; the operations that can be done are added."""
        raise NotImplementedError

    def scope(self) -> Scope | None:
        """Whose charts `m` opens; None: those of all tenants."""
        return None

    @property
    def tenant_id(self) -> str | None:
        """The tenant that the thing belongs to; None while that is not known."""
        return self.thing_id if self.subject == "tenant_id" else getattr(self.row, "tenant_id", None)

    @property
    def label(self) -> str:
        return self.thing_id

    # Reading

    def crumbs(self) -> list[str]:
        return [self.noun, self.label]

    def body(self) -> Widget:
        widgets = {pane.name: pane.widget(self.session) for pane in self.panes}
        rows = [row.split() for row in self.grid]
        for name, widget in widgets.items():
            widget.styles.row_span = sum(name in row for row in rows)
            widget.styles.column_span = max(row.count(name) for row in rows)
        body = Container(*(widgets[name] for name in dict.fromkeys(chain(*rows))), id="panes")
        body.styles.grid_size_columns = len(rows[0])
        body.styles.grid_columns, body.styles.grid_rows = self.widths.split(), self.heights.split()
        return body

    def on_mount(self) -> None:
        for pane in self.panes:
            self.query_one(f"#{pane.name}").border_title = pane.title
        self._choose(self.chosen)
        self.context_ready()

    def context_ready(self) -> None:
        plane = self.session.plane
        if plane is not None:
            for pane, table in self._tables():
                table.show(pane.declared.of(plane), pane.query(self.thing_id))
            self.action_reload()

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        try:
            if self.unknown:
                raise list_named(self.noun).missing.of(clean(self.unknown, 60))
            self.thing = await self.read(plane)
        except HomeUnreachable:
            return  # the header says that the link is down; what was read stays
        except Refusal as refusal:
            self._unread(refusal)
            return
        self.draw_panes()
        self._read_beside(self.thing)
        for _, table in self._tables():
            await table.refresh_rows()

    def _unread(self, refusal: Refusal) -> None:
        if isinstance(refusal, NotFound):
            self.thing = None
        else:
            self.say(Done(str(refusal), "bad"))
        if self.thing is None:
            first = self.panes[0]
            first.tell(self.query_one(f"#{first.name}"), refusal_lines(refusal))

    def _read_beside(self, thing: T) -> None:
        """Start the readings whose pause is over; those under way go on."""
        version = self.row_of(thing).version
        for reading in self.readings:
            until, seen = self._rests.get(reading, (float("-inf"), None))
            if reading not in self._under_way and (self.session.ticks() >= until or version != seen):
                self._under_way.add(reading)
                self.run_worker(self._read_one(reading, thing, version), group="beside", exit_on_error=False)

    async def _read_one(self, reading: Reading[T, Any], thing: T, version: int | None) -> None:
        begun = self.session.ticks()
        try:
            self.found[reading] = await reading.read(self.session.require_plane(), thing, self.session.clock())
        except HomeUnreachable as refusal:
            self.found.setdefault(reading, refusal)
        except Refusal as refusal:
            self.found[reading] = refusal
        finally:
            self._under_way.discard(reading)
            took = self.session.ticks() - begun
            self._rests[reading] = (begun + max(reading.every, READING_IDLE_FACTOR * took), version)
        self.draw_panes()

    # Drawing

    @property
    def seen(self) -> Seen[T] | None:
        """None while the thing is not read, or not there."""
        return None if self.thing is None else Seen(self.thing, self.session.clock(), found=self.found)

    def draw_panes(self) -> None:
        seen = self.seen
        if seen is None:
            return
        for pane in self.panes:
            widget = self.query_one(f"#{pane.name}")
            try:
                pane.draw(widget, replace(seen, width=max(MIN_LINE_CELLS, widget.size.width or seen.width)))
            except NotRead:
                pane.tell(widget, READING)
            except Refusal as refusal:
                pane.tell(widget, refusal_lines(refusal))

    def draw_title(self, title: TitleLine) -> None:
        names = [f"[{each.title}]" if each.name == self.chosen else each.title for each in self.panes]
        count = "  ".join(names) if self.has_class("narrow") else ""
        title.show(noun=self.label, count=count, order=self.order_words())

    def order_words(self) -> str:
        """What the title line says at its end."""
        return ""

    def retime(self) -> None:
        for pane, table in self._tables():
            table.columns = table_columns(pane.columns, self.session)
            table.repaint()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE_COLUMNS, "narrow")
        self.call_after_refresh(self.draw_panes)

    # Panes

    def _tables(self) -> list[tuple[TablePane, WindowTable[Any]]]:
        tables = [pane for pane in self.panes if isinstance(pane, TablePane)]
        return [(pane, self.query_one(f"#{pane.name}", WindowTable)) for pane in tables]

    def chosen_row(self) -> tuple[TablePane | None, Any]:
        """The pane that the keys go to, when it is a table, and the row under its cursor."""
        chosen = [(pane, table.cursor_row) for pane, table in self._tables() if pane.name == self.chosen]
        return chosen[0] if chosen else (None, None)

    def action_pane(self, by: int) -> None:
        names = [pane.name for pane in self.panes]
        self._choose(names[(names.index(self.chosen) + by) % len(names)])
        self.draw_frame()

    def _choose(self, name: str) -> None:
        self.chosen = name
        for pane in self.panes:
            self.query_one(f"#{pane.name}").set_class(pane.name == name, "chosen")
        self.focus_pane(self.query_one(f"#{name}"))

    def focus_body(self) -> None:
        self._choose(self.chosen)

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        row: Any = event.row
        if not self.open_view(row):
            self.action_describe()

    @on(WindowTable.Failed)
    def _failed(self, event: WindowTable.Failed) -> None:
        self.say(Done(str(event.error) if isinstance(event.error, Refusal) else "It could not be read.", "bad"))

    # What is under the cursor

    def current(self) -> Any:
        pane, row = self.chosen_row()
        return row if pane is not None and pane.none else self.row

    def targets(self) -> list[Target]:
        pane, row = self.chosen_row()
        if pane is None or pane.none is None:
            return [self.target()]
        return [pane.none(self.thing_id) if row is None else Target.of(pane.declared, row)]

    def target(self) -> Target:
        version = None if self.row is None else self.row.version
        beside = {name: value for each in self.also for name, value in (each.subject(self) or {}).items()}
        return Target({self.subject: self.thing_id, **beside}, version, self.label, self.row)

    def operations(self) -> list[Any]:
        from controlplane.registry import done_on, named, offered

        pane, _ = self.chosen_row()
        if pane is not None and pane.none:
            return offered(pane.declared.noun, pane.declared.row)
        done = done_on(self.rows)
        found = [each for each in offered(self.noun, self.rows) if each in done or each.request.makes_a]
        found += [named(each.operation) for each in self.also if each.subject(self) is not None]
        return sorted(found, key=lambda each: each.name)

    def record(self) -> dict[str, Any] | None:
        pane, row = self.chosen_row()
        if pane is not None:
            return None if row is None else pane.declared.record(row, self.session.clock())
        return None if self.thing is None else self.record_of(self.thing)

    def charts_text(self) -> str:
        scope, (pane, row) = self.scope(), self.chosen_row()
        if scope is None:
            return ""
        if pane is not None and pane.at is not None and row is not None:
            return render(around(scope, pane.at(row), self.session.clock()))
        return render(View(scope))

    def why_lines(self) -> list[Line]:
        if self.seen is None:
            return []
        pane, _ = self.chosen_row()
        noun = pane.declared.noun if pane is not None and pane.none else self.noun
        return [*self.why(self.seen), *choice_lines(self.operations(), self.session, self.current(), noun)]

    # Related nouns

    def action_related(self, name: str) -> None:
        related = next(each for each in self.related if each.name == name)
        key = related.of(self)
        if key is not None and related.lists:
            self.desk.go(related.noun, render_filter(key, list_named(related.noun).fields))
        elif key is not None:
            self.desk.open_thing(related.noun, key)

    def view_link(self) -> str:
        return f"{self.session.context}/{self.noun}/{self.thing_id}"


def refusal_lines(refusal: Refusal) -> list[Line]:
    return [(refusal.message, "bad"), refusal.hint]
