"""Reading series of requests: from which source, and in the steps in which they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.errors import Usage
from controlplane.telemetry.chartviews import HOUR, MAX_RAW_SPAN
from controlplane.telemetry.measures import gaps, together
from controlplane.telemetry.model import RequestTelemetry, Scope, Series, SeriesSource, Source

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


def series_source(plane: ControlPlane, name: Source) -> SeriesSource:
    """Raises Usage `no_prometheus`."""
    if name == "home":
        return plane.of(RequestTelemetry)
    if plane.prometheus is None:
        raise Usage(
            "no_prometheus",
            "No Prometheus is named for this context.",
            'Put prometheus = "FILE" into its profile in the settings file: docs/prometheus.md.',
        )
    return plane.prometheus


async def series_of(
    plane: ControlPlane, name: Source, scope: Scope, start: datetime, end: datetime, step: timedelta
) -> Series:
    """Raises what its source raises; NotFound when there is no data because the scope names what does not exist."""
    found = await series_source(plane, name).series(scope, start, end, step)
    if all(point is None for point in found.points):
        await plane.of(RequestTelemetry).require(scope)
    return found


async def series_as_kept(
    plane: ControlPlane, source: Source, scopes: Sequence[Scope], start: datetime, end: datetime, step: timedelta
) -> tuple[Series, ...]:
    """The series of each scope in steps of `step`, or by the hour when that covers more of the window: data from before
    minutes were kept, or taken over from elsewhere, has only hours. Raises what `series_of` raises.
    """
    found = tuple([await series_of(plane, source, scope, start, end, step) for scope in scopes])
    whole = together(found, scopes[0])
    if source == "home" and step < HOUR and end - start > MAX_RAW_SPAN and gaps(whole):
        hours = tuple([await series_of(plane, source, scope, start, end, HOUR) for scope in scopes])
        if _known(together(hours, scopes[0])) > _known(whole) + HOUR:
            return hours
    return found


def _known(series: Series) -> timedelta:
    return series.step * sum(point is not None for point in series.points)
