"""Routes in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controlplane import jsontext
from controlplane.errors import Refusal
from controlplane.formatting import relative, spell
from controlplane.lists import Line
from controlplane.matchers import Matcher, show
from controlplane.routes.kept import RouteRow
from controlplane.routes.model import Decision, Stage
from controlplane.routes.policy_words import escalation_lines, policy_lines
from controlplane.text import clean

GLYPHS = {"pass": "●", "hold": "○", "wait": "◐"}
TONES = {"pass": "", "hold": "muted", "wait": "warn"}


def matchers_words(route: RouteRow) -> str:
    try:
        return show(Matcher(each["label"], each["op"], each["value"]) for each in route.matchers)  # type: ignore[arg-type]
    except (Refusal, KeyError, TypeError):
        return "cannot be read"


def target_words(route: RouteRow) -> str:
    return clean(f"{route.channel} {route.target}", 300)


def seconds_words(seconds: int | None) -> str:
    return "never" if seconds is None else "at once" if seconds == 0 else spell(seconds)


def fact_lines(route: RouteRow, now: datetime) -> list[Line]:
    """One route, in reading order."""
    tone = {"on": "good", "disabled": "muted", "retired": "muted"}.get(route.standing, "bad")
    lines: list[Line] = [(clean(route.name, 100), "title"), (route.standing, tone)]
    if route.disabled is not None:
        words = f"disabled {relative(route.disabled_at, now)}: {clean(route.disabled, 400)}; its deliveries are held"
        lines.append((words, "bad"))
    if route.fault:
        lines.append((clean(route.fault, 400), "bad"))
    group = "each alert by itself" if route.group_by is None else "all alerts together"
    if route.group_by:
        group = f"by {clean(', '.join(route.group_by), 200)}"
    rows = {
        "tells": target_words(route),
        "takes": matchers_words(route),
        "events": "all" if route.events == ["*"] else clean(", ".join(route.events), 300),
        "severity": f"{route.min_severity} and above"
        + (", urgency low: nobody is told" if route.urgency == "low" else ""),
        "tenant": clean(route.tenant_id or "all", 64),
        "grouped": group,
        "waits": f"{seconds_words(route.group_wait)}; further ones after {seconds_words(route.group_interval)}",
        "repeats": seconds_words(route.repeat_seconds),
        "order": f"{route.position}"
        + (f", below route {route.parent}" if route.parent else "")
        + (", then the next are tried too" if route.continues else ""),
        "secret": f"since {relative(route.secret_at, now)}" if route.secret_at else "none",
        "last ok": relative(route.delivered_at, now),
        "failed": f"{route.failures:,} in a row",
    }
    lines += [f"{name:<10}{value}" for name, value in rows.items()]
    for title, document in (("policy", route.policy), ("escalation", route.escalation)):
        if document:
            lines += ["", (title, "title"), *_written(title, document)]
    return lines


def _written(title: str, document: Mapping[str, Any]) -> Sequence[Line]:
    """A policy or an escalation in words; as it is stored where it cannot be read."""
    from controlplane.routes.reading import read_escalation, read_policy  # with models, which most commands do without

    try:
        found = (
            policy_lines(read_policy(document)) if title == "policy" else escalation_lines(read_escalation(document))
        )
        return [*found]
    except Refusal:
        return [clean(jsontext.write(document).decode(), 4000)]


def why_of(route: RouteRow, now: datetime) -> list[Line]:
    return fact_lines(route, now)


def stage_line(stage: Stage) -> Line:
    return f"{GLYPHS[stage.verdict]} {stage.name}: {clean(stage.words, 400)}", TONES[stage.verdict]


def decision_lines(decision: Decision, *, all_tried: bool = True) -> list[Line]:
    """Every stage with its verdict: the routes that were tried, then what becomes of each group."""
    lines: list[Line] = [("which routes it takes", "title")]
    tried: Sequence[Stage] = (
        decision.tried if all_tried else [each for each in decision.tried if each.verdict == "pass"]
    )
    lines += [stage_line(each) for each in tried]
    if not decision.routes:
        lines.append(("no route takes it: nobody is told", "warn"))
    for each in decision.routes:
        lines += ["", (f"route {each.route.id} {clean(each.route.name, 60)}", "title")]
        lines += [stage_line(stage) for stage in each.stages]
        if each.next_action_at is not None:
            lines.append(f"looked at again at {each.next_action_at:%Y-%m-%d %H:%M:%S} UTC")
    return lines
