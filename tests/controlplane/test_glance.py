"""The parts of the overview, line by line: from which number on something is worth a word, and what enter opens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.listing import Count
from controlplane.overview import entries
from controlplane.overview.entries import Door, Entry
from controlplane.overview.model import (
    Burner,
    Burning,
    Change,
    Changes,
    Ending,
    Figures,
    GatesDue,
    KeysDue,
    PlansDue,
    QuotaNear,
    Region,
    RunsDue,
    Stray,
    TenantFigures,
    Traffic,
    WorkDue,
    figures,
)
from controlplane.telemetry.model import Histogram, Point

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN, SECOND = timedelta(minutes=10), timedelta(seconds=1)
NONE, TWO = Count(0), Count(2)


def said(found: list[Entry]) -> list[tuple[str, str, str, str]]:
    return [(entry.key, entry.value, entry.tone, entry.words) for entry in found]


@pytest.mark.parametrize(
    ("share", "tone"),
    [(None, "unknown"), (0.0, ""), (0.0099, ""), (0.01, "warn"), (0.0499, "warn"), (0.05, "bad"), (1.0, "bad")],
)
def test_errors_are_worth_a_warning_from_one_per_cent_and_bad_from_five(share: float | None, tone: str) -> None:
    assert entries.error_tone(share) == tone


@pytest.mark.parametrize(
    ("share", "until", "state"),
    [
        (0.0099, NOW - TEN, ("up", "good")),
        (0.01, NOW, ("errors", "warn")),
        (0.05, NOW, ("failing", "bad")),
        (0.5, NOW - TEN - SECOND, ("stale", "muted")),
        (0.5, None, ("stale", "muted")),
        (None, NOW, ("unknown", "unknown")),
    ],
)
def test_a_region_in_a_word(share: float | None, until: datetime | None, state: tuple[str, str]) -> None:
    assert entries.region_state(Region("eu", until, Figures(1, share)), NOW) == state


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (104.0, 100.0, "as a week ago"),
        (96.0, 100.0, "as a week ago"),
        (106.0, 100.0, "6 % more than a week ago"),
        (94.0, 100.0, "6 % less than a week ago"),
        (199.0, 100.0, "99 % more than a week ago"),
        (200.0, 100.0, "2.0 × that of a week ago"),
        (0.0, 100.0, "100 % less than a week ago"),
        (float("nan"), 1.0, "no data from a week ago"),
        (1.0, float("inf"), "no data from a week ago"),
    ],
)
def test_a_difference_of_more_than_a_twentieth_is_told(now: float, before: float, words: str) -> None:
    assert entries.against(now, before) == words
    assert entries.against(now, before, "slower", "faster") == words.replace("more", "slower").replace("less", "faster")


def test_the_hour_of_the_fleet_beside_that_of_the_week_before() -> None:
    before = Figures(60.0, 0.02, 100.0)
    now = entries.traffic_entries(Traffic(NOW - TEN, Figures(120.0, 0.03, 200.0), (before,), before), NOW)
    assert said(now) == [
        ("requests", "120/m", "", "2.0 × that of a week ago"),
        ("errors", "3.00 %", "warn", "50 % more than a week ago"),
        ("p95", "200ms", "warn", "2.0 × that of a week ago"),
    ]
    assert [entry.trend for entry in now] == [[60.0], [0.02], [100.0]]
    assert [entry.door.text for entry in now if entry.door] == ["chart:requests", "chart:error_share", "chart:latency"]
    quicker = entries.traffic_entries(Traffic(NOW, Figures(60.0, 0.0, 199.0), (), before), NOW)
    assert said(quicker)[2] == ("p95", "199ms", "", "99 % slower than a week ago")
    assert entries.traffic_entries(Traffic(NOW, Figures(p95_ms=9.0)), NOW)[2].tone == "", "there is no week before"


def test_of_an_old_hour_nothing_is_called_now_s() -> None:
    old = Traffic(NOW - TEN - SECOND, Figures(120.0, 0.5, None))
    assert said(entries.traffic_entries(old, NOW)) == [
        ("requests", "~120/m", "muted", "rolled up 10m ago: not current"),
        ("errors", "~50.00 %", "muted", "rolled up 10m ago: not current"),
        ("p95", "–", "unknown", "rolled up 10m ago: see workers"),
    ]
    for until, words in ((None, "No data yet. Start a worker: watchfloor worker"), (NOW, "no data for its last hour")):
        assert [entry.words for entry in entries.traffic_entries(Traffic(until), NOW)] == [words] * 3


def test_no_failure_is_only_good_news_while_somebody_is_heard_of() -> None:
    quiet = TenantFigures("a", 1.0, 0.0, 5.0, NOW)
    old = TenantFigures("b", 1.0, None, 5.0, None)
    assert [each.tone for each in entries.failing_entries([quiet, old], NOW)] == [""]
    assert [each.tone for each in entries.failing_entries([old], NOW)] == ["muted"]
    assert said(entries.slowest_entries([quiet, old], NOW)) == [
        ("a", "5.0ms", "", "1.0/m"),
        ("b", "~5.0ms", "muted", "1.0/m"),
    ]


def test_regions_are_told_with_their_figures_where_there_are_any() -> None:
    regions = [Region("eu", NOW, Figures(3.0, 0.0, 1.0)), Region("us", None)]
    assert said(entries.region_entries(regions, NOW)) == [
        ("us", "unknown", "unknown", ""),
        ("eu", "up", "good", "3.0/m 0.00 %"),
    ]
    assert said(entries.region_entries([], NOW)) == [("none", "–", "unknown", "")]


@pytest.mark.parametrize(
    ("name", "door"),
    [
        ("eu-west_1", Door("tenants", "region:eu-west_1")),
        ("eu west", Door("tenants", 'region:"eu west"')),
        ("é", Door("tenants", 'region:"é"')),
        ("-", Door("tenants", 'region:"-"')),
        ('a"b', Door("tenants", sort="region")),
        ("a\x1b", Door("tenants", sort="region")),
        ("  ", Door("tenants", sort="region")),
    ],
)
def test_the_tenants_of_a_region(name: str, door: Door) -> None:
    assert entries.region_entries([Region(name, None)], NOW)[0].door == door


def test_a_count_has_its_tone_only_when_there_is_something() -> None:
    assert said(entries.keys_entries(KeysDue(TWO, NONE), NOW)) == [("late", "2", "bad", ""), ("stale", "0", "", "")]
    stray = entries.stray_entries(Stray(TWO, NONE, Count(10_000, True)), NOW)[0]
    assert (stray.value, stray.tone) == ("10,002+", "warn")
    assert stray.lines[2:] == ("raw      2", "minutes  0", f"hours    {Count(10_000, True)}")


def test_what_ends_soon_and_what_is_nearly_used_up() -> None:
    trials = (Ending("acme", NOW + timedelta(days=2)), Ending("old", NOW))
    due = PlansDue(TWO, trials, TWO, (QuotaNear("acme", "calls", 800, 1000),), NOW - 2 * TEN)
    ending, near = entries.plans_entries(due, NOW)
    assert ending.door == entries.Door("subscriptions", "trial<7d", "trial") and ending.tone == "warn"
    assert near.lines == ("A worker looked 20m ago.", "", "acme  calls 800 of 1,000") and near.value == "2"
    assert entries.plans_entries(PlansDue(TWO, trials, TWO, (), None), NOW)[1].tone == "unknown"
    late = PlansDue(TWO, trials, TWO, (), NOW - 2 * TEN - SECOND)
    assert (entries.plans_entries(late, NOW)[1].value, entries.plans_entries(late, NOW)[1].tone) == ("~2", "muted")


@pytest.mark.parametrize(
    ("due", "told"),
    [
        (WorkDue(2, 0, 0, NONE, NONE), ("2 alive", "good", "")),
        (WorkDue(2, 1, 0, NONE, NONE), ("2 alive, 1 late", "warn", "")),
        (WorkDue(0, 1, 0, NONE, NONE), ("0 alive, 1 late", "warn", "")),
        (WorkDue(1, 0, 3, NONE, NONE), ("1 alive, 3 gone", "warn", "")),
        (WorkDue(0, 0, 0, NONE, NONE), ("none alive", "bad", "watchfloor worker")),
    ],
)
def test_workers_in_a_line(due: WorkDue, told: tuple[str, str, str]) -> None:
    assert said(entries.work_entries(due, NOW))[0][1:] == told


def test_jobs_and_runs_that_wait() -> None:
    here = WorkDue(1, 0, 0, TWO, Count(1), elsewhere=True)
    assert entries.work_entries(here, NOW)[1].label == "dead letters here"
    assert said(entries.work_entries(WorkDue(1, 0, 0, TWO, Count(1)), NOW))[1:] == [
        ("dead", "2", "bad", ""),
        ("late", "1", "warn", ""),
    ]
    for due, value, tone in (
        (GatesDue(0, 0, 0, 0), "–", "unknown"),
        (GatesDue(3, 1, 1, 0, ("a/production", "b/staging")), "1 closed", "bad"),
        (GatesDue(3, 0, 1, 0, ("b/staging",)), "1 unknown", "unknown"),
        (GatesDue(3, 0, 0, 1), "none closed", "warn"),
        (GatesDue(3, 0, 0, 0), "none closed", ""),
    ):
        [entry] = entries.gates_entries(due, NOW)
        assert (entry.value, entry.tone) == (value, tone)
    assert said(entries.runs_entries(RunsDue(TWO, TWO, NONE), NOW)) == [
        ("waiting", "2", "warn", ""),
        ("refused", "0", "", ""),
    ]
    [waiting, refused] = entries.runs_entries(RunsDue(NONE, TWO, Count(1)), NOW)
    assert (waiting.value, waiting.tone, refused.tone) == ("0, 2 running", "", "bad")
    assert entries.runs_entries(RunsDue(NONE, NONE, NONE), NOW)[0].value == "0"


def test_a_budget_that_burns_says_what_is_left() -> None:
    burning = Burning(TWO, NONE, (Burner(1, "slow", "ok", 0.5, 0.0), Burner(2, "fast", "ok", 3.0, 0.25)))
    assert [(each.label, each.value, each.words) for each in entries.burning_entries(burning, NOW)] == [
        ("fast", "3.00 ×", "25.0% left"),
        ("slow", "0.50 ×", "0.0% left"),
    ]


def test_changes_are_told_with_what_keeps_the_trail_from_being_signed() -> None:
    made = Change(7, NOW, "ana", "tenants.suspend", "acme", False)
    beside = Change(8, NOW, "psql", "update", "globex", True)
    assert said(entries.changes_entries(Changes(TWO, (made, beside)), NOW)) == [
        ("number", "2", "", ""),
        ("7", "ana 12:00Z", "", ""),
        ("8", "psql 12:00Z", "warn", ""),
    ]
    assert said(entries.changes_entries(Changes(NONE, (), "no key"), NOW))[0] == ("trail", "refused", "bad", "no key")


def test_points_that_do_not_count_are_not_in_the_figures() -> None:
    slow, quick = (Point(10, 0, 1, Histogram.of([ms] * 10)) for ms in (900.0, 10.0))
    found = figures([(slow, 0.0), (quick, 0.5)], 5)
    assert (found.per_minute, found.error_share) == (1.0, 0.1) and found.p95_ms == pytest.approx(10, rel=0.02)
    assert figures([(quick, 0.5)], -1) == Figures() and figures([(quick, 0.5)], 1).per_minute == 5
