"""Requests over time, from rolled-up cells and from raw rows that are not rolled up yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg.rows import TupleRow

from backends.postgres.cells import (
    CELLS,
    ROUTES_ALONE,
    cells_where,
    check_scope,
    placed,
    raw_statement,
    read_marks,
    read_rows,
    sources,
    stored_since,
    values_of,
)
from backends.postgres.statements import scalar
from controlplane.telemetry.model import (
    FLEET,
    ManySeries,
    RequestTelemetry,
    Scope,
    Series,
    SeriesPage,
    whole_steps,
)

if TYPE_CHECKING:
    from backends.postgres.home import Home
    from controlplane.telemetry.anomalies import Limits, UsageReport
    from controlplane.telemetry.tops import By, Measure, Top

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Telemetry(RequestTelemetry):
    """Implements `RequestTelemetry` over a home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    async def newest(self) -> datetime | None:
        async with self.home.connection() as connection:
            newest: datetime | None = await scalar(connection, "SELECT wf.newest_request()")
        return newest.astimezone(UTC) if newest else None

    async def require(self, scope: Scope) -> None:
        from backends.postgres.seen import require_seen

        await require_seen(self.home, scope)

    async def series(self, scope: Scope, start: datetime, end: datetime, step: timedelta) -> Series:
        check_scope(scope)
        start, steps = whole_steps(start, end, step)
        values: dict[str, Any] = {"step": step, "start": start} | values_of(scope)
        async with self.home.connection() as connection:
            marks = await read_marks(connection)
            rows: list[TupleRow] = []
            for source, lower, upper in sources(marks, start, start + steps * step, step):
                part = values | {"lower": lower, "upper": upper}
                if source == "raw":
                    rows += await read_rows(connection, raw_statement(scope), part)
                    continue
                cells = await read_rows(connection, CELLS[source] + cells_where(scope), part)
                wanted = (upper - lower) // (HOUR if source == "hours" else MINUTE)
                if values["dim"] == "tenant" and len(cells) < wanted:
                    cells += await read_rows(connection, CELLS[source] + ROUTES_ALONE[source], part | {"dim": "route"})
                rows += cells
            points = placed(rows, start, step, steps)
            since = await stored_since(connection, marks, points, start, step)
        return Series(scope, start, step, points, marks.now, since=since)

    async def page(self, asked: ManySeries, after: str | None = None) -> SeriesPage:
        from backends.postgres.series_pages import read_page

        return await read_page(self.home, asked, after)

    async def key_usage(
        self, tenant_id: str, window: int, baseline: int, limits: Limits, key_prefix: str | None = None
    ) -> UsageReport:
        from backends.postgres.key_usage import read_key_usage

        return await read_key_usage(self.home, tenant_id, window, baseline, limits, key_prefix)

    async def top(
        self,
        by: By,
        start: datetime,
        end: datetime,
        measure: Measure,
        limit: int = 20,
        scope: Scope = FLEET,
    ) -> Top:
        from backends.postgres.tops import read_top

        return await read_top(self.home, by, start, end, measure, limit, scope)
