"""The audit trail: what was done, by whom, when, why, and what it changed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from controlplane.listing import Listing

if TYPE_CHECKING:
    from controlplane.audit.chain import ChainStatus, Link

Record = dict[str, Any]


@dataclass(frozen=True)
class AuditRow:
    """One changed thing. `before`/`after` hold the whole row, personal fields masked; None: it was new / is deleted.

    `personal` has the personal fields in clear for those who may see them. `impersonation`: the one that the actor
    had open for this tenant. `carried_by`: the login of the worker that carried the actor's run.
    """

    seq: int
    at: datetime
    actor: str
    operation: str
    noun: str
    thing: str
    tenant_id: str | None
    reason: str | None
    request_id: str | None
    out_of_band: bool
    before: Record | None
    after: Record | None
    personal: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    impersonation: int | None = None
    carried_by: str | None = None

    @property
    def key(self) -> str:
        return str(self.seq)

    @property
    def was(self) -> Record:
        """Each field that changed, as it was."""
        return {change.field: change.before for change in differences(self)}


class AuditDirectory(Listing[AuditRow], Protocol):
    async def chain_status(self) -> ChainStatus: ...

    async def origin(self) -> str:
        """The name of this trail in its checkpoints."""
        ...

    async def links(self, after: int) -> list[Link]:
        """A page of the chain after a row; empty at its end."""
        ...

    async def behind(self, seq: int) -> tuple[int, int]:
        """How many rows there are after one, and how many there should be."""
        ...


class Difference(NamedTuple):
    field: str
    before: Any
    after: Any


KEPT_BY_DATABASE = frozenset({"version", "updated_at", "created_at"})
"""Fields that change with every write, so a preview leaves them out."""


def differences(row: AuditRow) -> list[Difference]:
    """The fields that this row changed, in the row's own order; of a created thing only those with a value."""
    before, after = row.before or {}, row.after or {}
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = row.personal.get(name, (before.get(name), after.get(name)))
        empty = row.before is None and not new
        if old != new and name not in KEPT_BY_DATABASE and not empty:
            found.append(Difference(name, old, new))
    return found


def as_record(row: AuditRow) -> Record:
    """The row for `--json` and export."""
    record = {f.name: getattr(row, f.name) for f in dataclasses.fields(row) if f.name != "personal"}
    record["changed"] = {d.field: [d.before, d.after] for d in differences(row)}
    return record
