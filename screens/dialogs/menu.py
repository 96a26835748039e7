"""`a`: what can be done here, each with its letter; and what cannot be done now, with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from textual import events
from textual.app import ComposeResult

from controlplane.lists import Line
from controlplane.operations import Operation
from controlplane.owncommands import OwnCommand
from controlplane.text import clean, fit
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.widgets.lines import Lines

WIDTH = 68
"""Cells inside of a dialog's frame."""
_CLAUSE_END = re.compile(r"[;:.] ")


@dataclass(frozen=True)
class Choice:
    """An operation, and why it cannot be done now ("" when it can)."""

    operation: Operation[Any]
    why_not: str = ""


def called(operation: Operation[Any], noun: str) -> str:
    """An operation in the menu of a noun: by its verb, or its whole name when it is done to another noun's things."""
    return operation.verb if noun in (operation.noun, operation.writes) else operation.name


def shortened(sentence: str, width: int) -> str:
    """As many of a sentence's clauses as fit."""
    ends = [at.start() for at in _CLAUSE_END.finditer(sentence)] if len(sentence) > width else []
    return fit(sentence[: max((end for end in ends if end <= width), default=len(sentence))], width).rstrip()


class ActMenu(Dialog[Operation[Any] | OwnCommand | None]):
    """Answers with the operation, or the command of one's own, whose letter was pressed."""

    DEFAULT_CSS = "ActMenu Lines { height: auto; max-height: 70vh; }"

    def __init__(
        self, session: Session, title: str, choices: Sequence[Choice], noun: str, own: Sequence[OwnCommand] = ()
    ) -> None:
        """`noun`: whose menu it is; its own operations come first."""
        super().__init__(session, title)
        self.own = own
        self.noun = noun
        self.choices = sorted(choices, key=lambda choice: called(choice.operation, noun) != choice.operation.verb)

    def parts(self) -> ComposeResult:
        fits = [choice for choice in self.choices if not choice.why_not]
        size = max((len(name) for name in (*map(self._called, fits), *(each.name for each in self.own))), default=0)
        # One line each, so that all are seen at once; the form says the whole sentence.
        lines: list[Line] = [
            f"{c.operation.key}  {self._called(c):<{size}}  {shortened(c.operation.summary, WIDTH - size - 5)}"
            for c in fits
        ]
        lines += [fit(f"{each.key}  {each.name:<{size}}  {clean(each.words)}", WIDTH).rstrip() for each in self.own]
        lines += [
            (part, "muted")
            for c in self.choices
            if c.why_not
            for part in wrap(f"   {self._called(c)}: {clean(c.why_not, 130)}", WIDTH, subsequent_indent="   ")
        ]
        menu = Lines(lines)
        menu.styles.height = min(16, max(1, len(lines)))
        yield menu
        yield text("press its letter to choose · esc closes", classes="hint")

    def _called(self, choice: Choice) -> str:
        return called(choice.operation, self.noun)

    def on_key(self, event: events.Key) -> None:
        for choice in self.choices:
            if event.character == choice.operation.key and not choice.why_not:
                event.stop()
                self.desk.hold_keys()
                self.dismiss(choice.operation)
                return
        for each in self.own:
            if event.character == each.key:
                event.stop()
                self.dismiss(each)
                return
