"""Detectors in words: what an evaluation would do, and where a threshold is from."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.alerts.words import ESTATE, number_words
from controlplane.detectors.model import Detector, DryRun, Foreseen, Judged, ThresholdSource
from controlplane.formatting import count, count_words, milliseconds
from controlplane.lists import Line
from controlplane.text import clean

WOULD = {
    "fired": "fire",
    "raised": "raise",
    "lowered": "lower",
    "resolved": "resolve",
    "unknown": "become unknown",
    "known": "be known again",
    "unchanged": "stay the same",
}


def dry_run_notes(name: str, foreseen: DryRun) -> list[str]:
    """What an evaluation would do, for a preview: the whole, then the alerts that it would change."""
    lines = [f"{name}: {whole_words(foreseen)}"]
    lines += [f"  {foreseen_words(each)}" for each in foreseen.alerts if each.does != ("unchanged",)]
    return lines


def whole_words(foreseen: DryRun) -> str:
    if foreseen.silent is not None:
        known = foreseen.counts.get("unknown", 0)
        return f"{foreseen.silent}: {count_words(known, 'alert')} would become unknown, none would fire or be resolved"
    counts = ", ".join(f"{n:,} would {WOULD.get(kind, kind)}" for kind, n in sorted(foreseen.counts.items()))
    return f"found {count(foreseen.found)} in {milliseconds(foreseen.took_ms)}" + (f"; {counts}" if counts else "")


def foreseen_words(each: Foreseen) -> str:
    does = ", ".join(WOULD.get(kind, kind) for kind in each.does)
    number = f"alert {each.id}" if each.id is not None else "a new alert"
    measured = f" ({number_words(each.value, each.unit)})" if each.value is not None else ""
    return f"{does}: {number}, {each.severity}, {each.tenant_id or ESTATE}: {clean(each.summary, 300)}{measured}"


def state_words(detector: Detector) -> str:
    means = {
        "ok": "its source is fresh, and what it found is current",
        "silent": f"nothing is known: {clean(detector.silent, 500)}; its alerts are unknown, none is resolved by that",
        "failed": f"it failed: {clean(detector.error, 500)}; its alerts are unknown until it succeeds",
        "late": "no worker has evaluated it for some periods: its alerts are unknown",
        "never": "no worker has evaluated it yet: see watchfloor workers list",
    }
    return means[detector.state]


def why_of(detector: Detector) -> list[Line]:
    def at(moment: object) -> str:
        return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"

    return [
        (f"{detector.name}: {detector.state}", "title"),
        clean(detector.means, 500),
        state_words(detector),
        f"evaluated every {int(detector.every.total_seconds())} s; last: {at(detector.looked_at)}",
        f"last known: {at(detector.known_at)}; next: {at(detector.next_at)}",
        *statement_lines(detector),
    ]


def statement_lines(detector: Detector) -> list[Line]:
    """What a team's own detector asks."""
    if detector.statement is None:
        return []
    asked: list[Line] = [(f"  {clean(line, 200)}", "muted") for line in detector.statement.splitlines()]
    return [f"your team's own, in {'SQL' if detector.language == 'sql' else 'PromQL'}:", *asked]


def source_lines(sources: Sequence[ThresholdSource], unit: str = "") -> list[Line]:
    """The value that applies, then those that it overrides."""
    lines: list[Line] = []
    for place, each in enumerate(sources):
        by = f", set by {clean(each.set_by, 63)} at {each.set_at:%Y-%m-%d %H:%M} UTC" if each.set_at else ""
        verb = "overridden" if place else "applies   "
        words = f"{verb}  {clean(each.source, 80)}: {number_words(each.value, unit)}{by}"
        lines.append((words, "muted" if place else ""))
    return lines


def judged_lines(detector: str, judged: Sequence[Judged]) -> list[Line]:
    """By which thresholds something is judged: of each the value that holds, then those that lost against it."""
    lines: list[Line] = []
    for each in judged:
        lines.append(each.parameter)
        for line in source_lines(each.sources, each.unit):
            words, tone = (line, "") if isinstance(line, str) else line
            lines.append((f"  {words}", tone))
    return lines or [(f"{detector} has none that can be set", "muted")]
