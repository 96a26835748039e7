"""The request that takes a change back, from the audit row that the change wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from controlplane.audit.model import AuditRow, Record

if TYPE_CHECKING:
    from controlplane.operations import Request


class UndoStep(NamedTuple):
    """The operation that takes a change back, ready to run."""

    operation: str
    request: Record
    reason: str


def as_before(request: type[Request], row: AuditRow) -> Record:
    """The thing, at the version that the change left, and each changed field that the request has, as it was before.

    A thing without a column of the subject's name (`number`) is named by its id. A personal field is set only for those
    who may see it; one that was empty is set to "".
    """
    left = row.after or {}
    fields: Record = {name: left.get(name, left.get("id")) for name in request.subject}
    if "version" in request.model_fields:
        fields["version"] = left.get("version")
    for name, value in row.was.items() if row.before is not None else ():
        if name in request.personal and name in row.personal:
            fields[name] = value or ""
        elif name in request.model_fields and name not in request.personal:
            fields[name] = value
    return fields
