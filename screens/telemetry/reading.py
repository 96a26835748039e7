"""The two lines under the charts: the values at the cursor, and what happened there."""

from __future__ import annotations

from datetime import UTC

from controlplane.formatting import count_words
from controlplane.telemetry.chartviews import Window
from controlplane.telemetry.happenings import CHANGED
from controlplane.telemetry.measures import Measured, reading_before
from controlplane.text import clean
from screens.widgets.bars import Bar, Part


class Reading(Bar):
    _words, _tone = "", "text"

    def show(self, words: str, tone: str = "") -> None:
        self._words, self._tone = clean(words, 500), tone or "text"
        self.repaint()

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        return [(" " + self._words, self._tone)], []


def beside(measured: Measured | None, index: int | None) -> tuple[str, str]:
    """Words under the values, with their tone: what happened in that step, the week before, or how much did in all."""
    if measured is None:
        return "", ""
    if index is not None and (happened := measured.happened_in(index)):
        more = f" and {len(happened) - 1} more: w" if len(happened) > 1 else ""
        return f"{happened[-1].glyph} {happened[-1].words}{more}", happened[-1].tone
    if measured.before is not None:
        return reading_before(measured, index), "muted"
    if not measured.happened:
        return "", ""
    changes = sum(each.glyph == CHANGED for each in measured.happened)
    alerts = len({each.source for each in measured.happened if each.glyph != CHANGED})
    said = [f"▲ {count_words(changes, 'change')}"] if changes else []
    if measured.changes is not None:
        said = [f"▲ the newest of {measured.changes} changes"]
    said += [f"◆ {count_words(alerts, 'alert')}"] if alerts else []
    only = "" if measured.changes is None else " only"
    return f"{', '.join(said)} in this window{only}: press n to go there", "muted"


def window_words(window: Window, measured: Measured | None) -> str:
    """The window for the title line, in the zone of the charts."""
    if window.end is None:
        return f"{window.words} live"
    zone = UTC if measured is None else measured.zone
    first, last = (window.end - window.span).astimezone(zone), window.end.astimezone(zone)
    return f"{first:%Y-%m-%d %H:%M} – {last:{'%m-%d %H:%M' if first.year == last.year else '%Y-%m-%d %H:%M'}}"
