"""The home's time goes on between its answers, whatever happens to this machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane import clock
from controlplane.clock import HomeClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Counter:
    value = 100.0

    def __call__(self) -> float:
        return self.value


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """What the machine's clock says is its last item."""
    said = [NOON]
    monkeypatch.setattr(clock, "machine_now", lambda: said[-1])
    return said


def test_the_time_is_the_last_answers_and_the_seconds_since(machine: list[datetime]) -> None:
    counter = Counter()
    home = HomeClock(counter)
    assert home.now() == NOON and home.off == "", "nothing else is known yet"
    asked = counter()
    counter.value += 1
    home.hear(NOON - timedelta(days=1), asked)
    counter.value += 60
    machine.append(NOON + timedelta(days=400))
    assert home.now() == NOON - timedelta(days=1) + timedelta(seconds=60.5), "half of the way there and back"


@pytest.mark.parametrize(
    ("by", "took", "words"),
    [
        (0, 0.1, ""),
        (1.9, 0.0, ""),
        (-1.9, 0.0, ""),
        (2.6, 0.0, "3s ahead"),
        (-2.6, 0.0, "3s behind"),
        (4, 5.0, ""),  # as likely the link's slowness
        (20, 5.0, "20s ahead"),
        (86_400, 0.0, "1d ahead"),
        (-86_400, 0.0, "1d behind"),
    ],
)
def test_a_clock_that_is_off_is_said_when_it_is_certain(
    machine: list[datetime], by: float, took: float, words: str
) -> None:
    counter = Counter()
    home, asked = HomeClock(counter), counter()
    counter.value += took
    machine.append(NOON + timedelta(seconds=by + took / 2))
    home.hear(NOON, asked)
    assert home.off == words


def test_a_clock_that_is_put_right_is_no_longer_said(machine: list[datetime]) -> None:
    home = HomeClock(Counter())
    machine.append(NOON + timedelta(hours=1))
    home.hear(NOON, 100.0)
    assert home.off == "1h ahead"
    machine.append(NOON)
    home.hear(NOON, 100.0)
    assert home.off == ""
