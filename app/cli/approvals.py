"""One request for approval on the command line, with what it would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.lists import Told, text_lines
from controlplane.approvals.words import fact_lines, why_lines

if TYPE_CHECKING:
    from controlplane.approvals.model import Approval
    from controlplane.changes import ControlPlane


async def show_approval(plane: ControlPlane, row: Approval) -> Told:
    """Show a request: what it would change, and who said what."""
    lines = [*text_lines(why_lines(row, plane.clock.now())), "", "it would change", *fact_lines(row.facts)]
    return Told({}, lines)
