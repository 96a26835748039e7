"""Commands that read keys: lists, one key, rotations under way, stale keys, and whose key a pasted secret is."""

from __future__ import annotations

import dataclasses
import sys
from datetime import datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from app.cli import asking
from app.cli.asked import READING, Reading, opened
from app.cli.lists import After, Desc, Form, Limit, Sort, Words, list_page
from app.cli.output import document, facts, say, tell
from controlplane.errors import Usage
from controlplane.formatting import count, parse_duration, show
from controlplane.keys import model
from controlplane.keys.list import STALE
from controlplane.keys.model import KeyDirectory
from controlplane.keys.verify import MAX_PASTED_CHARACTERS, verify, words
from controlplane.plans.currencies import money
from controlplane.subscriptions.model import SubscriptionDirectory
from controlplane.text import UNKNOWN, clean

USES = timedelta(days=30)


def _utc(at: datetime | None) -> str:
    return UNKNOWN if at is None else show(at, at, "utc")


async def stale(
    *words: Words,
    max_age: Annotated[str, Parameter(help="A key that is older is stale.")] = "30d",
    warn: Annotated[str, Parameter(help="A key that is older is worth a warning; at most --max-age.")] = "21d",
    window: Annotated[str, Parameter(help="A tenant should rotate a key this often.")] = "30d",
    sort: Sort = None,
    desc: Desc = False,
    limit: Limit = 100,
    after: After = None,
    form: Form = "table",
    asked: Reading = READING,
) -> None:
    """List live keys that are too old, or whose tenant rotated none in the window; the counts are of all keys."""
    spans = [timedelta(seconds=parse_duration(text)) for text in (max_age, warn, window)]
    policy = model.StalePolicy(*spans)
    async with opened(asked) as context:
        found = await context.home.of(KeyDirectory).stale(policy).counts()
    if not asked.json:
        tell(stale_words(found))
    declared = dataclasses.replace(STALE, of=lambda plane: plane.of(KeyDirectory).stale(policy))
    await list_page(declared, words, sort, desc, limit, after, form, asked, dataclasses.asdict(found))


def stale_words(found: model.StaleCounts) -> str:
    return (
        f"{found.keys:,} live keys: {found.stale:,} stale, {found.warn:,} nearly; "
        f"{found.tenants_unrotated:,} of {found.tenants:,} tenants rotated none in the window"
    )


async def show_key(key_id: str, /, *, asked: Reading = READING) -> None:
    """Show a key: every field, the rotations that it is part of, and who called with it in the last 30 days."""
    async with opened(asked) as context:
        home = context.home
        key = await home.of(KeyDirectory).get(key_id)
        chain = await home.of(KeyDirectory).chain(key_id)
        calls = await home.of(KeyDirectory).calls(key_id, home.clock.now() - USES)
        leaks = await home.of(KeyDirectory).leaks(key_id)
        currency = None if key.spend_cap is None else await home.of(SubscriptionDirectory).currency(key.tenant_id)
    if asked.json:
        more = {"calls": [dataclasses.asdict(each) for each in calls], "leaks": [dataclasses.asdict(e) for e in leaks]}
        document({"item": dataclasses.asdict(key) | {"chain": [each.id for each in chain]} | more})
        return
    from controlplane.previews import value_words

    shown = dataclasses.asdict(key)
    if key.spend_cap is not None:
        shown["spend_cap"] = f"{money(key.spend_cap, currency)} a month"
    facts((name, value_words(value)) for name, value in shown.items())
    for leak in leaks:
        say(clean(f"leak {leak.id}: {leak.at:%Y-%m-%d %H:%M} UTC by {leak.actor}: {leak.reason}"))
    if len(chain) > 1:
        say("rotations, oldest first:")
        for each in chain:
            say(clean(f"  {each.id}  {each.display}  {each.state}"))
    say("calls in the last 30 days:" if calls else "no call of it is stored in the last 30 days")
    for use in calls:
        say(
            clean(
                f"  {count(use.calls):>9}  {use.address or 'address not known'}  {use.route}  last {_utc(use.last_at)}"
            )
        )


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
