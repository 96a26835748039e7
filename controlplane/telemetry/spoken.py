"""What a chart says, in words: now, least, most, where it is going, and when its level changed.

For `--accessible`, where nothing is drawn. What is not known is said to be unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

from controlplane.formatting import count_words, milliseconds
from controlplane.telemetry.axes import DAY, exact_words, moment
from controlplane.telemetry.charts import ChartSpec, HeatSpec, Mark, Series, Tone, direction, known, middle
from controlplane.text import clean

Words = tuple[str, Tone]

MIN_CHANCE = 0.001
"""How improbable a change of level must be by chance."""
MIN_CHANGE = 0.25
"""The least change of level that is told, of the greater of both levels."""
MAX_MARKS_SAID = 6


def said_of(spec: ChartSpec | HeatSpec, offset: timedelta = timedelta()) -> list[Words]:
    """A chart in lines of words, with times in the zone `offset` east of UTC."""
    clock = _clock(spec, offset)
    span = f"from {clock(spec.x_from)} to {clock(spec.x_to)}"
    lines: list[Words] = [(f"chart {span}", "muted")]
    if isinstance(spec, HeatSpec):
        lines.append((_heat_words(spec, clock), ""))
    elif not spec.values:
        lines.append((clean(spec.nothing, 200) or "no data", "muted"))
    else:
        lines += [(_series_words(each, spec.unit, clock), each.tone) for each in spec.series]
        lines += [(_limit_words(spec, line.value, line.name), line.tone) for line in spec.thresholds]
    lines += [(clean(note, 200), "warn") for note in spec.notes]
    inside = [mark for mark in spec.marks if spec.x_from <= mark.x <= spec.x_to]
    return [*lines, (_mark_words(inside, clock), "")] if inside else lines


def change_of_level(values: Sequence[float]) -> int | None:
    """The place of the first value of a new level; None when there is none that chance does not explain.

    Pettitt's test (A non-parametric approach to the change-point problem, Applied Statistics 28:126, 1979) says whether
    there is one; it is where the mean ranks before and after differ most, in standard errors.
    """
    size = len(values)
    order = sorted(range(size), key=values.__getitem__)
    ranks = [0.0] * size
    place = 0
    while place < size:  # equal values share the mean of their ranks
        end = place
        while end + 1 < size and values[order[end + 1]] == values[order[place]]:
            end += 1
        for at in order[place : end + 1]:
            ranks[at] = (place + end) / 2 + 1
        place = end + 1
    farthest, best, found, total = 0.0, 0.0, 0, 0.0
    for upto in range(1, size):
        total += ranks[upto - 1]
        apart = abs(2 * total - upto * (size + 1))
        farthest = max(farthest, apart)
        if (score := apart * apart / (upto * (size - upto))) > best:
            best, found = score, upto
    chance = 2 * math.exp(-6 * farthest * farthest / (size**3 + size**2)) if size else 1.0
    return found if chance < MIN_CHANCE else None


def _clock(spec: ChartSpec | HeatSpec, offset: timedelta) -> Callable[[float], str]:
    form = "%m-%d %H:%M" if spec.x_to - spec.x_from >= DAY else "%H:%M"
    return lambda x: moment(x, offset).strftime(form)


def _series_words(series: Series, unit: str, clock: Callable[[float], str]) -> str:
    name = clean(series.name, 40)
    there = [(x, value) for x, value in zip(series.xs, series.ys, strict=True) if value is not None and known(value)]
    if not there:
        return f"{name}: no data"
    values = [value for _, value in there]

    def at(place: int) -> str:
        return f"{exact_words(values[place], unit)} at {clock(there[place][0])}"

    least, most = (values.index(value) for value in (min(values), max(values)))
    now = "now" if known(series.ys[-1]) else "last known"
    said = f"{name}: {now} {at(-1)}, least {at(least)}, most {at(most)}, {direction(values)}"
    changed = change_of_level(values)
    if changed is not None:
        before, after = middle(values[:changed]), middle(values[changed:])
        if abs(after - before) >= MIN_CHANGE * max(abs(before), abs(after)):
            levels = f"{exact_words(before, unit)} before, {exact_words(after, unit)} since"
            said += f"; level changed at {clock(there[changed][0])}: {levels}"
    missing = len(series.ys) - len(values)
    return said + (f"; {missing:,} of {count_words(len(series.ys), 'step')} unknown" if missing else "")


def _limit_words(spec: ChartSpec, limit: float, name: str) -> str:
    over = sum(value > limit for value in spec.values)
    return f"{clean(name, 40)} {exact_words(limit, spec.unit)}: {f'exceeded by {over:,} values' if over else 'kept'}"


def _heat_words(spec: HeatSpec, clock: Callable[[float], str]) -> str:
    known_steps = [(n, step) for n, step in enumerate(spec.steps) if step is not None and step.n]
    if not known_steps:
        return "latencies: no data"
    wide = (spec.x_to - spec.x_from) / len(spec.steps)
    worst, slowest = max(known_steps, key=lambda each: each[1].percentile(0.95) or 0.0)
    last = known_steps[-1][1]
    half, most = milliseconds(last.percentile(0.5)), milliseconds(last.percentile(0.95))
    said = f"latencies: now half within {half} and 95% within {most}"
    when = clock(spec.x_from + worst * wide)
    missing = len(spec.steps) - len(known_steps)
    said += f"; slowest at {when}: 95% within {milliseconds(slowest.percentile(0.95))}"
    return said + (f"; {missing:,} of {count_words(len(spec.steps), 'step')} unknown" if missing else "")


def _mark_words(marks: Sequence[Mark], clock: Callable[[float], str]) -> str:
    times = list(dict.fromkeys(clock(mark.x) for mark in sorted(marks, key=lambda mark: mark.x)))
    more = f" and {len(times) - MAX_MARKS_SAID} earlier" if len(times) > MAX_MARKS_SAID else ""
    return f"something happened at {', '.join(times[-MAX_MARKS_SAID:])}{more}"
