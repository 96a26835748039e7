"""Collecting a bundle: what a home knows of itself now, and what was done to it since a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from controlplane.audit.model import AuditDirectory
from controlplane.errors import Usage
from controlplane.evidence import canonical
from controlplane.evidence.bundles import CHECKPOINT, TRAIL, index
from controlplane.evidence.envelopes import Signer
from controlplane.evidence.slices import first_line, row_line
from controlplane.evidence.statements import Subject
from controlplane.filters.grammar import parse
from controlplane.gates.model import GateDirectory, RunDirectory
from controlplane.gates.standing import document_of
from controlplane.listing import Query
from controlplane.nouns import list_named
from controlplane.telemetry.model import FLEET, MAX_STEPS, RequestTelemetry

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

Purpose = Literal["release", "incident"]
PAGE = 1000
HOUR = timedelta(hours=1)
MAX_GATE_RUNS = 200
LONGEST = MAX_STEPS * HOUR
"""Telemetry is collected by the hour."""


@dataclass(frozen=True)
class Wanted:
    """A bundle for a release or an incident, named `subject`, of what happened since `since`."""

    purpose: Purpose
    subject: str
    environment: str
    since: datetime


class Output(Protocol):
    def write(self, piece: bytes) -> None: ...


class Files(Protocol):
    """Where a bundle is written to."""

    subjects: list[Subject]

    def open(self, name: str) -> AbstractContextManager[Output]: ...

    def finish(self, envelope: bytes) -> None: ...


@dataclass(frozen=True)
class Part:
    """The rows of the trail after `after`, up to `to`; `head`: that after row `after`. `checkpoint`: the newest signed
    note; None: nothing was signed yet.
    """

    origin: str
    after: int
    to: int
    head: bytes
    checkpoint: str | None
    signed: int


class TrailParts(Protocol):
    async def since(self, since: datetime) -> Part:
        """The chained rows since then, and those since the last checkpoint, whichever are more."""
        ...


@dataclass(frozen=True)
class Section:
    """Records of one list, one a line: those that match each of `filters`, in turn. `what`: in words."""

    name: str
    noun: str
    what: str
    filters: Callable[[Wanted, datetime], Sequence[str]] = lambda wanted, now: ("",)


def _length(wanted: Wanted, now: datetime) -> str:
    return f"{max(1, round((now - wanted.since).total_seconds()))}s"


SECTIONS = (
    Section("objectives", "objectives", "every objective with its state and what is left of its budget"),
    Section(
        "alerts",
        "alerts",
        "alerts that are not over, and those that fired since then and are",
        lambda wanted, now: ("state:firing,acked,unknown", f"state:resolved age<{_length(wanted, now)}"),
    ),
    Section("dead-letters", "queues", "every cause of dead messages"),
    Section("stale-keys", "stale", "live keys that are too old"),
    Section("rotations", "rotations", "keys that are being rotated"),
    Section(
        "executions",
        "executions",
        "executions of runbooks that began since then",
        lambda wanted, now: (f"started<{_length(wanted, now)}",),
    ),
    Section("silences", "silences", "silences in force", lambda wanted, now: ("state:active,pending",)),
)


async def collect(
    plane: ControlPlane,
    wanted: Wanted,
    files: Files,
    signer: Callable[[str], Signer],
    now: datetime,
    given: Sequence[tuple[str, Callable[[], Any]]] = (),
) -> Mapping[str, Any]:
    """Write a bundle. `signer` is given the name of the home's trail; `given`: further files, each with its content in
    pieces. Personal data is masked as the login sees it. Returns the predicate; raises Refusal.
    """
    made: list[dict[str, Any]] = []
    for section in SECTIONS:
        rows, name = 0, f"{section.name}.ndjson"
        with files.open(name) as file:
            async for record in _records(plane, section, wanted, now):
                file.write(canonical.document(record) + b"\n")
                rows += 1
        made.append({"file": name, "rows": rows, "what": section.what})
    made.append(await _gates(plane, files))
    made.append(await _telemetry(plane, wanted, files, now))
    trail = await _trail(plane, wanted, files)
    for name, pieces in given:
        with files.open(name) as file:
            for piece in pieces():
                file.write(piece)
    predicate = {
        "purpose": wanted.purpose,
        "subject": wanted.subject,
        "environment": wanted.environment,
        "trail": trail.pop("origin"),
        "since": wanted.since,
        "collected_at": now,
        "collected_by": plane.actor.name,
        "role": plane.actor.role,
        "sections": made,
        "audit": trail,
        "given": [name for name, _ in given],
    }
    files.finish(index(files.subjects, predicate, signer(predicate["trail"])))
    return predicate


async def _records(
    plane: ControlPlane, section: Section, wanted: Wanted, now: datetime
) -> AsyncIterator[Mapping[str, Any]]:
    declared = list_named(section.noun)
    listing = declared.of(plane)
    order, down = declared.order_of("")
    for text in section.filters(wanted, now):
        query, start = Query(parse(text, declared.fields), order, down), None
        while True:
            page = await listing.page(query, start=start, limit=PAGE)
            for row in page.rows:
                yield {name: value for name, value in declared.record(row, now).items() if name != "as_of"}
            if page.last or not page.rows:
                break
            start = page.positions[-1]


async def _gates(plane: ControlPlane, files: Files) -> dict[str, Any]:
    """The summary of the newest run of each gate and environment, from which its verdict is computed again."""
    runs, rows = plane.of(RunDirectory), await plane.of(GateDirectory).page(Query((), "verdict"), limit=PAGE)
    numbers = sorted({row.run_id for row in rows.rows if row.run_id is not None})[-MAX_GATE_RUNS:]
    written = 0
    for number in numbers:
        whole = await runs.whole(number)
        if whole.run.state != "decided" or whole.run.pruned_at is not None:
            continue
        try:
            summary = document_of(whole)
        except Usage:  # of another version of this program
            continue
        with files.open(f"gates/run-{number}.json") as file:
            file.write(canonical.document(summary) + b"\n")
        written += 1
    what = "the newest run of each gate and environment: watchfloor gates decide computes its verdict again"
    return {"file": "gates/", "rows": written, "what": what}


async def _telemetry(plane: ControlPlane, wanted: Wanted, files: Files, now: datetime) -> dict[str, Any]:
    """All tenants together, by the hour: null where nothing is known, which is not zero."""
    start = max(wanted.since, now - LONGEST + 2 * HOUR)
    series = await plane.of(RequestTelemetry).series(FLEET, start, now, HOUR)
    known = 0
    with files.open("telemetry.ndjson") as file:
        for at, point in zip(series.times(), series.points, strict=True):
            measures = ("n", "errors_4xx", "errors_5xx", "error_share", "p50", "p95", "p99")
            record = {name: None if point is None else getattr(point, name) for name in measures}
            file.write(canonical.document({"hour": at, **record}) + b"\n")
            known += point is not None
    what = "requests of all tenants by the hour; null where nothing is known"
    return {"file": "telemetry.ndjson", "rows": len(series.points), "known": known, "what": what}


async def _trail(plane: ControlPlane, wanted: Wanted, files: Files) -> dict[str, Any]:
    """The audit trail as it was chained, with the newest checkpoint that was published."""
    part = await plane.of(TrailParts).since(wanted.since)
    status = await plane.of(AuditDirectory).chain_status()
    audit, head, at = plane.of(AuditDirectory), part.head, part.after
    if part.checkpoint is not None:
        with files.open(CHECKPOINT) as file:
            file.write(part.checkpoint.encode())
    with files.open(TRAIL) as file:
        file.write(first_line(part.origin, part.after, part.head))
        while at < part.to and (page := await audit.links(at)):
            links = [link for link in page if link.seq <= part.to]
            file.write(b"".join(map(row_line, links)))
            at, head = links[-1].seq, links[-1].head
    return {
        "origin": part.origin,
        "after": part.after,
        "to": at,
        "head": head.hex(),
        "signed_to": part.signed or None,
        "unchained": max(0, status.written - part.to),
    }
