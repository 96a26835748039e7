"""Histograms add up, and their percentiles are those by rank, within 2 %."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.telemetry.model import (
    EPOCH,
    OVERFLOW,
    Histogram,
    Point,
    Scope,
    Series,
    add,
    bucket_of,
    merge,
    percentile,
    rank,
    value_of,
    whole_steps,
)

latencies = st.lists(st.floats(0.1, 1e9), min_size=1, max_size=60)
shares = st.floats(0.001, 1.0)


@given(latencies, shares)
def test_percentile_is_within_two_percent_of_the_exact_one(values: list[float], share: float) -> None:
    exact, ours = percentile(values, share), Histogram.of(values).percentile(share)
    assert exact is not None and ours is not None
    assert abs(ours - exact) <= 0.02 * exact


@given(latencies, latencies)
def test_merging_is_concatenating(some: list[float], others: list[float]) -> None:
    assert merge([Histogram.of(some), Histogram.of(others)]) == Histogram.of(some + others)


@given(st.lists(latencies, min_size=1, max_size=8), shares, st.randoms(use_true_random=False))
def test_merging_in_any_order_and_grouping_says_the_same(
    parts: list[list[float]], share: float, chance: Random
) -> None:
    histograms = [Histogram.of(part) for part in parts]
    at_once, heap = merge(histograms), list(histograms)
    while len(heap) > 1:  # any two of them, until one is left: as minutes, hours and fleets are merged
        chance.shuffle(heap)
        heap.append(merge([heap.pop(), heap.pop()]))
    assert heap[0] == at_once
    exact, ours = percentile([ms for part in parts for ms in part], share), heap[0].percentile(share)
    assert exact is not None and ours is not None and abs(ours - exact) <= 0.02 * exact


@given(st.floats(0.0, 1e9))
def test_a_latency_lies_in_its_bucket(ms: float) -> None:
    bucket = bucket_of(ms)
    assert 0 <= bucket < 32_768
    if ms > 0.1:
        assert abs(value_of(bucket) - ms) <= 0.02 * ms


def test_percentile_is_a_value_that_occurred() -> None:
    values = [1.0] * 95 + [1000.0] * 5
    assert percentile(values, 0.95) == 1.0
    assert percentile(values, 0.951) == 1000.0
    assert percentile([], 0.5) is None
    assert Histogram().percentile(0.5) is None


def test_p99_needs_a_hundred_requests() -> None:
    assert Point(99, 0, 0, Histogram.of([5.0] * 99)).p99 is None
    assert Point(100, 0, 0, Histogram.of([5.0] * 100)).p99 is not None
    most = Point(200, 0, 0, Histogram.of([5.0] * 198 + [900.0] * 2))
    assert most.p50 == most.p95 == most.p99 == value_of(bucket_of(5.0)), "two of 200 are slower than the p99"
    assert Point(500, 0, 0).p50 is None, "no latency is known: unknown, not zero"


def test_a_series_keeps_its_gaps() -> None:
    start, hour = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)
    busy = Point(10, 1, 2, Histogram.of([3.0]), 3.0)
    series = Series(Scope("acme"), start, hour, (busy, None, busy), start)
    assert series.times() == [start, start + hour, start + 2 * hour]
    whole = series.whole
    assert whole is not None
    assert (whole.n, whole.errors_4xx, whole.errors_5xx, whole.latency_max) == (20, 2, 4, 3.0)
    assert whole.error_share == 0.2
    assert add([]) is None


def test_where_buckets_begin_and_what_they_stand_for() -> None:
    assert [bucket_of(ms) for ms in (0.0, 0.1, 0.1001, 0.104, 0.1041)] == [0, 0, 1, 1, 2]
    assert value_of(0) == 0.1 and 0.1 < value_of(1) < 0.104 < value_of(2)
    assert [rank(share, 5) for share in (0.0, 0.2, 0.21, 1.0, 2.0)] == [1, 1, 2, 5, 5]


def test_what_is_past_the_last_bound_is_counted_and_has_no_value() -> None:
    some = Histogram((3, OVERFLOW), (3, 1))
    assert (some.n, some.bounded, some.bounded.bounded) == (4, Histogram((3,), (3,)), Histogram((3,), (3,)))
    assert some.percentile(0.75) == value_of(3) and some.percentile(0.76) is None
    assert Histogram().bounded == Histogram() and OVERFLOW == 2**15 - 1


def test_a_step_stands_for_as_long_as_was_counted_in_it() -> None:
    start, hour = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)
    series = Series(Scope("acme"), start, hour, (None,) * 3, start + 2.5 * hour, since=start + 0.25 * hour)
    assert [series.known_for(n) / hour for n in range(4)] == [0.75, 1, 0.5, -0.5]
    assert [replace(series, since=None).known_for(n) / hour for n in range(2)] == [1, 1]


def test_whose_requests_and_who_counted_them() -> None:
    series = Series(Scope(None, "/a", None, "eu"), datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1), (), EPOCH)
    assert series.label == "all tenants, /a, region eu"
    assert replace(series, source="prometheus").label == "all tenants, /a, region eu, as prometheus counted"
    assert series.whole is None


def test_steps_are_whole_and_not_too_many() -> None:
    second, start = timedelta(seconds=1), datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
    assert whole_steps(start, start + second, 5 * second) == (start - 2 * second, 1)
    assert whole_steps(start, start + 4 * second, 5 * second) == (start - 2 * second, 2)
    assert whole_steps(start, start + 2000 * second, second) == (start, 2000)
    for end, step in ((start, second), (start + second, second / 2), (start + 2001 * second, second)):
        with pytest.raises(Usage):
            whole_steps(start, end, step)


def test_the_slowest_of_several_points_is_the_slowest_of_all() -> None:
    whole = add([Point(1, 0, 0), Point(2, 1, 0, latency_max=7.0), Point(3, 0, 2, latency_max=5.0)])
    assert whole is not None
    assert (whole.n, whole.errors_4xx, whole.errors_5xx, whole.latency_max) == (6, 1, 2, 7.0)
    assert Point(0, 0, 0).error_share is None
