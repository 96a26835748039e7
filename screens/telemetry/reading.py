"""The two lines under the charts: the values at the cursor, and what happened there."""

from __future__ import annotations

from datetime import UTC

from controlplane.alerts.marks import ALERT
from controlplane.formatting import count_words, spell
from controlplane.telemetry.chartviews import Window
from controlplane.telemetry.happenings import CHANGED
from controlplane.telemetry.measures import Measured, onset_words, reading_before
from controlplane.telemetry.onset import last_shift
from controlplane.text import clean
from screens.widgets.bars import Bar, Part


class Reading(Bar):
    _words, _tone = "", "text"

    def show(self, words: str, tone: str = "") -> None:
        self._words, self._tone = clean(words, 500), tone or "text"
        self.repaint()

    def parts(self, width: int) -> tuple[list[Part], list[Part]]:
        return [(" " + self._words, self._tone)], []


def beside(measured: Measured | None, index: int | None, begin: int | None = None) -> tuple[str, str]:
    """Words under the values, with their tone: the range that is being selected (from the step `begin`), what happened
    in that step, the week before, or how much did in all.
    """
    if measured is None:
        return "", ""
    if index is not None and begin is not None:
        first, end = measured.range(begin, index)
        span = spell((end - first).total_seconds())
        return f"{measured.clock(first)} to {measured.clock(end)}, {span}: space shows only this, esc drops it", "warn"
    if index is not None and (happened := measured.happened_in(index)):
        more = f" and {len(happened) - 1} more: w" if len(happened) > 1 else ""
        return f"{happened[-1].glyph} {happened[-1].words}{more}", happened[-1].tone
    if measured.before is not None:
        return reading_before(measured, index), "muted"
    shift = last_shift(measured.happened)
    since, tone = ("", "muted") if shift is None else ("; ".join(onset_words(measured)), shift.tone)
    changes = sum(each.glyph == CHANGED for each in measured.happened)
    alerts = len({each.source for each in measured.happened if each.glyph == ALERT})
    said = [f"▲ {count_words(changes, 'change')}"] if changes else []
    if measured.changes is not None:
        said = [f"▲ the newest of {measured.changes} changes"]
    said += [f"◆ {count_words(alerts, 'alert')}"] if alerts else []
    if not said:
        return (f"{since}: press n to go there" if since else ""), tone
    only = "" if measured.changes is None else " only"
    counted = f"{', '.join(said)} in this window{only}: press n to go there"
    return (f"{since}; {', '.join(said)}: n" if since else counted), tone


def window_words(window: Window, measured: Measured | None) -> str:
    """The window for the title line, in the zone of the charts."""
    if window.end is None:
        return f"{window.words} live"
    zone = UTC if measured is None else measured.zone
    first, last = (window.end - window.span).astimezone(zone), window.end.astimezone(zone)
    return f"{first:%Y-%m-%d %H:%M} – {last:{'%m-%d %H:%M' if first.year == last.year else '%Y-%m-%d %H:%M'}}"
