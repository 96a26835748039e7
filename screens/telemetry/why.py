"""Where what a chart shows comes from: its window and steps, its gaps, and what happened meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

from controlplane.formatting import plain_number, spell
from controlplane.lists import Line
from controlplane.telemetry.measures import Measured, gaps, reading, reading_before
from controlplane.telemetry.model import MIN_REQUESTS_FOR_P99, Source

MAX_GAPS_SHOWN = 20
SAID_OF: dict[Source, str] = {
    "home": "hours and minutes as they were rolled up, raw rows for what is newer",
    "prometheus": "Prometheus, which counts at its scrapes: increase() over each step is an estimate",
}
COARSE: dict[Source, str] = {"home": "2 % off", "prometheus": "one of its buckets off"}


def why_measured(measured: Measured, at: datetime | None) -> list[Line]:
    series, view, step = measured.series, measured.view, spell(measured.series.step.total_seconds())
    lines: list[Line] = [
        (f"requests of {measured.label}", "title"),
        f"{_utc(series.start)} to {_utc(series.end)}, {len(series.points)} steps of {step}",
        f"read at {_utc(series.as_of)}: {SAID_OF[series.source]}",
        f"latencies are by rank, at most {COARSE[series.source]}; rates are averages over a step",
        *(f"it says: {note}" for note in measured.notes),
        f"a p99 is shown only for steps of {MIN_REQUESTS_FOR_P99} requests or more",
        "",
        reading(measured, None),
    ]
    if measured.before is not None:
        lines.append(reading_before(measured, None))
    if at is not None:
        index = measured.index(at)
        lines += ["", ("at the cursor", "title"), reading(measured, index)]
        lines += [reading_before(measured, index)] if measured.before is not None else []
    lines += _limits(measured)
    found = gaps(series)
    if found:
        lines += ["", (f"no data in {len(found)} gap{'s' * (len(found) > 1)}: unknown, which is not zero", "title")]
        lines += [f"  {_utc(begin)} to {_utc(end)}" for begin, end in found[:MAX_GAPS_SHOWN]]
        lines += [f"  and {len(found) - MAX_GAPS_SHOWN} more"] if len(found) > MAX_GAPS_SHOWN else []
    if measured.happened:
        newest = "" if measured.changes is None else f"; the newest of {measured.changes} changes: :audit has all"
        lines += ["", (f"▲ changes, ◆ alerts, ◢ ◣ the share of errors{newest}", "title")]
        lines += [
            (f"{each.glyph} {_utc(each.at)}  {each.source}  {each.words}", each.tone) for each in measured.happened
        ]
    if view.lines:
        lines += ["", ("lines", "title"), *(f"  {name} {plain_number(value)}" for name, value in view.lines)]
    return lines


def _limits(measured: Measured) -> list[Line]:
    """Each limit that requests are held against, as it holds now."""
    found = measured.saturation
    if found is None:
        return []
    lines: list[Line] = ["", ("limits, as they are now", "title")]
    for each in found.filled:
        limit = each.limit
        lines.append(f"  {limit.name}: {limit.words}, from {limit.source}")
        if limit.period is None:
            lines.append("    its use is the mean of a step: a burst within the step is not seen")
            continue
        lines.append(f"    its use is all requests since the {limit.period} began ({limit.zone})")
        if each.holes:
            lines.append(f"    at least: of {each.holes:,} steps of this {limit.period} nothing is known")
        if limit.counted is not None:
            share = limit.counted / limit.most
            lines.append(f"    admitted or recorded of it until now: {limit.counted:,} ({share:.1%})")
    return [*lines, *([f"  {found.words}"] if found.words else [])]


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
