"""Gates as they are read: how each stands, its runs and what they found; and what gates need from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from controlplane.gates.deciding import CheckState, Decision, Result, Verdict, Waiver
from controlplane.gates.judged import Because
from controlplane.listing import Listing

if TYPE_CHECKING:
    from controlplane.gates.document import Definition

Mode = Literal["full", "fast"]
MODES: tuple[Mode, ...] = ("full", "fast")
Standing = Literal["GO", "GO_WITH_CONDITIONS", "NO_GO", "INCONCLUSIVE", "never", "retired"]
WaiverState = Literal["active", "waiting", "over"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate as it is kept. `definition`: canonical JSON; `sha256`: of that text."""

    name: str
    definition: str
    sha256: str
    version: int
    updated_at: datetime
    updated_by: str
    retired_at: datetime | None

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class GateSchedule:
    """A worker runs the gate there every so often."""

    gate: str
    environment: str
    every: timedelta
    ended_at: datetime | None
    version: int

    @property
    def key(self) -> str:
        return f"{self.gate}/{self.environment}"


@dataclass(frozen=True, slots=True)
class GateRow:
    """How a gate stands in an environment now: by its present version, the newest result of each check, the waivers and
    the answers. `decided_at` None: it was never decided there. `decision` None: the definition cannot be read.

    `closes_at`: when it closes by itself, because a waiver ends or a result becomes stale. `trend`: the verdicts of the
    last runs, the oldest first. `every`: how often a worker runs it there; None: it has no schedule.
    """

    gate: str
    environment: str
    standing: Standing
    version: int
    sha256: str
    owner: str
    checks: int
    blocking: tuple[str, ...]
    closes_at: datetime | None
    decided_at: datetime | None
    run_id: int | None
    trend: tuple[str, ...]
    decision: Decision | None = None
    every: timedelta | None = None

    @property
    def key(self) -> str:
        return f"{self.gate}/{self.environment}"


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check of a gate in an environment, or of one of its runs. `at` None: there is no result. `observed`: the
    JSON text that was judged; `sha256`: of it.
    """

    name: str
    kind: str
    state: CheckState
    because: Because
    required: bool
    value: float | None
    threshold: str
    unit: str
    words: str
    owner: str
    means: str
    at: datetime | None
    seconds: float | None
    run_id: int | None
    waiver: int | None
    sha256: str
    observed: str

    @property
    def key(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class GateRun:
    """`state` lost: it had to end by `ends_by`, and did not. `found`: how many checks it holds, of `checks`.
    `pruned_at`: when what they found was removed, because it was too old.
    """

    id: int
    gate: str
    gate_version: int
    environment: str
    mode: Mode
    batch_size: int | None
    batch_index: int | None
    state: Literal["running", "decided", "lost"]
    verdict: Verdict | None
    conditions: Any
    inputs_sha256: str | None
    started_at: datetime
    started_by: str
    ends_by: datetime
    decided_at: datetime | None
    found: int
    failed: int
    checks: int
    version: int
    pruned_at: datetime | None = None

    @property
    def key(self) -> str:
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Answer:
    check_name: str
    answer: str
    reason: str
    answered_at: datetime
    answered_by: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A run with all that it is decided from."""

    run: GateRun
    definition: str
    definition_sha256: str
    results: Mapping[str, Result]
    waivers: Sequence[Waiver]


class GateDirectory(Listing[GateRow], Protocol):
    """The capability of a context to show how its gates stand."""

    async def gate(self, name: str) -> Gate:
        """Raises NotFound."""
        ...

    async def answers(self, gate: str, environment: str) -> Sequence[Answer]:
        """The newest of each manual check."""
        ...


class RunDirectory(Listing[GateRun], Protocol):
    """The capability of a context to show what its gates decided."""

    async def whole(self, number: int) -> Whole:
        """Raises NotFound."""
        ...

    async def history(self, gate: str, environment: str, limit: int) -> Sequence[Mapping[str, str]]:
        """Check → state of each of the last runs, the oldest first."""
        ...

    async def record(self, number: int, result: Result) -> None:
        """Append what a check found. Raises Refusal `gate_run_over`, `gate_run_not_yours`."""
        ...

    async def decide(self, number: int) -> Verdict:
        """End a run. The home gives the verdict. Raises as `record` does."""
        ...


class CheckDirectory(Listing[CheckRow], Protocol):
    """What the checks of one place found: a query says which by a term `of`, "release/production" or "run:12"."""


class WaiverDirectory(Listing[Waiver], Protocol):
    """The capability of a context to show the waivers of its gates."""


class SqlAssertions(Protocol):
    """Asks the home with a check's SQL."""

    async def assertion(
        self, gate: str, version: int, check: str, environment: str, counted: bool, seconds: float
    ) -> dict[str, Any]:
        """{"rows", "sample"}, and `seq`, the last row of the trail, when all was looked at; else only what changed in
        that environment's gate since its `run`, which saw the trail up to `since`; `changes` is how many rows the trail
        has since then. `counted`: all is looked at, and counted. Raises Refusal; TimeoutError past its time limit.
        """
        ...


class GateStore(Protocol):
    """What the operations write through."""

    async def lock(self, name: str) -> Gate:
        """Raises NotFound."""
        ...

    async def present(self) -> Mapping[str, Gate]:
        """Those that are kept, retired ones too."""
        ...

    async def put(self, definition: Definition) -> None: ...

    async def retire(self, name: str, at: datetime) -> Gate: ...

    async def begin(
        self, gate: str, environment: str, mode: Mode, batch_size: int | None, batch_index: int | None
    ) -> int:
        """Begin a run. Raises Refusal `gate_unknown`, `gate_batch_empty`, `gate_runs_many`."""
        ...

    async def schedule(self, gate: str, environment: str, every: timedelta) -> GateSchedule:
        """Raises Refusal `gate_unknown`."""
        ...

    async def unschedule(self, gate: str, environment: str) -> GateSchedule:
        """Raises NotFound `no_gate_schedule`."""
        ...

    async def answer(self, gate: str, check: str, environment: str, answer: str, reason: str) -> None:
        """Raises Refusal `gate_not_manual`."""
        ...


class WaiverStore(Protocol):
    async def lock(self, number: int) -> Waiver: ...

    async def create(self, columns: Mapping[str, Any]) -> Waiver: ...

    async def update(self, number: int, columns: Mapping[str, Any]) -> Waiver: ...
