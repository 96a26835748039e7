"""The registry of evidence in PostgreSQL, what covers which control, and the part of the trail that a bundle takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backends.postgres.audit_chain import origin_of
from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.audit.chain import GENESIS
from controlplane.evidence.collecting import Part, TrailParts
from controlplane.evidence.controls import Control, Standing, shipped, standing
from controlplane.evidence.list import CONTROLS, EVIDENCE
from controlplane.evidence.model import CoverageDirectory, Evidence, EvidenceDirectory, EvidenceStore
from controlplane.evidence.refusals import NO_EVIDENCE
from controlplane.memorylist import MemoryList

if TYPE_CHECKING:
    from backends.postgres.home import Home

EVIDENCE_TABLE = Table("wf.evidence", Evidence, ("id",), NO_EVIDENCE, held="NO KEY UPDATE")
_NAMES = names(fields_of(Evidence))
_NEWEST = sql.SQL("SELECT {} FROM wf.evidence WHERE kind = k AND withdrawn_at IS NULL{} ORDER BY at DESC LIMIT 1")
# For each kind and environment one row from the index, however many there are; environment '' is any.
NEWEST = sql.SQL("""
SELECT DISTINCT ON (id) {} FROM unnest(%(kinds)s::text[]) k, unnest(%(environments)s::text[]) n,
  LATERAL (({}) UNION ALL ({}) UNION ALL ({}) UNION ALL ({})) e
ORDER BY id
""").format(
    sql.SQL(", ").join(sql.SQL("e.{}").format(sql.Identifier(name)) for name in fields_of(Evidence)),
    *(
        _NEWEST.format(_NAMES, sql.SQL(condition))
        for condition in (
            " AND environment = n",
            " AND environment = n AND signature = 'good'",
            " AND n = ''",
            " AND n = '' AND signature = 'good'",
        )
    ),
)
CHECKPOINT = "SELECT size, note FROM wf.audit_checkpoints ORDER BY size DESC, id DESC LIMIT 1"
BEFORE = "SELECT coalesce((SELECT seq FROM wf.audit WHERE at < %s ORDER BY seq DESC LIMIT 1), 0)"
HEAD = "SELECT head FROM wf.audit_chain WHERE seq = %s"


class Registry(PagedList[Evidence], EvidenceDirectory):
    shape = shape_of(
        EVIDENCE,
        "wf.evidence",
        orders={"id": Order("id", "bigint")},
        filters={"id": Filtered(sql.SQL("id::text"), number=sql.Identifier("id"))},
    )

    async def get(self, number: int) -> Evidence:
        async with self.home.connection() as connection:
            return await EVIDENCE_TABLE.get(connection, number)

    async def newest(self, kinds: Collection[str], environments: Collection[str]) -> Sequence[Evidence]:
        async with self.home.connection() as connection:
            return await newest(connection, kinds, environments)


async def newest(connection: Connection, kinds: Collection[str], environments: Collection[str]) -> Sequence[Evidence]:
    values = {"kinds": sorted(set(kinds)), "environments": sorted(set(environments))}
    return await rows(connection, Evidence, NEWEST, values)


class Coverage(MemoryList[Standing], CoverageDirectory):
    """The controls of the home's file, each held against the newest evidence."""

    declared = CONTROLS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def controls(self) -> Sequence[Control]:
        return (self.home.controls or shipped)()

    async def rows(self) -> tuple[Sequence[Standing], datetime]:
        controls = await self.controls()
        async with self.home.connection() as connection:
            found = await newest(
                connection,
                {kind for control in controls for kind in control.evidence},
                {control.environment for control in controls},
            )
        now = self.home.clock.now()
        return [standing(control, found, now) for control in controls], now


class Trail(TrailParts):
    def __init__(self, home: Home) -> None:
        self.home = home

    async def since(self, since: datetime) -> Part:
        async with self.home.connection() as connection:
            origin = await origin_of(connection)
            to = int(await scalar(connection, "SELECT coalesce(max(seq), 0) FROM wf.audit_chain"))
            after = min(int(await scalar(connection, BEFORE, [since])), to)
            signed = await (await connection.execute(CHECKPOINT)).fetchone()
            if signed is not None:
                after = min(after, signed[0])
            head = GENESIS if after == 0 else bytes(await scalar(connection, HEAD, [after]))
        return Part(origin, after, to, head, None if signed is None else signed[1], 0 if signed is None else signed[0])


@dataclass(frozen=True)
class EvidenceWriter(EvidenceStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Evidence:
        return await EVIDENCE_TABLE.lock(self.connection, number)

    async def create(self, columns: Mapping[str, Any]) -> Evidence:
        return await EVIDENCE_TABLE.create(self.connection, columns)

    async def update(self, number: int, columns: Mapping[str, Any]) -> Evidence:
        return await EVIDENCE_TABLE.update(self.connection, columns, number)
