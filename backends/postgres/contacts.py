"""Contacts in PostgreSQL: they are few, so their list is read whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.contacts.list import CONTACTS
from controlplane.contacts.model import Contact, ContactDirectory, ContactStore
from controlplane.contacts.refusals import NO_CONTACT
from controlplane.encryption import Encrypted
from controlplane.memorylist import MemoryList

if TYPE_CHECKING:
    from backends.postgres.home import Home

CONTACT_TABLE = Table("wf.contacts", Contact, ("id",), NO_CONTACT, held="NO KEY UPDATE")
ALL = sql.SQL("SELECT {} FROM wf.contacts WHERE removed_at IS NULL ORDER BY person, channel").format(
    names(fields_of(Contact))
)


async def all_contacts(connection: Connection) -> Sequence[Contact]:
    return await rows(connection, Contact, ALL)


class Contacts(MemoryList[Contact], ContactDirectory):
    declared = CONTACTS

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[Contact], datetime]:
        async with self.home.connection() as connection:
            now: datetime = await scalar(connection, "SELECT now()")
            return await all_contacts(connection), now.astimezone(UTC)

    async def get(self, number: int) -> Contact:
        async with self.home.connection() as connection:
            return await CONTACT_TABLE.get(connection, number)


@dataclass(frozen=True)
class ContactWriter(ContactStore):
    """Writes within one transaction."""

    connection: Connection

    async def lock(self, number: int) -> Contact:
        return await CONTACT_TABLE.lock(self.connection, number)

    async def create(self, columns: Mapping[str, Any]) -> Contact:
        return await CONTACT_TABLE.create(self.connection, columns)

    async def update(self, number: int, columns: Mapping[str, Any]) -> Contact:
        return await CONTACT_TABLE.update(self.connection, columns, number)

    async def put_address(self, number: int, stored: Encrypted) -> None:
        await self.connection.execute("SELECT wf.put_contact_secret(%s, %s, %s)", [number, stored.key_id, stored.data])
