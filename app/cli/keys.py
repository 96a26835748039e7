"""Commands that read keys: lists, one key, rotations under way, stale keys, and whose key a pasted secret is."""

from __future__ import annotations

import dataclasses
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from app.cli import asking
from app.cli.asked import READING, Reading, opened
from app.cli.lists import PAGE, PageOptions, Told, Words, field_lines, list_page
from app.cli.output import document, say, tell
from app.cli.parameters import Parameter
from controlplane.errors import Usage
from controlplane.formatting import count, parse_duration, show
from controlplane.keys import model
from controlplane.keys.list import STALE
from controlplane.keys.model import KeyDirectory
from controlplane.keys.verify import MAX_PASTED_CHARACTERS, verify, words
from controlplane.plans.currencies import money
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

USES = timedelta(days=30)


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
    policy = model.StalePolicy(*spans)
    async with opened(asked) as context:
        found = await context.home.of(KeyDirectory).stale(policy).counts()
    if not asked.json:
        tell(stale_words(found))
    declared = dataclasses.replace(STALE, of=lambda plane: plane.of(KeyDirectory).stale(policy))
    await list_page(declared, words, shown, asked, dataclasses.asdict(found))


def stale_words(found: model.StaleCounts) -> str:
    return (
        f"{found.keys:,} live keys: {found.stale:,} stale, {found.warn:,} nearly; "
        f"{found.tenants_unrotated:,} of {found.tenants:,} tenants rotated none in the window"
    )


async def show_key(plane: ControlPlane, key: model.Key) -> Told:
    """Show a key: every field, the rotations that it is part of, and who called with it in the last 30 days."""
    directory = plane.of(KeyDirectory)
    chain, leaks = await directory.chain(key.id), await directory.leaks(key.id)
    calls = await directory.calls(key.id, plane.clock.now() - USES)
    shown = dataclasses.asdict(key)
    if key.spend_cap is not None:
        currency = await plane.of(SubscriptionDirectory).currency(key.tenant_id)
        shown["spend_cap"] = f"{money(key.spend_cap, currency)} a month"
    lines = [*field_lines(shown)]
    lines += [f"leak {leak.id}: {leak.at:%Y-%m-%d %H:%M} UTC by {leak.actor}: {leak.reason}" for leak in leaks]
    if len(chain) > 1:
        lines += ["rotations, oldest first:", *(f"  {each.id}  {each.display}  {each.state}" for each in chain)]
    lines.append("calls in the last 30 days:" if calls else "no call of it is stored in the last 30 days")
    for use in calls:
        who = use.address or "address not known"
        lines.append(f"  {count(use.calls):>9}  {who}  {use.route}  last {show(use.last_at, use.last_at, 'utc')}")
    record = {
        "chain": [each.id for each in chain],
        "calls": [dataclasses.asdict(each) for each in calls],
        "leaks": [dataclasses.asdict(each) for each in leaks],
    }
    return Told(record, lines)


async def verify_key(*given: str, asked: Reading = READING) -> None:
    """Whose key is this? The secret comes from stdin or an unseen prompt, never as an argument; it is kept nowhere."""
    if given:
        raise Usage(
            "key_in_arguments",
            "A secret is never an argument: others on this machine can read those.",
            "It is in your shell's history now: rotate it. Ask again without it, and paste it when asked.",
        )
    pasted = _pasted()
    async with opened(asked) as context:
        verdict = await verify(context.home, pasted)
        now = context.home.clock.now()
    if asked.json:
        document({"item": verdict.record()})
    else:
        for line in words(verdict, now):
            say(clean(line))


def _pasted() -> str:
    if not asking.can_ask():
        return asking.piped(MAX_PASTED_CHARACTERS)
    from getpass import getpass

    return getpass("Paste the key (it is not shown): ", sys.stderr)
