"""The burn-down of an error budget as a chart."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.objectives.model import Maintenance, Objective, Slice, Standing
from controlplane.objectives.rules import DAY, burn_down, is_rolling
from controlplane.telemetry.charts import ChartSpec, Mark, Series, Threshold, Tone


def burn_down_chart(
    standing: Standing, slices: Sequence[Slice], other: Standing | None = None, planned: Sequence[Maintenance] = ()
) -> ChartSpec | None:
    """What was left of the budget over its window, in per cent; None when nothing is known of it.

    A calendar window also has the line of an even burn; a rolling one the level from which today's burn empties the
    budget within a day. `other`: the what-if. `planned`: maintenance, marked where it begins and ends.
    """
    line = _line("left", standing, slices)
    if line is None:
        return None
    series = [line]
    if other is not None and (asked := _line("what if", other, slices)) is not None:
        series.append(asked)
    thresholds = [Threshold(0.0, "empty", "bad")]
    begin, end = standing.start.timestamp(), standing.end.timestamp()
    if is_rolling(standing.objective.period):
        if (level := _todays(standing)) is not None and 0 < level < 100:
            thresholds.append(Threshold(level, "a day at today's burn", "warn"))
    else:
        series.append(Series("even burn", [begin, end], [100.0, 0.0], "muted"))
    begin = min([begin, *(each.xs[0] for each in series)])
    edges = [at.timestamp() for each in planned for at in (each.starts_at, each.until)]
    marks = tuple(Mark(at, "muted") for at in edges if begin <= at <= end)
    notes = ("▲ maintenance",) if marks else ()
    return ChartSpec(tuple(series), "%", begin, end, tuple(thresholds), notes, marks)


def _line(name: str, standing: Standing, slices: Sequence[Slice]) -> Series | None:
    objective: Objective = standing.objective
    points = burn_down(objective, slices, standing.start)
    if not points:
        return None
    tone: Tone = "warn" if name == "what if" else "bad" if (standing.remaining or 0) <= 0 else "good"
    if standing.state in ("unknown", "insufficient data") and tone == "good":
        tone = "muted"
    xs = [at.timestamp() for at, _ in points]
    return Series(name, xs, [None if value is None else value * 100 for _, value in points], tone)


def _todays(standing: Standing) -> float | None:
    """How much of the budget, in per cent, a day takes at the last day's burn."""
    day = next((each for each in standing.verdicts if each.pair.long == DAY), None)
    if day is None or day.long_burn is None:
        return None
    return day.long_burn * (DAY / (standing.end - standing.start)) * 100
