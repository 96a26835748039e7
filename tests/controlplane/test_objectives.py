"""Budgets, burn rates and states: the formulas, the golden factors, and what must never be said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.objectives.checks import (
    LADDER,
    PERIODS,
    check_fields,
    check_period,
    step_period,
    step_target,
    warnings,
)
from controlplane.objectives.model import Counts, Slice
from controlplane.objectives.rules import (
    DAY,
    HOUR,
    PAIRS,
    History,
    absent_after,
    allowed_bad,
    burn,
    burn_down,
    evaluate,
    factor,
    period_of,
    rank,
    reachable,
    remaining,
    replay,
    replayed,
    resolve,
    time_to_empty,
)
from tests.controlplane.objectives import NOW, detect_seconds, objective, sli, slices

QUICK = PAIRS[0]
targets = st.floats(0, 0.99999)
counts = st.tuples(st.integers(0, 10**9), st.integers(1, 10**9)).map(lambda two: Counts(min(two), max(two)))
GOOD_AND_ALL = st.tuples(st.integers(0, 500), st.integers(1, 500)).map(lambda two: (min(two), max(two)))


# 2.a


@pytest.mark.parametrize(("days", "golden"), [(30, (14.4, 6, 3, 1)), (28, (13.44, 5.6, 2.8, 0.9333))])
def test_the_factors_are_derived(days: int, golden: tuple[float, ...]) -> None:
    assert [factor(pair, days * DAY) for pair in PAIRS] == pytest.approx(golden, abs=1e-4)
    assert [(pair.severity, pair.long, pair.short) for pair in PAIRS] == [
        ("page", HOUR, HOUR / 12),
        ("page", 6 * HOUR, HOUR / 2),
        ("ticket", DAY, 2 * HOUR),
        ("ticket", 3 * DAY, 6 * HOUR),
    ]


def test_time_to_empty_at_constant_burn() -> None:
    hours = [seconds / 3600 for rate in (14.4, 6, 3, 1) if (seconds := time_to_empty(1, 30 * DAY, rate)) is not None]
    assert hours == pytest.approx([50, 120, 240, 720])
    assert [time_to_empty(*asked) for asked in ((0.0, DAY, 1.0), (-1.0, DAY, 1.0), (1.0, DAY, 0.0))] == [None] * 3
    assert time_to_empty(None, DAY, 1) is None and time_to_empty(1, DAY, None) is None


# 2.b and 2.c


def outage(clean: int, broken: int, mended: int = 0) -> list[Slice]:
    """A request a second: so many seconds each."""
    return slices([*[(1, 1)] * clean, *[(0, 1)] * broken, *[(1, 1)] * mended], seconds=1)


def test_an_outage_fires_at_the_first_evaluation_after_51_84_seconds() -> None:
    assert detect_seconds(QUICK, 30 * DAY, 0.999, 1.0) == pytest.approx(51.84)
    history = outage(6 * 3600, 120)
    [page] = [each for each in replay(objective(), history, 30 * DAY) if each.severity == "page"]
    assert (page.start - history[6 * 3600].start).total_seconds() == 52


def test_the_short_window_clears_the_page_within_five_minutes() -> None:
    history = outage(6 * 3600, 60, 3000)
    [page] = [each for each in replay(objective(), history, 30 * DAY) if each.severity == "page"]
    stopped = history[6 * 3600 + 60].start
    assert timedelta() < page.end - stopped <= timedelta(minutes=5)
    at_end = evaluate(objective(), history, history[-1].end)
    assert not at_end.verdicts[0].fires and (at_end.verdicts[0].long_burn or 0) > 14.4  # the long one still burns


def test_what_would_have_fired_is_told_beside_how_it_stands() -> None:
    history = slices([*[(60, 60)] * 100, *[(0, 60)] * 10])
    standing, episodes = replayed(objective(), history, NOW)
    assert standing == evaluate(objective(), history, NOW) and episodes == replay(objective(), history, 30 * DAY)
    assert {each.severity for each in episodes} >= {"page"}


# 2.d


def test_one_error_in_three_requests_is_insufficient_data_and_no_page() -> None:
    night = slices([(2, 3), (0, 0)])
    standing = evaluate(objective(), night, NOW)
    assert standing.state == "insufficient data"
    assert any("3 requests, at least 100 are needed" in words for words in standing.why)
    assert not replay(objective(), night, 30 * DAY)
    lonely = evaluate(objective(min_events=1), night, NOW)
    assert lonely.state == "insufficient data" and any("1 bad, at least 2" in words for words in lonely.why)


# 2.e


def test_more_good_than_all_is_flagged_and_no_budget_is_shown() -> None:
    standing = evaluate(objective(), slices([(50, 100), (120, 100)]), NOW)
    assert standing.state == "unknown" and "cannot be right" in standing.why[0]
    assert standing.remaining is None and standing.remaining_raw is None and standing.burn is None
    assert evaluate(objective(), [replace(slices([(1, 1)])[0], good=-1)], NOW).state == "unknown"


# 2.f and the algebra


def test_what_remains_may_be_below_zero() -> None:
    assert remaining(Counts(9863, 10000), 0.99) == pytest.approx(-0.37)


@given(counts, targets)
def test_the_budget_adds_up(some: Counts, target: float) -> None:
    left, share = remaining(some, target), sli(some)
    assert left is not None and share is not None
    assert left == pytest.approx(((1 - target) - some.bad / some.total) / (1 - target), abs=1e-6, rel=1e-6)
    assert (left >= -1e-9) == (some.bad <= allowed_bad(some.total, target) * (1 + 1e-9))
    assert 0 <= share <= 1 and left <= 1


@given(st.lists(counts, min_size=1, max_size=6), targets)
def test_ratios_come_from_sums_and_not_from_ratios(parts: list[Counts], target: float) -> None:
    """The burn of the whole lies between its parts' burns, however they are cut."""
    whole = burn(Counts(sum(p.good for p in parts), sum(p.total for p in parts)), target)
    burns = [rate for part in parts if (rate := burn(part, target)) is not None]
    assert whole is not None and min(burns) - 1e-6 <= whole <= max(burns) * (1 + 1e-9) + 1e-6


