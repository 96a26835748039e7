"""Which alerts a console rings for: those that fire for the first time, and that nothing keeps quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.alerts.model import Alert, AlertDirectory
from controlplane.errors import NotFound

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane
    from controlplane.routes.model import Decision

MOST = 20
"""Of so many that come together, each is looked at; one that is not quiet is enough."""
QUIET = ("silenced", "maintenance", "quiet_window", "quiet_digest", "quiet_drop", "quiet_dropped")


def is_quiet(decision: Decision) -> bool:
    """Whether every route that takes an alert keeps it quiet now; where none takes it, what holds on whatever route."""
    asked = [each.stages for each in decision.routes] or [decision.shared]
    return all(any(stage.verdict == "hold" and stage.code in QUIET for stage in stages) for stages in asked)


class Bell:
    """What one console has heard of the alerts of one home. What is open when it begins is not new."""

    def __init__(self) -> None:
        self._known: set[int] | None = None

    async def new(self, plane: ControlPlane) -> list[Alert]:
        """Those to ring for now: each alert is in one answer at most. Raises Refusal."""
        found = await plane.of(AlertDirectory).newest()
        known, oldest = self._known, min((each.id for each in found), default=0)
        if known is None:
            self._known = {each.id for each in found}
            return []
        fresh = [each.id for each in found if each.fires and each.id not in known]
        rings = [alert for number in fresh[:MOST] if (alert := await _rings(plane, number)) is not None]
        self._known = {number for number in known | {each.id for each in found} if number >= oldest}
        return rings


async def _rings(plane: ControlPlane, number: int) -> Alert | None:
    from controlplane.routes.kept import RouteDirectory  # not at the first look, which every start waits for

    try:
        alert = await plane.of(AlertDirectory).get(number)
        return None if is_quiet(await plane.of(RouteDirectory).explain(number)) else alert
    except NotFound:  # it is gone meanwhile
        return None
