"""One silence on the command line, with the alerts that it hides now."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from app.cli.lists import Told, text_lines
from controlplane.silences.directory import SilenceDirectory, SilenceRow
from controlplane.silences.words import fact_lines, hidden_lines

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_silence(plane: ControlPlane, row: SilenceRow) -> Told:
    """Show a silence, and the alerts that it hides now."""
    silences, now, active = plane.of(SilenceDirectory), plane.clock.now(), row.standing == "active"
    alerts, more = await silences.hidden(row.silence, now) if active else ((), False)
    lines = [f"silence {row.key}: {row.standing}", *text_lines(fact_lines(row, now))]
    if active:
        lines += ["", *text_lines(hidden_lines(alerts, more))]
    return Told({"hidden": [dataclasses.asdict(each) for each in alerts]}, lines)
