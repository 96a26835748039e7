"""A series of requests as charts, readings and records. What is not known is a gap, and is said to be one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from controlplane.formatting import count, milliseconds, percent, rate
from controlplane.telemetry import charts
from controlplane.telemetry.charts import ChartSpec, HeatSpec, Mark, Threshold, Tone
from controlplane.telemetry.chartviews import DAY, View
from controlplane.telemetry.model import MIN_REQUESTS_FOR_P99, Point, Scope, Series, add, counted_by
from controlplane.telemetry.onset import last_shift

if TYPE_CHECKING:
    from controlplane.listing import Count
    from controlplane.telemetry.happenings import Happening
    from controlplane.telemetry.saturation import Filled, Saturation

MIN_AXIS_SHARE = 0.25
"""The share of a step that must be over, and counted, before its rate is shown."""
BESIDE: tuple[Tone, ...] = ("good", "warn", "", "muted")
"""The tones of several tenants in one chart; none of them is drawn as bad."""


@dataclass(frozen=True)
class Measured:
    """What was read for a view: the series, that of a week before if it is compared, and what happened meanwhile."""

    view: View
    series: Series
    before: Series | None = None
    happened: tuple[Happening, ...] = ()
    changes: Count | None = None
    """How many changes there are, when `happened` holds only the newest; None: it holds all of them."""
    zone: tzinfo = UTC
    saturation: Saturation | None = None
    """None: it was not read."""
    many: tuple[Series, ...] = ()
    """The series of each tenant, where the view names several; `series` is their sum."""

    @property
    def label(self) -> str:
        """Whose requests, and who counted them when it was not the home."""
        return counted_by(self.view.label, self.view.source)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the source says may be missing, also for the week before."""
        before = () if self.before is None else self.before.notes
        return tuple(dict.fromkeys((*self.series.notes, *before)))

    @property
    def bounds(self) -> tuple[float, float]:
        return self.series.start.timestamp(), self.series.end.timestamp()

    @property
    def marks(self) -> tuple[Mark, ...]:
        return tuple(Mark(each.at.timestamp(), each.tone, each.glyph) for each in self.happened)

    def index(self, at: datetime) -> int:
        """The index of the step that a time lies in, or of the nearest."""
        return max(0, min(len(self.series.points) - 1, (at - self.series.start) // self.series.step))

    def range(self, one: int, other: int) -> tuple[datetime, datetime]:
        """From the begin of the earlier step to the end of the later one."""
        first, last = sorted((one, other))
        return self.series.start + first * self.series.step, self.series.start + (last + 1) * self.series.step

    def happened_in(self, index: int) -> list[Happening]:
        lower = self.series.start + index * self.series.step
        return [each for each in self.happened if lower <= each.at < lower + self.series.step]

    def clock(self, at: datetime) -> str:
        here = at.astimezone(self.zone)
        days = len(self.series.points) * self.series.step >= DAY
        return f"{here:%m-%d %H:%M}" if days else f"{here:%H:%M}"


def together(many: Sequence[Series], scope: Scope) -> Series:
    """Several series of the same steps as one sum; where one has a gap, the sum is that of the others."""
    points = tuple(
        add([point for point in same if point is not None])
        for same in zip(*(series.points for series in many), strict=True)
    )
    notes = tuple(dict.fromkeys(note for series in many for note in series.notes))
    since = min((series.since for series in many if series.since is not None), default=None)
    return replace(many[0], scope=scope, points=points, notes=notes, since=since)


def requests_chart(measured: Measured) -> ChartSpec:
    named: list[tuple[str, Tone, Counted]] = [("requests", "good", lambda point: point.n)]
    return _rates(measured, named, "requests", "requests")


def errors_chart(measured: Measured) -> ChartSpec:
    named: list[tuple[str, Tone, Counted]] = [
        ("5xx", "bad", lambda point: point.errors_5xx),
        ("4xx", "warn", lambda point: point.errors_4xx),
    ]
    return _rates(measured, named, "5xx", "errors")


def error_share_chart(measured: Measured) -> ChartSpec:
    """The share of each step's requests that failed, in %, whatever their number."""
    if measured.many:
        return _beside(measured, "5xx", "%", lambda each: _each(each, _failed), onset_words(measured))
    xs = _xs(measured.series)
    drawn = [charts.Series("5xx", xs, _each(measured.series, _failed), "bad")]
    drawn.append(charts.Series("4xx", xs, _each(measured.series, _refused), "warn"))
    if measured.before is not None:
        before = _each(measured.before, _failed)[: len(xs)]
        drawn.append(charts.Series("5xx a week before", xs, before, "muted"))
    notes = (*onset_words(measured), *gap_words(measured))
    return ChartSpec(tuple(drawn), "%", *measured.bounds, (), notes, measured.marks)


def onset_words(measured: Measured) -> list[str]:
    """Since when the share of errors is as it is, where it changed in the window."""
    last = last_shift(measured.happened)
    return [] if last is None else [f"{last.glyph} {last.words} since {measured.clock(last.at)}"]


def _failed(point: Point) -> float | None:
    return point.errors_5xx / point.n * 100 if point.n else None


def _refused(point: Point) -> float | None:
    return point.errors_4xx / point.n * 100 if point.n else None


def latency_chart(measured: Measured) -> ChartSpec:
    series = measured.series
    if measured.many:
        return _beside(measured, "p95", "ms", lambda each: _each(each, lambda point: point.p95))
    values: list[tuple[str, Tone, Callable[[Point], float | None]]] = [
        ("p95", "warn", lambda point: point.p95),
        ("p50", "good", lambda point: point.p50),
        ("p99", "bad", lambda point: point.p99),
    ]
    xs = _xs(series)
    drawn = [charts.Series(name, xs, _each(series, of), tone) for name, tone, of in values]
    if measured.before is not None:
        before = _each(measured.before, lambda point: point.p95)[: len(xs)]
        drawn.append(charts.Series("p95 a week before", xs, before, "muted"))
    notes = gap_words(measured) + overflow_words(measured)
    there = [point for point in series.points if point is not None and point.latency.n]
    few = sum(point.latency.n < MIN_REQUESTS_FOR_P99 for point in there)
    if few:
        whole = "p99" if few == len(there) else f"p99 of {few} of {len(there)} steps"
        notes.append(f"{whole} not said: under {MIN_REQUESTS_FOR_P99} requests")
    lines = tuple(Threshold(value, name, "muted") for name, value in measured.view.lines if name.startswith("p"))
    ratios = not measured.view.linear
    return ChartSpec(tuple(drawn), "ms", *measured.bounds, lines, tuple(notes), measured.marks, ratios=ratios)


def _each(series: Series, of: Callable[[Point], float | None]) -> list[float | None]:
    return [None if point is None else of(point) for point in series.points]


def saturation_chart(measured: Measured) -> ChartSpec:
    """The share of each limit that is used, in %; a limit that is not known has no line."""
    found, xs = measured.saturation, _xs(measured.series)
    if found is None or not found.filled:
        return ChartSpec((), "%", *measured.bounds, nothing=found.words if found else "reading …")
    tones: tuple[Tone, ...] = ("good", "warn")
    drawn = [
        charts.Series(
            f"{each.limit.name} {each.limit.words}",
            xs,
            [None if share is None else share * 100 for share in each.shares],
            tones[number % len(tones)],
        )
        for number, each in enumerate(found.filled)
    ]
    lines = [Threshold(100, "limit", "bad")]
    for each in found.filled:
        if each.limit.soft and each.limit.soft < each.limit.most:
            lines.append(Threshold(each.limit.soft / each.limit.most * 100, "soft", "warn"))
    notes = [hole_words(each) for each in found.filled if each.holes] or gap_words(measured)
    return ChartSpec(tuple(drawn), "%", *measured.bounds, tuple(lines), tuple(notes), measured.marks)


def hole_words(filled: Filled) -> str:
    return f"{filled.holes:,} step{'s' * (filled.holes > 1)} unknown"


def reading_of_limits(measured: Measured, index: int | None) -> str:
    """How full each limit is in a step, or in the last step that is known."""
    found = measured.saturation
    if found is None or not found.filled:
        return "" if found is None else found.words
    said = []
    for each in found.filled:
        known = [place for place, share in enumerate(each.shares) if share is not None]
        place = index if index is not None else known[-1] if known else None
        share = None if place is None else each.shares[place]
        least = "at least " if each.holes else ""
        used = "not known" if share is None else f"{least}{percent(share)}% of {each.limit.words}"
        said.append(f"{each.limit.name} {used}")
        if index is None and each.limit.counted is not None and measured.view.window.end is None:
            said[-1] += f", {percent(each.limit.counted / each.limit.most)}% admitted or recorded"
    if index is None:
        return "last known: " + "  ".join(said)
    return f"{measured.clock(measured.series.start + index * measured.series.step)}  {'  '.join(said)}"


def heat_map(measured: Measured) -> HeatSpec:
    steps = tuple(None if point is None else point.latency.bounded for point in measured.series.points)
    limit = min((value for name, value in measured.view.lines if name.startswith("p")), default=None)
    return HeatSpec(
        steps, *measured.bounds, limit, tuple(gap_words(measured) + overflow_words(measured)), measured.marks
    )


CHARTS_OF: Mapping[str, Callable[[Measured], ChartSpec | HeatSpec]] = {
    "requests": requests_chart,
    "errors": errors_chart,
    "error_share": error_share_chart,
    "latency": latency_chart,
    "saturation": saturation_chart,
    "heat": heat_map,
}

Counted = Callable[[Point], int]


def _rates(measured: Measured, named: Sequence[tuple[str, Tone, Counted]], compared: str, line: str) -> ChartSpec:
    series, xs = measured.series, _xs(measured.series)
    if measured.many:
        first = next(of for name, _, of in named if name == compared)
        return _beside(measured, line, "/m", lambda each: rates(each, first))
    drawn = [charts.Series(name, xs, rates(series, of), tone) for name, tone, of in named]
    if measured.before is not None:
        of = next(of for name, _, of in named if name == compared)
        drawn.append(charts.Series(f"{compared} a week before", xs, rates(measured.before, of)[: len(xs)], "muted"))
    held = tuple(Threshold(value, name, "muted") for name, value in measured.view.lines if name == line)
    return ChartSpec(tuple(drawn), "/m", *measured.bounds, held, tuple(gap_words(measured)), measured.marks)


def _beside(
    measured: Measured,
    line: str,
    unit: str,
    values: Callable[[Series], list[float | None]],
    more: Sequence[str] = (),
) -> ChartSpec:
    """A curve for each tenant, in the order in which they were named."""
    xs = _xs(measured.series)
    what = "" if line == "requests" else f" {'5xx' if line == 'errors' else line}"
    drawn = tuple(
        charts.Series(f"{each.scope.tenant_id}{what}", xs, values(each), tone)
        for each, tone in zip(measured.many, BESIDE, strict=False)
    )
    held = tuple(Threshold(value, name, "muted") for name, value in measured.view.lines if name == line)
    ratios = unit == "ms" and not measured.view.linear
    notes = (*more, *gap_words(measured))
    return ChartSpec(drawn, unit, *measured.bounds, held, notes, measured.marks, ratios=ratios)


def rates(series: Series, of: Counted) -> list[float | None]:
    """Per minute, averaged over each step; over its known part for the running one, and for the one that counting began
    in.
    """
    return [None if point is None else _rate(series, i, of(point)) for i, point in enumerate(series.points)]


def _rate(series: Series, index: int, number: int) -> float | None:
    over = series.known_for(index)
    return number / (over / timedelta(minutes=1)) if over >= MIN_AXIS_SHARE * series.step else None


def _xs(series: Series) -> list[float]:
    first, step = series.start.timestamp(), series.step.total_seconds()
    return [first + i * step for i in range(len(series.points))]


def gaps(series: Series) -> list[tuple[datetime, datetime]]:
    """The times without data, up to when the series was read; a step that still runs is no gap."""
    found: list[tuple[datetime, datetime]] = []
    for i, point in enumerate(series.points):
        begin = series.start + i * series.step
        end = begin + series.step
        if point is not None or end > series.as_of:
            continue
        if found and found[-1][1] == begin:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def gap_words(measured: Measured) -> list[str]:
    """ "no data 03:10–03:40" for the longest gap, how many others there are, and what the source says is missing."""
    return [*_gap_words(measured), *measured.notes]


def overflow_words(measured: Measured) -> list[str]:
    whole = measured.series.whole
    over = 0 if whole is None else whole.latency.n - whole.latency.bounded.n
    if whole is None or not over:
        return []
    return [f"{percent(over / whole.latency.n)}% past the last bucket"]


def _gap_words(measured: Measured) -> list[str]:
    found = gaps(measured.series)
    if not found:
        return []
    begin, end = max(found, key=lambda gap: gap[1] - gap[0])
    series = measured.series
    last = all(point is None for point in series.points[(end - series.start) // series.step :])
    if last and measured.view.window.end is None:
        words = f"no data since {measured.clock(begin)}"
    else:
        first, until = measured.clock(begin), measured.clock(end)
        day = first.rpartition(" ")[0]
        words = f"no data {first}–{until.removeprefix(day).lstrip()}"  # do not repeat the day
    more = len(found) - 1
    return [words + (f" and {more} more gap{'s' * (more > 1)}" if more else "")]


def reading(measured: Measured, index: int | None) -> str:
    """The values of a step, or of the whole window; unknown ones are shown as unknown."""
    series = measured.series
    if measured.many:
        over = "total" if index is None else measured.clock(series.start + index * series.step)
        return f"{over}  " + " · ".join(_brief(each, index) for each in measured.many)
    if index is None:
        return f"total {values_of(series.whole, None)}"
    begin = series.start + index * series.step
    return f"{measured.clock(begin)}  {values_of(series.points[index], _per_minute(series, index))}"


def _brief(series: Series, index: int | None) -> str:
    """The main values only, for a line with several tenants."""
    point, minutes = (series.whole, None) if index is None else (series.points[index], _per_minute(series, index))
    if point is None:
        return f"{series.scope.label} no data"
    said = count(point.n) if minutes is None else f"{rate(point.n / minutes)}/m"
    return f"{series.scope.label} {said} {percent(point.error_share)}% p95 {milliseconds(point.p95)}"


def reading_before(measured: Measured, index: int | None) -> str:
    before = measured.before
    if before is None:
        return ""
    point = before.whole if index is None else before.points[index] if index < len(before.points) else None
    return f"week before: {values_of(point, None if index is None else _per_minute(before, index))}"


def values_of(point: Point | None, minutes: float | None) -> str:
    """`minutes`: show rates over that many minutes; None: show counts."""
    if point is None:
        return "no data"
    said = _short if minutes is None else rate
    n, client, server = (value / (minutes or 1) for value in (point.n, point.errors_4xx, point.errors_5xx))
    failed = f"5xx {said(server)} {percent(point.error_share)}%"
    return (
        f"{said(n)}{'' if minutes is None else '/m'}  4xx {said(client)}  {failed}"
        f"  p50 {milliseconds(point.p50)} p95 {milliseconds(point.p95)} p99 {milliseconds(point.p99)}"
    )


def _short(number: float) -> str:
    """Exact, except for numbers that the line has no room for."""
    return count(number) if number < 10_000_000 else f"{number / 1e6:,.1f}M"


def _per_minute(series: Series, index: int) -> float | None:
    over = series.known_for(index) / timedelta(minutes=1)
    return over if over > 0 else None


def records(measured: Measured) -> list[dict[str, Any]]:
    """A row for each step, as exports have it: counts, not rates; None where nothing is known."""
    rows = []
    for i, at in enumerate(measured.series.times()):
        row: dict[str, Any] = {"at": at.astimezone(UTC)} | _record(measured.series.points[i])
        if measured.before is not None:
            point = measured.before.points[i] if i < len(measured.before.points) else None
            row |= {f"week_before_{name}": value for name, value in _record(point).items()}
        for each in measured.saturation.filled if measured.saturation else ():
            row[f"{each.limit.name}_share"] = each.shares[i]
        rows.append(row)
    return rows


def _record(point: Point | None) -> dict[str, Any]:
    if point is None:
        return dict.fromkeys(("requests", "errors_4xx", "errors_5xx", "p50_ms", "p95_ms", "p99_ms"))
    exact = {"requests": point.n, "errors_4xx": point.errors_4xx, "errors_5xx": point.errors_5xx}
    latencies = {"p50_ms": point.p50, "p95_ms": point.p95, "p99_ms": point.p99}
    return exact | {name: None if value is None else round(value, 3) for name, value in latencies.items()}


def next_happening(measured: Measured, at: datetime | None, by: int) -> datetime | None:
    """The step of what happened next after a time, or with `by` below 0 before it; wraps around at the ends."""
    starts = sorted(
        {measured.series.start + measured.index(each.at) * measured.series.step for each in measured.happened}
    )
    if not starts:
        return None
    if at is None:
        return starts[0 if by > 0 else -1]
    here = bisect_right(starts, at)
    if by > 0:
        return starts[here % len(starts)]
    return starts[(here - 1 - (starts[here - 1] == at if here else 0)) % len(starts)]
