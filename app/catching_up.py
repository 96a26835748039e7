"""`:catch-up`: what happened in the incidents since a person left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.errors import Refusal
from controlplane.incidents import catchup
from screens.desk import Done

if TYPE_CHECKING:
    from app.console import Watchfloor


def catch_up(app: Watchfloor, rest: str) -> None:
    app.run_worker(_show(app, rest), group="act", exclusive=True, exit_on_error=False)


async def _show(app: Watchfloor, since: str) -> None:
    from screens.dialogs.viewer import Viewer

    try:
        plane = app.session.require_plane()
        lines = await catchup.catch_up(plane, await catchup.left_at(plane, since, app.console_id))
    except Refusal as refusal:
        app.tell(Done(str(refusal), "bad"))
        return
    app.push_screen(Viewer(app.session, "catch up", lines))
