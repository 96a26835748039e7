"""Commands that read keys: what `show` says of one, and whose key a pasted secret is."""

from __future__ import annotations

import dataclasses
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from app.cli import asking
from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told, field_lines
from app.cli.output import document, say
from controlplane.errors import Usage
from controlplane.formatting import count, show
from controlplane.keys.model import Key, KeyDirectory
from controlplane.keys.verify import MAX_PASTED_CHARACTERS, verify, words
from controlplane.plans.currencies import money
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

USES = timedelta(days=30)


async def show_key(plane: ControlPlane, key: Key) -> Told:
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
