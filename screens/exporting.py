"""`e`: the whole list as a file, with its filter and order. Pages are read by key, so memory does not grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Usage
from controlplane.exports import ENDINGS, FORMATS, Format, Heading, chunks
from controlplane.listing import Listing, Page, Position, Query
from controlplane.lists import WITH_REASON, Line
from controlplane.text import clean
from screens.dialogs.dialog import Dialog
from screens.dialogs.fields import Answers, Asked, FieldsForm
from screens.session import Session
from screens.work import Work

if TYPE_CHECKING:
    from screens.lists import ListScreen

EXPORT_PAGE_ROWS = 1000


@dataclass(frozen=True)
class Export:
    """What is written where. `columns` are fields of a record; None is all of them. `total`: None is not known."""

    listing: Listing[Any]
    query: Query
    record: Callable[[Any], dict[str, Any]]
    columns: Sequence[str] | None
    heading: Callable[[Page[Any]], Heading]
    form: Format
    path: Path
    replace: bool
    total: int | None


def check(answers: Answers) -> None:
    """Raises Usage with what is wrong with the path."""
    if not answers.get("reason", "given"):
        raise Usage("reason_needed", "This export needs a reason.")
    path = path_of(answers)
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long, a parent that is no folder
        raise Usage("export_path", f"{clean(path, 200)}: {error.strerror}.") from None
    if path.is_dir():
        raise Usage("export_path", f"{clean(path)} is a folder.", "Add a name for the file.")
    if not path.parent.is_dir():
        raise Usage("export_path", f"There is no folder {clean(path.parent)}.")
    if path.exists() and not path.is_file():
        raise Usage("export_path", f"{clean(path)} is not a plain file.")


async def noted(screen: ListScreen[Any], answers: Answers) -> None:
    """Record the export where that is asked for. Raises Refusal; then nothing is written."""
    if "reason" in answers:
        from controlplane.queues.exported import note_export

        await note_export(
            screen.session.require_plane(), screen.noun, screen.filter_text, answers["format"], answers["reason"]
        )


def path_of(answers: Answers) -> Path:
    """The path as it was typed; the ending of another format is replaced by that of the chosen one."""
    path = Path(answers["path"] or "export").expanduser()
    endings = {str(form): ending for form, ending in ENDINGS.items()} | {"svg": "svg"}
    ending = endings[answers["format"]]
    if path.suffix.removeprefix(".") in ("", *endings.values()):
        path = path.with_suffix(f".{ending}")
    return path


def form_of(screen: ListScreen[Any]) -> FieldsForm:
    shown = ", ".join(screen.shown_fields())
    asked: tuple[Asked, ...] = (
        Asked("format", "format: arrows or a first letter", choices=FORMATS),
        Asked("columns", f"columns: all fields, or those of the list ({shown})", choices=("all", "list")),
        Asked("path", "file; readable only by you; its ending follows the format", f"{screen.noun}.csv"),
    )
    if screen.noun in WITH_REASON:
        asked += (Asked("reason", "reason *  kept in the audit trail"),)
    filtered = f"/{screen.filter_text}" if screen.filter_text else "no filter"
    order = f"{screen.sort}{' down' if screen.descending else ''}"
    intro = f"{screen.shown if screen.shown is not None else 'all'} {screen.noun}, {filtered}, order {order}"
    return FieldsForm(screen.session, "export", asked, intro=intro, check=check)


def replaced(session: Session, path: Path) -> Dialog[bool]:
    """The question whether to replace a file."""
    from controlplane.operations import Risk
    from screens.dialogs.confirm import Confirm, Question

    lines: list[Line] = [
        (f"{clean(path.name)}, {path.stat().st_size:,} bytes", "warn"),
        f"in {clean(path.parent.absolute())}",
    ]
    question = Question("replace a file", "", lines, "What is in it now is lost.", "", Risk.CONFIRM)
    return Confirm(session, question)


def export_of(screen: ListScreen[Any], answers: Answers) -> Export:
    """The export that the form's answers ask for, of the list as it is now: a later filter does not change it."""
    session, query = screen.session, screen.query_shown
    filter_text, sort = screen.filter_text, f"{'-' if query.descending else ''}{query.sort}"
    path = path_of(answers)

    def heading(first: Page[Any]) -> Heading:
        return Heading(session.context, screen.noun, filter_text, sort, first.as_of)

    return Export(
        screen.listing(),
        query,
        screen.record_of,
        screen.shown_fields() if answers["columns"] == "list" else None,
        heading,
        cast(Format, answers["format"]),
        path,
        path.exists(),
        None if screen.shown is None or screen.shown.capped else screen.shown.number,
    )


async def write(export: Export, work: Work) -> str:
    """Write the file and say what was written. Raises Refusal, OSError; then no partial file is left."""
    loop, stop = asyncio.get_running_loop(), [False]

    def read(start: Position | None) -> Page[Any]:
        asked = export.listing.page(export.query, start=start, limit=EXPORT_PAGE_ROWS)
        page: Page[Any] = asyncio.run_coroutine_threadsafe(_as_coroutine(asked), loop).result()
        return page

    try:
        await asyncio.to_thread(_write, export, work, read, lambda: stop[0])
    except asyncio.CancelledError:
        stop[0] = True  # the thread notices at its next page and removes the partial file
        raise
    return f"{work.done:,} rows in {export.path.absolute()}"


async def _as_coroutine(awaited: Any) -> Any:
    return await awaited


def _write(
    export: Export, work: Work, read: Callable[[Position | None], Page[Any]], stopped: Callable[[], bool]
) -> None:
    first = read(None)
    columns = export.columns
    if columns is None:
        columns = list(export.record(first.rows[0])) if first.rows else []

    def records() -> Iterator[dict[str, Any]]:
        page = first
        while True:
            for row in page.rows:
                yield export.record(row)
            work.done += len(page.rows)
            if export.total:
                work.share = min(1.0, work.done / export.total)
            if page.last or not page.rows or stopped():
                return
            page = read(page.positions[-1])

    heading = export.heading(first)
    store(export.path, export.replace, chunks(export.form, heading, columns, records()), stopped)


def store(path: Path, replace: bool, pieces: Iterable[str], stopped: Callable[[], bool] = lambda: False) -> None:
    """Write a file for the person alone; whatever goes wrong, no partial file is left. Raises OSError."""
    target = path.with_name(f".{path.name}.part") if replace else path
    if replace:
        target.unlink(missing_ok=True)  # left by a program that was killed
    # O_EXCL: a file that was created since the question is not overwritten, and no link is followed.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            for piece in pieces:
                file.write(piece)
        if stopped():
            target.unlink()
        elif replace:
            target.replace(path)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
