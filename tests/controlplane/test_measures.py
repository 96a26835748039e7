"""Series as charts, readings and records: what is not known is a gap, is named, and is never zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from backends.postgres.cells import placed
from controlplane.audit.model import AuditRow
from controlplane.telemetry.charts import bands
from controlplane.telemetry.chartviews import View, Window
from controlplane.telemetry.happenings import happenings
from controlplane.telemetry.measures import (
    Measured,
    error_share_chart,
    errors_chart,
    gap_words,
    gaps,
    heat_map,
    latency_chart,
    next_happening,
    reading,
    reading_before,
    records,
    requests_chart,
)
from controlplane.telemetry.model import Histogram, Point, Scope, Series, whole_steps
from controlplane.telemetry.svg import svg, together
from screens.tenants.traffic import traffic_chart

START = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def point(n: int = 120, errors: int = 6, ms: float = 100.0) -> Point:
    return Point(n, 2 * errors, errors, Histogram.of([ms] * n), ms)


def measured(
    points: list[Point | None], *, step: timedelta = MINUTE, as_of: datetime | None = None, view: View | None = None
) -> Measured:
    series = Series(Scope("acme"), START, step, tuple(points), as_of or START + len(points) * step)
    return Measured(view or View(Scope("acme"), Window(HOUR)), series)


def row(at: datetime, operation: str = "tenants.suspend", seq: int = 1, thing: str = "acme") -> AuditRow:
    return AuditRow(seq, at, "ana", operation, "tenants", thing, "acme", "three chargebacks", None, False, {}, {})


def test_the_share_of_errors_shows_since_when_however_many_there_are() -> None:
    found = measured([point(1000, 2), point(10, 5), None, point(0, 0), point(1000, 500)])
    failed, refused = error_share_chart(found).series
    assert failed.ys == [0.2, 50.0, None, None, 50.0] and refused.ys == [0.4, 100.0, None, None, 100.0]
    assert error_share_chart(replace(found, before=found.series)).series[2].ys == failed.ys
    beside = error_share_chart(replace(found, many=(found.series, replace(found.series, scope=Scope("globex")))))
    assert [(each.name, each.ys) for each in beside.series] == [("acme 5xx", failed.ys), ("globex 5xx", failed.ys)]


def test_the_step_that_counting_began_in_is_no_fall_to_zero() -> None:
    """Where it holds little of its length it is a gap in the curve; its numbers are kept."""
    for late, expected in ((4, None), (2, 120 / 3), (0, 120 / 5)):
        series = measured([None, point(), point()], step=5 * MINUTE).series
        begun = replace(series, since=series.start + (5 + late) * MINUTE)
        found = replace(measured([point()]), series=begun)
        assert requests_chart(found).series[0].ys == [None, expected, 24.0]
        assert errors_chart(found).series[0].ys[1] == (None if expected is None else expected / 20)
        assert records(found)[1]["requests"] == 120
        assert traffic_chart(begun).series[0].ys == [None, expected, 24.0]
        assert reading(found, 1).startswith(f"00:05  {120 / (5 - late):.0f}/m")


def test_what_may_be_missing_of_the_week_before_is_said_too() -> None:
    now, before = (measured([point()]).series for _ in range(2))
    series, before = replace(now, notes=("partial", "slow")), replace(before, notes=("slow", "older: partial"))
    found = replace(measured([point()]), series=series, before=before)
    for spec in (requests_chart(found), errors_chart(found), latency_chart(found), heat_map(found)):
        assert [note for note in spec.notes if "not said" not in note] == ["partial", "slow", "older: partial"]


def test_rates_are_per_minute_and_gaps_stay_open() -> None:
    found = measured([point(), None, point(0 + 60)], step=5 * MINUTE)
    assert requests_chart(found).series[0].ys == [24.0, None, 12.0]
    server, client = errors_chart(found).series
    assert (server.ys, client.ys) == ([1.2, None, 1.2], [2.4, None, 2.4])
    assert latency_chart(found).series[0].ys[1] is None and heat_map(found).steps[1] is None


def test_the_step_that_runs_now_is_over_what_is_over_of_it() -> None:
    half = measured([point(), point(60)], step=2 * MINUTE, as_of=START + 3 * MINUTE)
    assert requests_chart(half).series[0].ys == [60.0, 60.0]
    begun = measured([point(), point(1)], step=2 * MINUTE, as_of=START + 2 * MINUTE + timedelta(seconds=10))
    assert requests_chart(begun).series[0].ys == [60.0, None]
    assert gaps(measured([point(), None], as_of=START + MINUTE).series) == []


def test_the_longest_gap_is_named_and_the_others_are_counted() -> None:
    found = measured([point(), None, None, point(), None, point()])
    assert gap_words(found) == ["no data 00:01–00:03 and 1 more gap"]
    assert gap_words(measured([point(), point()])) == []
    assert gap_words(measured([point(), None, None])) == ["no data since 00:01"]
    days = measured([point(), None, point()], step=DAY)
    assert gap_words(days) == ["no data 11-22 00:00–11-23 00:00"]


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_gaps_are_exactly_what_is_not_known(known: list[bool]) -> None:
    found = gaps(measured([point() if each else None for each in known]).series)
    missed = {i for begin, end in found for i in range((begin - START) // MINUTE, (end - START) // MINUTE)}
    assert missed == {i for i, each in enumerate(known) if not each}
    assert all(earlier[1] < later[0] for earlier, later in pairwise(found))


def test_a_p99_of_few_requests_is_no_number_and_is_said() -> None:
    found = measured([point(50), point(150)])
    chart = latency_chart(found)
    assert chart.series[2].ys[0] is None and chart.series[2].ys[1] is not None
    assert "p99 of 1 of 2 steps not said: under 100 requests" in chart.notes


def test_a_week_before_is_drawn_at_the_same_places() -> None:
    found = measured([point(), point(240)])
    before = replace(found.series, start=START - 7 * DAY, points=(None, point(60)))
    chart = requests_chart(replace(found, before=before))
    assert [series.name for series in chart.series] == ["requests", "requests a week before"]
    assert chart.series[1].xs == chart.series[0].xs and chart.series[1].ys == [None, 60.0]
    assert reading_before(replace(found, before=before), 0) == "week before: no data"


def test_lines_stand_in_the_chart_that_they_are_about() -> None:
    view = View(lines=(("p95", 250.0), ("errors", 3.0), ("requests", 100.0)))
    found = measured([point()], view=view)
    for chart, value in ((latency_chart(found), 250.0), (errors_chart(found), 3.0), (requests_chart(found), 100.0)):
        assert [line.value for line in chart.thresholds] == [value]


def test_a_reading_says_what_is_not_known() -> None:
    found = measured([point(), None])
    assert reading(found, 0) == "00:00  120/m  4xx 12  5xx 6.0 5.00%  p50 101ms p95 101ms p99 101ms"
    assert reading(found, 1) == "00:01  no data"
    assert reading(found, None).startswith("total 120  4xx 12  5xx 6 5.00%")


def test_records_are_counts_and_have_no_zero_for_the_unknown() -> None:
    first, second = records(measured([point(), None]))
    assert (first["requests"], first["errors_5xx"]) == (120, 6)
    assert {value for name, value in second.items() if name != "at"} == {None}


def test_what_one_change_did_to_many_stands_once() -> None:
    at = START + MINUTE
    found = happenings([row(at, seq=3), row(at, seq=2, thing="b"), row(at + MINUTE, "tenants.resume", 4)])
    assert [(each.words, each.tone, each.source) for each in found] == [
        ("tenants.suspend 2 rows by ana: three chargebacks", "bad", "audit 2"),
        ("tenants.resume acme by ana: three chargebacks", "good", "audit 4"),
    ]


def test_the_cursor_goes_from_change_to_change_and_round() -> None:
    marks = tuple(happenings([row(START + 90 * timedelta(seconds=1)), row(START + 5 * MINUTE, "tenants.resume", 2)]))
    found = replace(measured([point()] * 10), happened=marks)
    first, second = START + MINUTE, START + 5 * MINUTE
    assert next_happening(found, None, 1) == first and next_happening(found, None, -1) == second
    assert next_happening(found, first, 1) == second and next_happening(found, second, 1) == first
    assert next_happening(found, first, -1) == second and next_happening(found, START + 3 * MINUTE, -1) == first
    assert next_happening(replace(found, happened=()), None, 1) is None


histograms = st.none() | st.lists(st.floats(0.1, 60_000), max_size=20).map(Histogram.of)


@given(st.lists(histograms, min_size=1, max_size=40), st.integers(1, 60), st.integers(1, 20))
def test_bands_hold_every_request_once(steps: list[Histogram | None], columns: int, most: int) -> None:
    found = bands(steps, columns, most)
    if found is None:
        assert not any(step is not None and step.n for step in steps)
        return
    assert len(found.shares) == columns and 1 <= len(found.tops) <= most
    assert list(found.tops) == sorted(found.tops)
    for shares in found.shares:
        assert shares is None or abs(sum(shares) - 1) < 1e-9
    if columns == len(steps):
        assert [shares is None for shares in found.shares] == [step is None or not step.n for step in steps]


def test_an_svg_is_whole_and_inert_and_breaks_its_lines_at_gaps() -> None:
    found = measured([point(), point(), None, point(), point()])
    hostile = '<script>alert(1)</script>\x1b[2J" onload="x'
    drawn = together([svg(requests_chart(found), hostile), svg(heat_map(found), "heat")])
    root = ElementTree.fromstring(drawn)
    assert not [
        each for each in root.iter() if each.tag.endswith("script") or any(k.startswith("on") for k in each.attrib)
    ]
    lines = [each for each in root.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2 and "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "no data 00:02–00:03" in "".join(root.itertext()) and "\x1b" not in drawn


ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca"]
)


@given(
    st.datetimes(datetime(2019, 1, 1), datetime(2027, 1, 1)),
    st.sampled_from([MINUTE, 5 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY]),
    st.integers(1, 40),
    ZONES,
    ZONES,
)
def test_no_zone_and_no_change_of_the_clocks_moves_a_step(
    at: datetime, step: timedelta, number: int, here: str, there: str
) -> None:
    """Whoever asks, from wherever: the steps are the same moments, all of one length, and each holds its own."""
    at = at.replace(tzinfo=UTC)
    zones = [UTC, ZoneInfo(here), ZoneInfo(there)]
    asked = {whole_steps(at.astimezone(zone), (at + number * step).astimezone(zone), step) for zone in zones}
    assert len(asked) == 1
    start, steps = asked.pop()
    assert start <= at < start + step and not (start - datetime(1970, 1, 1, tzinfo=UTC)) % step
    rows = [((start + n * step).astimezone(ZoneInfo(there)), n + 1, 0, 0, None, (), ()) for n in range(steps)]
    placed_rows = placed(rows, start, step, steps)
    assert [each and each.n for each in placed_rows] == [n + 1 for n in range(steps)]
    series = Series(Scope("acme"), start, step, placed_rows, start + steps * step)
    shown = Measured(View(Scope("acme")), series, zone=ZoneInfo(here))
    xs = requests_chart(shown).series[0].xs
    assert {round(later - sooner) for sooner, later in pairwise(xs)} <= {step.total_seconds()}
    for n, moment in enumerate(series.times()):
        assert shown.index(moment.astimezone(ZoneInfo(there))) == n == shown.index(moment + step - MINUTE / 2)
