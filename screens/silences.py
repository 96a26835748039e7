"""One silence: what it hides, until when, why; the alerts that it hides now; and all that was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controlplane.lists import Line, status_cell
from controlplane.silences.directory import KeptSilence, RecentAlert, SilenceDirectory, SilenceRow
from controlplane.silences.list import STATES, as_record
from controlplane.silences.words import fact_lines, hidden_lines, why_of
from screens.detail import DetailScreen
from screens.panes import Facts, Reading, Seen, timeline

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


@dataclass(frozen=True)
class Hidden:
    """The alerts that it hides now; `more`: there may be others."""

    alerts: Sequence[RecentAlert]
    more: bool


async def read_hidden(plane: ControlPlane, row: SilenceRow, now: datetime) -> Hidden:
    if row.standing != "active":
        return Hidden((), False)
    return Hidden(*await plane.of(SilenceDirectory).hidden(row.silence, now))


HIDDEN = Reading(read_hidden, every=5.0)


def facts(row: SilenceRow, now: datetime) -> list[Line]:
    return [status_cell(STATES, row.standing), *fact_lines(row, now)]


def hidden(seen: Seen[SilenceRow]) -> list[Line]:
    found = seen.of(HIDDEN)
    if seen.thing.standing != "active":
        return [(f"it is {seen.thing.standing}: it hides nothing now", "muted")]
    return hidden_lines(found.alerts, found.more)


class SilenceScreen(DetailScreen[SilenceRow]):
    noun = "silences"
    numbered = True
    rows = KeptSilence
    means = "One silence: which alerts it matches, until when and why, and those that it hides now."
    panes = (
        Facts("silence", lambda seen: facts(seen.thing, seen.now)),
        Facts("hidden", hidden),
        timeline("thing", "silences"),
    )
    grid, widths = ("silence hidden", "silence timeline"), "2fr 3fr"
    readings = (HIDDEN,)

    async def read(self, plane: ControlPlane) -> SilenceRow:
        return await plane.of(SilenceDirectory).get(int(self.thing_id))

    def row_of(self, thing: SilenceRow) -> KeptSilence:
        return thing.silence

    def record_of(self, thing: SilenceRow) -> dict[str, Any]:
        return as_record(thing)

    @property
    def label(self) -> str:
        return f"silence {self.thing_id}"

    def why(self, seen: Seen[SilenceRow]) -> list[Line]:
        return why_of(seen.thing, seen.now)
