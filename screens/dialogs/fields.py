"""A form of a few fields that belong to no operation: where to import from, where to export to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label

from controlplane.errors import Refusal
from controlplane.text import clean
from screens.dialogs.dialog import Dialog, retext, text
from screens.session import Session

Answers = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """One field. With `choices` it is one of them; `hidden` shows no character of what is typed."""

    name: str
    words: str
    value: str = ""
    hidden: bool = False
    choices: tuple[str, ...] = ()


class Choice(Label, can_focus=True):
    """One of a few words on one line: the arrows or a first letter choose."""

    DEFAULT_CSS = "Choice { width: 100%; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", "next", show=False, id="choice.next"),
        Binding("left", "turn(-1)", "previous", show=False, id="choice.previous"),
        Binding("enter", "submit", "next", show=False, id="choice.submit"),
    ]

    class Submitted(Message):
        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, choices: Sequence[str], value: str, *, id: str) -> None:
        super().__init__(id=id)
        self.choices = tuple(choices)
        self.value = value or choices[0]

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        chosen = "bold reverse" if self.has_focus else "bold"
        words = [(f"[{name}]" if name == self.value else f" {name} ", name == self.value) for name in self.choices]
        self.update(Content.assemble(*((clean(word), chosen if here else "") for word, here in words)))

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def action_turn(self, by: int) -> None:
        self.value = self.choices[(self.choices.index(self.value) + by) % len(self.choices)]
        self._draw()

    def action_submit(self) -> None:
        self.post_message(self.Submitted(self))

    def on_key(self, event: events.Key) -> None:
        found = [name for name in self.choices if event.character and name.startswith(event.character)]
        if found:
            event.stop()
            self.value = found[(found.index(self.value) + 1) % len(found)] if self.value in found else found[0]
            self._draw()


class LineInput(Input):
    """A field of one line. A paste is joined into one: Textual would keep only its first line, which may be blank. It
    takes the place of what is selected, as what is typed does: at first all that the field began with.
    """

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.replace(" ".join(event.text.strip().splitlines()), *sorted(self.selection))


class FieldsForm(Dialog[Answers | None]):
    """Answers with every field's text. `check` raises Refusal with what is wrong; the form then stays."""

    DEFAULT_CSS = """
    FieldsForm Input { width: 100%; }
    FieldsForm Label.field { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False, id="fields.next"),
        Binding("up", "app.focus_previous", show=False, id="fields.previous"),
    ]

    def __init__(
        self,
        session: Session,
        title: str,
        asked: Sequence[Asked],
        *,
        intro: str = "",
        check: Callable[[Answers], None] | None = None,
    ) -> None:
        super().__init__(session, title)
        self.asked, self.intro, self.check = tuple(asked), intro, check

    def parts(self) -> ComposeResult:
        if self.intro:
            yield text(self.intro, classes="hint")
        for each in self.asked:
            yield text(each.words, classes="field")
            if each.choices:
                yield Choice(each.choices, each.value, id=f"ask-{each.name}")
            else:
                yield LineInput(each.value, password=each.hidden, compact=True, id=f"ask-{each.name}")
        yield Label("", id="fault", classes="fault")
        yield text("enter next · arrows between fields · esc closes", classes="hint")

    def on_mount(self) -> None:
        self._entry(self.asked[0].name).focus()

    def _entry(self, name: str) -> Input | Choice:
        entry = self.query_one(f"#ask-{name}")
        assert isinstance(entry, Input | Choice)
        return entry

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        self._go_on(event.input)

    @on(Choice.Submitted)
    def _chosen(self, event: Choice.Submitted) -> None:
        event.stop()
        self._go_on(event.choice)

    def _go_on(self, entry: Input | Choice) -> None:
        entries = [self._entry(each.name) for each in self.asked]
        following = entries.index(entry) + 1
        if following < len(entries):
            entries[following].focus()
            return
        answers = {each.name: self._entry(each.name).value.strip() for each in self.asked}
        try:
            if self.check is not None:
                self.check(answers)
        except Refusal as refusal:
            retext(self.query_one("#fault", Label), f"{refusal.message} {refusal.hint}".strip())
            return
        self.dismiss(answers)
