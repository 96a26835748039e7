"""Detectors in PostgreSQL: those that are one statement run in the home; two are computed here, because screens share
their rules. A team's own are measured by `own_detectors`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from backends.postgres.job_queue import PostgresQueue
from backends.postgres.key_usage import unusual_keys
from backends.postgres.objectives import live_standings
from backends.postgres.own_detectors import measured
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.refusals import refusal_of
from backends.postgres.statements import Connection, rows, scalar
from backends.postgres.table import Table
from controlplane.audit.model import Record
from controlplane.detectors.findings import burn_findings, usage_findings
from controlplane.detectors.list import DETECTORS, THRESHOLDS
from controlplane.detectors.model import (
    Detector,
    DetectorDirectory,
    DetectorStore,
    DryRun,
    Finding,
    Foreseen,
    Judged,
    Measured,
    MetricSource,
    Scope,
    Threshold,
    ThresholdDirectory,
    ThresholdSource,
    ThresholdStore,
)
from controlplane.detectors.refusals import NO_DETECTOR, NO_THRESHOLD, THRESHOLD_NOT_SET
from controlplane.errors import NotFound, NotPermitted, Refusal
from controlplane.jobs.engine import GiveUp, Kind
from controlplane.jobs.engine import sql as job
from controlplane.jobs.model import Claimed, JobQueue
from controlplane.operators.roles import allows

DETECTOR_TABLE = Table("wf.detectors", Detector, ("name",), NO_DETECTOR, view="wf.detector_list")
SOURCES = "SELECT source, value, set_by, set_at FROM wf.threshold_sources(%s, %s) ORDER BY place"
JUDGED = """
SELECT p.detector || '.' || p.name, p.unit, s.source, s.value, s.set_by, s.set_at
FROM wf.detector_parameters p, wf.threshold_sources(p.detector || '.' || p.name, %s) s
WHERE p.detector = %s ORDER BY 1, s.place
"""
WOULD = "SELECT wf.would_evaluate(%s, %s::jsonb)"
EVALUATE = "SELECT wf.evaluate(%s, %s::jsonb, %s, %s)"
SET = """
INSERT INTO wf.thresholds (detector, name, tenant_id, plan, value) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (parameter, scope) DO UPDATE SET value = excluded.value
RETURNING parameter, scope, value
"""
HELD = """
SELECT FROM wf.thresholds WHERE detector = %s AND name = %s AND tenant_id IS NOT DISTINCT FROM %s
  AND plan IS NOT DISTINCT FROM %s AND value IS NOT NULL
"""
EVALUATION_SECONDS = 30.0
"""A detector whose statement takes longer has failed; the others go on."""


async def burning(connection: Connection) -> list[Finding]:
    return burn_findings(await live_standings(connection))


async def unusual(connection: Connection) -> list[Finding]:
    return usage_findings(await unusual_keys(connection))


COMPUTED: Mapping[str, Callable[[Connection], Awaitable[list[Finding]]]] = {
    "burn_rate": burning,
    "key_usage_anomaly": unusual,
}
"""The detectors that the home cannot evaluate alone."""


async def found_by(connection: Connection, name: str, metrics: MetricSource | None) -> str | None:
    """What a computed detector finds, or a team's own measures, as JSON; None for the others."""
    found: Sequence[Finding] | Sequence[Measured] | None
    if name in COMPUTED:
        found = await COMPUTED[name](connection)
    elif (found := await measured(connection, name, metrics)) is None:
        return None
    return await as_found(found)


async def as_found(found: Sequence[Finding] | Sequence[Measured]) -> str:
    return await asyncio.to_thread(json.dumps, [dataclasses.asdict(each) for each in found], allow_nan=False)


