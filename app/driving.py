"""What the console does in the background, whatever screen is shown: runs that it drives, and other long work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual import work
from textual.app import App
from textual.worker import Worker, WorkerError, WorkerState

from controlplane.errors import Conflict, OutcomeUnknown, Refusal
from screens.desk import Done
from screens.session import Session

if TYPE_CHECKING:
    from app.console import Watchfloor
    from app.contexts import Context
    from app.settings import Settings
    from controlplane.audit.model import Record
    from controlplane.changes import ControlPlane
    from controlplane.operations import Keep
    from controlplane.owncommands import OwnCommand
    from controlplane.runs.model import Run
    from screens.work import Work

NOTHING_ENDS = "Nothing ends with the console."
TELL_SECONDS = 0.5
TAKEN_LOOKS = 6
"""How often the console looks whether a worker began with a run, before it carries the run itself."""


class Driving(App[None]):
    """The part of the program that carries work on."""

    session: Session
    settings: Settings
    context: Context | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.driven: dict[int, Run] = {}
        """The runs that this console carries, as they were last seen; they are interrupted when it ends."""
        self.followed: dict[int, Run] = {}
        """The runs that a worker carries."""

    if TYPE_CHECKING:  # the screens' part of the program has it, and stands behind this one

        def tell(self, done: Done) -> None: ...

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.unforeseen(event.worker.error)

    def unforeseen(self, error: BaseException) -> None:
        """Say that something in the background failed unexpectedly, and where the details are."""
        import traceback

        from app.faults import write

        where = write("".join(traceback.format_exception(error)))
        details = f"the details are in {where}" if where else "the log could not be written either"
        self.tell(Done(f"Something went wrong that nobody foresaw ({type(error).__name__}); {details}.", "bad"))

    @work(exit_on_error=False, group="act", exclusive=True)
    async def verify_key(self) -> None:
        from screens.keys.verify import ask_and_verify

        self.tell(await ask_and_verify(self, self.session) or Done("", ""))

    @work(exit_on_error=False, group="runs")
    async def drive_run(self, run_id: int) -> None:
        """See a run through: a worker carries it if there is one for it, else this console does."""
        from controlplane.runs.model import RunDirectory
        from controlplane.runs.rules import is_left
        from screens.bulk import progress_words

        try:
            plane = self.session.require_writing()
            if await self._taken(plane, run_id):
                await self._follow_run(plane, run_id)
            while is_left(run := await plane.of(RunDirectory).get(run_id)):
                try:
                    run = await self._drive_here(plane, run_id)
                except Conflict:  # a worker carries it after all
                    await self._follow_run(plane, run_id)
            tone = "good" if run.state == "done" and not run.refused else "warn"
            self.tell(Done(progress_words(run, 0.0), tone))
        except Refusal as refusal:
            self.tell(Done(f"run {run_id}: {refusal} In :runs, press a, then r, to continue it", "bad"))
        finally:
            self.driven.pop(run_id, None)
            self.followed.pop(run_id, None)

    def run_gate(self, number: int, title: str) -> None:
        """Programs of the gate are not run from here: what a screen shows must not start one."""
        from app.gating import run_gate
        from app.settings import load
        from backends.postgres.home import Home
        from controlplane.gates.deciding import Result
        from controlplane.gates.words import VERDICT_WORDS
        from screens.work import Work

        work = Work(title, "checks")
        plane = self.session.require_plane()
        assert isinstance(plane, Home)

        def told(result: Result) -> None:
            work.done += 1

        async def job() -> str:
            verdict = await run_gate(plane, number, settings=load(), folder=Path.cwd(), told=told)
            return f"run {number}: {VERDICT_WORDS[verdict]}"

        self.start_work(work, job())

    async def look_outside(self, check: Any) -> Mapping[str, Any]:
        from app.gating import look_outside
        from backends.postgres.home import Home

        plane = self.session.require_plane()
        assert isinstance(plane, Home)
        return await look_outside(plane, check)

    async def _taken(self, plane: ControlPlane, run_id: int) -> bool:
        """Whether a worker began with it: an embedded home's own worker carries the runs of the home's owner, other
        workers those of everybody.
        """
        from controlplane.filters.grammar import Term
        from controlplane.jobs.model import WorkerDirectory
        from controlplane.listing import Query
        from controlplane.runs.model import RunDirectory
        from controlplane.runs.rules import is_left

        alive = Query((Term("is", ("alive",), "state"),))
        if not (await plane.of(WorkerDirectory).page(alive, limit=1)).rows:
            return False
        for _ in range(TAKEN_LOOKS):
            if not is_left(await plane.of(RunDirectory).get(run_id)):
                return True
            await asyncio.sleep(TELL_SECONDS)
        return False

    async def _follow_run(self, plane: ControlPlane, run_id: int) -> None:
        """Say how far a worker is, until the run ends or the worker is gone."""
        from controlplane.runs.engine import follow
        from screens.bulk import progress_words

        began = self._loop_time()

        def progress(run: Run) -> None:
            self.followed[run_id] = run
            self.tell(Done(f"{progress_words(run, self._loop_time() - began)} · by the worker", "muted"))

        await follow(plane, run_id, on_progress=progress)
        self.followed.pop(run_id, None)

    async def _drive_here(self, plane: ControlPlane, run_id: int) -> Run:
        from controlplane.runs.bulk import OUTSIDE
        from controlplane.runs.engine import drive
        from controlplane.runs.model import RunDirectory
        from screens.bulk import progress_words

        began = told = self._loop_time()

        def progress(run: Run) -> None:
            nonlocal told
            self.driven[run_id] = run
            if self._loop_time() - told >= TELL_SECONDS:
                told = self._loop_time()
                self.tell(Done(progress_words(run, told - began) + here, "muted"))

        begun = self.driven[run_id] = await plane.of(RunDirectory).get(run_id)
        outside = begun.operation.startswith(f"{OUTSIDE}.")
        here = " · by this console: no worker has its source" if outside else ""
        return await drive(plane, run_id, on_progress=progress)

    # Leaving

    def own_commands(self, noun: str) -> list[OwnCommand]:
        return [each for each in self.settings.commands.values() if each.noun == noun]

    def run_own(self, argv: Sequence[str], seconds: float, take: Callable[[str], None]) -> Awaitable[str]:
        from backends.own_commands import run

        return run(argv, seconds, take)

    def leave(self, *, ask: bool = False) -> None:
        """Leave, after asking when something ends with this console; `ask`: ask also when nothing does."""
        from controlplane.operations import Risk
        from screens.dialogs.confirm import Confirm, Question

        ends = self._ending_words()
        if not ends and not ask:
            self.exit()
            return
        stays = "It is kept. Continue a run in :runs, or with watchfloor runs resume." if self.driven else ""
        all_ends = self.context.ends if self.context is not None else ""
        words = [all_ends] if all_ends else [*ends, *self._going_on_words()] or [NOTHING_ENDS]
        question = Question("leave", "", words, stays, "", Risk.CONFIRM)
        self.push_screen(Confirm(self.session, question), lambda agreed: self.exit() if agreed else None)

    def exit(self, result: None = None, return_code: int = 0, message: Any = None) -> None:
        """The last lines on the person's own screen say what ended with the console, what goes on, and how a change
        that still waits for its answer is looked up.
        """
        words = [*([message] if message else []), *self._ending_words(), *self._going_on_words()]
        if (pending := self.session.pending) is not None:
            return_code = return_code or OutcomeUnknown.exit_code
            words.append(
                f"{pending.what}: the outcome is unknown, the home has not answered. "
                f"Look it up: watchfloor audit list request:{pending.request_id}"
            )
        super().exit(result, return_code, "\n".join(map(str, words)) or None)

    def _ending_words(self) -> list[str]:
        from controlplane.runs.operations import target

        runs = []
        for run in self.driven.values():
            back = f", watchfloor runs undo {run.id} takes it back" if target(run.operation).undo else ""
            runs.append(
                f"run {run.id} ({run.operation}) is interrupted at {run.settled:,} of {run.total:,} until a worker "
                f"takes it: watchfloor runs resume {run.id} continues it{back}"
            )
        works = [f"{work.title} stops; what was done stays" for work in self.session.works if work.state == "running"]
        return runs + works

    def _going_on_words(self) -> list[str]:
        return [
            f"run {run.id} ({run.operation}), {run.settled:,} of {run.total:,} continues: the worker carries it"
            for run in self.followed.values()
        ]

    @work(exit_on_error=False, group="runs")
    async def tell_interrupted(self) -> None:
        """Tell a person who comes back of the runs that were interrupted meanwhile."""
        await self._when_shown()
        from controlplane.runs.left import left_runs

        try:
            left = [run for run in await left_runs(self.session.require_plane()) if run.standing == "interrupted"]
        except Refusal:
            return
        if left:
            run, more = left[0], f" and {len(left) - 1} more" if len(left) > 1 else ""
            words = f"run {run.id} ({run.operation}) was interrupted at {run.settled:,} of {run.total:,}{more}"
            self.tell(Done(f"{words} · in :runs, press a, then r, to continue", "warn"))

    async def _when_shown(self) -> None:
        """Wait for what the screen reads: what comes after it, and loads much, does not hold up its rows."""
        shown = self.screen
        of_screen = [each for each in self.workers if each.node is not self and each.node.is_attached]
        for worker in [each for each in of_screen if each.node.screen is shown]:
            with suppress(WorkerError):
                await worker.wait()

    def keep_secrets(self, path: str) -> Keep:
        def keep(secrets: Sequence[tuple[Record, str]]) -> None:
            from backends.secrets.handed_out import SecretsFile

            with SecretsFile(Path(path).expanduser()) as file:
                file.keep(secrets)

        return keep

    def start_work(self, work: Work, job: Coroutine[Any, Any, str]) -> None:
        """Do the job in the background of the program; it is in the list of long work from now on."""
        from app.work import start

        start(cast("Watchfloor", self), work, job)

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()
