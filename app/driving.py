"""What the console does in the background, whatever screen is shown: runs that it drives, and other long work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from textual import work
from textual.app import App
from textual.worker import Worker, WorkerState

from controlplane.errors import OutcomeUnknown, Refusal
from screens.actions import Done
from screens.session import Session

if TYPE_CHECKING:
    from app.console import Watchfloor
    from backends.secrets.handed_out import SecretsFile
    from controlplane.runs.model import Run
    from screens.work import Work

TELL_SECONDS = 0.5


class Driving(App[None]):
    """The part of the program that carries work on."""

    session: Session

    def tell(self, done: Done) -> None:
        raise NotImplementedError

    def exit(self, result: None = None, return_code: int = 0, message: Any = None) -> None:
        """Whoever leaves while a change waits for its answer takes along how to look it up."""
        if (pending := self.session.pending) is not None:
            return_code = return_code or OutcomeUnknown.exit_code
            message = (
                f"{pending.what}: the outcome is unknown, the home has not answered. "
                f"Look it up: watchfloor audit list request:{pending.request_id}"
            )
        super().exit(result, return_code, message)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.unforeseen(event.worker.error)

    def unforeseen(self, error: BaseException) -> None:
        """Something in the background failed that nobody foresaw: say so, and where the details are."""
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
    async def drive_run(self, run_id: int, secrets_to: str = "") -> None:
        """Carry a run on while this console lives; another may take it over when it does not.

        `secrets_to`: the file that secrets are added to, when the run makes some.
        """
        from controlplane.runs.engine import drive
        from screens.bulk import progress_words

        began = told = self._loop_time()

        def progress(run: Run) -> None:
            nonlocal told
            if self._loop_time() - told >= TELL_SECONDS:
                told = self._loop_time()
                self.tell(Done(progress_words(run, told - began), "muted"))

        file = None
        try:
            if secrets_to:
                file = await asyncio.to_thread(_secrets_file, secrets_to)
            keep = file.keep if file is not None else None
            run = await drive(self.session.require_writing(), run_id, on_progress=progress, keep=keep)
            tone = "good" if run.state == "done" and not run.refused else "warn"
            self.tell(Done(progress_words(run, self._loop_time() - began), tone))
        except Refusal as refusal:
            self.tell(Done(f"run {run_id}: {refusal} :runs, a r goes on with it", "bad"))
        finally:
            if file is not None:
                file.close()

    def start_work(self, work: Work, job: Coroutine[Any, Any, str]) -> None:
        """Do the job in the background of the program; it is in the list of long work from now on."""
        from app.work import start

        start(cast("Watchfloor", self), work, job)

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


def _secrets_file(path: str) -> SecretsFile:
    from pathlib import Path

    from backends.secrets.handed_out import SecretsFile

    return SecretsFile(Path(path).expanduser(), append=True)
