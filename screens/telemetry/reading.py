"""The two lines under the charts: the values at the cursor, and what happened there."""

from __future__ import annotations

from controlplane.text import clean
from screens.widgets.bars import Bar, Part


class Reading(Bar):
    _words, _tone = "", "text"

    def show(self, words: str, tone: str = "") -> None:
        self._words, self._tone = clean(words, 500), tone or "text"
        self.repaint()

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        return [(" " + self._words, self._tone)], []
