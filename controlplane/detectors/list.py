"""The lists of detectors and of their thresholds."""

from __future__ import annotations

from datetime import datetime

from controlplane.alerts.words import number_words
from controlplane.detectors.model import (
    Detector,
    DetectorDirectory,
    DetectorState,
    Threshold,
    ThresholdDirectory,
)
from controlplane.detectors.refusals import NO_DETECTOR, NO_THRESHOLD
from controlplane.detectors.words import why_of
from controlplane.formatting import spell
from controlplane.lists import COUNT, DURATION, MILLISECONDS, NUMBER, TIME, Cell, Column, Line, ListOf, Status, status
from controlplane.text import clean

STATES: dict[DetectorState, Status] = {
    "ok": Status("●", "good"),
    "silent": Status("?", "unknown"),
    "failed": Status("✕", "bad"),
    "late": Status("~", "warn"),
    "never": Status("?", "unknown"),
}


def _said(detector: Detector, now: datetime) -> Cell:
    """What is wrong with it, or what it looks for."""
    if detector.error:
        return Cell(clean(detector.error, 300), "bad")
    return Cell(clean(detector.silent or detector.means, 300), "unknown" if detector.silent else "muted")


DETECTORS = ListOf(
    "detectors",
    Detector,
    of=lambda plane: plane.of(DetectorDirectory),
    order="name",
    summary="List detectors: when each was evaluated last, what it cost, what it found.",
    means="What looks for trouble: each is one statement over all tenants. Enter shows what it would find now.",
    nothing="No detector is known: watchfloor home migrate makes them.",
    key=("name",),
    missing=NO_DETECTOR,
    opens=lambda detector: ("detectors", detector.name),
    why=lambda detector, now: why_of(detector),
    columns=(
        Column("name", priority=1, width=23, title="DETECTOR", sorts=True),
        Column("state", status(STATES), priority=2, width=9),
        Column("looked", TIME, priority=3, title="LAST", field="looked_at", what="when it was evaluated last"),
        Column("took", MILLISECONDS, priority=4, width=7, field="took_ms", what="how long its statement took"),
        Column("found", COUNT, priority=5, width=6, what="how many it found"),
        Column("open", COUNT, priority=6, width=6, what="its alerts that are not resolved"),
        Column("every", DURATION, filters=False, priority=7, width=6,
               cell=lambda detector, now: spell(detector.every.total_seconds())),
        Column("means", filters=False, priority=8, width=20, title="", grow=True, cell=_said),
    ),
)  # fmt: skip


def _why_threshold(threshold: Threshold, now: datetime) -> list[Line]:
    unit = threshold.unit
    return [
        (f"{threshold.parameter} for {threshold.scope}", "title"),
        f"{clean(threshold.means, 300)}: {number_words(threshold.value, unit)}",
        f"from {number_words(threshold.least, unit)} to {number_words(threshold.most, unit)};"
        f" usually {number_words(threshold.usual, unit)}",
        "the most specific applies: the tenant's, else its plan's, else the one for all, else the default",
        f"watchfloor thresholds show {threshold.parameter} --tenant … says which applies to a tenant",
        *([f"set by {threshold.set_by} at {threshold.set_at:%Y-%m-%d %H:%M} UTC"] if threshold.set_at else []),
    ]


THRESHOLDS = ListOf(
    "thresholds",
    Threshold,
    of=lambda plane: plane.of(ThresholdDirectory),
    order="parameter",
    summary="List the thresholds that detectors judge by: the defaults, and what was set instead.",
    means="What detectors judge by. The most specific applies: the tenant's, else its plan's, else the one for all.",
    nothing="No threshold is known: watchfloor home migrate makes them.",
    key=("parameter", "scope"),
    missing=NO_THRESHOLD,
    label=lambda each: f"{each.parameter} of {each.scope}",
    why=_why_threshold,
    columns=(
        Column("parameter", priority=1, width=30, title="THRESHOLD", sorts=True, grow=True),
        Column("scope", priority=2, width=12, title="OF", grow=True, cell=lambda each, now: each.scope,
               value=lambda each: "all" if each.scope == "default" else each.scope),
        Column("value", NUMBER, priority=3, width=12, cell=lambda each, now: number_words(each.value, each.unit)),
        Column("usual", NUMBER, filters=False, priority=5, width=12, title="DEFAULT",
               cell=lambda each, now: number_words(each.usual, each.unit)),
        Column("by", filters=False, priority=6, width=8, field="set_by"),
        Column("set", TIME, filters=False, priority=7, field="set_at"),
        Column("means", filters=False, priority=8, width=20, title="", grow=True,
               cell=lambda each, now: Cell(clean(each.means, 200), "muted")),
        Column("detector"),
        Column("tenant", field="tenant_id"),
        Column("plan"),
    ),
)  # fmt: skip
