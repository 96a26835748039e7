"""When the share of errors changed: found at its step, never in chance, and never in what is not known."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.telemetry.model import FLEET, Point, Series
from controlplane.telemetry.onset import MIN_DIFFERENCE, Shift, last_shift, shift_happenings, shifts

START = datetime(2026, 11, 28, 12, tzinfo=UTC)


def drawn(shares: list[float], n: int = 200, seed: int = 1) -> list[tuple[int, int] | None]:
    """Requests of which each fails by chance."""
    chance = random.Random(seed)
    return [(n, sum(chance.random() < share for _ in range(n))) for share in shares]


@pytest.mark.parametrize("seed", range(5))
def test_a_rise_is_found_at_its_step(seed: int) -> None:
    (found,) = shifts(drawn([0.004] * 93 + [0.3] * 3, seed=seed))
    assert found.index == 93 and found.before < 0.01 and 0.2 < found.after < 0.4


@pytest.mark.parametrize("seed", range(5))
def test_an_incident_has_an_onset_and_an_end(seed: int) -> None:
    rise, fall = shifts(drawn([0.005] * 50 + [0.12] * 6 + [0.005] * 40, n=400, seed=seed))
    assert (rise.index, fall.index) == (50, 56) and fall.after < 0.02 < rise.after == fall.before


@pytest.mark.parametrize("seed", range(20))
def test_chance_is_no_change(seed: int) -> None:
    chance = random.Random(seed)
    assert shifts(drawn([0.03] * 180, n=150, seed=seed)) == []
    scattered = [chance.betavariate(1.2, 40) for _ in range(96)]  # shares that differ more than chance has them
    assert shifts(drawn(scattered, seed=seed)) == []


def test_one_bad_step_is_a_spike_and_no_change() -> None:
    assert shifts([(1000, 5)] * 30 + [(1000, 400)] + [(1000, 5)] * 30) == []


def test_a_change_too_small_to_act_on_is_not_told() -> None:
    assert shifts([(100_000, 100)] * 20 + [(100_000, 900)] * 20) == [], "under a percentage point"
    assert shifts([(100_000, 10_000)] * 20 + [(100_000, 15_000)] * 20) == [], "less than twice the share"
    assert shifts([(100, 0)] * 50 + [(1, 1)] * 4) == [], "four errors"


def test_what_is_not_known_is_no_zero() -> None:
    failing, gap = [(100, 30)], [None]
    assert shifts(failing * 20 + gap * 20 + failing * 20) == []
    assert shifts(gap * 5 + [(100, 0)] * 20 + [(0, 0)] * 5 + failing * 10) == [Shift(30, 0.0, 0.3)]
    assert shifts([]) == shifts(gap * 9) == shifts([(0, 0)] * 9) == shifts([(5, 5)] * 9) == []


steps = st.lists(st.none() | st.tuples(st.integers(0, 500), st.integers(0, 500)).map(sorted).map(
    lambda pair: (pair[1], pair[0])), max_size=40)  # fmt: skip


@settings(max_examples=60)
@given(steps)
def test_levels_alternate_in_order_and_differ(found_in) -> None:
    found = shifts(found_in)
    assert [each.index for each in found] == sorted({each.index for each in found})
    assert all(found_in[each.index] and found_in[each.index][0] for each in found)
    assert all(one.after == other.before for one, other in itertools.pairwise(found))
    assert all(abs(each.after - each.before) >= MIN_DIFFERENCE for each in found)


def test_it_is_told_with_its_time() -> None:
    points = [*[Point(200, 0, 0)] * 40, None, *[Point(200, 0, 20)] * 4]
    series = Series(FLEET, START, timedelta(minutes=15), tuple(points), START)
    (found,) = shift_happenings(series, "acme ")
    assert found.at == START + timedelta(hours=10, minutes=15) and (found.glyph, found.tone) == ("◢", "bad")
    assert found.words == "acme errors 0.0% → 10.0%"
    assert last_shift([found]) == found and last_shift([]) is None
    recovered = Series(FLEET, START, timedelta(minutes=15), (*points, *[Point(200, 0, 0)] * 30), START)
    assert [each.glyph for each in shift_happenings(recovered)] == ["◢", "◣"]
