"""Runs: what is done in bulk, how far it is, and a verdict for every thing."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from textual import on

from controlplane.formatting import show
from controlplane.listing import Listing
from controlplane.runs.model import ITEM_FIELDS, ITEM_SORTS, RUN_FIELDS, RUN_SORTS, Run, RunItem
from controlplane.runs.rules import check_resume, is_left
from screens.actions import Done, Target, not_done
from screens.bulk import Driver, ask_secrets_file, confirmed
from screens.lists import ListScreen
from screens.session import Session
from screens.widgets.columns import Cell, Column, Tone
from screens.widgets.lines import Line
from screens.widgets.table import WindowTable

STATE: dict[str, tuple[str, Tone]] = {
    "running": ("▶ running", "good"),
    "interrupted": ("◌ interrupted", "warn"),
    "paused": ("◐ paused", "warn"),
    "stopped": ("■ stopped", "muted"),
    "done": ("● done", "good"),
    "refused": ("✕ refused", "bad"),
    "waiting": ("… waiting", "muted"),
    "skipped": ("– skipped", "muted"),
}


DRIVEN = {
    "running": "a program does one item after another",
    "waiting": "a worker, or a r, begins with it",
    "interrupted": "the program that drove it is gone. a r goes on with it, a u takes back what was done",
}


def state_cell(state: str) -> Cell:
    return Cell(*STATE.get(state, ("? unknown", "unknown")))


def run_columns(session: Session) -> Sequence[Column[Run]]:
    return (
        Column("id", "RUN", 5, 1, lambda r: Cell(str(r.id)), "right"),
        Column("operation", "OPERATION", 16, 2, lambda r: Cell(r.operation)),
        Column("state", "STATE", 13, 3, lambda r: state_cell(r.standing)),
        Column("done", "DONE", 11, 4, lambda r: Cell(f"{r.settled:,}/{r.total:,}"), "right"),
        Column("refused", "REFUSED", 7, 5, lambda r: Cell(str(r.refused), "bad" if r.refused else ""), "right"),
        Column("actor", "WHO", 10, 7, lambda r: Cell(r.actor)),
        Column("why", "WHY", 12, 6, lambda r: Cell(r.why or r.reason or ""), grow=True),
        Column(
            "created",
            "STARTED",
            session.time_cells("STARTED"),
            8,
            lambda r: Cell(show(r.created_at, session.clock(), session.time_form)),
            "right",
        ),
    )


class RunsScreen(ListScreen[Run]):
    noun = "runs"
    means = "What was done to many things at once: one at a time, paced, paused by its breaker, each with a verdict."
    fields, sorts, sort, descending = RUN_FIELDS, RUN_SORTS, "created", True
    nothing = "Nothing was done in bulk yet. Mark rows with space and press a."

    def columns(self) -> Sequence[Column[Run]]:
        return run_columns(self.session)

    def listing(self) -> Listing[Run]:
        return self.session.require_plane().runs

    def target_of(self, row: Run) -> Target:
        return Target({"id": row.id}, None, f"run {row.id}")

    @on(WindowTable.Opened)
    def _opened(self, event: WindowTable.Opened) -> None:
        self.desk.open_thing("runs", event.row.key)

    def operations(self) -> list[Any]:
        from controlplane.runs.operations import UNDO

        offered = [*super().operations(), UNDO]
        return [dataclasses.replace(o, fits=_fits_resume) if o.name == "runs.resume" else o for o in offered]

    async def _act(self, operation: Any, targets: list[Target]) -> None:
        """A run that goes on needs somebody who drives it: this console."""
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
            run = await self.session.require_plane().runs.get(int(targets[0].subject["id"]))
        except Refusal as refusal:
            self.say(Done(str(refusal), "bad"))
            return
        place: str | None = ""
        if named(run.operation).makes_secret:
            place = await ask_secrets_file(self.app, self.session, f"resume run {run.id}", new=False)
        if place is None:
            return
        if not is_left(run):  # else its state is right already, as `watchfloor runs resume` has it
            await super()._act(operation, targets)
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

    def why_lines(self) -> list[Line]:
        run: Run | None = self.current()
        if run is None:
            return []
        return [
            (f"run {run.id}: {run.operation}", "title"),
            f"{run.standing}{': ' + run.why if run.why else ''}; {DRIVEN.get(run.standing, 'nobody drives it')}",
            *([f"driven by a program of {run.driver}"] if run.driver else []),
            f"reason: {run.reason or 'none was given'}",
            f"things: {'those that matched ' + run.filter if run.filter else 'named one by one'}, fixed at its start",
            f"pace: {run.per_second:g} per second; it pauses above {run.breaker_share:.0%} refusals of the last ones",
        ]


def _fits_resume(run: Run, now: datetime) -> None:
    if not is_left(run):
        check_resume(run)


def _drive(app: Any, run_id: int, secrets_to: str = "") -> None:
    driver: Driver = app
    driver.drive_run(run_id, secrets_to)


class RunScreen(ListScreen[RunItem]):
    """The things of one run."""

    noun = "items"
    means = "Every thing of this run with its verdict."
    fields, sorts, sort = ITEM_FIELDS, ITEM_SORTS, "ordinal"
    hints = (("d", "describe"), ("/", "filter"), ("esc", "back"), ("?", "help"))

    def __init__(self, key: str) -> None:
        super().__init__()
        self.run_id = int(key)

    def crumbs(self) -> list[str]:
        return ["runs", str(self.run_id)]

    def columns(self) -> Sequence[Column[RunItem]]:
        return (
            Column("ordinal", "#", 6, 2, lambda i: Cell(str(i.ordinal)), "right"),
            Column("thing", "THING", 20, 1, lambda i: Cell(i.thing), grow=True),
            Column("state", "VERDICT", 11, 1, lambda i: state_cell(i.state)),
            Column("code", "CODE", 18, 3, lambda i: Cell(i.code or "")),
            Column("words", "WHY", 24, 4, lambda i: Cell(i.words or ""), grow=True),
        )

    def listing(self) -> Listing[RunItem]:
        return self.session.require_plane().runs.items(self.run_id)

    def targets(self) -> list[Target]:
        return []

    def operations(self) -> list[Any]:
        return []

    def record(self) -> dict[str, Any] | None:
        row = self.current()
        return None if row is None else dataclasses.asdict(row) | {"request_id": row.request_id}

    @on(WindowTable.Opened)
    def _opened(self) -> None:
        self.action_describe()

    def view_link(self) -> str:
        return f"{self.session.context}/runs/{self.run_id}"
