"""The list of reports."""

from __future__ import annotations

from datetime import datetime

from controlplane.errors import Usage
from controlplane.formatting import relative
from controlplane.lists import ID, TIME, Column, Line, ListOf, Status, choice, status
from controlplane.reports.data import ANOTHER_FORM, points, read
from controlplane.reports.data import status as overall
from controlplane.reports.model import Report, ReportDirectory
from controlplane.reports.refusals import NO_REPORT
from controlplane.reports.rendering import about
from controlplane.text import clean

GLYPHS: dict[str, str] = {"bad": "✕", "unknown": "?", "warn": "◐", "good": "●"}
MADE = {"made": Status("●", "good"), "waits": Status("◌", "muted")}


def why_report(report: Report, now: datetime) -> list[Line]:
    lines: list[Line] = [
        (clean(f"{report.kind} {report.subject}", 200), "title"),
        f"{report.from_at:%Y-%m-%d %H:%M} to {report.to_at:%Y-%m-%d %H:%M} UTC",
        f"asked for by {clean(report.asked_by, 100)}, {relative(report.asked_at, now)}",
    ]
    if report.made_at is None:
        return [*lines, ("a worker will make it: watchfloor workers list state:alive", "warn")]
    return [*lines, f"made {relative(report.made_at, now)}", (f"sha256 {report.sha256}", "muted")]


def report_lines(text: str | None) -> list[Line]:
    """What it says in short; the whole is written to a file."""
    if text is None:
        return [("A worker will make it.", "muted")]
    try:
        data = read(text)
        said, made = points(data), about(data)
    except (Usage, *ANOTHER_FORM):
        return [("This program cannot read its form. To look at it: watchfloor reports write NUMBER FILE.json", "bad")]
    tone = {"red": "bad", "yellow": "warn", "green": "good"}[overall(said)]
    lines: list[Line] = [(f"status: {overall(said)}", tone), ""]
    lines += [(f"{GLYPHS[mark]} {words}", mark) for mark, words in said]
    return [*lines, "", (made, "muted")]


REPORTS: ListOf[Report] = ListOf(
    "reports",
    Report,
    of=lambda plane: plane.of(ReportDirectory),
    order="-asked",
    summary="List governance reports, newest first.",
    means="Governance reports: what was decided, waived and proven. Each week gets one by itself.",
    nothing="No report yet. A worker makes one each week; for a release press a, then n.",
    missing=NO_REPORT,
    label=lambda report: f"report {report.id}",
    opens=lambda report: ("reports", report.key),
    why=why_report,
    columns=(
        Column("kind", choice("weekly", "release"), priority=1, width=8),
        Column("subject", priority=1, width=14, grow=True, title="WHAT"),
        Column("state", status(MADE), priority=2, width=8, filters=False,
               value=lambda report: "waits" if report.made_at is None else "made"),
        Column("from", TIME, priority=3, field="from_at", filters=False),
        Column("asked", TIME, priority=2, field="asked_at", sorts=True),
        Column("by", priority=4, width=12, field="asked_by"),
        Column("id", ID, priority=5, width=5, title="NO", sorts=True, value=lambda report: report.key),
        Column("sha256", priority=8, width=16, filters=False),
    ),
)  # fmt: skip
