"""What is strange of a key: each signal where it should be, and none where nothing changed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.telemetry.anomalies import KeyUsage, Limits, Peers, Slice, judge

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


# At the edge of what counts: numbers whose standard errors come out whole


def volume(hours: int, n: int) -> Slice:
    return Slice(hours, n)


def timed(ms: float, variance: float, known: int = 4) -> Slice:
    return Slice(1, known, known=known, latency_sum=known * ms, latency_squares=known * (ms * ms + variance))


def failed(n: int, bad: int) -> Slice:
    return Slice(1, n, errors_5xx=bad)


EDGE = Limits(fewest=24, errors=4.0, times=3.0)


def test_a_spike_is_so_many_times_as_many_by_so_many_standard_errors() -> None:
    [spike] = judge(volume(1, 24), volume(1, 8), EDGE)
    assert (spike.name, spike.words) == ("spike", "24 requests, 8 expected: 3.0 ×, +4.0 standard errors")
    assert spike.inputs == {"requests": 24, "expected": 8.0, "ratio": 3.0, "standard_errors": 4.0}
    for stricter in ({"fewest": 25}, {"errors": 4.01}, {"times": 3.01}):
        assert not judge(volume(1, 24), volume(1, 8), dataclasses.replace(EDGE, **stricter))


def test_what_is_expected_goes_by_the_hours() -> None:
    [spike] = judge(volume(2, 80), volume(8, 32), EDGE)  # 4 an hour, so 8 in two; the error is that of √(4 · 2 · 1.25)
    assert spike.inputs["expected"] == 8 and spike.inputs["standard_errors"] == pytest.approx(72 / 10**0.5)


def test_a_drop_is_so_many_times_as_few_by_so_many_standard_errors() -> None:
    edge = Limits(fewest=32, errors=2.0, times=2.0)
    [drop] = judge(volume(1, 16), volume(1, 32), edge)
    assert (drop.name, drop.words) == ("drop", "16 requests, 32 expected: 0.5 ×, -2.0 standard errors")
    for stricter in ({"fewest": 33}, {"errors": 2.01}, {"times": 2.01}):
        assert not judge(volume(1, 16), volume(1, 32), dataclasses.replace(edge, **stricter))


def test_a_new_key_is_told_from_so_many_requests_on() -> None:
    [new] = judge(volume(1, 24), Slice(168), EDGE)
    assert (new.name, new.words) == ("new_key", "24 requests, and none in 168 h before")
    assert new.inputs == {"requests": 24, "baseline": 0, "baseline_hours": 168}
    assert not judge(volume(1, 23), Slice(168), EDGE)


def test_slower_is_slower_by_a_share_and_by_more_than_chance() -> None:
    edge = Limits(fewest=4, errors=1.0, slower=1.2)
    [slow] = judge(timed(12, 8), timed(10, 8), edge)
    assert (slow.name, slow.words) == ("latency", "mean 12.0 ms, 10.0 before: 1.0 standard errors")
    assert slow.inputs == {"mean_ms": 12, "baseline_ms": 10, "standard_error_ms": 2, "standard_errors": 1}
    for stricter in ({"fewest": 5}, {"errors": 1.01}, {"slower": 1.21}):
        assert not judge(timed(12, 8), timed(10, 8), dataclasses.replace(edge, **stricter))
    [even] = judge(timed(12, 0), timed(10, 0), edge)
    assert even.words == "mean 12.0 ms, 10.0 before" and even.inputs["standard_errors"] is None
    unknown = dataclasses.replace(timed(12, 8), known=0)
    assert not judge(unknown, timed(10, 8), edge) and not judge(timed(12, 8), unknown, edge)


def test_more_errors_are_more_by_a_share_and_by_more_than_chance() -> None:
    edge = Limits(fewest=8, errors=2.0, times=3.0, server_share=0.75)
    [more] = judge(failed(8, 6), failed(8, 2), edge)
    assert (more.name, more.words) == ("server_errors", "75.0% 5xx of 8, 25.0% before: 2.0 standard errors")
    assert more.inputs == {
        **{"errors": 6, "requests": 8, "share": 0.75, "baseline": 0.25},
        **{"standard_error": 0.25, "standard_errors": 2.0},
    }
    for stricter in ({"fewest": 9}, {"errors": 2.01}, {"times": 3.01}, {"server_share": 0.76}):
        assert not judge(failed(8, 6), failed(8, 2), dataclasses.replace(edge, **stricter))
    several = [signal for signal in judge(failed(8, 8), failed(32, 0), edge) if signal.name == "server_errors"]
    assert several[0].inputs["standard_error"] == pytest.approx(0.4 * (1 / 8 + 1 / 32) ** 0.5)
    all_of_them = judge(failed(8, 8), failed(8, 8), dataclasses.replace(edge, times=1.0, errors=0.0))[-1]
    assert all_of_them.words == "100.0% 5xx of 8, 100.0% before"


def test_of_a_new_key_a_high_share_of_errors_is_enough() -> None:
    edge = Limits(fewest=8, server_share=0.75)
    assert [signal.words for signal in judge(failed(8, 6), Slice(168), edge)][-1] == (
        "75.0% 5xx of 8; before is unknown"
    )


def test_what_a_slice_says_of_itself() -> None:
    some = Slice(2, 8, squares=50.0, known=2, latency_sum=20.0, latency_squares=250.0)
    assert (some.per_hour, some.spread, some.latency, some.latency_variance) == (4, 9, 10, 25)
    assert dataclasses.replace(some, squares=0).spread == 4, "chance alone makes so much"
    assert dataclasses.replace(some, latency_squares=0).latency_variance == 0
    none = Slice()
    assert (none.per_hour, none.spread, none.latency, none.latency_variance) == (None, 0, None, 0)


def test_a_key_is_told_with_the_numbers_that_it_was_found_by() -> None:
    signals = judge(volume(1, 2400), volume(1, 8), EDGE)
    usage = KeyUsage("acme", "wf_live_ab", "/", volume(1, 2400), volume(1, 8), signals, {404: 1200, 401: 3})
    assert usage.reasons() == [
        "spike: 2,400 requests, 8 expected: 300.0 ×, +598.0 standard errors",
        "  requests 2,400, expected 8, ratio 300, standard_errors 598",
        "refused: 3 × 401, 1,200 × 404",
    ]
    gone = dataclasses.replace(usage, denied=None)
    assert gone.reasons()[-1] == "refused: not known by status, the raw rows are gone"
    assert dataclasses.replace(gone, signals=()).reasons() == []
    assert len(dataclasses.replace(usage, denied={}).reasons()) == 2


# Beside the mean, the median of the windows before: one burst among them hides nothing


def of_windows(*per_hour: float) -> Slice:
    """A baseline of whole days, each with so many requests in every hour."""
    n = round(sum(per_hour) * 24)
    squares = sum(each * each * 24 for each in per_hour)
    return Slice(24 * len(per_hour), n, squares, windows=per_hour)


def test_a_burst_in_the_baseline_hides_no_spike() -> None:
    burst = of_windows(10, 10, 10, 400, 10, 10, 10)
    plain = dataclasses.replace(burst, windows=())
    assert not judge(Slice(24, 24 * 40), plain, LIMITS), "the mean is moved by the burst"
    [spike] = judge(Slice(24, 24 * 40), burst, LIMITS)
    assert spike.name == "spike" and spike.inputs["median"] == 240
    assert spike.inputs["deviations"] == pytest.approx((960 - 240) / 240**0.5)
    assert "usually 240: +46.5 deviations" in spike.words
    assert not judge(Slice(24, 240), burst, LIMITS), "as always"


def test_a_drop_is_seen_behind_a_burst_too() -> None:
    burst = of_windows(10, 10, 10, 400, 10, 10, 10)
    [drop] = judge(Slice(24, 24), burst, LIMITS)
    assert drop.name == "drop"
    assert not judge(Slice(24, 24), dataclasses.replace(burst, windows=()), LIMITS)


def test_a_key_that_varies_from_day_to_day_is_no_spike_for_its_median() -> None:
    varied = of_windows(5, 30, 10, 25, 8, 28, 15)
    assert not judge(Slice(24, 24 * 31), varied, LIMITS)


def test_too_few_windows_or_none_with_requests_have_no_median() -> None:
    for baseline in (of_windows(10, 10), of_windows(0, 0, 0, 0, 400, 0, 0)):
        for signal in judge(Slice(24, 24 * 400), baseline, LIMITS):
            assert not signal.inputs.get("median")


@pytest.mark.parametrize(
    ("n", "peers", "found"),
    [
        (500, None, True),
        (500, Peers(9, 100, 10), True),  # too few keys to compare with
        (500, Peers(10, 100, 10), True),
        (190, Peers(10, 100, 10), False),  # not twice as many
        (500, Peers(10, 100, 200), False),  # they differ by more among themselves
        (500, Peers(10, 450, 10), False),
        (29, Peers(10, 0, 0), False),
        (30, Peers(10, 0, 0), True),
    ],
)
def test_a_key_without_a_baseline_is_judged_by_its_plan(n: int, peers: Peers | None, found: bool) -> None:
    assert [each.name for each in judge(Slice(24, n), Slice(168), LIMITS, peers)] == (["new_key"] if found else [])


BEFORE = Slice(168, 1680, 16_800.0, 16, 16, 1680, 168_000.0, 1680 * 10_400.0, (10.0, 12.0, 8.0))
"""10 requests an hour of 100 ms, give or take 20; 1 % errors."""


@pytest.mark.parametrize(
    ("recent", "told"),
    [
        (
            Slice(24, 600, 15_000.0),
            "spike: 600 requests, 240 expected: 2.5 ×, +21.7 standard errors; usually 240: +5.1 deviations",
        ),
        (
            Slice(24, 60, 200.0),
            "drop: 60 requests, 240 expected: 0.2 ×, -10.9 standard errors; usually 240: -2.5 deviations",
        ),
        (
            Slice(24, 240, 2400.0, 0, 0, 240, 36_000.0, 240 * 23_400.0),
            "latency: mean 150.0 ms, 100.0 before: 25.0 standard errors",
        ),
        (Slice(24, 240, 2400.0, 0, 24), "server_errors: 10.0% 5xx of 240, 1.0% before: 9.2 standard errors"),
        (Slice(24, 240, 2400.0, 48, 0), "client_errors: 20.0% 4xx of 240, 1.0% before: 15.4 standard errors"),
    ],
)
def test_a_signal_says_its_numbers(recent: Slice, told: str) -> None:
    [signal] = judge(recent, BEFORE, Limits())
    assert f"{signal.name}: {signal.words}" == told


def test_a_new_key_is_compared_with_the_keys_of_its_plan() -> None:
    recent, none = Slice(24, 1000), Slice(168, 0)
    [signal] = judge(recent, none, Limits(), Peers(10, 400.0, 100.0))
    assert (
        signal.words
        == "1,000 requests, and none in 168 h before; 10 keys of its plan usually make 400: +6.0 deviations"
    )
    assert judge(recent, none, Limits(), Peers(9, 400.0, 100.0))[0].words == "1,000 requests, and none in 168 h before"
    assert judge(recent, none, Limits(), Peers(10, 500.0, 100.0)) and not judge(
        recent, none, Limits(), Peers(10, 501.0, 1.0)
    )
    spread = [judge(recent, none, Limits(), Peers(10, 400.0, each)) for each in (200.0, 200.1)]
    assert spread[0] and not spread[1]
    assert judge(Slice(24, 30), none, Limits()) and not judge(Slice(24, 29), none, Limits())
