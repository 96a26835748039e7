"""Heartbeats: what says from outside that it is alive, and when it is expected to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from controlplane.alerts.model import Severity
from controlplane.changes import Store
from controlplane.listing import Listing

State = Literal["alive", "never", "late", "missing", "retired"]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`every`, `grace`: seconds. `expected_at`: when the next beat is due; `grace` later it is missing, which is the
    alert. `beat_at` None: there was none yet. `tenant_id` None: of the whole estate.
    """

    name: str
    tenant_id: str | None
    means: str
    every: int
    grace: int
    severity: Severity
    version: int
    created_at: datetime
    created_by: str
    retired_at: datetime | None
    beat_at: datetime | None
    expected_at: datetime
    state: State

    @property
    def key(self) -> str:
        return self.name


class HeartbeatDirectory(Listing[Heartbeat], Protocol):
    """The capability of a context to show its heartbeats."""


class HeartbeatStore(Store[Heartbeat], Protocol):
    """Raises Conflict `heartbeat_taken` for a second heartbeat of the same name."""
