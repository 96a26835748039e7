"""Alerts, detectors and thresholds on the command line: one of each with all that is known of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.lists import Told, row_lines, text_lines
from app.cli.output import document, fact_lines, say
from app.cli.parameters import Parameter
from controlplane.alerts.model import Alert, AlertDirectory
from controlplane.alerts.words import ended_words, event_words, lasted_words, why_of
from controlplane.detectors import words
from controlplane.detectors.list import THRESHOLDS
from controlplane.detectors.model import Detector, ThresholdDirectory
from controlplane.filters.grammar import Term
from controlplane.listing import Query
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_alert(plane: ControlPlane, alert: Alert) -> Told:
    """Show an alert: why it is as it is, all that happened to it, and how earlier ones ended."""
    alerts = plane.of(AlertDirectory)
    events, similar = await alerts.events(alert.id), await alerts.similar(alert)
    lines = text_lines(why_of(alert, plane.clock.now()))
    lines += [f"  {event.at:%Y-%m-%d %H:%M:%S}Z  {event_words(event)}" for event in events]
    lines += [
        f"earlier: alert {each.id}, {each.fired_at:%Y-%m-%d %H:%M}Z for {lasted_words(each)}, ended {ended_words(each)}"
        for each in similar
    ]
    record = {
        "events": [dataclasses.asdict(each) for each in events],
        "similar": [dataclasses.asdict(each) for each in similar],
    }
    return Told(record, lines)


async def show_detector(plane: ControlPlane, detector: Detector) -> Told:
    """Show a detector: its last evaluation, and the thresholds that it judges by."""
    about = Query((Term("is", (detector.name,), "detector"),), "parameter")
    page = await plane.of(ThresholdDirectory).page(about)
    lines = [
        *text_lines(words.why_of(detector)),
        *fact_lines((name, str(getattr(detector, name))) for name in ("took_ms", "found", "open")),
        *row_lines(THRESHOLDS.printed, page.rows, page.as_of),
    ]
    return Told({"thresholds": [dataclasses.asdict(each) for each in page.rows]}, lines)


async def show_threshold(
    parameter: str,
    /,
    *,
    tenant: Annotated[str | None, Parameter(help="The tenant to ask for; default: all tenants.")] = None,
    asked: Reading = READING,
) -> None:
    """Show which value of a threshold applies to a tenant, and which it overrides."""
    async with opened(asked) as context:
        sources = await context.home.of(ThresholdDirectory).sources(parameter, tenant)
    if asked.json:
        document(
            {
                "item": {
                    "parameter": parameter,
                    "tenant_id": tenant,
                    "sources": [dataclasses.asdict(each) for each in sources],
                }
            }
        )
        return
    for line in text_lines(words.source_lines(sources)):
        say(clean(line))
