"""The rules of jobs: pauses that grow and stay below their cap, and an order in which nobody waits for a flood."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal
from controlplane.jobs import rules
from controlplane.jobs.model import JOB_STATES, Job
from controlplane.jobs.rules import Lane, backoff, fair_batch, returning

NOW = datetime(2026, 3, 4, tzinfo=UTC)
WEIGHTS = st.sampled_from((1.0, 2.0, 3.0, 5.0, 10.0))
COSTS = st.lists(st.sampled_from((0.5, 1.0, 2.0)), max_size=30)
LANES = st.dictionaries(st.sampled_from("abcdefgh"), st.builds(Lane, st.floats(0, 20), WEIGHTS, COSTS), max_size=8)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_grows_to_its_cap(tries: int, jitter: float) -> None:
    assert 0 <= backoff(tries, jitter) < rules.BACKOFF_CAP
    assert backoff(tries, jitter) <= backoff(tries + 1, jitter)


def test_the_pauses_in_full() -> None:
    assert [backoff(n, 1) for n in range(1, 11)] == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600]


@given(LANES, st.integers(1, 40))
def test_a_batch_takes_what_there_is_and_no_more(lanes: dict[str, Lane], most: int) -> None:
    taken = Counter(fair_batch(lanes, most))
    assert sum(taken.values()) <= most
    assert all(number <= len(lanes[name].costs) for name, number in taken.items())
    if any(lane.costs for lane in lanes.values()):
        assert taken


@given(st.integers(1, 50), st.integers(2, 8))
def test_a_lane_that_comes_back_is_served_first_of_all_that_wait(flood: int, most: int) -> None:
    lanes = {"flood": Lane(500.0, 1, [1.0] * flood), "quiet": Lane(returning(3.0, [500.0], 499.0), 1, [1.0])}
    assert "quiet" in fair_batch(lanes, most)


@given(st.lists(WEIGHTS, min_size=2, max_size=5))
def test_over_time_each_gets_its_share(weights: list[float]) -> None:
    """Batch after batch of lanes that never run dry: no two differ by more than one batch's error."""
    v, got = [0.0] * len(weights), [0.0] * len(weights)
    for _ in range(60):
        lanes = {str(n): Lane(v[n], weight, [1.0] * 50) for n, weight in enumerate(weights)}
        for name in fair_batch(lanes, 20):
            v[int(name)] += 1 / weights[int(name)]
            got[int(name)] += 1
    for n, weight in enumerate(weights):
        assert abs(got[n] / sum(got) - weight / sum(weights)) < 0.03


def test_who_was_idle_saves_nothing_up_and_owes_what_it_owes() -> None:
    assert returning(1.0, [7.0, 9.0], 6.0) == 7.0
    assert returning(8.0, [7.0, 9.0], 6.0) == 8.0
    assert returning(1.0, [], 6.0) == 6.0


def job(state: str) -> Job:
    return Job(1, "x", None, None, 1, state, NOW, 5, 5, 5, None, None, "it broke", NOW, None)  # type: ignore[arg-type]


def test_what_may_be_done_in_which_state() -> None:
    for state in JOB_STATES:
        for check, good in ((rules.check_replay, ("dead", "canceled")), (rules.check_cancel, ("waiting",))):
            if state in good:
                check(job(state))
                continue
            with pytest.raises(Refusal) as refused:
                check(job(state))
            assert refused.value.code == "job_transition" and "error: it broke" in refused.value.why


def test_who_is_far_behind_takes_at_most_twice_its_share_of_one_batch() -> None:
    lanes = {name: Lane(v, 1.0, [1.0] * 50) for name, v in (("late", -1000.0), ("b", 0.0), ("c", 0.0), ("d", 0.0))}
    assert Counter(fair_batch(lanes, 10))["late"] == 5
    lanes["late"] = Lane(-1000.0, 5.0, [1.0] * 50)
    assert Counter(fair_batch(lanes, 8))["late"] == 8, "five of eight, and twice that is all of it"


def test_whose_turn_it_is_when_all_are_level() -> None:
    lanes = {name: Lane(0.0, weight, [2.0] * 4) for name, weight in (("b", 1.0), ("a", 1.0), ("c", 2.0))}
    assert fair_batch(lanes, 6) == ["a", "b", "c", "c", "a", "b"]


def test_what_is_under_way_is_told_from_what_is_over() -> None:
    for state, hint in (("running", "Its worker will end it."), ("done", "Only a waiting job can be canceled.")):
        with pytest.raises(Refusal) as refused:
            rules.check_cancel(job(state))
        assert refused.value.hint == hint
