"""Writing gates, their schedules, answers and waivers, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from psycopg import sql

from backends.postgres.gates import ALL_GATES, GATE_TABLE, WAIVER_TABLE
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import NOW, Writer, fields_of
from controlplane.gates.deciding import Waiver
from controlplane.gates.model import Gate, GateSchedule, GateStore, Mode, WaiverStore
from controlplane.gates.refusals import NO_GATE_SCHEDULE
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.gates.document import Definition

BEGIN = "SELECT wf.begin_gate_run(%s, %s, %s, %s, %s)"
PUT = """
INSERT INTO wf.gates (name, definition) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, retired_at = NULL
"""
ANSWER = "INSERT INTO wf.gate_answers (gate, check_name, environment, answer, reason) VALUES (%s, %s, %s, %s, %s)"
_SCHEDULE = names(fields_of(GateSchedule))
SCHEDULE = sql.SQL(
    "INSERT INTO wf.gate_schedules (gate, environment, every) VALUES (%s, %s, %s)"
    " ON CONFLICT (gate, environment) DO UPDATE SET every = excluded.every, ended_at = NULL RETURNING {}"
).format(_SCHEDULE)
UNSCHEDULE = sql.SQL(
    "UPDATE wf.gate_schedules SET ended_at = now()"
    " WHERE gate = %s AND environment = %s AND ended_at IS NULL RETURNING {}"
).format(_SCHEDULE)


class GateWriter(GateStore):
    """Writes within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def lock(self, name: str) -> Gate:
        return await GATE_TABLE.lock(self.connection, name)

    async def present(self) -> Mapping[str, Gate]:
        return {gate.name: gate for gate in await rows(self.connection, Gate, ALL_GATES)}

    async def put(self, definition: Definition) -> None:
        from controlplane.gates.document import written

        await self.connection.execute(PUT, [definition.name, written(definition)])

    async def retire(self, name: str, at: datetime) -> Gate:
        return await GATE_TABLE.update(self.connection, {"retired_at": NOW}, name)

    async def begin(
        self, gate: str, environment: str, mode: Mode, batch_size: int | None, batch_index: int | None
    ) -> int:
        return int(await scalar(self.connection, BEGIN, [gate, environment, mode, batch_size, batch_index]))

    async def schedule(self, gate: str, environment: str, every: timedelta) -> GateSchedule:
        [made] = await rows(self.connection, GateSchedule, SCHEDULE, [gate, environment, every])
        return made

    async def unschedule(self, gate: str, environment: str) -> GateSchedule:
        if not (ended := await rows(self.connection, GateSchedule, UNSCHEDULE, [gate, environment])):
            raise NO_GATE_SCHEDULE.of(clean(f"{gate}/{environment}", 200))
        return ended[0]

    async def answer(self, gate: str, check: str, environment: str, answer: str, reason: str) -> None:
        await self.connection.execute(ANSWER, [gate, check, environment, answer, reason])


class WaiverWriter(Writer[Waiver], WaiverStore):
    table = WAIVER_TABLE
