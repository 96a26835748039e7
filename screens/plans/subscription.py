"""A tenant's subscription: its state, its trial's clock, what is used, and what may be used."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from textwrap import wrap
from typing import Any

from textual.widget import Widget

from controlplane.errors import NotFound, Refusal
from controlplane.moments import count, relative
from controlplane.plans.model import Claim, Standing, State, Usage
from controlplane.plans.proration import period_of
from controlplane.plans.rules import TRANSITIONS, state_at, value_words
from controlplane.plans.words import limit_words, price_words, trial_words
from controlplane.text import UNKNOWN
from screens.actions import Target, choices
from screens.area import AreaScreen
from screens.plans.list import OF_ALL_TENANTS
from screens.widgets.bars import TitleLine
from screens.widgets.lines import Line, Lines

BAR_CELLS = 12
STATES: dict[State, tuple[str, str]] = {
    "trial": ("◔", "warn"),
    "active": ("●", "good"),
    "grace": ("◐", "warn"),
    "past_due": ("◐", "warn"),
    "suspended": ("◐", "bad"),
    "expired": ("✕", "bad"),
    "canceled": ("✕", "bad"),
}


class SubscriptionScreen(AreaScreen):
    noun = "plans"
    means = "A tenant's subscription. w says where each entitlement comes from and what lost against it."
    hints = (("a", "act"), ("w", "why"), ("d", "describe"), (":", "command"), ("esc", "back"), ("?", "help"))

    DEFAULT_CSS = "SubscriptionScreen Lines { padding: 0 1; }"

    def __init__(self, tenant_id: str) -> None:
        super().__init__()
        self.tenant_id = tenant_id
        self.standing: Standing | None = None

    def body(self) -> Widget:
        return Lines(["reading …"])

    def crumbs(self) -> list[str]:
        return ["plans", self.tenant_id]

    def on_mount(self) -> None:
        self.focus_body()
        self.context_ready()

    def context_ready(self) -> None:
        self.action_reload()

    async def refresh_data(self) -> None:
        plane = self.session.plane
        if plane is None or not self.is_mounted:
            return
        try:
            self.standing = await plane.plans.standing(self.tenant_id)
        except NotFound as missing:
            self.standing = None
            self.query_one(Lines).show([(missing.message, "bad"), missing.hint])
            return
        except Refusal:
            return  # the header says that the link is down; what was read stays
        self.query_one(Lines).show(standing_lines(self.standing, self.session.clock()))

    def draw_title(self, title: TitleLine) -> None:
        title.show(noun=f"subscription of {self.tenant_id}")

    def current(self) -> Any:
        return None if self.standing is None else self.standing.subscription

    def targets(self) -> list[Target]:
        version = self.standing.subscription.version if self.standing else None
        return [Target({"tenant_id": self.tenant_id}, version, self.tenant_id)]

    def operations(self) -> list[Any]:
        return [each for each in super().operations() if each.name not in (*OF_ALL_TENANTS, "plans.apply")]

    def record(self) -> dict[str, Any] | None:
        if self.standing is None:
            return None
        record = dataclasses.asdict(self.standing.subscription)
        record["effective"] = {each.name: each.holds.value for each in self.standing.effective}
        return record

    def why_lines(self) -> list[Line]:
        if self.standing is None:
            return []
        lines = why_lines(self.standing)
        lines += ["", ("what can be done", "title")]
        for operation, why_not in choices(self.operations(), self.session, self.current()):
            lines.append((f"  {operation.verb}: {why_not or 'yes'}", "muted" if why_not else ""))
        return lines

    def view_link(self) -> str:
        return f"{self.session.context}/plans/{self.tenant_id}"


def standing_lines(standing: Standing, now: datetime) -> list[Line]:
    """All that a person on the phone asks for, in that order; what is unknown is said so."""
    held, plan = standing.subscription, standing.plan
    state = state_at(held, now)
    glyph, tone = STATES[state]
    start, end = period_of(held.period_start, held.cycle, standing.as_of.date())
    label = plan.label if plan else f"{held.plan} (not in the catalogue: its limits are unknown)"
    price = f"{price_words(plan, held.cycle)} a {held.cycle} in {plan.billing}" if plan else f"price {UNKNOWN}"
    lines: list[Line] = [(label, "title"), (f"{glyph} {state}", tone)]
    if held.tenant_status != "active":
        lines.append((f"the tenant itself is {held.tenant_status.replace('_', ' ')}", "bad"))
    if state == "grace":
        lines.append((f"grace until {held.grace_until:%Y-%m-%d %H:%M} UTC ({relative(held.grace_until, now)})", "warn"))
    lines.append(f"{price}; period {start} to {end}, days of {held.billing_zone}")
    lines += [(words, "warn" if state == "trial" else "muted") for words in trial_words(held, now)]
    if standing.pending:
        lines += [(part, "warn") for part in wrap(f"waits: {standing.pending.summary}", 76, subsequent_indent="  ")]
    lines += ["", ("usage", "title")]
    lines += [usage_line(each, now) for each in standing.usage] or ["  no quotas are known"]
    lines += ["", ("entitlements", "title")]
    for each in standing.effective:
        lines.append(claim_line(each.name, each.holds, now, lost=len(each.losers)))
    if not standing.effective:
        lines.append((f"  {UNKNOWN}", "warn"))
    return lines


def usage_line(usage: Usage, now: datetime) -> Line:
    hard, soft, used = usage.value["hard"], usage.value.get("soft"), usage.used
    resets = f"resets {relative(usage.resets_at, now)}"
    if used is None:
        words = f"{'? never counted':<{BAR_CELLS + 6}} {UNKNOWN} of {limit_words(hard)}"
        return (f"  {usage.metric:<16} {words} a {usage.value['period']}  {resets}", "muted")
    bar = " " * BAR_CELLS + "      " if hard == -1 else f"{bar_of(used, hard)} {min(used / hard, 9.99):>4.0%} "
    tone = "bad" if hard != -1 and used >= hard else "warn" if soft is not None and used > soft else ""
    words = f"{count(used)} of {limit_words(hard)} a {usage.value['period']}"
    over = " over soft" if tone == "warn" else " FULL" if tone == "bad" else ""
    return (f"  {usage.metric:<16} {bar}{words}{over}  {resets}", tone)


def bar_of(used: int, hard: int) -> str:
    """Full only when it is: the last cell is kept for the last of it."""
    full = min(BAR_CELLS, used * BAR_CELLS // hard)
    return "█" * full + "▁" * (BAR_CELLS - full)


def claim_line(name: str, claim: Claim, now: datetime, *, lost: int = 0) -> Line:
    ends = f"ends {relative(claim.expires_at, now)}" if claim.expires_at else ""
    source = claim.source + (f" {claim.grant}" if claim.grant else "")
    tone = "" if claim.source == "plan" else "warn"
    return (f"  {name:<18} {value_words(claim.value):<31} {source:<11} {ends}".rstrip(), tone)


def why_lines(standing: Standing) -> list[Line]:
    """Each entitlement with every source that spoke for it: the first holds, the others lost."""
    held = standing.subscription
    after = sorted(becomes for was, becomes in TRANSITIONS if was == held.state)
    lines: list[Line] = [
        (f"{held.tenant_id}: {state_at(held, standing.as_of)}", "title"),
        f"written down: {held.state}; it can become {', '.join(after)}",
        "an override goes before an incident's grant, that before the trial, that before the plan",
        "",
    ]
    for each in standing.effective:
        lines.append((each.name, "title"))
        for place, claim in enumerate((each.holds, *each.losers)):
            verb = "holds" if place == 0 else "lost "
            grant = f" {claim.grant}" if claim.grant else ""
            until = f", until {claim.expires_at:%Y-%m-%d %H:%M} UTC" if claim.expires_at else ""
            words = f"  {verb}  {claim.source}{grant}: {value_words(claim.value)}{until}  {claim.words}"
            tone = "" if place == 0 else "muted"
            lines += [(part, tone) for part in wrap(words, 74, subsequent_indent="         ")]
    return lines
