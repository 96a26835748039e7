"""`watchfloor keys stale`: the list of keys that are too old, by a policy of your own."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.lists import PAGE, PageOptions, Words, list_page
from app.cli.output import tell
from app.cli.parameters import Parameter
from controlplane.formatting import parse_duration
from controlplane.keys.list import STALE
from controlplane.keys.model import KeyDirectory, StaleCounts, StalePolicy


async def stale(
    *words: Words,
    max_age: Annotated[str, Parameter(help="Older keys are stale.")] = "30d",
    warn: Annotated[str, Parameter(help="Older keys get a warning; at most --max-age.")] = "21d",
    window: Annotated[str, Parameter(help="A tenant should rotate a key this often.")] = "30d",
    shown: PageOptions = PAGE,
    asked: Reading = READING,
) -> None:
    """List live keys that are too old, or whose tenant rotated none in the window; counts are of all live keys."""
    spans = [timedelta(seconds=parse_duration(text)) for text in (max_age, warn, window)]
    policy = StalePolicy(*spans)
    async with opened(asked) as context:
        found = await context.home.of(KeyDirectory).stale(policy).counts()
    if not asked.json:
        tell(stale_words(found))
    declared = dataclasses.replace(STALE, of=lambda plane: plane.of(KeyDirectory).stale(policy))
    await list_page(declared, words, shown, asked, dataclasses.asdict(found))


def stale_words(found: StaleCounts) -> str:
    return (
        f"{found.keys:,} live keys: {found.stale:,} stale, {found.warn:,} nearly; "
        f"{found.tenants_unrotated:,} of {found.tenants:,} tenants rotated none in the window"
    )
