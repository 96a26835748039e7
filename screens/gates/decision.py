"""One run of a gate: what each check found, also while it is under way, and how that differs from the run before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.filters.grammar import Term
from controlplane.formatting import count_words
from controlplane.gates.list import CHECKS
from controlplane.gates.model import CheckRow, GateRun, RunDirectory
from controlplane.gates.standing import rows_of
from controlplane.gates.words import compared, run_lines
from controlplane.listing import Query
from controlplane.lists import Line
from controlplane.text import clean
from screens.detail import DetailScreen, Related
from screens.panes import Facts, Reading, Seen, TablePane

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.changes import ControlPlane


@dataclass(frozen=True)
class Before:
    """The run before it, of the same gate there, and what each found. `number` None: there is none."""

    number: int | None
    was: Sequence[CheckRow] = ()
    now: Sequence[CheckRow] = ()


async def read_before(plane: ControlPlane, run: GateRun, now: datetime) -> Before:
    runs = plane.of(RunDirectory)
    among = (Term("is", (run.gate,), "gate"), Term("is", (run.environment,), "environment"))
    page = await runs.page(Query(among, "started", True), start=(run.id,), limit=10)
    before = next((each for each in page.rows if each.state == "decided"), None)
    if before is None:
        return Before(None)
    return Before(before.id, rows_of(await runs.whole(before.id)), rows_of(await runs.whole(run.id)))


BEFORE = Reading(read_before, every=2.0)


def difference(seen: Seen[GateRun]) -> list[Line]:
    before = seen.of(BEFORE)
    if before.number is None:
        return [("there is no run before it", "muted")]
    found = compared(before.was, before.now)
    lines: list[Line] = [(f"against run {before.number}: {count_words(len(found), 'check')} changed", "title")]
    return [*lines, *(clean(f"{name}: {was} → {now}", 300) for name, was, now in found)]


GATE = Related(
    "gate",
    "F",
    "its gate",
    "gate",
    "gates",
    of=lambda screen: screen.row and f"{screen.row.gate}/{screen.row.environment}",
)


class DecisionScreen(DetailScreen[GateRun]):
    noun = "decisions"
    numbered = True
    rows = GateRun
    means = "One run of a gate: what each check found, also while it is under way, and the verdict."
    panes = (
        Facts("run", lambda seen: run_lines(seen.thing, seen.now)),
        TablePane(
            "checks", CHECKS, CHECKS.table, lambda key: Query((Term("is", (f"run:{key}",), "of"),)), "It has no checks."
        ),
        Facts("difference", difference),
    )
    grid, widths = ("run checks", "difference checks"), "2fr 3fr"
    readings = (BEFORE,)
    related = (GATE,)

    @property
    def label(self) -> str:
        return f"run {self.thing_id}"

    def record_of(self, thing: GateRun) -> dict[str, Any]:
        return {name: getattr(thing, name) for name in thing.__dataclass_fields__}

    def why(self, seen: Seen[GateRun]) -> list[Line]:
        return run_lines(seen.thing, seen.now)