@given(st.lists(GOOD_AND_ALL, max_size=200))
def test_windows_that_touch_share_no_slice_and_lose_none(numbers: list[tuple[int, int]]) -> None:
    history = History(slices(numbers), adjusted=True)
    cuts = [NOW - timedelta(minutes=m) for m in (400, 170, 61, 60, 5, 0)]
    parts = [history.counts(a, b) for a, b in pairwise(cuts)]
    assert sum(part.total for part in parts) == sum(total for _, total in numbers)
    assert sum(part.bad for part in parts) == sum(total - good for good, total in numbers)


@given(
    st.lists(GOOD_AND_ALL, min_size=1, max_size=90),
    st.sampled_from(LADDER),
)
def test_a_replay_says_at_its_end_what_is_said_now(numbers: list[tuple[int, int]], target: float) -> None:
    """One definition: what fires now is what the replay has running at its last slice."""
    asked, history = objective(target=target), slices(numbers)
    if not history:
        return
    end = history[-1].end
    now = {each.pair.severity for each in evaluate(asked, history, end).verdicts if each.fires}
    assert {each.severity for each in replay(asked, history, 30 * DAY) if each.end == end and each.start <= end} >= now


@given(st.sampled_from(LADDER), st.sampled_from(PERIODS[:5]))
def test_a_threshold_that_is_called_unreachable_is_not_reached_by_nothing_but_errors(
    target: float, period: str
) -> None:
    start, end = period_of(period, "UTC", NOW)
    for pair in PAIRS:
        threshold = factor(pair, end - start)
        rate = burn(Counts(0, 1000), target)
        assert rate is not None
        assert reachable(target, threshold) == (rate > threshold * (1 + 1e-9))


def test_unreachable_thresholds_are_said() -> None:
    assert any(
        "can never fire: burn 14.4 would need 144% errors" in each for each in warnings(objective(target=0.9), NOW)
    )
    assert warnings(objective(), NOW) == []
    assert any("would outlast" in each for each in warnings(objective(period="7d"), NOW))


# States


def test_no_data_is_never_ok() -> None:
    assert evaluate(objective(), [], NOW).state == "unknown"
    quiet = slices([(500, 500)] * 60, until=NOW - timedelta(minutes=11))
    standing = evaluate(objective(), quiet, NOW)
    assert standing.state == "unknown" and "no data since 2026-03-31 11:49 UTC" in standing.why[0]
    assert standing.remaining == 1
    assert evaluate(objective(), quiet, NOW - timedelta(minutes=3)).state == "ok"
    assert absent_after(0.999, 30 * DAY) == timedelta(minutes=10) < absent_after(0.9, 7 * DAY) <= HOUR


