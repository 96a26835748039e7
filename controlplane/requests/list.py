"""The list of single requests, newest first."""

from __future__ import annotations

from datetime import datetime

from controlplane.lists import COUNT, MASKED, MILLISECONDS, NUMBER, TIME, Cell, Column, Line, ListOf, Tone
from controlplane.requests.model import RequestDirectory, StoredRequest
from controlplane.requests.refusals import NO_REQUEST


def status_cell(row: StoredRequest, now: datetime) -> Cell:
    tone: Tone = "bad" if row.status >= 500 else "warn" if row.status >= 400 else ""
    return Cell(str(row.status), tone)


def charts_at(row: StoredRequest, now: datetime) -> str:
    """The charts of the tenant's route, with the cursor on the request."""
    from controlplane.telemetry.chartviews import around, render
    from controlplane.telemetry.model import Scope

    return render(around(Scope(row.tenant_id, row.route), row.at, now))


def why(row: StoredRequest, now: datetime) -> list[Line]:
    known = "" if row.latency_ms is not None else "the log that it comes from has no latency"
    lines: list[Line] = [
        (f"{row.method} {row.route}: {row.status}", "title"),
        f"at {row.at:%Y-%m-%d %H:%M:%S.%f} UTC, request id {row.request_id or 'none'}",
        f"by key {row.key_prefix or row.key_id or 'unknown'} from {row.address or 'an unknown address'}",
    ]
    return [*lines, known] if known else lines


REQUESTS: ListOf[StoredRequest] = ListOf(
    "requests",
    StoredRequest,
    of=lambda plane: plane.of(RequestDirectory),
    order="-at",
    summary="List single requests, newest first.",
    means=(
        "Single requests as they come, newest first. p pauses, / filters. With a time in the filter, or oldest"
        " first, all that is kept is listed. Addresses are masked below support."
    ),
    nothing="No requests yet. Send some: docs/data-plane.md, or watchfloor requests import",
    empty="No request matches. Press esc to clear the filter.",
    missing=NO_REQUEST,
    label=lambda row: f"{row.method} {row.route}",
    charts=charts_at,
    why=why,
    columns=(
        Column("at", TIME, priority=1, title="WHEN", sorts=True, what="how long ago"),
        Column("tenant", field="tenant_id", priority=2, width=10, grow=True, what="its id, as it is written"),
        Column("method", priority=4, width=6, what="GET, POST …"),
        Column("route", priority=1, width=16, grow=True, what="its path with {id} for ids, as it is written"),
        Column("status", NUMBER, priority=1, width=6, cell=status_cell, what="its HTTP status"),
        Column("latency", MILLISECONDS, field="latency_ms", priority=3, width=7, what="how long it took"),
        Column("key", field="key_prefix", priority=5, width=13, what="the beginning of its API key, as it is written"),
        Column("address", priority=6, width=15, unsorted=MASKED, what="where it came from"),
        Column("region", priority=11, width=9),
        Column("bytes", COUNT, priority=12, width=8, what="of the answer"),
        Column("request", field="request_id", priority=13, width=12, what="its request id, as it is written"),
        Column("project", field="project_id"),
        Column("key_id", what="the API key's id, as it is written"),
        Column("id", filters=False),
    ),
)  # fmt: skip
