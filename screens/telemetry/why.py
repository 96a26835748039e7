"""Where what a chart shows comes from: its window and steps, its gaps, and what was done meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

from controlplane.measures import Measured, gaps, reading, reading_before
from controlplane.moments import spell
from controlplane.telemetry import FEWEST_FOR_P99
from screens.widgets.lines import Line

MOST_GAPS = 20


def why_measured(measured: Measured, at: datetime | None) -> list[Line]:
    series, view = measured.series, measured.view
    end = series.start + len(series.points) * series.step
    lines: list[Line] = [
        (f"requests of {view.scope.label}", "title"),
        f"{_utc(series.start)} to {_utc(end)}, {len(series.points)} steps of {spell(series.step.total_seconds())}",
        f"read at {_utc(series.as_of)}: hours and minutes as they were rolled up, raw rows for what is newer",
        "latencies are by rank, at most 2 % off; rates are averages over a step",
        f"a p99 is not said under {FEWEST_FOR_P99} requests of a step",
        "",
        reading(measured, None),
    ]
    if measured.before is not None:
        lines.append(reading_before(measured, None))
    if at is not None:
        index = measured.index(at)
        lines += ["", ("at the cursor", "title"), reading(measured, index)]
        lines += [reading_before(measured, index)] if measured.before is not None else []
    found = gaps(series)
    if found:
        lines += ["", (f"no data in {len(found)} gap{'s' * (len(found) > 1)}: not known, which is not zero", "title")]
        lines += [f"  {_utc(begin)} to {_utc(end)}" for begin, end in found[:MOST_GAPS]]
        lines += [f"  and {len(found) - MOST_GAPS} more"] if len(found) > MOST_GAPS else []
    if measured.happened:
        lines += ["", ("▲ what was done meanwhile", "title")]
        lines += [(f"  {_utc(each.at)}  audit {each.seq}  {each.words}", each.tone) for each in measured.happened]
    if view.lines:
        lines += ["", ("lines", "title"), *(f"  {name} {value:g}" for name, value in view.lines)]
    return lines


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
