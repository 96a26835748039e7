"""A run without a home, and a clock that only its own sleep moves."""

from __future__ import annotations

from datetime import UTC, datetime

from controlplane.runs.model import Run, RunState


class Ticks:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def a_run(state: RunState) -> Run:
    made = datetime(2026, 1, 2, tzinfo=UTC)
    return Run(
        id=7,
        operation="tenants.suspend",
        fields={},
        filter=None,
        undoes=None,
        reason="spam",
        actor="ana",
        state=state,
        why=None,
        per_second=10,
        breaker_share=0.2,
        settled_before=0,
        created_at=made,
        changed_at=made,
        waiting=3,
        done=0,
        refused=0,
        skipped=0,
        driver=None,
        standing=state,
    )
