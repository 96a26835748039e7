"""Who looks at what in which console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from controlplane.listing import Listing


@dataclass(frozen=True, slots=True)
class Presence:
    """A console that is open. `view`: what it shows since `view_at`, see `View`; `moved_at`: when a key was pressed
    there last. `role` None: the login is no operator any more.
    """

    console: UUID
    person: str
    role: str | None
    view: dict[str, Any]
    view_at: datetime
    moved_at: datetime
    seen_at: datetime

    @property
    def key(self) -> str:
        return str(self.console)


@dataclass(frozen=True, slots=True)
class View:
    """What a screen shows, whatever the console calls its context. `path`: of its link, without the context: a noun
    with the key of a thing, or with the text that it is opened by. Of a list also its filter, its order ("-err" is
    descending), its chosen columns, and the key of the row under the cursor.
    """

    noun: str
    path: str
    filter: str = ""
    sort: str = ""
    columns: tuple[str, ...] = ()
    row: str = ""

    def record(self) -> dict[str, Any]:
        """Without what is empty."""
        fields = {"noun": self.noun, "path": self.path, "filter": self.filter, "sort": self.sort, "row": self.row}
        return {name: value for name, value in fields.items() if value} | (
            {"columns": list(self.columns)} if self.columns else {}
        )

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> View:
        """From foreign data: what is no text is left out."""
        texts = {
            name: value
            for name in ("noun", "path", "filter", "sort", "row")
            if isinstance(value := record.get(name), str)
        }
        columns = record.get("columns")
        chosen = tuple(map(str, columns)) if isinstance(columns, list) else ()
        return cls(**{"noun": "", "path": "", **texts}, columns=chosen)

    @property
    def words(self) -> str:
        """ "tenants /status:suspended", "tenants/acme"."""
        return f"{self.path} /{self.filter}" if self.filter else self.path.replace("?", " ", 1)


class PresenceDirectory(Listing[Presence], Protocol):
    async def say(self, console: UUID, view: View, idle: float) -> None:
        """Say what this console shows. `idle`: seconds since the last key."""
        ...

    async def of(self, console: UUID) -> Presence | None:
        """None: it is closed, or its link is down."""
        ...

    async def left_at(self, console: UUID | None) -> datetime | None:
        """When the login's other consoles were used last; None: not known."""
        ...
