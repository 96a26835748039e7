"""One detector: its last evaluation, what an evaluation would do now, and the thresholds that it judges by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.detectors.list import STATES, THRESHOLDS
from controlplane.detectors.model import Detector, DetectorDirectory, DryRun
from controlplane.detectors.words import foreseen_words, state_words, statement_lines, whole_words, why_of
from controlplane.filters.grammar import Term
from controlplane.formatting import count, count_words, milliseconds, relative, spell
from controlplane.listing import Query
from controlplane.lists import Column, Line, status_cell
from controlplane.text import clean
from screens.desk import Target
from screens.detail import Also, DetailScreen
from screens.panes import Facts, Reading, Seen, TablePane

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

DRY_RUN_EVERY = 60.0


async def read_dry_run(plane: ControlPlane, detector: Detector, now: datetime) -> DryRun:
    return await plane.of(DetectorDirectory).dry_run(detector.name)


SHOWN = tuple(each for each in THRESHOLDS.table if each.name in ("scope", "value", "by", "set"))
DRY_RUN = Reading(read_dry_run, every=DRY_RUN_EVERY)


class DetectorScreen(DetailScreen[Detector]):
    noun = "detectors"
    rows = Detector
    means = "One detector: its last evaluation, what another would do now (a dry run), and the thresholds it judges by."
    panes = (
        Facts("facts", lambda seen: facts(seen.thing, seen.now)),
        Facts("dry_run", lambda seen: dry_run_lines(seen.of(DRY_RUN))),
        TablePane(
            "thresholds",
            THRESHOLDS,
            (Column("name", priority=1, width=12, value=lambda each: each.parameter.partition(".")[2]), *SHOWN),
            lambda key: Query((Term("is", (key,), "detector"),), "parameter"),
            "It has no threshold that can be set.",
            none=lambda key: Target({}, None, key),
        ),
    )
    grid, widths = ("facts dry_run", "thresholds dry_run"), "1fr 1fr"
    readings = (DRY_RUN,)
    subject = "name"
    also = (Also("detectors.evaluate"),)

    async def read(self, plane: ControlPlane) -> Detector:
        return await plane.of(DetectorDirectory).get(self.thing_id)

    def why(self, seen: Seen[Detector]) -> list[Line]:
        return why_of(seen.thing)


def facts(detector: Detector, now: datetime) -> list[Line]:
    rows = {
        "last": relative(detector.looked_at, now),
        "known": relative(detector.known_at, now),
        "next": relative(detector.next_at, now),
        "every": spell(detector.every.total_seconds()),
        "took": milliseconds(detector.took_ms),
        "found": count(detector.found),
        "open": count_words(detector.open, "alert"),
    }
    return [
        (detector.name, "title"),
        status_cell(STATES, detector.state),
        (f"  {state_words(detector)}", "muted"),
        "",
        clean(detector.means, 500),
        "",
        *(f"{name:<8}{value}" for name, value in rows.items()),
        *statement_lines(detector),
    ]


def dry_run_lines(foreseen: DryRun) -> Sequence[Line]:
    lines: list[Line] = [(whole_words(foreseen), "title")]
    for each in foreseen.alerts:
        worse = "fired" in each.does or "raised" in each.does
        lines.append((foreseen_words(each), "warn" if worse else "muted" if each.does == ("unchanged",) else ""))
    return lines
