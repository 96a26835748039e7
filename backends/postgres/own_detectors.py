"""A team's own detectors: what they measure, by SQL that may only read (sql/own_detectors.sql) or by PromQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from backends.postgres.statements import Connection, rows, scalar
from backends.postgres.table import fields_of
from controlplane.detectors.model import Measured, MetricSource, OwnDetector, OwnDetectorStore
from controlplane.detectors.refusals import NO_METRICS, OWN_DETECTOR_FAILED, OWN_DETECTOR_SQL
from controlplane.text import clean

COLUMNS = ", ".join(fields_of(OwnDetector))
ONE = f"SELECT {COLUMNS} FROM wf.own_detectors WHERE name = %s AND retired_at IS NULL"
ALL = f"SELECT {COLUMNS} FROM wf.own_detectors WHERE retired_at IS NULL ORDER BY name"
PUT = f"""
INSERT INTO wf.own_detectors ({COLUMNS}) VALUES ({", ".join(["%s"] * len(fields_of(OwnDetector)))})
ON CONFLICT (name) DO UPDATE SET retired_at = NULL,
  {", ".join(f"{name} = excluded.{name}" for name in fields_of(OwnDetector, "name"))}
"""
RETIRE = "UPDATE wf.own_detectors SET retired_at = now() WHERE name = %s"
MEASURE = "SELECT wf.own_detector_rows(%s)"
TRY = "SELECT wf.own_rows(%s)"
TYPED = "SELECT wf.own_columns(%s)"
SECONDS = 20.0
"""The time limit of a statement."""
NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


async def measured(connection: Connection, name: str, metrics: MetricSource | None) -> Sequence[Measured] | None:
    """What a team's own detector measures now; None: it is none. Raises Refusal."""
    found = await rows(connection, OwnDetector, ONE, [name])
    if not found:
        return None
    [detector] = found
    if detector.language == "promql":
        return await _asked(detector, metrics)
    try:
        return await _values(connection, MEASURE, name)
    except psycopg.Error as error:
        raise OWN_DETECTOR_FAILED(_fault(error)) from None


async def _asked(detector: OwnDetector, metrics: MetricSource | None) -> Sequence[Measured]:
    if metrics is None:
        raise NO_METRICS()
    return await metrics.instant(detector.statement)


async def _values(connection: Connection, statement: str, value: str) -> Sequence[Measured]:
    """Raises psycopg.Error."""
    said = await _reading(connection, statement, value)
    return [Measured(each["tenant_id"], each["labels"], each["value"]) for each in said]


async def _reading(connection: Connection, statement: str, value: str) -> Any:
    """Whatever the statement set or locked is gone afterwards."""
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{SECONDS:g}s"])
            return await scalar(connection, statement, [value])
    finally:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            await connection.execute("SELECT pg_advisory_unlock_all()")


def _fault(error: psycopg.Error) -> str:
    """What is wrong with a statement, with its line."""
    if isinstance(error, errors.QueryCanceled):
        return f"it took longer than {SECONDS:g} s"
    diag = error.diag
    words = clean(diag.message_primary or str(error), 300)
    if not (diag.internal_query and diag.internal_position):
        return words
    line = diag.internal_query.count("\n", 0, int(diag.internal_position))  # the first is the function's own
    return f"line {line}: {words}"


def _unfit(columns: Mapping[str, str]) -> str | None:
    """What is wrong with the columns of a statement."""
    if "tenant_id" not in columns:
        return "it needs a column tenant_id; NULL is all tenants together"
    if "value" not in columns:
        return "it needs a column value, a number"
    if columns["value"] not in NUMBERS:
        return f"its column value is of type {columns['value']}, not a number"
    return None


@dataclass(frozen=True)
class OwnDetectorWriter(OwnDetectorStore):
    """Writes within one transaction."""

    connection: Connection

    async def all(self) -> Sequence[OwnDetector]:
        return await rows(self.connection, OwnDetector, ALL)

    async def measure(self, detector: OwnDetector, metrics: MetricSource | None) -> Sequence[Measured]:
        if detector.language == "promql":
            return await _asked(detector, metrics)
        try:
            columns = await _reading(self.connection, TYPED, detector.statement)
            if (unfit := _unfit(columns)) is not None:
                raise OWN_DETECTOR_SQL(f"The SQL of {detector.name} cannot be used: {unfit}.")
            return await _values(self.connection, TRY, detector.statement)
        except psycopg.Error as error:
            raise OWN_DETECTOR_SQL(f"The SQL of {detector.name} cannot be used: {_fault(error)}.") from None

    async def put(self, detector: OwnDetector) -> None:
        await self.connection.execute(PUT, dataclasses.astuple(detector))

    async def remove(self, name: str) -> None:
        await self.connection.execute(RETIRE, [name])
