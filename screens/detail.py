"""One thing in parts: on a wide terminal all of them, on a narrow one a part at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from controlplane.audit.list import AUDIT
from controlplane.audit.model import AuditRow, as_record
from controlplane.errors import HomeUnreachable, NotFound, Refusal
from controlplane.lists import Column
from screens.actions import Done
from screens.area import AreaScreen
from screens.columns import table_columns
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Lines
from screens.widgets.table import WindowTable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

WIDE = 110
LONGEST_TITLE = 60
"""Characters of a name that somebody else chose: it must not push the state off the screen. `d` shows all of it."""
T = TypeVar("T")
Hints = Sequence[tuple[str, str]]


class DetailScreen(AreaScreen, Generic[T]):
    """Subclasses give `panes` (`facts` and `timeline` among them), `parts`, `read`, and what `facts` says of it."""

    panes: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[Mapping[str, Sequence[Column[Any]]]] = {"timeline": AUDIT.table}
    """The panes that are tables, with their columns."""
    DEFAULT_CSS = """
    DetailScreen Lines { padding: 0 1; }
    DetailScreen #panes { layout: grid; grid-size: 2 2; grid-columns: 2fr 3fr; grid-rows: 1fr 1fr; grid-gutter: 0 1; }
    DetailScreen #panes > * { border-top: solid $panel; border-title-color: $text-muted; }
    DetailScreen.narrow #panes { layout: vertical; }
    DetailScreen.narrow #panes > * { border: none; }
    DetailScreen.narrow #panes > * { display: none; }
    DetailScreen.narrow #panes > .chosen { display: block; height: 1fr; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "pane(1)", "next pane", show=False, id="detail.next_pane"),
        Binding("shift+tab", "pane(-1)", "pane before", show=False, id="detail.previous_pane"),
        Binding("A", "api_keys", "the tenant's API keys", show=False, id="detail.api_keys"),
        Binding("P", "plan", "the tenant's plan", show=False, id="detail.plan"),
        Binding("O", "tenant", "its tenant", show=False, id="detail.tenant"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.thing_id = name
        self.thing: T | None = None
        self.chosen = self.panes[0]

    @property
    def tenant_id(self) -> str | None:
        """Whose it is; None while that is not known."""
        return self.thing_id

    @property
    def label(self) -> str:
        return self.thing_id

    def parts(self) -> Sequence[Widget]:
        raise NotImplementedError

    def body(self) -> Widget:
        return Container(*self.parts(), id="panes")

    def crumbs(self) -> list[str]:
        return [self.noun, self.label]

    def on_mount(self) -> None:
        for pane in self.panes:
            self.query_one(f"#{pane}").border_title = pane
        self._choose(self.chosen)
        self.context_ready()

    def context_ready(self) -> None:
        if self.session.plane is not None:
            self.show_tables(self.session.plane)
            self.action_reload()

    def show_tables(self, plane: ControlPlane) -> None:
        """Say what the tables list."""
        raise NotImplementedError

    async def read(self, plane: ControlPlane) -> T:
        """The thing as it is now. Raises NotFound, Refusal."""
        raise NotImplementedError

    def show_thing(self, thing: T) -> None:
        raise NotImplementedError

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        try:
            self.thing = await self.read(plane)
        except NotFound as missing:
            self.thing = None
            self.query_one("#facts", Lines).show([(missing.message, "bad"), missing.hint])
            return
        except HomeUnreachable:
            return  # the header says that the link is down; what was read stays
        except Refusal as refusal:
            self.unread(refusal, "#facts", new=self.thing is None)
            return
        self.show_thing(self.thing)
        for name in self.tables:
            await self.query_one(f"#{name}", WindowTable).refresh_rows()

    def draw_title(self, title: TitleLine) -> None:
        narrow = self.has_class("narrow")
        names = [f"[{name}]" if name == self.chosen else name for name in self.panes] if narrow else []
        title.show(noun=self.label, count="  ".join(names))

    # Panes

    def retime(self) -> None:
        for name, columns in self.tables.items():
            table = self.query_one(f"#{name}", WindowTable)
            table.columns = table_columns(columns, self.session)
            table.repaint()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE, "narrow")

    def action_pane(self, by: int) -> None:
        self._choose(self.panes[(self.panes.index(self.chosen) + by) % len(self.panes)])
        self.draw_frame()

    def _choose(self, name: str) -> None:
        self.chosen = name
        for pane in self.panes:
            self.query_one(f"#{pane}").set_class(pane == name, "chosen")
        self.focus_pane(self.query_one(f"#{name}"))

    def focus_body(self) -> None:
        self._choose(self.chosen)

    def timeline_record(self) -> dict[str, Any] | None:
        row: AuditRow | None = self.query_one("#timeline", WindowTable).cursor_row
        return None if row is None else as_record(row)

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    @on(WindowTable.Failed)
    def _failed(self, event: WindowTable.Failed) -> None:
        self.say(Done(str(event.error) if isinstance(event.error, Refusal) else "It could not be read.", "bad"))

    # The tenant that it belongs to

    def action_api_keys(self) -> None:
        if self.tenant_id is not None:
            self.desk.go("keys", f"tenant:{self.tenant_id}")

    def action_plan(self) -> None:
        self._open_of_tenant("subscriptions")

    def action_tenant(self) -> None:
        self._open_of_tenant("tenants")

    def _open_of_tenant(self, noun: str) -> None:
        if self.tenant_id is not None and self.noun != noun:
            self.desk.open_thing(noun, self.tenant_id)

    def view_link(self) -> str:
        return f"{self.session.context}/{self.noun}/{self.thing_id}"
