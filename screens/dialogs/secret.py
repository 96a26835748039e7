"""A secret that was just made: behind a key press, and forgotten when the dialog closes."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Label

from screens.dialogs.dialog import Dialog, retext, text
from screens.session import Session
from screens.terminal.clipboard import copy

HIDDEN = "••••••••••••••••"


class ShowSecret(Dialog[None]):
    """`space` shows it and hides it again, `c` copies it. Closed unseen, it asks once more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn", "show or hide", show=False, id="secret.turn"),
        Binding("c", "copy", "copy", show=False, id="secret.copy"),
    ]
    takes_typed_ahead = False

    def __init__(self, session: Session, title: str, secret: str) -> None:
        super().__init__(session, title)
        self._secret = secret
        self._taken = False
        self._shown = False

    def parts(self) -> ComposeResult:
        yield text("It was made now, and only its hash is kept: once this closes, nobody can show it again.")
        yield Label("", id="space")
        yield text(HIDDEN, id="secret")
        yield Label("", id="said", classes="hint")
        yield text("space shows it · c copies it · esc closes", classes="hint")

    def action_turn(self) -> None:
        self._shown, self._taken = not self._shown, True
        retext(self.query_one("#secret", Label), self._secret if self._shown else HIDDEN)
        retext(self.query_one("#said", Label), "")  # it may say that nobody has seen it, which is no longer true

    async def action_copy(self) -> None:
        said = await copy(self.app, self._secret)
        self._taken = True
        retext(self.query_one("#said", Label), said)

    def action_close(self) -> None:
        if not self._taken:
            self._taken = True
            retext(self.query_one("#said", Label), "You have not seen it yet. esc again discards it.")
            return
        self._secret = ""
        self.dismiss(None)
