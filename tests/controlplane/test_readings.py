"""What is read off a chart, in words and in numbers: of one tenant, of several, and of the week before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.audit.model import AuditRow
from controlplane.telemetry.charts import ChartSpec
from controlplane.telemetry.charts import Series as Drawn
from controlplane.telemetry.chartviews import View, Window
from controlplane.telemetry.happenings import Happening, happenings
from controlplane.telemetry.measures import (
    Measured,
    error_share_chart,
    errors_chart,
    gap_words,
    gaps,
    heat_map,
    hole_words,
    latency_chart,
    next_happening,
    overflow_words,
    reading,
    reading_before,
    reading_of_limits,
    records,
    requests_chart,
    saturation_chart,
    together,
)
from controlplane.telemetry.model import OVERFLOW, Histogram, Point, Scope, Series
from controlplane.telemetry.saturation import Filled, Limit, Saturation

START = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TWENTY = Histogram.of([20.0] * 100)


def point(n: int = 120, errors: int = 6, latency: Histogram = TWENTY) -> Point:
    return Point(n, 2 * errors, errors, latency)


def series(points: list[Point | None], step: timedelta = MINUTE, tenant: str = "acme") -> Series:
    return Series(Scope(tenant), START, step, tuple(points), START + len(points) * step)


def measured(points: list[Point | None], step: timedelta = MINUTE, **view: object) -> Measured:
    return Measured(View(Scope("acme"), Window(HOUR), **view), series(points, step))  # type: ignore[arg-type]


def beside(*many: list[Point | None]) -> Measured:
    each = tuple(series(points, tenant=f"t{n}") for n, points in enumerate(many))
    return replace(measured(list(together(each, Scope()).points)), many=each)


# Several tenants


def test_tenants_beside_each_other_have_a_curve_each() -> None:
    found = beside([point(), None], [point(60, 0), point(10, 10)])
    named = {
        requests_chart: [("t0", [120, None]), ("t1", [60, 10])],
        errors_chart: [("t0 5xx", [6, None]), ("t1 5xx", [0, 10])],
        error_share_chart: [("t0 5xx", [5.0, None]), ("t1 5xx", [0.0, 100.0])],
    }
    for chart, drawn in named.items():
        assert [(each.name, each.ys) for each in chart(found).series] == drawn
        assert [each.tone for each in chart(found).series] == ["good", "warn"] and not chart(found).ratios
    lined = replace(found, view=replace(found.view, lines=(("errors", 3.0), ("p95", 250.0), ("requests", 9.0))))
    for chart, value in ((requests_chart, 9.0), (errors_chart, 3.0), (latency_chart, 250.0)):
        assert [line.value for line in chart(lined).thresholds] == [value]
    slow = latency_chart(found)
    assert [each.name for each in slow.series] == ["t0 p95", "t1 p95"] and slow.ratios and slow.unit == "ms"


def test_tenants_beside_each_other_are_read_in_one_line() -> None:
    found = beside([point(), None], [point(60, 0), point(10, 10)])
    assert reading(found, None) == "total  t0 120 5.00% p95 20ms · t1 70 14.29% p95 20ms"
    assert reading(found, 1) == "00:01  t0 no data · t1 10/m 100.00% p95 20ms"


def test_of_several_a_step_holds_what_is_known_of_any() -> None:
    first, second = series([point(1), None, None]), series([point(2), point(3), None])
    whole = together([replace(first, notes=("a", "b")), replace(second, notes=("b", "c"), since=START)], Scope())
    assert [each and each.n for each in whole.points] == [3, 3, None]
    assert (whole.scope, whole.notes, whole.since) == (Scope(), ("a", "b", "c"), START)
    assert together([first, second], Scope()).since is None


# One


def test_lines_are_drawn_in_the_chart_of_their_measure_only() -> None:
    found = measured([point()], lines=(("p95", 250.0), ("p50", 40.0), ("errors", 3.0), ("requests", 9.0)))
    charts = (requests_chart(found), errors_chart(found), latency_chart(found), error_share_chart(found))
    assert [[line.name for line in chart.thresholds] for chart in charts] == [
        *(["requests"], ["errors"], ["p95", "p50"], []),
    ]
    assert heat_map(found).limit == 40 and heat_map(measured([point()], lines=(("errors", 3.0),))).limit is None


def test_the_week_before_is_cut_to_what_is_shown() -> None:
    found = replace(measured([point(), point()]), before=series([point(60, 3), None, point()]))
    for chart, ys in ((requests_chart, [60, None]), (errors_chart, [3, None]), (error_share_chart, [5.0, None])):
        assert chart(found).series[-1].ys == ys and chart(found).series[-1].name.endswith("a week before")
    assert latency_chart(found).series[-1].ys == [pytest.approx(20, rel=0.02), None]
    assert reading_before(found, 0) == "week before: 60/m  4xx 6.0  5xx 3.0 5.00%  p50 20ms p95 20ms p99 20ms"
    assert reading_before(found, None).startswith("week before: 180  4xx 18  5xx 9 5.00%")
    assert reading_before(found, 1) == reading_before(found, 9) == "week before: no data"
    assert reading_before(replace(found, before=None), 0) == ""


def test_a_p99_that_no_step_has_is_said_once() -> None:
    few = Histogram.of([20.0] * 99)
    assert latency_chart(measured([point(latency=few)] * 2)).notes == ("p99 not said: under 100 requests",)
    assert latency_chart(measured([point(), point(0, 0, Histogram()), None, point()])).notes == (
        "no data 00:02–00:03",
    ), "a step without requests lacks no p99"


def test_many_requests_are_said_shortly() -> None:
    assert reading(measured([point(9_999_999, 0)]), None).startswith("total 9,999,999  ")
    assert reading(measured([point(10_000_000, 0)]), None).startswith("total 10.0M  ")
    assert reading(measured([point(0, 0, Histogram())]), 0) == "00:00  0/m  4xx 0  5xx 0 –%  p50 – p95 – p99 –"


def test_a_step_that_has_not_begun_is_counted_and_not_divided() -> None:
    running = replace(series([point(), point(5, 0)]), as_of=START + MINUTE)
    assert reading(Measured(View(), running), 1).startswith("00:01  5  4xx 0  5xx 0 0.00%")


def test_what_is_past_the_last_bucket_is_told() -> None:
    past = Histogram((3, OVERFLOW), (3, 1))
    assert overflow_words(measured([point(latency=past)])) == ["25.00% past the last bucket"]
    assert overflow_words(measured([point()])) == overflow_words(measured([None])) == []
    assert "25.00% past the last bucket" in latency_chart(measured([point(latency=past)])).notes
    assert heat_map(measured([point(latency=past)])).notes == ("25.00% past the last bucket",)
    assert heat_map(measured([point(latency=past), None])).steps == (Histogram((3,), (3,)), None)


def test_gaps_in_words() -> None:
    assert gap_words(measured([point(), None, None, point(), None, point(), None, point()])) == [
        "no data 00:01–00:03 and 2 more gaps"
    ]
    assert gap_words(measured([None, point(), None, None])) == ["no data since 00:02 and 1 more gap"]
    past = measured([point(), None])
    past = replace(past, view=replace(past.view, window=Window(HOUR, START + HOUR)))
    assert gap_words(past) == ["no data 00:01–00:02"]
    over_noon = measured([point(), None, None, point()], 12 * HOUR)
    assert gap_words(over_noon) == ["no data 11-21 12:00–11-22 12:00"]
    assert gap_words(measured([point(), None, point()], 12 * HOUR)) == ["no data 11-21 12:00–11-22 00:00"]
    assert gap_words(measured([point(), None, *[point()] * 6], 3 * HOUR)) == ["no data 11-21 03:00–06:00"]
    assert gap_words(measured([point(), None, *[point()] * 5], 3 * HOUR)) == ["no data 03:00–06:00"]


def test_a_step_that_still_runs_is_not_missed() -> None:
    running = replace(series([None, None]), as_of=START + 2 * MINUTE - timedelta(seconds=1))
    assert gaps(running) == [(START, START + MINUTE)]
    assert gaps(replace(running, as_of=START + 2 * MINUTE)) == [(START, START + 2 * MINUTE)]


def test_a_rate_is_said_from_a_quarter_of_the_step_on() -> None:
    for seconds, expected in ((14, None), (15, 240.0)):
        running = replace(series([point(60)]), as_of=START + timedelta(seconds=seconds))
        assert requests_chart(Measured(View(), running)).series[0].ys == [expected]


def test_places_in_time() -> None:
    found = measured([point()] * 3, HOUR)
    assert found.bounds == (START.timestamp(), START.timestamp() + 3 * 3600)
    assert requests_chart(found).series[0].xs == [START.timestamp() + n * 3600 for n in range(3)]
    at = [START - DAY, START, START + HOUR - MINUTE, START + HOUR, START + DAY]
    assert [found.index(each) for each in at] == [0, 0, 0, 1, 2]
    week = replace(found, series=replace(found.series, start=START - 7 * DAY))
    assert records(replace(found, before=week.series))[2]["week_before_requests"] == 120
    assert records(replace(found, before=series([point()])))[1]["week_before_requests"] is None


# What happened


def row(operation: str, seq: int, minutes: int = 0, reason: str | None = None) -> AuditRow:
    at = START + minutes * MINUTE
    return AuditRow(seq, at, "ana", operation, "tenants", "acme", "acme", reason, None, False, {}, {})


@pytest.mark.parametrize(
    ("operation", "tone"),
    [("tenants.suspend", "bad"), ("keys.leaked", "bad"), ("tenants.restore", "good"), ("tenants.edit", "warn")],
)
def test_what_takes_away_and_what_gives_back(operation: str, tone: str) -> None:
    assert happenings([row(operation, 1)])[0].tone == tone


def test_a_change_in_words() -> None:
    assert happenings([row("tenants.edit", 1)])[0].words == "tenants.edit acme by ana"
    assert happenings([row("tenants.edit", 1, reason="asked")])[0].words == "tenants.edit acme by ana: asked"


def test_what_happened_in_a_step() -> None:
    found = replace(measured([point()] * 3), happened=tuple(happenings([row("a.b", 1), row("a.b", 2, 1)])))
    assert [[each.source for each in found.happened_in(n)] for n in range(3)] == [["audit 1"], ["audit 2"], []]
    assert [mark.x for mark in found.marks] == [START.timestamp(), START.timestamp() + 60]


def test_the_next_change_from_anywhere() -> None:
    at = [START + n * MINUTE for n in range(6)]
    changes = tuple(Happening(at[n], "a.b acme by ana", "warn", f"audit {n}") for n in (1, 2, 4))
    found = replace(measured([point()] * 6), happened=changes)
    assert [at.index(next_happening(found, each, 1)) for each in at] == [1, 2, 4, 4, 1, 1]
    assert [at.index(next_happening(found, each, -1)) for each in at] == [4, 4, 1, 2, 2, 4]


# Limits


def full(*filled: Filled, words: str = "", end: datetime | None = None) -> Measured:
    found = measured([point()] * 2, HOUR)
    view = replace(found.view, window=Window(2 * HOUR, end))
    return replace(found, view=view, saturation=Saturation(filled, words))


def test_limits_over_time() -> None:
    soft = Filled(Limit("api_calls", 1000, "plan", "day", soft=800, counted=900), (0.5, None))
    rate = Filled(Limit("requests", 2, "plan"), (0.25, 0.75), holes=1)
    chart = saturation_chart(full(soft, rate))
    assert [(each.name, each.ys, each.tone) for each in chart.series] == [
        ("api_calls 1,000/day", [50.0, None], "good"),
        ("requests 2/second", [25.0, 75.0], "warn"),
    ]
    assert [(line.value, line.name) for line in chart.thresholds] == [(100, "limit"), (80, "soft")]
    assert chart.notes == ("1 step unknown",) and hole_words(replace(rate, holes=1000)) == "1,000 steps unknown"
    hard = replace(soft, limit=replace(soft.limit, soft=1000))
    assert len(saturation_chart(full(hard)).thresholds) == 1, "a soft limit that is the hard one is no second line"
    assert reading_of_limits(full(soft, rate), None) == (
        "last known: api_calls 50.00% of 1,000/day, 90.00% admitted or recorded  requests at least 75.00% of 2/second"
    )
    assert reading_of_limits(full(soft, end=START + DAY), None) == "last known: api_calls 50.00% of 1,000/day"
    assert reading_of_limits(full(soft), 1) == "01:00  api_calls not known"
    assert reading_of_limits(full(replace(soft, shares=(None, None))), None).startswith(
        "last known: api_calls not known"
    )


def test_limits_that_are_not_there() -> None:
    assert saturation_chart(full(words="none")).nothing == reading_of_limits(full(words="none"), 0) == "none"
    unread = measured([point()])
    assert saturation_chart(unread).nothing == "reading …" and reading_of_limits(unread, 0) == ""
    assert "api_calls_share" not in records(unread)[0]


def test_values_are_those_that_are_known() -> None:
    spec = ChartSpec((Drawn("x", range(4), [1.0, None, float("nan"), float("inf")]),), "", 0, 1)
    assert spec.values == [1.0] and not spec.ratios
