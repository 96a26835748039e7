"""`watchfloor telemetry saturation`: how full a tenant's limits are, over time."""

from __future__ import annotations

from dataclasses import asdict

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, listed, table, tell
from app.cli.telemetry import WINDOW, StepText, Window, step_of
from controlplane.formatting import percent, show
from controlplane.telemetry.model import Scope
from controlplane.telemetry.reading import series_of
from controlplane.telemetry.saturation import saturation_of


async def saturation(
    tenant: str, /, *, window: Window = WINDOW, step: StepText = None, asked: Reading = READING
) -> None:
    """Show which share of its limits a tenant's requests use. A quota counts from the start of its period."""
    async with opened(asked) as context:
        start, end = window.read(context.home.clock.now())
        series = await series_of(context.home, "home", Scope(tenant), start, end, step_of(step, start, end))
        found = await saturation_of(context.home, series)
    times = series.times()
    if asked.json:
        items = [
            {"at": at, "limit": each.limit.name, "share": share}
            for each in found.filled
            for at, share in zip(times, each.shares, strict=True)
        ]
        limits = [asdict(each.limit) | {"holes": each.holes} for each in found.filled]
        listed(items, series.as_of, limits=limits, words=found.words)
        return
    columns = [Column("AT"), *(Column(f"{each.limit.name} %", "right") for each in found.filled)]
    rows = [
        [
            show(at, at, "utc"),
            *(percent(each.shares[n]) for each in found.filled),
        ]
        for n, at in enumerate(times)
    ]
    if found.filled:
        table(columns, rows)
    for each in found.filled:
        least = f", at least: of {each.holes:,} steps of this {each.limit.period} nothing is known"
        tell(f"{each.limit.name}: {each.limit.words}, from {each.limit.source}{least if each.holes else ''}")
    if found.words:
        tell(found.words)
