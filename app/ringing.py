"""The console rings when something new fires, whatever screen is shown."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from textual import work
from textual.app import App

from controlplane.errors import Refusal
from screens.desk import Done
from screens.session import Session

if TYPE_CHECKING:
    from app.settings import Settings
    from controlplane.alerts.model import Alert
    from controlplane.routes.ringing import Bell


class Ringing(App[None]):
    settings: Settings
    session: Session
    accessible: bool
    bell_of_home: Bell | None = None
    """What was heard of the home that is open, across lost links; None: nothing yet."""
    _listening = False

    if TYPE_CHECKING:

        def tell(self, done: Done) -> None: ...

    def listen_for_alerts(self) -> None:
        """Look once; a look that is under way is not repeated, or two could ring for the same alert."""
        if self.settings.bell != "off" and self.session.plane is not None and not self._listening:
            self._listening = True
            self._listen()

    @work(exit_on_error=False, group="bell")
    async def _listen(self) -> None:
        from controlplane.routes.ringing import Bell

        try:
            bell = self.bell_of_home = self.bell_of_home or Bell()
            with suppress(Refusal):  # the link is lost: what fires meanwhile is new at the next look
                if (fired := await bell.new(self.session.require_plane())) and bell is self.bell_of_home:
                    self._ring(fired)
        finally:
            self._listening = False

    def _ring(self, fired: list[Alert]) -> None:
        from controlplane.alerts.words import ESTATE
        from screens.terminal.bell import ringing
        from screens.terminal.life import TerminalDriver

        worst, more = fired[0], f" and {len(fired) - 1} more" if len(fired) > 1 else ""
        words = f"alert {worst.id} of {worst.tenant_id or ESTATE}, {worst.severity}: {worst.summary}{more}"
        if isinstance(self._driver, TerminalDriver) and (rung := ringing(self.settings.bell, words, os.environ)):
            self._driver.ring(rung)
        if self.accessible:
            self.tell(Done(f"new {words}", "bad"))
