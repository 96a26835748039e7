"""Detectors, and the thresholds that they judge by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

from controlplane.alerts.model import Severity
from controlplane.audit.model import Record
from controlplane.listing import Listing

DetectorState = Literal["ok", "silent", "failed", "late", "never"]
Language = Literal["sql", "promql"]


@dataclass(frozen=True, slots=True)
class Detector:
    """A statement over all tenants at once. `looked_at`: when it was evaluated last; `known_at`: when with a fresh
    source and without a failure. `took_ms`, `found`: of the last evaluation that ran its statement; None: none has.
    `silent`, `error`: why the last evaluation knows nothing. `open`: its alerts that are not resolved. `language`,
    `statement`: what a team's own detector asks; None for the others.

    "late": it was not evaluated for some periods; "never": no worker has evaluated it yet.
    """

    name: str
    every: timedelta
    means: str
    state: DetectorState
    looked_at: datetime | None
    known_at: datetime | None
    next_at: datetime
    took_ms: float | None
    found: int | None
    silent: str | None
    error: str | None
    open: int
    language: Language | None = None
    statement: str | None = None

    @property
    def key(self) -> str:
        return self.name

    @property
    def version(self) -> None:
        """Nobody edits a detector."""
        return None


@dataclass(frozen=True, slots=True)
class OwnDetector:
    """A team's own detector. `statement` measures, `threshold` is the default limit, beyond which a value fires."""

    name: str
    means: str
    every: timedelta
    severity: Severity
    language: Language
    statement: str
    fires: Literal["above", "below"]
    threshold: float
    unit: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of a tenant (None: of the estate), told apart by its labels. `value` None: it is not known."""

    tenant_id: str | None
    labels: Mapping[str, str]
    value: float | None


class MetricSource(Protocol):
    """Where PromQL is asked."""

    async def instant(self, query: str) -> Sequence[Measured]:
        """What an expression gives now. Raises Refusal `prometheus_…`, and what the mapping file's faults raise."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector finds wrong with a tenant (None: with the estate) in one way, told apart by its labels.

    `silent`: nothing is known of this one now, and why.
    """

    tenant_id: str | None
    labels: Mapping[str, str]
    severity: Severity
    value: float | None
    threshold: float | None
    unit: str
    summary: str
    details: Mapping[str, Any]
    silent: str | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an evaluation would do to one alert (`id` None: it would be new)."""

    does: tuple[str, ...]
    id: int | None
    tenant_id: str | None
    labels: dict[str, str]
    severity: Severity
    value: float | None
    threshold: float | None
    unit: str
    summary: str


@dataclass(frozen=True)
class DryRun:
    """What an evaluation would do now. `silent`: why its source is; then nothing would be fired or resolved. `counts`:
    how many alerts would get each event, or are unchanged; `alerts`: up to 200 of them, the changed ones first.
    """

    silent: str | None
    counts: Mapping[str, int]
    found: int | None = None
    took_ms: float | None = None
    alerts: tuple[Foreseen, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value of a detector's parameter ("quota_near.share"). `scope`: "tenant:acme", "plan:growth", "all",
    "default"; a tenant's holds before its plan's, that before the one of all. `usual`: the default. `version` None:
    this is the default, which nobody has set.
    """

    parameter: str
    detector: str
    scope: str
    tenant_id: str | None
    plan: str | None
    value: float
    usual: float
    least: float
    most: float
    unit: str
    means: str
    version: int | None
    set_at: datetime | None
    set_by: str | None

    @property
    def key(self) -> str:
        return f"{self.parameter}/{self.scope}"


@dataclass(frozen=True, slots=True)
class ThresholdSource:
    """One value that claims to hold; of several the first does."""

    source: str
    value: float
    set_by: str | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A parameter of a detector, and every value of it that claims to hold for somebody; the first does."""

    parameter: str
    unit: str
    sources: tuple[ThresholdSource, ...]


class Scope(NamedTuple):
    """Whom a threshold is for; neither: all."""

    tenant_id: str | None = None
    plan: str | None = None


class DetectorDirectory(Listing[Detector], Protocol):
    """The capability of a context to show its detectors."""

    async def dry_run(self, name: str) -> DryRun:
        """What an evaluation would do now; it writes nothing. Raises NotFound; NotPermitted below operator."""
        ...


class ThresholdDirectory(Listing[Threshold], Protocol):
    async def sources(self, parameter: str, tenant_id: str | None) -> Sequence[ThresholdSource]:
        """Every value that claims to hold for a tenant (None: for the estate), the one that holds first.

        Raises NotFound.
        """
        ...

    async def judged(self, detector: str, tenant_id: str | None) -> Sequence[Judged]:
        """The same for each parameter of a detector, in one statement."""
        ...


class DetectorStore(Protocol):
    """What the operations write through."""

    async def dry_run(self, name: str, metrics: MetricSource | None) -> DryRun: ...

    async def would(self, name: str, found: Sequence[Measured]) -> DryRun:
        """What an evaluation would do that measures this."""
        ...

    async def evaluate_soon(self, name: str) -> None: ...


class OwnDetectorStore(Protocol):
    async def all(self) -> Sequence[OwnDetector]: ...

    async def measure(self, detector: OwnDetector, metrics: MetricSource | None) -> Sequence[Measured]:
        """What its statement gives now. It may take a while, so it comes before anything is written.

        Raises Usage `own_detector_sql` for a statement that fails or whose columns do not fit; for PromQL Refusal
        `no_metric_source` and what `MetricSource` raises.
        """
        ...

    async def put(self, detector: OwnDetector) -> None: ...

    async def remove(self, name: str) -> None: ...


class ThresholdStore(Protocol):
    async def set(self, detector: str, name: str, scope: Scope, value: float | None) -> Record:
        """Set the value of a scope; None clears it. Raises Refusal `threshold_unknown`, `threshold_range`, …"""
        ...
