"""`e` on the charts: the numbers as CSV, JSON, NDJSON or Markdown, what is seen as SVG."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from controlplane.errors import Refusal
from controlplane.exports import FORMATS, Format, Heading, chunks
from controlplane.telemetry.chartviews import render
from controlplane.telemetry.measures import records
from controlplane.telemetry.svg import drawing
from controlplane.text import clean
from screens.desk import Done
from screens.dialogs.fields import Asked, FieldsForm
from screens.exporting import check, path_of, replaced, store
from screens.telemetry.panes import ChartPanes
from screens.telemetry.top import Ranking

if TYPE_CHECKING:
    from screens.telemetry.screen import TelemetryScreen


async def export(screen: TelemetryScreen) -> Done | None:
    """Ask for format and file, and write what is shown now."""
    measured, ranking = screen.measured, screen.ranking
    assert measured is not None
    top = screen.view.chart == "top"
    asked = (
        Asked("format", "format: arrows or a first letter", choices=FORMATS if top else (*FORMATS, "svg")),
        Asked("path", "file; readable only by you; its ending follows the format", "telemetry.csv"),
    )
    what = f"the top {screen.by}s" if top else f"{len(measured.series.points)} steps"
    intro = f"{what} of {measured.label}, {measured.view.window.words}"
    answers = await screen.app.push_screen_wait(FieldsForm(screen.session, "export", asked, intro=intro, check=check))
    if answers is None:
        return None
    path = path_of(answers)
    there = path.exists()
    if there and not await screen.app.push_screen_wait(replaced(screen.session, path)):
        return None
    if answers["format"] == "svg":
        names = screen.query_one(ChartPanes).shown_charts()
        pieces: Iterable[str] = [drawing(measured, list(names))]
    else:
        rows = top_records(ranking) if top and ranking is not None else records(measured)
        view, notes = render(measured.view), () if top else measured.notes
        heading = Heading(screen.session.context, "telemetry", view, "at", measured.series.as_of, notes)
        pieces = chunks(cast(Format, answers["format"]), heading, list(rows[0]) if rows else ["at"], rows)
    try:
        await asyncio.to_thread(store, path, there, pieces)
    except OSError as error:
        return Done(f"{clean(path.name)} could not be written: {error.strerror}", "bad")
    except Refusal as refusal:
        return Done(str(refusal), "bad")
    return Done(f"written: {clean(path.absolute())}", "good")


def top_records(ranking: Ranking) -> list[dict[str, Any]]:
    return [
        {
            "place": place,
            "tenant_id": row.tenant_id,
            "route": row.route,
            "key_prefix": row.key_prefix,
            "requests": row.n,
            "errors_4xx": row.errors_4xx,
            "errors_5xx": row.errors_5xx,
            "error_share": row.error_share,
            "p95_ms": row.p95,
            "requests_week_before": row.before,
        }
        for place, row in enumerate(ranking.top.rows, 1)
    ]
