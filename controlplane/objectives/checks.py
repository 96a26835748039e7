"""What makes an objective valid, what to warn of before it is saved, and the steps of what-if."""

from __future__ import annotations

from datetime import datetime

from controlplane.errors import Refusal
from controlplane.objectives.model import Kind, Objective
from controlplane.objectives.refusals import (
    OBJECTIVE_CONTRACTUAL,
    OBJECTIVE_PERIOD,
    OBJECTIVE_RETIRED,
    OBJECTIVE_THRESHOLD,
)
from controlplane.objectives.rules import ALMOST, CALENDAR, PAIRS, factor, is_rolling, period_of, reachable, span

LADDER = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99995, 0.99999)
"""Targets that are usual in agreements: the steps of the keys `+` and `-`."""
PERIODS = ("7d", "14d", "28d", "30d", "90d", "week", "month", "quarter")


def check_period(period: str) -> str:
    if period not in CALENDAR and not is_rolling(period):
        raise OBJECTIVE_PERIOD(f'"{period}" is not a window of an objective.')
    return period


def check_open(objective: Objective) -> None:
    if objective.retired_at is not None:
        raise OBJECTIVE_RETIRED(
            f"{objective.label} is retired.",
            f"To bring it back: watchfloor objectives restore {objective.id}",
            why=[f"retired: {objective.retired_at:%Y-%m-%d %H:%M} UTC"],
        )


def check_restore(objective: Objective) -> None:
    if objective.retired_at is None:
        raise Refusal("objective_not_retired", f"{objective.label} is not retired.")


def check_fields(kind: Kind, threshold_ms: float | None, target: float, contractual: float | None) -> None:
    if (kind == "latency") != (threshold_ms is not None):
        needs = "needs its threshold in milliseconds" if kind == "latency" else "has no threshold"
        raise OBJECTIVE_THRESHOLD(f"An objective of {kind} {needs}.", "--kind latency --threshold-ms 300")
    if contractual is not None and contractual > target:
        raise OBJECTIVE_CONTRACTUAL()


def warnings(objective: Objective, now: datetime) -> list[str]:
    """What a person should know before the objective is saved."""
    start, end = period_of(objective.period, objective.zone, now)
    found = []
    for pair in PAIRS:
        threshold = factor(pair, end - start)
        words = f"{pair.severity} over {span(pair.long)}/{span(pair.short)}"
        if not reachable(objective.target, threshold):
            share = threshold * (1 - objective.target)
            found.append(f"{words} can never fire: burn {threshold:.4g} would need {share:.0%} errors")
        elif threshold < 0.5:
            found.append(f"{words} fires at burn {threshold:.3g}, when the budget would outlast its window")
    return found


def step_target(target: float, by: int) -> float:
    """The next target of the ladder, up (stricter) or down; the same one at its end."""
    if by > 0:
        return next((each for each in LADDER if each > target + ALMOST), target)
    return next((each for each in reversed(LADDER) if each < target - ALMOST), target)


def step_period(period: str, by: int) -> str:
    if period in PERIODS:
        return PERIODS[max(0, min(len(PERIODS) - 1, PERIODS.index(period) + by))]
    return PERIODS[3]
