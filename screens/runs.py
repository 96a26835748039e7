"""Runs: what is done in bulk, how far it is, and a verdict for every thing."""

from __future__ import annotations

import shlex
from typing import Any

from controlplane.runs.list import RUNS
from controlplane.runs.model import Run, RunDirectory
from controlplane.runs.rules import is_left
from screens.actions import not_done
from screens.bulk import ask_secrets_file, confirmed
from screens.desk import Desk, Done, Target
from screens.lists import ListScreen


class RunsScreen(ListScreen[Run]):
    declared = RUNS

    def operations(self) -> list[Any]:
        from controlplane.runs.operations import UNDO

        return [*super().operations(), UNDO]

    async def _act(self, operation: Any, targets: list[Target]) -> None:
        """A resumed run needs a program that drives it: this console."""
        if operation.name == "runs.undo":
            await self._undo_run(targets)
            return
        if operation.name == "runs.resume" and targets:
            await self._resume(operation, targets)
            return
        await super()._act(operation, targets)

    async def _resume(self, operation: Any, targets: list[Target]) -> None:
        from controlplane.errors import Refusal
        from controlplane.registry import named

        try:
            run = await self.session.require_plane().of(RunDirectory).get(int(targets[0].subject["id"]))
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        place: str | None = ""
        if named(run.operation).makes_secret:
            place = await ask_secrets_file(self.app, self.session, f"resume run {run.id}", new=False)
        if place is None:
            return
        if not is_left(run):  # a run that was left has the right state already; see `watchfloor runs resume`
            await super()._act(operation, targets[:1])
        _drive(self.app, run.id, place)

    async def _undo_run(self, targets: list[Target]) -> None:
        from controlplane.errors import Refusal
        from controlplane.runs.engine import RunQuestion, undo_run
        from screens.dialogs.form import ReasonForm

        if not targets:
            self.say(Done("no run is chosen", "bad"))
            return
        session, number = self.session, int(targets[0].subject["id"])
        title = f"undo of run {number}"
        try:
            reason = await self.app.push_screen_wait(ReasonForm(session, title, title))
            if reason is None:
                return

            async def ask(question: RunQuestion) -> bool:
                command = f"watchfloor runs undo {number} --reason {shlex.quote(reason or title)}"
                return await confirmed(self.app, session, question, title, command)

            plane = session.require_writing()
            run = await undo_run(plane, number, reason, ask=ask, production=session.production)
        except Refusal as refusal:
            self.say(not_done(refusal))
            return
        _drive(self.app, run.id)
        self.say(Done(f"run {run.id} started: it takes back run {run.undoes}"))


def _drive(app: Any, run_id: int, secrets_to: str = "") -> None:
    desk: Desk = app
    desk.drive_run(run_id, secrets_to)
