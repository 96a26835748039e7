"""The preview of a change, and the question whether to make it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.widgets import Input, Label

from controlplane.lists import Line
from controlplane.operations import Risk
from screens.dialogs.dialog import Dialog, retext, text
from screens.session import Session
from screens.widgets.lines import Lines

DEAD_SECONDS = 0.3
"""Keys pressed this soon after the dialog opened do not count: they were meant for what was there before."""


@dataclass(frozen=True)
class Question:
    """What is asked: `name` must be typed when the risk is TYPED; `command` is the same change as a command line."""

    title: str
    who: str
    preview: Sequence[Line]
    way_back: str
    command: str
    risk: Risk
    name: str = ""
    how_many: str = ""
    data_age: str = ""


class Confirm(Dialog[bool]):
    """Answers True only to a deliberate key: not to what was pasted, repeated, or pressed too soon."""

    DEFAULT_CSS = """
    Confirm Lines { height: auto; max-height: 9; margin: 1 0; }
    Confirm Input { width: 100%; }
    """
    nothing = False
    takes_typed_ahead = False

    def __init__(self, session: Session, question: Question) -> None:
        super().__init__(session, question.title)
        self.question = question
        self.opened = time.monotonic()
        self.last_key = ("", 0.0)

    def parts(self) -> ComposeResult:
        question = self.question
        facts = (question.who, question.how_many, question.data_age)
        if any(facts):
            yield text(" · ".join(fact for fact in facts if fact), classes="hint")
        yield Lines(question.preview)
        yield text(question.way_back, classes="hint")
        if question.command:
            yield text(f"$ {question.command}", classes="hint")
        if question.risk is Risk.TYPED:
            yield text(f"Type {question.name} and press enter. esc changes nothing.", id="ask")
            yield TypedInput(compact=True, id="typed")
        else:
            second = self.question.risk is Risk.TWO_PERSON
            yield text("It needs a second person. Ask for the approval? y/N" if second else "Do it? y/N", id="ask")

    def on_mount(self) -> None:
        if self.question.risk is Risk.TYPED:
            self.query_one("#typed", Input).focus()

    def on_key(self, event: events.Key) -> None:
        if self.question.risk is Risk.TYPED or event.key == "escape":
            return
        now = time.monotonic()
        repeated = self.last_key[0] == event.key and now - self.last_key[1] < 0.1
        self.last_key = (event.key, now)
        if now - self.opened < DEAD_SECONDS or repeated:
            event.stop()
        elif event.character in ("y", "Y"):
            event.stop()
            self.dismiss(True)
        elif event.character in ("n", "N") or event.key == "enter":
            event.stop()
            self.dismiss(False)

    @on(Input.Submitted, "#typed")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value == self.question.name and time.monotonic() - self.opened >= DEAD_SECONDS:
            self.dismiss(True)
        else:
            retext(self.query_one("#ask", Label), f"That is not {self.question.name}. esc changes nothing.")


class TypedInput(Input):
    """What confirms must be typed: a paste is swallowed."""

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
