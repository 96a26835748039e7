"""What the checks look at in the control plane itself. Each only reads; `judging.py` says what follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.alerts.list import ALERTS
from controlplane.alerts.model import SEVERITIES, AlertDirectory
from controlplane.audit.model import AuditDirectory
from controlplane.evidence.model import EvidenceDirectory
from controlplane.filters.grammar import parse
from controlplane.gates.checks import (
    AlertsCheck,
    AuditCheck,
    Check,
    EvidenceCheck,
    KeysCheck,
    ManualCheck,
    ObjectiveCheck,
    QueueCheck,
    SqlCheck,
)
from controlplane.gates.judging import trouble
from controlplane.gates.model import GateDirectory, Mode, SqlAssertions
from controlplane.listing import Query
from controlplane.objectives.list import OBJECTIVES
from controlplane.objectives.model import ObjectiveDirectory
from controlplane.overview.entries import NOT_EVALUATED
from controlplane.overview.model import OverviewSource
from controlplane.queues.model import CauseDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

MAX_OBJECTIVES = 200
FIRING, UNKNOWN_NOW = "state:firing,acked", "state:unknown"


@dataclass(frozen=True)
class Seen:
    """What a check saw, and as of when (None: now)."""

    observed: Mapping[str, Any]
    at: datetime | None = None


Observer = Callable[[Any], Awaitable[Seen]]
"""Looks at what a check is about. Raises Refusal when it cannot."""


@dataclass(frozen=True)
class Native:
    """The observers of one run over a control plane, by kind."""

    plane: ControlPlane
    gate: str
    version: int
    environment: str
    mode: Mode

    def observers(self) -> dict[str, Observer]:
        return {
            "sql": self.sql,
            "objective": self.objective,
            "queue": self.queue,
            "keys": self.keys,
            "alerts": self.alerts,
            "audit": self.audit,
            "evidence": self.evidence,
            "manual": self.manual,
        }

    async def sql(self, check: SqlCheck) -> Seen:
        """In fast mode only what changed is looked at, where the check can tell, and nothing is counted beyond the
        sample.
        """
        counted, asserting = self.mode == "full", self.plane.of(SqlAssertions)
        found = await asserting.assertion(self.gate, self.version, check.name, self.environment, counted, check.limit)
        return Seen(sql_observed(found, counted))

    async def objective(self, check: ObjectiveCheck) -> Seen:
        query = Query(parse(check.which, OBJECTIVES.fields), "budget")
        page = await self.plane.of(ObjectiveDirectory).page(query, limit=MAX_OBJECTIVES)
        live = [each for each in page.rows if each.state != "retired"]
        found = [
            {"id": e.objective.id, "label": e.objective.label, "state": e.state, "left": e.remaining} for e in live
        ]
        return Seen({"objectives": found}, page.as_of)

    async def queue(self, check: QueueCheck) -> Seen:
        if check.measure == "late_jobs":
            late = (await self.plane.of(OverviewSource).work()).late
            return Seen({"value": late.number, "capped": late.capped})
        sources = await self.plane.of(CauseDirectory).sources()
        if check.source:
            sources = [each for each in sources if each.name == check.source]
            if not sources:
                return Seen({"found": False, "value": None})
        if check.measure == "dead_letters":
            return Seen({"found": True, "value": sum(each.waiting for each in sources)})
        now, oldest = self.plane.clock.now(), [each.oldest for each in sources if each.oldest is not None]
        return Seen({"found": True, "value": round((now - min(oldest)).total_seconds(), 1) if oldest else 0.0})

    async def keys(self, check: KeysCheck) -> Seen:
        due = await self.plane.of(OverviewSource).keys()
        return Seen({"stale": due.stale.number, "late": due.late.number, "capped": due.stale.capped or due.late.capped})

    async def alerts(self, check: AlertsCheck) -> Seen:
        alerts, now = self.plane.of(AlertDirectory), self.plane.clock.now()
        among = ",".join(SEVERITIES[SEVERITIES.index(check.severity) :])
        counts = [
            (await alerts.count(Query(parse(f"{state} severity:{among}", ALERTS.fields)))).number
            for state in (FIRING, UNKNOWN_NOW)
        ]
        evaluated = (await alerts.open_alerts()).evaluated
        fresh = evaluated is not None and now - evaluated <= NOT_EVALUATED
        return Seen({"firing": counts[0], "unknown": counts[1], "evaluated": fresh})

    async def audit(self, check: AuditCheck) -> Seen:
        status, now = await self.plane.of(AuditDirectory).chain_status(), self.plane.clock.now()
        signed = None if status.signed_at is None else round(max(0.0, (now - status.signed_at).total_seconds()), 1)
        return Seen({
            "written": status.written,
            "chained": status.chained,
            "signed": status.signed,
            "signed_seconds": signed,
            "late": status.late(now),
            "trouble_words": None if status.trouble is None else clean(status.trouble, 300),
        })  # fmt: skip

    async def evidence(self, check: EvidenceCheck) -> Seen:
        """The newest that counts; where none does, the newest there is, so that it is told why."""
        environment = check.environment or self.environment
        found = await self.plane.of(EvidenceDirectory).newest([check.artefact], [environment])
        if not found:
            return Seen({"id": None, "environment": environment})
        newest = max(found, key=lambda each: (each.signature == "good" or not check.signed, each.at, each.id))
        age = round(max(0.0, (self.plane.clock.now() - newest.at).total_seconds()), 1)
        said = {name: getattr(newest, name) for name in ("id", "sha256", "signature", "signer", "environment")}
        return Seen(said | {"age_seconds": age}, newest.at)

    async def manual(self, check: ManualCheck) -> Seen:
        """The home takes the answer itself when the check is recorded."""
        answers = await self.plane.of(GateDirectory).answers(self.gate, self.environment)
        found = next((each for each in answers if each.check_name == check.name), None)
        if found is None:
            return Seen({"answer": None})
        return Seen(answered(found.answer, found.answered_by, found.reason), found.answered_at)


def answered(answer: str, by: str, reason: str) -> dict[str, Any]:
    return {"answer": answer, "by": by, "reason": clean(reason, 400)}


def sql_observed(found: Mapping[str, Any], counted: bool) -> dict[str, Any]:
    """`found`: {"rows", "sample"}, of which the sample may hold anything that a database gives."""
    rows = int(found["rows"])
    whence = {name: int(found[name]) for name in ("seq", "since", "run", "changes") if name in found}
    return {"rows": rows, "capped": not counted and rows > 20, "sample": list(found["sample"])[:20], **whence}


def not_here(words: str) -> Observer:
    async def refuse(check: Check) -> Seen:
        return Seen(trouble("not_here", words))

    return refuse
