"""The form that asks for an operation's fields, made from its request's model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.timer import Timer
from textual.widgets import Input, Label

from controlplane import jsontext
from controlplane.asked import described, typed_as
from controlplane.errors import Refusal, Usage
from controlplane.operations import Operation
from controlplane.text import clean
from screens.dialogs.dialog import Dialog, retext, text
from screens.dialogs.fields import LineInput
from screens.session import Session

Answers = tuple[dict[str, Any], str]
"""The fields that were given, and the reason."""
TYPING_PAUSE_SECONDS = 0.2
"""Seconds without a key after which it is said what the typed fields would do."""


class RequestForm(Dialog[Answers | None]):
    """`given` are fields that are known already (which thing, its version): they are not asked. `begun`: what others
    begin with. `now`: the fields of the thing as they are: shown, and sent only where they were changed.
    """

    DEFAULT_CSS = """
    RequestForm Input { width: 100%; background: $panel; margin-bottom: 1; }
    RequestForm.tight Input { margin-bottom: 0; }
    RequestForm Label.field { color: $text-muted; }
    """
    BINDINGS = [
        Binding("down", "app.focus_next", show=False, id="form.next"),
        Binding("up", "app.focus_previous", show=False, id="form.previous"),
    ]

    def __init__(
        self,
        session: Session,
        operation: Operation[Any],
        title: str,
        given: dict[str, Any],
        begun: Mapping[str, Any] | None = None,
        now: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(session, title)
        self.now = now or {}
        self.operation = operation
        self.given = given
        self.begun = begun or {}
        self._pause: Timer | None = None
        self.fields = [
            (name, info)
            for name, info in operation.request.model_fields.items()
            if name not in given and not _seen(name, info) and not _only_one(info) and not _from_file(info)
        ]
        self.fields.sort(key=lambda field: not field[1].is_required())  # required fields first

    def parts(self) -> ComposeResult:
        yield text(self.operation.summary, classes="hint")
        for name, info in self.fields:
            words = f"{name.replace('_', ' ')}{'' if not info.is_required() else ' *'}"
            yield text(f"{words}  {described(info)}", classes="field")
            begun = self.begun.get(name) or self.now.get(name)
            value = _text(begun) if begun else _shown(self.operation, name, info)
            yield LineInput(value=value, password=not info.repr, compact=True, id=f"field-{name}")
        if self.operation.needs_reason:
            yield text("reason *  kept in the audit trail", classes="field")
            yield LineInput(compact=True, id="reason")
        if self.operation.foresees is not None:
            yield Label("", id="foreseen")
        yield Label("", id="fault", classes="fault")
        yield text("enter next · esc closes", classes="hint")

    def on_mount(self) -> None:
        inputs = list(self.query(Input))
        self.set_class(3 * len(inputs) + 8 > self.app.size.height, "tight")  # frame and heads, two long labels
        next((entry for entry in inputs if not entry.value), inputs[0]).focus()

    @on(Input.Changed)
    def _typed(self) -> None:
        if self.operation.foresees is not None:
            if self._pause is not None:
                self._pause.stop()
            self._pause = self.set_timer(TYPING_PAUSE_SECONDS, self._foresee)

    @work(exit_on_error=False, group="foresee", exclusive=True)
    async def _foresee(self) -> None:
        """What was typed meanwhile ends a look that is under way."""
        assert self.operation.foresees is not None
        fields = self.given | {name: self.query_one(f"#field-{name}", Input).value for name, _ in self.fields}
        label = self.query_one("#foreseen", Label)
        try:
            words, faulty = await self.operation.foresees(self.session.require_plane(), fields), False
        except Refusal as refusal:
            words, faulty = refusal.message, True
        label.set_class(faulty, "hint")
        retext(label, words)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        inputs = list(self.query(Input))
        position = inputs.index(event.input)
        if position < len(inputs) - 1 and not all(entry.value or position >= i for i, entry in enumerate(inputs)):
            inputs[position + 1].focus()
            return
        try:
            answers = self._answers()
        except Usage as fault:
            retext(self.query_one("#fault", Label), fault.message)
            return
        self.desk.hold_keys()  # until the preview opens: keys typed meanwhile are no commands
        self.dismiss(answers)

    def _answers(self) -> Answers:
        fields = dict(self.given)
        for name, info in self.fields:
            value = self.query_one(f"#field-{name}", Input).value
            if name in self.now and not info.is_required():
                if value.strip() != self.now[name]:
                    fields[name] = _read(name, value.strip(), info)
            elif value.strip() or info.is_required():
                fields[name] = _read(name, value.strip(), info)
        self.operation.parse(fields)
        reason = self.query_one("#reason", Input).value.strip() if self.operation.needs_reason else ""
        if self.operation.needs_reason and not reason:
            raise Usage("reason_needed", "Give a reason: the audit trail keeps it.")
        return fields, reason


class ReasonForm(Dialog[str | None]):
    """Asks for the reason; left empty, it is the one that is offered."""

    DEFAULT_CSS = "ReasonForm Input { width: 100%; background: $panel; margin: 1 0; }"

    def __init__(self, session: Session, title: str, offered: str) -> None:
        super().__init__(session, title)
        self.offered = offered

    def parts(self) -> ComposeResult:
        yield text("reason  kept in the audit trail", classes="hint")
        yield Input(placeholder=clean(self.offered), compact=True, id="reason")
        yield text("enter next · esc closes", classes="hint")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.desk.hold_keys()
        self.dismiss(event.value.strip() or self.offered)


def asks_nothing(operation: Operation[Any], given: dict[str, Any]) -> bool:
    """Whether all that the operation needs is known already."""
    fields = operation.request.model_fields.items()
    return not operation.needs_reason and all(
        name in given or _seen(name, info) or _only_one(info) for name, info in fields
    )


def _seen(name: str, info: FieldInfo) -> bool:
    """Whether it says what was seen: the preview knows it, and nobody types it."""
    extra = info.json_schema_extra
    return name == "version" or (isinstance(extra, dict) and extra.get("seen") is True)


def _only_one(info: FieldInfo) -> bool:
    """Whether there is nothing to choose: one literal, which is the default."""
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1 and not info.is_required()


def _from_file(info: FieldInfo) -> bool:
    """Whether it is a list of things, which the command line reads from a file, and which is not needed here."""
    kinds = [get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in get_args(info.annotation)]
    of = [get_args(kind)[0] for kind in kinds if get_origin(kind) is list]
    return not info.is_required() and any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in of)


def _shown(operation: Operation[Any], name: str, info: FieldInfo) -> str:
    default = info.default
    if info.is_required() or default in (None, "", False):
        return ""
    return typed_as(operation.request, name, default) or _text(default)


def _text(value: Any) -> str:
    """As a person types it: a list with commas."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _read(name: str, value: str, info: FieldInfo) -> Any:
    """The typed value for the request's model: objects and lists are parsed here, the model checks the rest."""
    kinds = str(info.annotation)
    if "dict" in kinds:
        try:
            return jsontext.read(value)
        except ValueError:
            raise Usage("field_unreadable", f'{name}: not a JSON object. Write it as {{"key": "value"}}.') from None
    if "list" in kinds:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value
