"""Lists that are read a page at a time, by key: the millionth row costs what the first does."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from controlplane.errors import Usage
from controlplane.filters.grammar import Term

if TYPE_CHECKING:
    from controlplane.filters.values import Found
    from controlplane.lists import Column

Scalar = str | float | int | None
Position = tuple[Scalar, ...]
"""Where a row stands in the order: the sort value, then the key. What a keyset page starts from."""


class Row(Protocol):
    @property
    def key(self) -> str:
        """The identity that cursor and marks hold on to."""
        ...


class ById:
    """A row that its id names."""

    __slots__ = ()
    id: Any

    @property
    def key(self) -> str:
        return str(self.id)


R = TypeVar("R", bound=Row)
R_co = TypeVar("R_co", bound=Row, covariant=True)


class Query(NamedTuple):
    """What a list shows: the parsed filter, and one column's order (ties are broken by key)."""

    terms: tuple[Term, ...] = ()
    sort: str = ""
    descending: bool = False

    def digest(self) -> str:
        import hashlib  # loads OpenSSL: not before the first paint

        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


class Page(NamedTuple, Generic[R_co]):
    """Rows in display order, each with its position. `first`/`last`: nothing comes before / after."""

    rows: tuple[R_co, ...]
    positions: tuple[Position, ...]
    first: bool
    last: bool
    as_of: datetime


@dataclass(frozen=True)
class Count:
    """Exact up to a cap. `capped`: more than `number`, shown as 10,000+; with `near`: about so many, as ~12,000."""

    number: int
    capped: bool = False
    near: bool = False

    def __str__(self) -> str:
        return f"~{self.number:,}" if self.near else f"{self.number:,}" + ("+" if self.capped else "")


class Listing(Protocol[R_co]):
    """One capability of a context: a list that can be paged in any of its orders."""

    async def page(
        self,
        query: Query,
        *,
        start: Position | None = None,
        inclusive: bool = False,
        backward: bool = False,
        limit: int = 100,
    ) -> Page[R_co]:
        """Read up to `limit` rows after `start` (before it when `backward`); None starts at that end of the list."""
        ...

    async def count(self, query: Query, cap: int = 10_000) -> Count: ...

    async def values(self, column: Column[Any], terms: Sequence[Term]) -> Found:
        """The most frequent values of a column of text, one more than are shown, as the login may see them.

        Of some of the rows that match; None when that takes too long.
        """
        ...

    async def get(self, *key: Any) -> R_co:
        """The row with this key, as it is named by the list's declaration. Raises NotFound."""
        ...


def cursor(query: Query, position: Position) -> str:
    """The text that `--after` takes: a position, bound to the list that it was read from."""
    return base64.urlsafe_b64encode(json.dumps([query.digest(), *position]).encode()).decode().rstrip("=")


def position_of(query: Query, text: str) -> Position:
    """Decode a cursor. Raises Usage `cursor_unreadable`, or `cursor_of_another_list` for another filter or order."""
    from controlplane import jsontext

    try:
        digest, *position = jsontext.read(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        raise Usage("cursor_unreadable", "The cursor after --after cannot be read.", "Start without it.") from None
    if digest != query.digest():
        raise Usage(
            "cursor_of_another_list",
            "The cursor after --after belongs to another filter or order.",
            "Repeat the command that printed it, or start without it.",
        )
    return tuple(position)


class View(NamedTuple):
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
