"""How the console looks: theme by the terminal's background, glyphs by its locale, and without frames on request."""

from __future__ import annotations

import os
from collections.abc import Sequence

from textual.filter import LineFilter

import themes
from app.settings import Settings
from screens.terminal.ascii import ASCII_ONLY, wants_ascii
from screens.terminal.background import AnsweringParser, BackgroundTold
from screens.terminal.inert import LastWall
from screens.terminal.keys import OrderedKeys
from screens.terminal.life import TerminalDriver, TerminalLife
from screens.terminal.sequences import MAX_PASTED, PastedTooMuch
from screens.terminal.shadow import ShadowDisplay

_ANSWERS_NOTHING = ("linux", "dumb", "vt100", "vt220")
"""Terminals that print the question, or never answer it."""
SHOW_CURSOR = "\x1b[?25h"


class Looks(OrderedKeys, ShadowDisplay, TerminalLife, LastWall):
    """`accessible`: no frames, ASCII, the terminal's own cursor on the focused row, nothing moves by itself."""

    CSS = """
    .accessible Dialog > Vertical { border: none; }
    Input:ansi > .input--cursor { background: ansi_default; color: ansi_default; text-style: reverse; }
    Input:nocolor > .input--selection { text-style: reverse; }
    """

    def __init__(self, settings: Settings, *, accessible: bool = False) -> None:
        self.ascii_only = accessible or wants_ascii(settings.glyphs, os.environ)  # asked for before there is an App
        super().__init__()
        self.accessible = accessible
        self.set_class(accessible, "accessible")
        self._asked_for = settings.theme
        for theme in themes.OWN:
            self.register_theme(theme)
        self.theme = themes.choose(settings.theme, os.environ)

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([ASCII_ONLY] if self.ascii_only else [])]

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._after_first_paint)

    def _after_first_paint(self) -> None:
        driver = self._driver
        if not isinstance(driver, TerminalDriver):
            return
        if self.accessible:
            driver.write(SHOW_CURSOR)
        term = os.environ.get("TERM", "")
        deaf = term in _ANSWERS_NOTHING or (term.startswith("screen") and "TMUX" not in os.environ)
        if self._asked_for == "auto" and not self.no_color and not deaf:
            driver.write(AnsweringParser.ask())
        driver.flush()

    def on_background_told(self, event: BackgroundTold) -> None:
        if not event.dark and self._asked_for == "auto":
            self.theme = themes.for_light(self.theme)

    def on_pasted_too_much(self, event: PastedTooMuch) -> None:
        words = (
            f"Nothing was pasted: {event.length:,} characters, and at most {MAX_PASTED:,} can be. A file takes more."
        )
        self.notify(words, severity="warning", markup=False)
