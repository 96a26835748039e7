"""When alerts fired and were resolved, as marks on charts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controlplane.alerts.model import Alert
from controlplane.alerts.words import ended_words
from controlplane.telemetry.happenings import Happening
from controlplane.text import clean

ALERT = "◆"


def alert_happenings(alerts: Iterable[Alert], start: datetime, end: datetime) -> list[Happening]:
    """From `start` to `end` (excluded), in order of time."""
    found = []
    for each in alerts:
        name, summary = f"alert {each.id}", clean(each.summary, 300)
        found.append(Happening(each.fired_at, f"{name} fired, {each.severity}: {summary}", "bad", name, ALERT))
        if each.resolved_at is not None:
            words = f"{name} ended {ended_words(each)} ({summary})"
            found.append(Happening(each.resolved_at, words, "good", name, ALERT))
    return sorted((each for each in found if start <= each.at < end), key=lambda each: each.at)
