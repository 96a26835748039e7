"""When a delivery is tried again, and the key that its repeats are told by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.deliveries.retries import PAUSES, idempotency_key, next_attempt
from controlplane.deliveries.verdicts import MAX_RETRY_AFTER

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
JITTER = st.floats(0, 1)


def run(jitters: list[float], after: float | None = None) -> list[timedelta]:
    """The pauses of a delivery that always fails."""
    pauses, at = [], AT
    for number, jitter in enumerate(jitters, 1):
        next_at = next_attempt(number, at, jitter, after)
        if next_at is None:
            break
        pauses.append(next_at - at)
        at = next_at
    return pauses


def test_eight_attempts_over_twenty_seven_hours_and_a_half() -> None:
    """As Svix does by default: 8 attempts over about 27.6 hours."""
    pauses = run([0.5] * 20)
    assert len(pauses) == 7
    assert pauses == [timedelta(seconds=n) for n in (5, 300, 1800, 7200, 18_000, 36_000, 36_000)]
    assert sum(pauses, timedelta()) == timedelta(hours=27, minutes=35, seconds=5)


@given(st.lists(JITTER, min_size=8, max_size=8))
def test_jitter_moves_each_pause_by_a_tenth_at_most(jitters: list[float]) -> None:
    pauses = run(jitters)
    assert len(pauses) == 7
    for pause, plain in zip(pauses, PAUSES, strict=True):
        assert 0.9 * plain - timedelta(microseconds=1) <= pause <= 1.1 * plain + timedelta(microseconds=1)
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert timedelta(hours=24) < sum(pauses, timedelta()) < timedelta(hours=31)


@given(st.integers(1, 7), JITTER, JITTER)
def test_a_greater_number_is_never_an_earlier_time(attempts: int, one: float, other: float) -> None:
    times = [next_attempt(attempts, AT, jitter) for jitter in sorted((one, other))]
    assert times[0] is not None and times[1] is not None and AT < times[0] <= times[1]


@given(st.integers(1, 7), JITTER, st.floats(0, MAX_RETRY_AFTER))
def test_never_before_the_receiver_asks_for_and_never_before_the_schedule(
    attempts: int, jitter: float, after: float
) -> None:
    at = next_attempt(attempts, AT, jitter, after)
    plain = next_attempt(attempts, AT, jitter)
    assert at is not None and plain is not None
    assert at >= plain and at - AT >= timedelta(seconds=after)
    assert at - AT <= max(plain - AT, timedelta(seconds=1.1 * MAX_RETRY_AFTER))


def test_after_the_last_attempt_there_is_none() -> None:
    assert next_attempt(8, AT, 0.5) is None and next_attempt(9, AT, 0.5, 10) is None
    assert next_attempt(1, AT, 0.5, pauses=()) is None


@given(st.text(), st.text(), st.text(), st.text())
def test_a_key_is_of_one_event_and_one_target(event: str, target: str, other_event: str, other_target: str) -> None:
    key = idempotency_key(event, target)
    assert key == idempotency_key(event, target) and len(key) == 44 and "." not in key and key.isascii()
    assert (key == idempotency_key(other_event, other_target)) == ((event, target) == (other_event, other_target))


def test_keys_do_not_run_together() -> None:
    assert idempotency_key("1", "23") != idempotency_key("12", "3")


@pytest.mark.parametrize("attempts", range(1, 8))
def test_without_an_answer_the_schedule_is_kept(attempts: int) -> None:
    assert next_attempt(attempts, AT, 0.5, None) == AT + PAUSES[attempts - 1]
