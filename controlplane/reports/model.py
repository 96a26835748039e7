"""Governance reports: what was decided, waived and proven in a week or for a release, and how things stood then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import ById, Listing

ReportKind = Literal["weekly", "release"]
Data = Mapping[str, Any]
"""What a report says (`controlplane/reports/data.py` describes it)."""


@dataclass(frozen=True, slots=True)
class Report(ById):
    """`subject`: 2026-W48, or which release. `made_at` None: a worker has yet to make it. `sha256`: of its data."""

    id: int
    kind: ReportKind
    subject: str
    from_at: datetime
    to_at: datetime
    asked_at: datetime
    asked_by: str
    made_at: datetime | None
    sha256: str | None
    version: int


class ReportDirectory(Listing[Report], Protocol):
    async def get(self, number: int) -> Report:
        """Raises NotFound."""
        ...

    async def data(self, number: int) -> str | None:
        """The text that was hashed; None: it is not made yet."""
        ...


class ReportStore(Protocol):
    """What the operations write through."""

    async def ask(self, subject: str, since: datetime) -> Report:
        """A report of a release, from then until now."""
        ...
