"""Governance reports on the command line: one in short, and whole in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told, text_lines
from app.cli.output import tell
from app.cli.parameters import Parameter
from controlplane.errors import Usage
from controlplane.jsontext import read_stored
from controlplane.reports.data import ANOTHER_FORM, read
from controlplane.reports.list import report_lines, why_report
from controlplane.reports.model import Report, ReportDirectory
from controlplane.reports.refusals import REPORT_UNREADABLE, REPORT_WAITS
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

ENDINGS = (".md", ".html", ".json")


async def show_report(plane: ControlPlane, report: Report) -> Told:
    """Show a report in short: what was decided, waived and proven, and what is due."""
    text = await plane.of(ReportDirectory).data(report.id)
    lines = [*why_report(report, plane.clock.now()), "", *report_lines(text)]
    return Told({"data": None if text is None else read_stored(text)}, text_lines(lines))


async def write(
    report: int,
    file: Annotated[Path, Parameter(help="A new file; its ending sets the format: .md, .html, .json.")],
    /,
    *,
    asked: Reading = READING,
) -> None:
    """Write a report into a file: Markdown, a page with charts, or the JSON whose SHA-256 is on record."""
    from controlplane.reports import rendering

    if file.suffix not in ENDINGS:
        raise Usage("report_form", f"A report is written as {', '.join(ENDINGS)}.", "Name the file so: report.html")
    async with opened(asked) as context:
        found = context.home.of(ReportDirectory)
        await found.get(report)
        text = await found.data(report)
    if text is None:
        raise REPORT_WAITS()
    whole = {".md": rendering.markdown, ".html": rendering.html}
    try:
        content = whole[file.suffix](read(text)) if file.suffix in whole else text
    except ANOTHER_FORM:
        raise REPORT_UNREADABLE() from None
    try:
        with file.open("x", encoding="utf-8", newline="") as target:
            target.write(content)
    except FileExistsError:
        raise Usage("file_exists", f"{clean(file, 300)} is there already.", "Name a new file.") from None
    except OSError as error:
        raise Usage("file_unwritable", f"{clean(file, 300)} cannot be written: {error.strerror}.") from None
    tell(clean(f"report {report} is in {file}", 400))
