"""Toys in PostgreSQL."""

from __future__ import annotations

from backends.postgres.paging import PagedList, shape_of
from backends.postgres.table import Table, Writer
from tests.toy.list import TOYS
from tests.toy.model import Toy, ToyDirectory, ToyStore
from tests.toy.refusals import NO_TOY

TOY_TABLE = Table("wf.toys", Toy, ("id",), NO_TOY)


class Toys(PagedList[Toy], ToyDirectory):
    shape = shape_of(TOYS, "wf.toy_list")


class ToyWriter(Writer[Toy], ToyStore):
    table = TOY_TABLE
