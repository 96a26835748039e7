"""Long work in the background of the console: it belongs to the program, so it goes on after its screen is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.switching import choices
from controlplane.errors import NotPermitted, Refusal, Usage
from controlplane.text import clean
from screens.desk import Done
from screens.dialogs.fields import Answers, Asked, FieldsForm
from screens.longwork import WorkScreen
from screens.work import Work

if TYPE_CHECKING:
    from app.console import Watchfloor
    from backends.postgres.requests import LogImport
    from controlplane.requestlogs.model import Progress
    from controlplane.sealing import Sealing


def start(app: Watchfloor, work: Work, job: Coroutine[Any, Any, str]) -> None:
    """Do the job and keep what it says; from now on `work` is in the list of long work."""
    app.session.works.append(work)
    worker = app.run_worker(_follow(app, work, job), group="work", exit_on_error=False)
    work.stop = worker.cancel


async def _follow(app: Watchfloor, work: Work, job: Coroutine[Any, Any, str]) -> None:
    try:
        work.end("done", await job)
    except asyncio.CancelledError:
        work.end("stopped", "Stopped. What was done up to there stays.")
        raise
    except Refusal as refusal:
        work.end("failed", str(refusal))
    except OSError as error:
        work.end("failed", f"{error.filename or 'The file'}: {error.strerror}.")
    finally:
        if app.is_running:
            tone = {"done": "good", "failed": "bad"}.get(work.state, "warn")
            first = work.words.partition("\n")[0]
            app.tell(Done(f"{work.title}: {first} · :work shows more", tone))


def show(app: Watchfloor) -> None:
    if not isinstance(app.screen, WorkScreen):
        app.push_screen(WorkScreen())


# A request log


def ask_import(app: Watchfloor, path: str = "") -> None:
    """Ask what to import, then import it. Raises Refusal when nothing can be changed here now."""
    from app.logformats import names

    app.session.require_writing()
    tenants = "default" if app.session.vacant else ""
    asked = (
        Asked("path", "file, plain or gzip", path),
        Asked("format", "what the log is: arrows or a first letter", choices=tuple(names(app.settings))),
        Asked("tenant", "whose requests: an id, or host, path:N, header:NAME, field:PATH of each line", tenants),
        Asked("create", "tenants that are not known", choices=("create", "skip")),
    )

    def entered(answers: Answers | None) -> None:
        if answers is not None:
            import_log(app, answers)

    check = partial(_check_import, app)
    app.push_screen(FieldsForm(app.session, "import a request log", asked, check=check), entered)


def _check_import(app: Watchfloor, answers: Answers) -> None:
    if not answers["path"]:
        raise Usage("path_needed", "Say which file.")
    path = Path(answers["path"]).expanduser()
    if not os.path.isfile(path):  # noqa: PTH113 - False as well for a name that is too long
        raise Usage("log_not_found", f"{clean(path)} is not a file that can be read.", "Relative to where you started.")
    _log_import(app, path, answers)


def _log_import(app: Watchfloor, path: Path, answers: Answers) -> LogImport:
    """Raises Usage. The answer for the tenant is not used when the format has the tenant itself."""
    from app.logformats import log_format, tenant_source
    from backends.postgres.requests import LogImport, check
    from controlplane.requestlogs.mappings import LogMapping
    from controlplane.requestlogs.model import Format

    log, whose = log_format(answers["format"], app.settings), answers["tenant"]
    source = tenant_source(whose) if ":" in whose or whose == "host" else None
    named = bool(log.tenant) if isinstance(log, LogMapping) else log is not Format.COMBINED
    job = LogImport(
        path,
        log,
        None if named or source else whose or None,
        answers["create"] == "create",
        reason=f"import of {path.name}",
        tenant_from=None if named else source,
    )
    check(job)
    return job


def import_log(app: Watchfloor, answers: Answers) -> None:
    path = Path(answers["path"]).expanduser()
    work = Work(f"import {path.name}")
    start(app, work, _import(app, work, path, answers))
    show(app)


async def _import(app: Watchfloor, work: Work, path: Path, answers: Answers) -> str:
    from backends.postgres.requests import import_requests
    from controlplane.requestlogs.telling import report_lines

    if app.context is None:
        raise Usage("home_unreachable", "The home has not been reached yet.")
    job = _log_import(app, path, answers)

    def progressed(progress: Progress) -> None:  # in the importer's thread
        work.done = progress.rows
        if progress.bytes_total:
            work.share = min(1.0, progress.bytes_done / progress.bytes_total)

    report = await import_requests(app.context.home.conninfo, job, progressed)
    work.done, work.share = report.rows, 1.0
    return "\n".join([*report_lines(report), *report.notes])


# The demonstration


def load_demonstration(app: Watchfloor) -> None:
    """Fill an embedded home with the demonstration. Raises Refusal."""
    app.session.require_writing()
    context = app.context
    if context is None or not context.embedded:
        raise Refusal(
            "demonstration_elsewhere",
            "The demonstration is loaded into an embedded home only: it makes logins of its own.",
            "In a shell: watchfloor demo",
        )
    if app.session.role != "admin":
        raise NotPermitted(
            "role_too_low", f"Loading the demonstration needs the role admin; you are {app.session.role}."
        )
    work = Work("demonstration", "steps")
    start(app, work, _demonstrate(work, choices(app)[context.name], context.home.sealing))
    show(app)


async def _demonstrate(work: Work, choice: Any, sealing: Sealing) -> str:
    from app.demo.loading import load_demonstration as load
    from app.embedded import bring_up, embedded_of

    def report(words: str) -> None:  # in the loader's thread
        work.done += 1
        work.words = words

    credentials = await asyncio.to_thread(bring_up, embedded_of(choice))
    await load(credentials.owner_conninfo(), report, sealing)
    return "The demonstration is loaded."
