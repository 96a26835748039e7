"""`a`: what can be done here, each with its letter; and what cannot be done now, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from textual import events
from textual.app import ComposeResult

from controlplane.lists import Line
from controlplane.operations import Operation
from controlplane.text import clean, fit
from screens.dialogs.dialog import Dialog, text
from screens.session import Session
from screens.widgets.lines import Lines

WIDTH = 68
"""Cells inside of a dialog's frame."""


@dataclass(frozen=True)
class Choice:
    """An operation, and why it cannot be done now ("" when it can)."""

    operation: Operation[Any]
    why_not: str = ""


class ActMenu(Dialog[Operation[Any] | None]):
    """Answers with the operation whose letter was pressed."""

    DEFAULT_CSS = "ActMenu Lines { height: auto; max-height: 16; }"

    def __init__(self, session: Session, title: str, choices: Sequence[Choice]) -> None:
        super().__init__(session, title)
        self.choices = choices

    def parts(self) -> ComposeResult:
        fits = [choice for choice in self.choices if not choice.why_not]
        size = max((len(choice.operation.verb) for choice in fits), default=0)
        # One line each, so that all are seen at once; the form says the whole sentence.
        lines: list[Line] = [
            fit(f"{c.operation.key}  {c.operation.verb:<{size}}  {c.operation.summary}", WIDTH).rstrip() for c in fits
        ]
        lines += [
            (part, "muted")
            for c in self.choices
            if c.why_not
            for part in wrap(f"   {c.operation.verb}: {clean(c.why_not, 130)}", WIDTH, subsequent_indent="   ")
        ]
        menu = Lines(lines)
        menu.styles.height = min(16, max(1, len(lines)))
        yield menu
        yield text("press its letter to choose · esc closes", classes="hint")

    def on_key(self, event: events.Key) -> None:
        for choice in self.choices:
            if event.character == choice.operation.key and not choice.why_not:
                event.stop()
                self.desk.hold_keys()
                self.dismiss(choice.operation)
                return
