"""A tenant's requests over time as a chart: how many per minute, and how many of them the service failed."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.alerts.marks import ALERT, alert_happenings
from controlplane.alerts.model import Alert
from controlplane.formatting import count_words
from controlplane.telemetry.charts import ChartSpec, Mark, Series
from controlplane.telemetry.measures import rates
from controlplane.telemetry.model import Series as Requests
from controlplane.telemetry.onset import last_shift, shift_happenings


def traffic_chart(requests: Requests, alerts: Sequence[Alert] = ()) -> ChartSpec:
    """Per minute, averaged over each step. A step of which nothing is known is a gap. `alerts`: marked where they fired
    and ended, as it is marked where the share of errors changed.
    """
    xs = [time.timestamp() for time in requests.times()]
    served = rates(requests, lambda point: point.n)
    failed = rates(requests, lambda point: point.errors_5xx)
    fired = alert_happenings(alerts, requests.start, requests.end)
    shifts = shift_happenings(requests)
    notes = [f"{ALERT} {count_words(len({each.source for each in fired}), 'alert')}"] if fired else []
    if (last := last_shift(shifts)) is not None:
        notes.append(f"{last.glyph} {last.words} since {last.at:%m-%d %H:%M} UTC")
    return ChartSpec(
        (Series("requests", xs, served, "good"), Series("5xx", xs, failed, "bad")),
        unit="/m",
        x_from=xs[0],
        x_to=requests.end.timestamp(),
        notes=tuple(notes),
        marks=tuple(Mark(each.at.timestamp(), each.tone, each.glyph) for each in (*shifts, *fired)),
    )
