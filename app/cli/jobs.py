"""`jobs show`: a job with its arguments, and its attempts."""

from __future__ import annotations

import dataclasses

from app.cli.asked import READING, Reading, opened
from app.cli.lists import print_rows
from app.cli.output import document, facts, say
from controlplane.jobs.list import ATTEMPTS
from controlplane.jobs.model import JobDirectory
from controlplane.listing import Query


async def show_job(number: int, /, *, asked: Reading = READING) -> None:
    """Show a job with its arguments, and the first hundred of its attempts."""
    from controlplane.previews import value_words

    async with opened(asked) as context:
        listing = context.home.of(JobDirectory)
        job = await listing.get(number)
        record = dataclasses.asdict(job) | {"payload": await listing.payload(number)}
        page = await listing.attempts(number).page(Query())
        attempts, now = page.rows, page.as_of
    if asked.json:
        document({"item": record | {"attempt_list": [dataclasses.asdict(attempt) for attempt in attempts]}})
        return
    facts((name, value_words(value)) for name, value in record.items())
    if attempts:
        say()
        print_rows(ATTEMPTS.table, attempts, now)
