"""What a command of one's own writes, as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from controlplane.owncommands import OwnCommand
from screens.dialogs.viewer import Viewer
from screens.session import Session

Job = Callable[[Callable[[str], None]], Awaitable[str]]
"""Runs it, given what takes its output; returns how it ended, in words."""


class Output(Viewer):
    """Closing it ends the command."""

    def __init__(self, session: Session, command: OwnCommand, label: str, job: Job) -> None:
        super().__init__(session, f"{command.name} {label}", [("running …", "muted")])
        self.job = job
        self.written = ""
        self.ended = ""

    def on_mount(self) -> None:
        super().on_mount()
        self.run_worker(self._run(), group="own", exit_on_error=False)

    async def _run(self) -> None:
        self.ended = await self.job(self._take)
        self._take("")

    def _take(self, piece: str) -> None:
        self.written += piece
        state = (self.ended or "running …; esc stops it", "title" if self.ended else "muted")
        self.lines = [state, "", *self.written.splitlines()]
        self._show()
