"""Webhooks and events in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controlplane.formatting import count, relative, show
from controlplane.lists import Line, Status, status_cell
from controlplane.text import clean
from controlplane.webhooks.events import ALL, EVENTS
from controlplane.webhooks.model import State, TenantEvent, Webhook

STATES: dict[State, Status] = {
    "off": Status("✕", "bad"),
    "on": Status("●", "good"),
    "disabled": Status("○", "muted"),
}


def state_lines(webhook: Webhook, now: datetime) -> list[Line]:
    lines: list[Line] = [status_cell(STATES, webhook.state)]
    if webhook.disabled is not None:
        lines.append((f"  {relative(webhook.disabled_at, now)}: {clean(webhook.disabled, 400)}", "bad"))
        lines.append(("  what happens is held; enable it, then replay what was held (a, then p)", "muted"))
    elif webhook.failures:
        last = "attempt" if webhook.failures == 1 else f"{count(webhook.failures)} attempts"
        lines.append((f"  the last {last} failed; it is disabled after 50", "warn"))
    return lines


def fact_lines(webhook: Webhook, now: datetime) -> list[Line]:
    rows = {
        "tenant": clean(webhook.tenant_id, 64),
        "address": clean(webhook.target, 200),
        "last ok": relative(webhook.delivered_at, now) if webhook.delivered_at else "never",
        "failed": f"{count(webhook.failures)} in a row",
        "secret": f"since {relative(webhook.secret_at, now)}" if webhook.secret_at else "none: nothing can be sent",
        "made": f"{relative(webhook.created_at, now)} by {clean(webhook.created_by, 64)}",
    }
    if webhook.replayed is not None:
        span = f"{webhook.replayed_from:%m-%d %H:%M}Z to {webhook.replayed_until:%m-%d %H:%M}Z"
        rows["replayed"] = f"{count(webhook.replayed)} of {span}"
    lines = [*why_of(webhook, now), "", *(f"{name:<10}{value}" for name, value in rows.items())]
    return [*lines, "", ("told of", "title"), *(f"  {each}" for each in told_of(webhook))]


def told_of(webhook: Webhook) -> list[str]:
    if ALL in webhook.events:
        return ["everything that happens to the tenant"]
    return [f"{clean(each, 60)}: {EVENTS.get(each, 'unknown')}" for each in webhook.events]


def why_of(webhook: Webhook, now: datetime) -> list[Line]:
    return [(clean(webhook.label, 100) or f"webhook {webhook.id}", "title"), *state_lines(webhook, now)]


def events_lines(events: Sequence[TenantEvent], now: datetime) -> list[Line]:
    if not events:
        return [("Nothing happened to the tenant since it has a webhook.", "muted")]
    return [f"{show(each.at, now):>5}  {clean(each.type, 40):<17}{clean(each.summary, 200)}" for each in events]


def event_lines(event: TenantEvent, now: datetime) -> list[Line]:
    rows = {
        "tenant": clean(event.tenant_id, 64),
        "what": clean(event.summary, 400),
        "when": f"{relative(event.at, now)}, {event.at:%Y-%m-%d %H:%M:%S} UTC",
        "id": event.id,
        **{clean(name, 20): "none" if value is None else clean(str(value), 200) for name, value in event.data.items()},
    }
    lines: list[Line] = [(clean(event.type, 60), "title"), (EVENTS.get(event.type, ""), "muted")]
    return lines + [f"{name:<12}{value}" for name, value in rows.items()]
