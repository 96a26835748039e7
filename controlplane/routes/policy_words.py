"""Policies and escalations in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from controlplane.formatting import spell
from controlplane.routes.escalation import Escalation
from controlplane.routes.policy import Inhibition, Policy, QuietWindow
from controlplane.text import clean

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
SPANS = {(0, 1, 2, 3, 4, 5, 6): "every day", (1, 2, 3, 4, 5): "Mon to Fri", (0, 6): "Sat and Sun"}
MODES = {"suppress": "nobody is told", "warning_only": "at most a warning"}
ENDS = {
    "reevaluate": "what still fires at its end is told then",
    "digest": "at its end one notice says what still fires, and what came and went",
    "drop": "what fired in it is never told, unless it gets worse",
}


def policy_lines(policy: Policy) -> Iterator[str]:
    for event in fields(policy.severity_thresholds):
        limits = getattr(policy.severity_thresholds, event.name)
        if limits is not None:
            yield f"{event.name}: {', '.join(_limits(limits))}"
    for window in policy.quiet_windows:
        yield window_words(window)
    if policy.dedupe is not None:
        yield f"one notice within {spell(policy.dedupe.ttl_seconds)} for each {clean(policy.dedupe.key, 300)}"
    for each in policy.inhibit:
        yield inhibition_words(each)


def _limits(limits: object) -> Iterator[str]:
    for field in fields(limits):  # type: ignore[arg-type]
        value = getattr(limits, field.name)
        severity, _, what = field.name.partition("_")
        if isinstance(value, bool):
            if value:
                yield f"{severity} with {what.replace('_', ' ')}"
        elif value is not None:
            yield f"{severity} from {value:,} {what.replace('_', ' ').removesuffix(' count')}"


def window_words(window: QuietWindow) -> str:
    days = tuple(sorted({*window.days}))
    shown = SPANS.get(days) or ", ".join(DAYS[day] for day in days)
    hours = "all day" if window.start == window.end else f"{window.start} to {window.end}"
    words = f"quiet {shown}, {hours}, {clean(window.timezone, 60)}: {MODES[window.mode]}"
    if window.break_through is not None:
        words += f", but from {window.break_through} on"
    return words + (f"; {ENDS[window.on_end]}" if window.mode == "suppress" else "")


def inhibition_words(inhibition: Inhibition) -> str:
    source, target = (clean(each, 200) for each in (inhibition.source, inhibition.target))
    same = f" with the same {clean(', '.join(inhibition.equal), 200)}" if inhibition.equal else ""
    return f"while {source} fires, {target}{same} is not told"


def escalation_lines(escalation: Escalation) -> Iterator[str]:
    for number, level in enumerate(escalation.levels, 1):
        who = ", ".join(
            clean(each.name, 60) if each.kind == "person" else f"who is on call by {clean(each.name, 60)}"
            for each in level.targets
        )
        yield f"level {number}: {who}; {spell(level.minutes * 60)} to take it"
    if escalation.repeat:
        yield f"then again from level 1, {escalation.repeat} time{'' if escalation.repeat == 1 else 's'}"
