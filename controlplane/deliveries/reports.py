"""Deliveries in words: what was told, to whom, why, and what the receiver said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controlplane.deliveries.kept import Attempt, Delivery
from controlplane.formatting import count_words, relative, spell
from controlplane.lists import Line
from controlplane.routes.reasons import REASONS
from controlplane.text import clean

DID = {"trigger": "told", "acknowledge": "told that somebody has it", "resolve": "told that it is over"}
TONES = {"delivered": "good", "failed": "bad", "held": "bad", "retry": "warn", "refused": "bad", "lost": "warn"}


def what_words(delivery: Delivery) -> str:
    event = f"{delivery.event_type}: " if delivery.webhook_id is not None else ""
    return clean(f"{event}{delivery.summary}", 300)


def who_words(delivery: Delivery) -> str:
    """A person at their own address, or the route's target, for a person who has none."""
    if delivery.webhook_id is not None:
        return clean(f"webhook {delivery.webhook_id} {delivery.webhook_label} ({delivery.target})", 300)
    person = f"{delivery.person} by " if delivery.person else ""
    where = delivery.contact or delivery.target
    without = "; no address of their own" if delivery.person and not delivery.contact else ""
    return clean(f"{person}{delivery.route} ({delivery.channel} {where}{without})", 300)


def reason_words(delivery: Delivery) -> str:
    if delivery.reason == "test":
        return "somebody tests it"
    if delivery.webhook_id is not None:
        return "it happened to the tenant"
    if delivery.escalated_by:
        return f"{clean(delivery.escalated_by, 63)} escalated it"
    return next((words for code, words in REASONS.items() if code == delivery.reason), clean(delivery.reason, 60))


def state_words(delivery: Delivery, now: datetime) -> str:
    said = f": {clean(delivery.words, 400)}" if delivery.words else ""
    match delivery.state:
        case "delivered":
            return f"received {relative(delivery.ended_at, now)}, at attempt {delivery.attempts}"
        case "failed":
            return f"failed {relative(delivery.ended_at, now)} after {count_words(delivery.attempts, 'attempt')}{said}"
        case "held":
            return f"held: its endpoint is disabled; replay it when that is enabled again{said}"
        case "sending":
            return f"attempt {delivery.attempts} is under way"
    due = relative(delivery.next_at, now) if delivery.next_at and delivery.next_at > now else "is due"
    return f"attempt {delivery.attempts + 1} {due}{said}"


def attempt_words(attempt: Attempt) -> str:
    took = "" if attempt.seconds is None else f" {spell(attempt.seconds)}"
    answer = f" · “{clean(attempt.answer, 300)}”" if attempt.answer else ""
    begun = f"{attempt.attempt}. {attempt.started_at:%m-%d %H:%M:%S}Z"
    return f"{begun} {attempt.outcome}{took}: {clean(attempt.words, 300)}{answer}"


def fact_lines(delivery: Delivery, now: datetime) -> list[Line]:
    lines: list[Line] = [(what_words(delivery), "title")]
    lines.append((state_words(delivery, now), TONES.get(delivery.state, "warn")))
    if delivery.test:
        lines.append(("TEST: nothing has happened, and it counts toward nothing", "warn"))
    of_alerts = {
        "action": delivery.action,
        "severity": delivery.severity,
        "alerts": ", ".join(map(str, delivery.alerts)) or "none",
        "resolved": ", ".join(map(str, delivery.resolved)) or "none",
    }
    rows = {
        "to": who_words(delivery),
        "why": f"{delivery.reason}: {reason_words(delivery)}",
        **({} if delivery.webhook_id is not None else of_alerts),
        "tenant": clean(delivery.tenant_id or "all", 64),
        "decided": f"{relative(delivery.created_at, now)}, {delivery.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "replays": f"{delivery.replays}",
        "key": delivery.message,
    }
    return lines + [f"{name:<9}{value}" for name, value in rows.items()]


def attempt_lines(attempts: Sequence[Attempt]) -> list[Line]:
    if not attempts:
        return [("no attempt yet", "muted")]
    return [(attempt_words(each), TONES.get(each.outcome, "")) for each in attempts]


def why_of(delivery: Delivery, now: datetime) -> list[Line]:
    return fact_lines(delivery, now)


def told_lines(deliveries: Sequence[Delivery], alert: int, now: datetime) -> list[Line]:
    """Of an alert: who was told, when, by which route and why; and whether they was told that it is over."""
    if not deliveries:
        return [("nobody was told", "muted")]
    lines: list[Line] = []
    triggered: dict[tuple[int | None, str], str] = {}
    heard: set[tuple[int | None, str]] = set()
    for each in deliveries:
        who = (each.route_id, each.person)
        over = alert in each.resolved
        if each.action == "trigger" and not over and each.state == "delivered":
            triggered[who] = who_words(each)
        if over and each.state == "delivered":
            heard.add(who)
        said = "resolved" if over else {"acknowledge": "acked", "resolve": "resolved"}.get(each.action or "", "fires")
        words = (
            f"{each.created_at:%m-%d %H:%M:%S}Z {said} → {who_words(each)}, because {reason_words(each)}: {each.state}"
        )
        lines.append((words, TONES.get(each.state, "warn")))
    for who, words in triggered.items():
        ended = "was told that it is over" if who in heard else "was not told yet that it is over"
        lines.append((f"{words} {ended}", "muted"))
    return lines
