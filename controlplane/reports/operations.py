"""What an operator can do with reports: ask for one of a release. Those of weeks are made by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from controlplane.audit.model import Record
from controlplane.gates.operations import shown
from controlplane.operations import Request, Risk, operation
from controlplane.reports.model import ReportStore
from controlplane.reports.refusals import REPORT_SINCE

if TYPE_CHECKING:
    from controlplane.changes import Change


class ReportMake(Request):
    subject = ()
    makes_a = "report"
    release: Annotated[
        Annotated[str, Field(min_length=1, max_length=200, description="which release: 2.4.0")], AfterValidator(shown)
    ]
    since: Annotated[str, Field(max_length=60, description="how far back: 7d, 36h")] = "7d"


@operation("reports.make", ReportMake, role="operator", risk=Risk.SAFE, key="n", way_back="A report is never removed.")
async def make(change: Change, request: ReportMake) -> Record:
    """Ask for the governance report of a release: a worker makes it from what is recorded then."""
    from datetime import timedelta

    from controlplane.formatting import parse_duration

    seconds = parse_duration(request.since)
    if not 60 <= seconds <= 366 * 86_400:
        raise REPORT_SINCE()
    asked = await change.of(ReportStore).ask(request.release, change.now - timedelta(seconds=seconds))
    return {"id": asked.id, "subject": asked.subject, "from_at": asked.from_at, "to_at": asked.to_at}