def evaluating(metrics: MetricSource | None) -> Kind:
    """The job that evaluates one detector. `metrics`: the Prometheus of the worker."""

    async def run(queue: JobQueue, claimed: Claimed) -> bool:
        assert isinstance(queue, PostgresQueue)
        name = claimed.payload.get("detector")
        if not isinstance(name, str):
            raise GiveUp("a job that evaluates names a detector")
        found, took, trouble = None, None, None
        begun = time.monotonic()
        try:
            async with asyncio.timeout(EVALUATION_SECONDS), queue.connection() as connection:
                found = await found_by(connection, name, metrics)
            took = None if found is None else (time.monotonic() - begun) * 1000
        except TimeoutError:
            trouble = f"it took longer than {EVALUATION_SECONDS:g} s"
        except psycopg.Error as error:
            trouble = str(refusal_of(error))
        except Refusal as refusal:
            trouble = f"{refusal.message} {refusal.hint}".strip()
        except (ArithmeticError, ValueError) as error:
            trouble = f"{type(error).__name__}: {error}"
        try:
            await queue.settled(claimed, EVALUATE, [name, found, took, trouble], seconds=EVALUATION_SECONDS)
        except NotFound:
            return False  # it was removed meanwhile: there is nothing left to do
        return True

    return Kind("evaluate_detector", run, seconds=3 * EVALUATION_SECONDS)


UPKEEP = (
    job("queue_evaluations", "SELECT wf.queue_evaluations()", timedelta(seconds=10)),
    job("keep_key_days", "SELECT wf.keep_key_days()", timedelta(minutes=1)),
    evaluating(None),
)


class Detectors(PagedList[Detector], DetectorDirectory):
    shape = shape_of(
        DETECTORS,
        "wf.detector_list",
        tie=(),
        orders={
            "name": Order("name", "text"),
            "every": Order("extract(epoch FROM every)::float8", "float8", ("name",), few=True),
        },
    )

    async def dry_run(self, name: str) -> DryRun:
        if not allows(self.home.actor.role, "operator"):
            raise NotPermitted("role_too_low", "A dry run needs the role operator.", "Ask somebody who has it.")
        async with self.home.connection(EVALUATION_SECONDS) as connection:
            await DETECTOR_TABLE.get(connection, name)
            return await dry_run(connection, name, self.home.metrics)


async def dry_run(connection: Connection, name: str, metrics: MetricSource | None) -> DryRun:
    return await would(connection, name, await found_by(connection, name, metrics))


async def would(connection: Connection, name: str, found: str | None) -> DryRun:
    told = await scalar(connection, WOULD, [name, found])
    alerts = tuple(Foreseen(**{**each, "does": tuple(each["does"])}) for each in told.get("alerts", ()))
    return DryRun(told["silent"], told["counts"], told.get("found"), told.get("took_ms"), alerts)


class Thresholds(PagedList[Threshold], ThresholdDirectory):
    shape = shape_of(THRESHOLDS, "wf.threshold_list", tie=("scope",), orders={"parameter": Order("parameter", "text")})

    async def sources(self, parameter: str, tenant_id: str | None) -> Sequence[ThresholdSource]:
        async with self.home.connection() as connection:
            found = await rows(connection, ThresholdSource, SOURCES, [parameter, tenant_id])
        if not found:
            raise NO_THRESHOLD.of(parameter)
        return found

    async def judged(self, detector: str, tenant_id: str | None) -> Sequence[Judged]:
        async with self.home.connection() as connection:
            found = await (await connection.execute(JUDGED, [tenant_id, detector])).fetchall()
        units = {parameter: unit for parameter, unit, *_ in found}
        return [
            Judged(name, unit, tuple(ThresholdSource(*rest) for each, _, *rest in found if each == name))
            for name, unit in units.items()
        ]


@dataclass(frozen=True)
class DetectorWriter(DetectorStore, ThresholdStore):
    """Writes within one transaction."""

    connection: Connection

    async def dry_run(self, name: str, metrics: MetricSource | None) -> DryRun:
        return await dry_run(self.connection, name, metrics)

    async def would(self, name: str, found: Sequence[Measured]) -> DryRun:
        return await would(self.connection, name, await as_found(found))

    async def evaluate_soon(self, name: str) -> None:
        await self.connection.execute("SELECT wf.evaluate_soon(%s)", [name])

    async def set(self, detector: str, name: str, scope: Scope, value: float | None) -> Record:
        if value is None:
            held = await (await self.connection.execute(HELD, [detector, name, *scope])).fetchone()
            if held is None:
                raise THRESHOLD_NOT_SET()
        made = await (await self.connection.execute(SET, [detector, name, *scope, value])).fetchone()
        assert made is not None
        return {"parameter": made[0], "scope": made[1], "value": made[2]}
