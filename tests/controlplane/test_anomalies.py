"""What is strange of a key: each signal where it should be, and none where nothing changed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.telemetry.anomalies import Limits, Slice, judge

LIMITS = Limits()


def steady(hours: int, per_hour: int, ms: float = 100.0, **more: int) -> Slice:
    n = hours * per_hour
    return Slice(hours, n, hours * per_hour**2, known=n, latency_sum=n * ms, latency_squares=n * ms * ms * 1.5, **more)


BASELINE = steady(168, 100, errors_5xx=17, errors_4xx=170)


def names(recent: Slice, baseline: Slice = BASELINE) -> list[str]:
    return [signal.name for signal in judge(recent, baseline, LIMITS)]


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        (steady(24, 100), []),
        (steady(24, 130), []),  # more than chance, and too little to matter
        (steady(24, 250), ["spike"]),
        (steady(24, 40), ["drop"]),
        (Slice(24), ["drop"]),
        (steady(24, 100, ms=150), ["latency"]),
        (steady(24, 100, ms=110), []),
        (steady(24, 100, errors_5xx=240), ["server_errors"]),
        (steady(24, 100, errors_5xx=100), []),
        (steady(24, 100, errors_4xx=600), ["client_errors"]),
        (steady(24, 1, errors_5xx=24), ["drop"]),  # too few to say more of
        (Slice(0), []),  # nothing was collected: unknown, not a drop
    ],
)
def test_signals(recent: Slice, expected: list[str]) -> None:
    assert names(recent) == expected


def test_a_key_without_a_baseline_is_told() -> None:
    assert names(steady(24, 10), Slice(168)) == ["new_key"]
    assert names(steady(24, 1), Slice(168)) == []
    assert names(steady(24, 10), Slice(0)) == [], "nothing was collected then: not new"
    assert names(steady(24, 10, errors_4xx=200), Slice(168)) == ["new_key", "client_errors"]


def test_a_key_that_is_always_bursty_is_no_spike() -> None:
    bursts = dataclasses.replace(BASELINE, squares=BASELINE.hours * (100.0**2 + 600.0**2))
    assert names(dataclasses.replace(steady(24, 210), squares=0), bursts) == []


slices = st.builds(
    Slice,
    st.integers(0, 200),
    st.integers(0, 10**6),
    st.floats(0, 1e12),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.floats(0, 1e9),
    st.floats(0, 1e12),
)


@given(slices, slices)
def test_whatever_was_stored_is_judged(recent: Slice, baseline: Slice) -> None:
    def sound(each: Slice) -> Slice:
        bad = min(each.errors_5xx, each.n)
        return dataclasses.replace(each, errors_5xx=bad, errors_4xx=min(each.errors_4xx, each.n - bad))

    for signal in judge(sound(recent), sound(baseline), LIMITS):
        assert signal.words and signal.inputs


@given(st.integers(1, 100), st.integers(1, 400))
def test_the_same_as_before_is_never_strange(hours: int, per_hour: int) -> None:
    assert names(steady(hours, per_hour), steady(168, per_hour)) == []
