"""Subscriptions in words, the same for screens and commands."""

from __future__ import annotations

from datetime import datetime

from controlplane.formatting import relative
from controlplane.lists import Line
from controlplane.subscriptions.model import Subscription
from controlplane.subscriptions.rules import FOLLOWS, MAX_TRIAL_EXTENSIONS, state_at


def state_lines(held: Subscription, now: datetime) -> list[Line]:
    """Why it is in its state, and what may follow."""
    after = sorted(FOLLOWS[held.state])
    return [
        (f"{held.tenant_id}: {state_at(held, now)}", "title"),
        f"stored state: {held.state}; it can become {', '.join(after)}",
    ]


def trial_words(held: Subscription, now: datetime) -> list[str]:
    """The trial: which plan, how long it still lasts, and what follows. Empty when there was none."""
    if held.trial_end is None:
        return []
    ends = f"{held.trial_end:%Y-%m-%d %H:%M} UTC ({relative(held.trial_end, now)})"
    extended = f"extended {held.extensions} of {MAX_TRIAL_EXTENSIONS} times"
    if state_at(held, now) == "trial":
        return [
            f"trial of {held.trial_plan} v{held.trial_version}, ends {ends}",
            f"  {extended}; then {held.trial_return}",
        ]
    if held.state == "suspended" and held.trial_end > now:
        return [f"trial of {held.trial_plan} v{held.trial_version}, not in force while suspended, ends {ends}"]
    return [f"had a trial of {held.trial_plan} v{held.trial_version}; its end: {ends}; {extended}"]
