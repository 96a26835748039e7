"""Objectives and made-up traffic for the tests of the rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.objectives.model import Counts, Objective, Pair, Slice
from controlplane.objectives.rules import factor

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def objective(**fields: Any) -> Objective:
    known: dict[str, Any] = {
        "id": 1,
        "name": "api",
        "tenant_id": None,
        "plan": None,
        "route": None,
        "kind": "availability",
        "threshold_ms": None,
        "target": 0.999,
        "contractual": None,
        "period": "30d",
        "zone": "UTC",
        "min_events": 100,
        "version": 1,
        "created_at": NOW,
        "created_by": "ada",
        "updated_at": NOW,
    }
    return Objective(**{**known, **fields})


def slices(
    counts: Iterable[tuple[int, int]], *, seconds: int = 60, until: datetime = NOW, skipped: bool = False
) -> list[Slice]:
    """(good, total) of consecutive slices that end at `until`; without requests there is none."""
    numbers = list(counts)
    first = until - timedelta(seconds=seconds) * len(numbers)
    return [
        Slice(
            first + timedelta(seconds=seconds) * i, seconds, good, total, Counts(good, total) if skipped else Counts()
        )
        for i, (good, total) in enumerate(numbers)
        if total
    ]


def sli(counts: Counts) -> float | None:
    return counts.good / counts.total if counts.total else None


def detect_seconds(pair: Pair, period: timedelta, target: float, error_share: float) -> float | None:
    """Seconds until the long window burns too fast, with errors at a constant share from now on and none before."""
    seconds = factor(pair, period) * (1 - target) * pair.long.total_seconds() / error_share if error_share else None
    return seconds if seconds is not None and seconds <= pair.long.total_seconds() else None