def test_pages_go_before_tickets_and_both_before_silence() -> None:
    burning = slices([(1000, 1000)] * 200 + [(900, 1000)] * 60)
    assert evaluate(objective(), burning, NOW).state == "page"
    slow = slices([(1000, 1000)] * 200 + [(994, 1000)] * 200)
    assert evaluate(objective(), slow, NOW).state == "ticket"
    silent = evaluate(objective(), slow, NOW + timedelta(minutes=20))
    assert silent.state == "ticket" and silent.why[-1] == "no data since 2026-03-31 12:00 UTC"


def test_planned_maintenance_is_annotated_and_both_budgets_are_there() -> None:
    good = slices([(1000, 1000)] * 60)
    broken = slices([(0, 1000)] * 30, until=NOW - HOUR, skipped=True)
    standing = evaluate(objective(contractual=0.99), [*broken, *good], NOW)
    assert standing.state == "ok" and standing.remaining == 1
    assert standing.remaining_raw is not None and standing.remaining_raw < -300
    assert (standing.raw.total, standing.adjusted.total) == (90_000, 60_000)
    assert standing.remaining_contractual == 1


# Windows and zones


def test_calendar_windows_are_of_their_zone_and_dst_moves_no_edge() -> None:
    start, end = period_of("month", "Europe/Berlin", datetime(2026, 3, 31, 23, tzinfo=UTC))
    assert (start, end) == (datetime(2026, 3, 31, 22, tzinfo=UTC), datetime(2026, 4, 30, 22, tzinfo=UTC))
    start, end = period_of("month", "Europe/Berlin", datetime(2026, 3, 15, tzinfo=UTC))
    assert end - start == 31 * DAY - HOUR and start == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert period_of("quarter", "UTC", NOW) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert period_of("week", "UTC", NOW)[0] == datetime(2026, 3, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    st.sampled_from(["week", "month", "quarter"]),
)
def test_calendar_windows_tile_time(now: datetime, zone: str, period: str) -> None:
    start, end = period_of(period, zone, now)
    assert start <= now < end
    assert period_of(period, zone, end)[0] == end
    assert period_of(period, zone, start) == (start, end)


def test_a_burn_down_ends_at_what_remains_and_leaves_gaps() -> None:
    hours = slices([(990, 1000)] * 5 + [(0, 0)] * 2 + [(1000, 1000)] * 5, seconds=3600)
    line = burn_down(objective(), hours, NOW - 30 * DAY)
    values = [value for _, value in line]
    assert values[5:7] == [None, None] and len(values) == 12
    assert values[-1] == pytest.approx(evaluate(objective(), hours, NOW).remaining)
    assert burn_down(objective(), [], NOW) == []


# Inheritance


def test_the_most_specific_holds_and_the_losers_are_named() -> None:
    rows = [
        objective(id=1),
        objective(id=2, route="/orders"),
        objective(id=3, plan="growth"),
        objective(id=4, tenant_id="acme"),
        objective(id=5, tenant_id="acme", route="/orders"),
        objective(id=6, tenant_id="acme", retired_at=NOW, route="/orders"),
        objective(id=7, name="speed"),
        objective(id=8, tenant_id="other"),
    ]
    assert [rank(each) for each in rows[:5]] == [0, 1, 2, 3, 4]
    api, speed = resolve(rows, "acme", "growth", "/orders")
    assert api.objective.id == 5 and [each.id for each in api.losers] == [4, 3, 2, 1]
    assert speed.objective.id == 7 and speed.losers == ()
    assert [each.objective.id for each in resolve(rows, "acme", "growth", None)] == [4, 7]
    assert [each.objective.id for each in resolve(rows, "new", "growth", "/x")] == [3, 7]


# What is typed


def test_what_cannot_be_is_refused_in_words() -> None:
    for text in ("6d", "91d", "030d", "year", ""):
        with pytest.raises(Usage):
            check_period(text)
    assert check_period("7d") and check_period("90d") and check_period("month")
    for fields in (("latency", None, 0.9, None), ("availability", 5.0, 0.9, None), ("latency", 5.0, 0.9, 0.95)):
        with pytest.raises(Usage):
            check_fields(*fields)  # type: ignore[arg-type]


def test_a_step_up_and_down_comes_back_on_the_ladder() -> None:
    assert step_target(0.999, 1) == 0.9995 and step_target(0.999, -1) == 0.998
    assert step_target(0.9992, 1) == 0.9995 and step_target(0.9992, -1) == 0.999
    assert step_target(LADDER[-1], 1) == LADDER[-1] and step_target(LADDER[0], -1) == LADDER[0]
    assert all(step_target(step_target(each, 1), -1) == each for each in LADDER[:-1])
    assert step_period("30d", 1) == "90d" and step_period("7d", -1) == "7d" and step_period("10d", 1) in PERIODS
