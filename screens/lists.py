"""A list as it is declared: filter, order, marks, actions, export. A noun whose list shows more derives from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from textual import events, on, work
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widget import Widget

from controlplane.errors import Refusal, Usage
from controlplane.filters.grammar import Term, complete, parse
from controlplane.listing import Count, Listing, Query, Row, View
from controlplane.lists import Column as Declared
from controlplane.lists import Line, ListOf
from screens.actions import choice_lines
from screens.columns import table_columns
from screens.desk import Done, Target
from screens.marking import MarkingScreen
from screens.orders import SORT_BY
from screens.widgets.bars import TitleLine
from screens.widgets.prompt import Prompt
from screens.widgets.table import WindowTable

R = TypeVar("R", bound=Row)
TYPING_PAUSE_SECONDS = 0.12
"""Seconds without a key after which a filter that is being typed is applied."""
COUNT_INTERVAL_SECONDS = 5.0
"""Seconds between two counts: they cost more than a page."""


class ListScreen(MarkingScreen[R]):
    """A declared list; a subclass sets its own declaration as `declared`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("C", "columns", "choose columns", show=False, id="list.columns"),
    ]
    fixed: tuple[Term, ...] = ()
    """Terms that always hold, besides what is typed."""
    hints: ClassVar[Sequence[tuple[str, str]]] = (
        ("enter", "open"),
        ("a", "act"),
        ("/", "filter"),
        (":", "command"),
        ("w", "why"),
        ("?", "help"),
    )

    def __init__(self, text: str = "", declared: ListOf[R] | None = None) -> None:
        super().__init__()
        self.declared = declared or self.declared
        self.noun, self.means, self.rows = self.declared.noun, self.declared.means, self.declared.row
        self.fields, self.sorts = self.declared.fields, self.declared.sorts
        self.sort, self.descending = self.declared.order_of("")
        self.filter_text = text
        self.terms: tuple[Term, ...] = ()
        self.fault = ""
        self.shown: Count | None = None
        self.total: Count | None = None
        self._counted_at = float("-inf")
        self.only: tuple[str, ...] = ()
        """The columns that the person or a view has chosen; empty: all that fit."""
        self._typing: Timer | None = None
        self._read_at: datetime | None = None
        self._sought = ""
        """The key of the row that the cursor goes to when the list is mounted."""
        self._before: tuple[str, tuple[Term, ...]] = ("", ())
        """The filter that was in force when the person began to type another."""

    def columns(self) -> Sequence[Declared[R]]:
        return self.declared.table

    def listing(self) -> Listing[R]:
        return self.declared.of(self.session.require_plane())

    def body(self) -> Widget:
        return self.beside(WindowTable(table_columns(self._chosen_columns(), self.session), empty=self.declared.empty))

    @property
    def order_name(self) -> str:
        """ "-err": as `show_as` takes it."""
        return f"{'-' if self.descending else ''}{self.sort}" if self.sort else ""

    @property
    def query_shown(self) -> Query:
        return Query((*self.fixed, *self.terms), self.sort, self.descending)

    def on_mount(self) -> None:
        every = {column.name for column in self.columns()}
        self.only = self.only or tuple(name for name in self.desk.kept_columns(self.noun) if name in every)
        self.previews = self.desk.keeps_preview(self.noun)
        if self.only:
            self.retime()
        self.table.seek(self._sought)
        self.filter_entered(self.filter_text)
        self.table.focus()

    def on_resize(self, event: events.Resize) -> None:
        self.lay_out_preview()

    def focus_body(self) -> None:
        self.table.focus()

    def on_screen_resume(self) -> None:
        """Read at once what was changed on other screens meanwhile, not with the next tick."""
        if self.shown is not None:
            self._counted_at = float("-inf")
            self.action_reload()

    @property
    def is_readable(self) -> bool:
        """Whether the home was reached and the screen has its table, which it gets when it is mounted."""
        return self.session.plane is not None and self.is_attached and bool(self.query(WindowTable))

    def show_list(self) -> None:
        """Read the list with its current filter and order."""
        if self.is_readable:
            self.table.empty = self.declared.empty if self.terms else self.declared.nothing
            self.table.show(self.listing(), self.query_shown)
            self._counted_at = float("-inf")
            self.count_rows()
        self.draw_frame()

    def context_ready(self) -> None:
        self.show_list()

    async def refresh_data(self) -> None:
        if self.is_readable:
            await self.table.refresh_rows()
            self.count_rows()

    def count_rows(self) -> None:
        """Count the rows that match and all rows, unless that was done a moment ago."""
        from asyncio import get_running_loop

        now = get_running_loop().time()
        if now - self._counted_at >= COUNT_INTERVAL_SECONDS:
            self._counted_at = now
            self._count()

    @work(exit_on_error=False, group="count", exclusive=True)
    async def _count(self) -> None:
        """A change of the filter ends a count that is under way."""
        listing, query = self.listing(), self.query_shown
        try:
            self.shown = await listing.count(query)
            self.total = await listing.count(Query(self.fixed)) if self.terms else self.shown
        except Refusal:
            self.shown = self.total = None
        if self.shown is not None and not self.shown.capped:
            self.table.total = self.shown.number
        self.draw_frame()

    def count_words(self) -> str:
        return "" if self.shown is None else f"{self.shown} of {self.total}" if self.terms else str(self.shown)

    def draw_title(self, title: TitleLine) -> None:
        if self.choosing_sort and (above := self.letters_shown()[0]):
            title.show(noun=SORT_BY.strip(), count="  ".join(map(" ".join, above)))
            return
        marks = len(self.table.marks)
        title.show(
            noun=self.noun,
            count=self.count_words() + (f" · {marks:,} marked" if marks else ""),
            filter="/" + self.filter_text if self.filter_text else "",
            fault=self.fault,
            order=self.order_words(),
        )

    # Filter

    def action_back(self) -> None:
        """First following ends, then the filter goes, then the screen."""
        if not self.session.following and (self.filter_text or self.fault):
            self.filter_entered("")
        else:
            super().action_back()

    def action_filter(self) -> None:
        self._before = (self.filter_text, self.terms)
        self.query_one(Prompt).open("filter", self.filter_text, lambda text: complete(text, self.fields))

    def filter_typed(self, text: str) -> None:
        """Apply the filter once the person pauses, so that half a word hides nothing.

        A filter that cannot be read leaves the table as it was.
        """
        if self._typing is not None:
            self._typing.stop()
        try:
            terms = parse(text, self.fields)
        except Usage as fault:
            self.fault = fault.message
            self._apply(*self._before)  # what was typed before the fault may have hidden all rows
            self._list_values(text)
            return
        self.fault = ""
        self._typing = self.set_timer(TYPING_PAUSE_SECONDS, lambda: self._apply(text, terms))
        self.draw_frame()

    def _apply(self, text: str, terms: tuple[Term, ...]) -> None:
        self.filter_text = text.strip()
        if terms != self.terms or self.shown is None:
            self.terms, self.marked_here = terms, set()
            self.show_list()
        self.draw_frame()

    def filter_entered(self, text: str) -> None:
        if self._typing is not None:
            self._typing.stop()
        try:
            terms = parse(text, self.fields)
            if terms != self.terms:
                self.terms, self.marked_here = terms, set()
            self.fault, self.filter_text = "", text.strip()
        except Usage as fault:
            self.fault = fault.message
            self._list_values(text)
        self.show_list()

    @work(exit_on_error=False, group="values", exclusive=True)
    async def _list_values(self, text: str) -> None:
        """Of a field that stands alone: say its values in place of the fault."""
        from screens.values import words_of

        fault, words = self.fault, await words_of(self, text)
        if words and self.fault == fault:  # else something else was typed meanwhile
            self.fault = words
            self.draw_frame()

    def show_as(self, filter_text: str, sort: str, columns: Sequence[str]) -> None:
        """Show the list as a view has it; "-err" sorts in descending order. Raises Usage for an unknown column."""
        self.only = tuple(self.declared.column_called(name).name for name in columns)
        if sort:
            self.sort, self.descending = self.declared.order_of(sort)
        if not self.query(WindowTable):  # not mounted yet: it starts with these
            self.filter_text = filter_text
            return
        self.retime()
        self.filter_entered(filter_text)

    def as_view(self) -> View:
        shown, row = super().as_view(), self.current()
        key = row.key if row is not None else ""
        path = shown.path.partition("?")[0]
        return View(shown.noun, path, self.filter_text, self.order_name, self.only, key)

    def look_like(self, view: View) -> None:
        self._sought = view.row
        if self.query(WindowTable):
            self.table.seek(view.row)
        if (self.filter_text, self.order_name, self.only) != (view.filter, view.sort, view.columns):
            self.show_as(view.filter, view.sort, view.columns)

    def retime(self) -> None:
        """Times have another form, and so another width."""
        if self.query(WindowTable):
            self.table.columns = table_columns(self._chosen_columns(), self.session)
            self.table.repaint()

    def _chosen_columns(self) -> tuple[Declared[R], ...]:
        every = {column.name: column for column in self.columns()}
        return tuple(every[name] for name in self.only or every)

    def action_columns(self) -> None:
        from screens.dialogs.columns import ColumnChooser

        def chosen(columns: tuple[str, ...] | None) -> None:
            if columns is not None:
                self.show_as(self.filter_text, self.order_name, columns)
                self.desk.keep_columns(self.noun, columns)

        self.app.push_screen(ColumnChooser(self.session, self.noun, self.columns(), self.only), chosen)

    # The table's messages

    @property
    def has_too_many(self) -> bool:
        return self.shown is not None and (self.shown.capped or self.shown.near)

    @on(WindowTable.Failed)
    def _failed(self, event: WindowTable.Failed) -> None:
        if isinstance(event.error, Refusal) and event.error.code == "too_many_to_sort":
            self.sort, self.descending = self.declared.order_of("")
            self.show_list()
            self.say(Done(f"{event.error.message} {event.error.hint}", "muted"))
            return
        self.say(Done(str(event.error) if isinstance(event.error, Refusal) else "The list could not be read.", "bad"))

    @on(WindowTable.Loaded)
    def _was_read(self, event: WindowTable.Loaded) -> None:
        self._read_at = event.as_of

    @on(WindowTable.Highlighted)
    def _read_out(self) -> None:
        """For a screen reader the row is one line of labels and values."""
        row = self.table.cursor_row
        if row is not None and self.app.has_class("accessible"):
            cells = (
                (column.title.lower(), column.said(row) if column.said else column.cell(row).text)
                for column in self.table.columns
            )
            self.say(Done("; ".join(f"{title} {value}" for title, value in cells if value), ""))

    # What is under the cursor

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        row: Any = event.row
        self.open_row(row)

    def as_of(self) -> datetime:
        return self._read_at or super().as_of()

    def open_row(self, row: R) -> None:
        """Enter on a row: where its list says that it leads, or the view that it holds."""
        if self.open_view(row):
            return
        noun, key = self.declared.opens(row) or ("", "")
        if not noun:
            self.action_describe()
        elif key.startswith("?"):
            self.desk.go(noun, key.removeprefix("?"))
        else:
            self.desk.open_thing(noun, key)

    def why_lines(self) -> list[Line]:
        row = self.current()
        if row is None:
            return []
        lines = list(self.declared.why(row, self.session.clock()))
        if operations := self.operations():
            lines += choice_lines(operations, self.session, row, self.declared.noun)
        return lines

    def operations(self) -> list[Any]:
        if self.declared.operations is None:
            return super().operations()
        from controlplane.registry import named

        return [named(name) for name in self.declared.operations]

    def charts_text(self) -> str:
        row = self.current()
        return "" if row is None else self.declared.charts(row, self.session.clock())

    def record(self) -> dict[str, Any] | None:
        row = self.current()
        return None if row is None else self.record_of(row)

    def record_of(self, row: R) -> dict[str, Any]:
        """Every field of a row, for `d` and for exports."""
        return self.declared.record(row, self.session.clock())

    def shown_fields(self) -> list[str]:
        """The fields of a record that the list's columns show, in their order, whatever the screen has room for."""
        return [column.attribute for column in self._chosen_columns()]

    # Export

    def action_export(self) -> None:
        if self.may_export():
            self._export()

    @work(exit_on_error=False, group="act", exclusive=True)
    async def _export(self) -> None:
        from screens.exporting import export_of, form_of, noted, replaced, write
        from screens.work import Work

        if self.session.plane is None:
            self.say(Done("nothing was read yet", "warn"))
            return
        answers = await self.app.push_screen_wait(form_of(self))
        if answers is None:
            return
        export = export_of(self, answers)
        if export.replace and not await self.app.push_screen_wait(replaced(self.session, export.path)):
            return
        try:
            await noted(self, answers)
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        work = Work(f"export {export.path.name}")
        self.desk.start_work(work, write(export, work))

    def view_link(self) -> str:
        row = self.current()
        query = f"?{self.filter_text}" if self.filter_text else ""
        return f"{self.session.context}/{self.noun}{query}" + (f"#{row.key}" if row is not None else "")


class ListWithin(ListScreen[R]):
    """What one thing of a noun holds: the items of a run, the attempts of a job."""

    hints = (("d", "describe"), ("/", "filter"), ("w", "why"), ("esc", "back"), ("?", "help"))

    def __init__(self, noun: str, key: str, declared: ListOf[R]) -> None:
        super().__init__(declared=declared)
        self.within = noun, key

    def crumbs(self) -> list[str]:
        return list(self.within)

    def listing(self) -> Listing[R]:
        return self.declared.of(self.session.require_plane(), self.within[1])

    def targets(self) -> list[Target]:
        return []

    def view_link(self) -> str:
        return f"{self.session.context}/{'/'.join(self.within)}"
