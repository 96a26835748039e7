"""What was published where, and the places that it is published to: the lists, and what people ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from backends.postgres.filtering import Filtered
from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.statements import Connection, scalar
from backends.postgres.table import Table
from controlplane.evidence.list import PUBLICATIONS, TARGETS
from controlplane.evidence.model import (
    Publication,
    PublicationDirectory,
    PublicationStore,
    PublicationTarget,
    TargetDirectory,
    TargetStore,
)
from controlplane.evidence.refusals import NO_PUBLICATION, NO_TARGET

PUBLICATION_TABLE = Table("wf.publications", Publication, ("id",), NO_PUBLICATION, view="wf.publication_list")
TARGET_TABLE = Table("wf.publication_targets", PublicationTarget, ("target",), NO_TARGET, view="wf.target_list")


class Publications(PagedList[Publication], PublicationDirectory):
    shape = shape_of(
        PUBLICATIONS,
        "wf.publication_list",
        orders={"id": Order("id", "bigint")},
        filters={
            "id": Filtered(sql.SQL("id::text"), number=sql.Identifier("id")),
            "evidence": Filtered(sql.SQL("evidence_id::text"), number=sql.Identifier("evidence_id")),
        },
    )

    async def get(self, number: int) -> Publication:
        async with self.home.connection() as connection:
            return await PUBLICATION_TABLE.get(connection, number)

    async def attestation(self, number: int) -> Mapping[str, Any] | None:
        async with self.home.connection() as connection:
            found: Mapping[str, Any] | None = await scalar(
                connection, "SELECT (SELECT attestation FROM wf.publications WHERE id = %s)", [number]
            )
            return found


class Targets(PagedList[PublicationTarget], TargetDirectory):
    shape = shape_of(TARGETS, "wf.target_list", tie=("target",))

    async def get(self, target: str) -> PublicationTarget:
        async with self.home.connection() as connection:
            return await TARGET_TABLE.get(connection, target)


@dataclass(frozen=True)
class PublicationWriter(PublicationStore):
    """Writes within one transaction, through the home's functions alone."""

    connection: Connection

    async def lock(self, number: int) -> Publication:
        return await PUBLICATION_TABLE.get(self.connection, number)

    async def publish(self, evidence: int, target: str) -> Publication:
        number = await scalar(self.connection, "SELECT wf.publish_evidence(%s, %s)", [evidence, target])
        return await PUBLICATION_TABLE.get(self.connection, number)

    async def change(self, verb: str, number: int) -> Publication:
        await self.connection.execute("SELECT wf.change_publication(%s, %s)", [verb, number])
        return await PUBLICATION_TABLE.get(self.connection, number)

    async def verify(self, number: int) -> Publication:
        await self.connection.execute("SELECT wf.verify_publication(%s)", [number])
        return await PUBLICATION_TABLE.get(self.connection, number)


@dataclass(frozen=True)
class TargetWriter(TargetStore):
    """Writes within one transaction, through the home's functions alone."""

    connection: Connection

    async def lock(self, target: str) -> PublicationTarget:
        return await TARGET_TABLE.get(self.connection, target)

    async def limit(self, target: str, priority: int, rate: int | None, keep_days: int | None) -> PublicationTarget:
        await self.connection.execute("SELECT wf.limit_target(%s, %s, %s, %s)", [target, priority, rate, keep_days])
        return await TARGET_TABLE.get(self.connection, target)

    async def sweep(self, target: str, hours: int, remove: bool) -> PublicationTarget:
        await self.connection.execute("SELECT wf.sweep_target(%s, %s, %s)", [target, hours, remove])
        return await TARGET_TABLE.get(self.connection, target)
