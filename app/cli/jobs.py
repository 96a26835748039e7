"""What `jobs show` says of a job: its arguments, and its attempts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from app.cli.lists import Told, field_lines, row_lines
from controlplane.jobs.list import ATTEMPTS
from controlplane.jobs.model import Job, JobDirectory
from controlplane.listing import Query

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_job(plane: ControlPlane, job: Job) -> Told:
    """Show a job with its arguments, and the first hundred of its attempts."""
    payload = {"payload": await plane.of(JobDirectory).payload(job.id)}
    page = await plane.of(JobDirectory).attempts(job.id).page(Query())
    lines = [*field_lines(dataclasses.asdict(job) | payload)]
    lines += ["", *row_lines(ATTEMPTS.table, page.rows, page.as_of)] if page.rows else []
    return Told(payload | {"attempt_list": [dataclasses.asdict(attempt) for attempt in page.rows]}, lines)
