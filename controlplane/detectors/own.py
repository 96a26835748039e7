"""Make a team's own detectors match a file: SQL over the home, or PromQL against the context's Prometheus."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from controlplane.alerts.model import Severity
from controlplane.audit.model import Record
from controlplane.detectors.model import DetectorStore, OwnDetector, OwnDetectorStore
from controlplane.detectors.words import dry_run_notes
from controlplane.errors import Usage
from controlplane.formatting import parse_duration
from controlplane.operations import Request, Risk, operation
from controlplane.text import showable

if TYPE_CHECKING:
    from controlplane.changes import Change

MAX_OWN = 100
MAX_NOTES = 6
"""Lines about each detector: what it finds in all, and the first alerts."""
NAME = re.compile(r"own_[a-z0-9_]{1,46}")


def _shown(value: str) -> str:
    if not showable(value):
        raise ValueError("holds characters that cannot be shown")
    return value


def _own(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("own_ and up to 46 lower-case letters, digits and '_': so it is never taken for one of ours")
    return value


Limit = Annotated[float | None, Field(default=None, ge=-1e15, le=1e15, allow_inf_nan=False)]
Statement = Annotated[str | None, Field(default=None, min_length=1, max_length=8000)]


class DetectorSpec(Request):
    """All that a detector should be. Every row that its statement gives is judged; what is `above` or `below` the
    limit fires.
    """

    name: Annotated[str, AfterValidator(_own)]
    means: Annotated[Annotated[str, Field(min_length=1, max_length=300)], AfterValidator(_shown)]
    every: timedelta = timedelta(minutes=5)
    severity: Severity = "warning"
    unit: Annotated[Annotated[str, Field(default="", max_length=40)], AfterValidator(_shown)]
    sql: Statement
    promql: Statement
    above: Limit
    below: Limit

    @field_validator("every", mode="before")
    @classmethod
    def _every(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            every = timedelta(seconds=parse_duration(value))
        except Usage as fault:
            raise ValueError(f"{fault.message} {fault.hint}") from None
        if not timedelta(seconds=10) <= every <= timedelta(days=1):
            raise ValueError("from 10s to 1d")
        return every

    @model_validator(mode="after")
    def _one_of_each(self) -> DetectorSpec:
        if (self.sql is None) == (self.promql is None):
            raise ValueError("give either sql or promql")
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        return self

    def wanted(self) -> OwnDetector:
        return OwnDetector(
            self.name,
            self.means,
            self.every,
            self.severity,
            "promql" if self.sql is None else "sql",
            (self.promql if self.sql is None else self.sql.rstrip("; \n\t")) or "",
            "above" if self.below is None else "below",
            (self.above if self.below is None else self.below) or 0.0,
            self.unit,
        )


class DetectorsApply(Request):
    subject = ()
    detectors: Annotated[list[DetectorSpec], Field(max_length=MAX_OWN)]

    @model_validator(mode="after")
    def _once(self) -> DetectorsApply:
        seen: set[str] = set()
        for spec in self.detectors:
            if spec.name in seen:
                raise ValueError(f"{spec.name} is in the list twice")
            seen.add(spec.name)
        return self


@operation("detectors.apply", DetectorsApply, role="admin", risk=Risk.CONFIRM, key="f")
async def apply(change: Change, request: DetectorsApply) -> Record:
    """Replace the team's own detectors by a list; all or nothing, and those not in it are removed.

    Each new or changed one is tried; the preview shows what it finds now.
    """
    store = change.of(OwnDetectorStore)
    present = {each.name: each for each in await store.all()}
    wanted = {spec.name: spec.wanted() for spec in request.detectors}
    differ = {name: wanted[name] for name in sorted(wanted) if present.get(name) != wanted[name]}
    measured = {name: await store.measure(detector, change.metrics) for name, detector in differ.items()}
    notes: list[str] = []
    for name, detector in differ.items():
        await store.put(detector)
        notes += dry_run_notes(name, await change.of(DetectorStore).would(name, measured[name]))[:MAX_NOTES]
    removed = sorted(present.keys() - wanted.keys())
    for name in removed:
        await store.remove(name)
        notes.append(f"{name}: removed; its alerts stay unknown")
    created = len(differ.keys() - present.keys())
    return {
        "created": created,
        "changed": len(differ) - created,
        "removed": len(removed),
        "unchanged": len(wanted) - len(differ),
        "notes": notes,
    }
