"""Toys in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.postgres.paging import PagedList, shape_of
from backends.postgres.statements import Connection
from backends.postgres.table import Table
from tests.toy.list import TOYS
from tests.toy.model import Toy, ToyDirectory, ToyStore
from tests.toy.refusals import NO_TOY

TOY_TABLE = Table("wf.toys", Toy, ("id",), NO_TOY)


class Toys(PagedList[Toy], ToyDirectory):
    shape = shape_of(TOYS, "wf.toy_list")

    async def get(self, toy_id: str) -> Toy:
        async with self.home.connection() as connection:
            return await TOY_TABLE.get(connection, toy_id)


@dataclass(frozen=True)
class ToyWriter(ToyStore):
    connection: Connection

    async def lock(self, toy_id: str) -> Toy:
        return await TOY_TABLE.lock(self.connection, toy_id)

    async def create(self, columns: dict[str, Any]) -> Toy:
        return await TOY_TABLE.create(self.connection, columns)

    async def update(self, toy_id: str, columns: dict[str, Any]) -> Toy:
        return await TOY_TABLE.update(self.connection, columns, toy_id)
