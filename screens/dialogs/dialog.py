"""The frame of every dialog: a title that names the environment, at most 72×18, opaque, closed by esc."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from controlplane.text import clean
from screens.desk import Desk
from screens.session import Session

T = TypeVar("T")


class Dialog(ModalScreen[T], Generic[T]):
    """Put the parts into `parts`. `esc` closes with `nothing`."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background; }
    Dialog > Vertical {
        width: 72; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        border: round $primary; background: $surface; overflow-y: auto; scrollbar-size-vertical: 1;
    }
    Dialog Label { width: 100%; }
    Dialog .title { text-style: bold; }
    Dialog .hint { color: $text-muted; }
    Dialog .fault { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False, id="dialog.close")]
    nothing: Any = None
    takes_typed_ahead = True
    """Whether keys that were typed before it opened go to it. A dialog that confirms takes none."""

    def __init__(self, session: Session, title: str) -> None:
        super().__init__()
        self.session = session
        self.heading = " ".join(part for part in (session.environment_word(), session.context, "·", title) if part)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield text(self.heading, classes="title")
            yield from self.parts()

    @property
    def desk(self) -> Desk:
        return cast(Desk, self.app)

    def on_screen_resume(self) -> None:
        self.desk.release_keys(replay=self.takes_typed_ahead)
        self.call_after_refresh(self._lead)

    def _lead(self) -> None:
        """For a screen reader, where no field of the dialog has the terminal's cursor it is on the title."""
        if self.app.has_class("accessible") and self.is_current:
            field, title = self.focused, self.query(Label).first()
            self.app.cursor_position = field.cursor_screen_offset if isinstance(field, Input) else title.region.offset
            self.app.refresh()

    def parts(self) -> ComposeResult:
        raise NotImplementedError

    def action_close(self) -> None:
        self.dismiss(self.nothing)


def text(value: str, *, id: str | None = None, classes: str | None = None) -> Label:
    """A label of foreign or own text: inert, and never markup."""
    return Label(Content(clean(value)), id=id, classes=classes)


def retext(label: Label, value: str) -> None:
    label.update(Content(clean(value)))
