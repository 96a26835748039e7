"""`jobs list`, `jobs show` and `workers list`: what is done in the background, and by whom."""

from __future__ import annotations

import dataclasses

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Face, listing_command
from app.cli.output import Column, document, facts, say, table
from controlplane.formatting import count, show
from controlplane.jobs import model
from controlplane.listing import Query
from controlplane.text import UNKNOWN

JOBS = Face(
    "jobs",
    lambda home: home.jobs,
    model.JOB_FIELDS,
    model.JOB_SORTS,
    {
        Column("JOB", "right"): lambda row, now: str(row.id),
        Column("KIND"): lambda row, now: row.kind,
        Column("TENANT"): lambda row, now: row.tenant_id or "",
        Column("STATE"): lambda row, now: row.state,
        Column("TRIES", "right"): lambda row, now: f"{row.tries}/{row.max_tries}",
        Column("QUEUED"): lambda row, now: show(row.created_at, row.created_at, "utc"),
        Column("WORKER"): lambda row, now: row.worker or "",
        Column("ERROR"): lambda row, now: row.error or "",
    },
    newest_first=True,
)
WORKERS = Face(
    "workers",
    lambda home: home.workers,
    model.WORKER_FIELDS,
    model.WORKER_SORTS,
    {
        Column("WORKER"): lambda row, now: row.name,
        Column("STATE"): lambda row, now: row.state,
        Column("RUNNING", "right"): lambda row, now: count(row.running),
        Column("JOBS/m", "right"): lambda row, now: UNKNOWN if row.per_minute is None else count(round(row.per_minute)),
        Column("DONE", "right"): lambda row, now: count(row.done),
        Column("FAILED", "right"): lambda row, now: count(row.failed),
        Column("SEEN"): lambda row, now: show(row.seen_at, row.seen_at, "utc"),
        Column("STARTED"): lambda row, now: show(row.started_at, row.started_at, "utc"),
        Column("VERSION"): lambda row, now: row.version,
    },
    newest_first=True,
)


jobs = listing_command(
    JOBS, "List jobs, newest first: state:dead finds those that wait to be replayed. Done ones stay for a day."
)
workers = listing_command(WORKERS, "List workers, newest first: state:alive finds those of now.")


async def show_job(number: int, /, *, asked: Reading = READING) -> None:
    """Show a job with what it was told, and the first hundred of its attempts."""
    from controlplane.previews import value_words

    async with opened(asked) as context:
        listing = context.home.jobs
        job = await listing.get(number)
        record = dataclasses.asdict(job) | {"payload": await listing.payload(number)}
        attempts = (await listing.attempts(number).page(Query())).rows
    if asked.json:
        document({"item": record | {"attempt_list": [dataclasses.asdict(attempt) for attempt in attempts]}})
        return
    facts((name, value_words(value)) for name, value in record.items())
    if attempts:
        say()
        columns = [Column("#", "right"), Column("OUTCOME"), Column("ENDED"), Column("WORKER"), Column("ERROR")]
        ended = [(a, show(a.ended_at, a.ended_at, "utc")) for a in attempts]
        table(columns, [[str(a.attempt), a.outcome, at, a.worker, a.error or ""] for a, at in ended])
