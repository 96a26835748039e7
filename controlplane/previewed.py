"""What was previewed is what runs: the ids and secrets that were shown, the versions that were seen, the same changes.

The run uses the ids and secrets that its preview drew; a number that the home assigns at the commit is not shown
before. The run is compared with the preview before it is committed, by a hash of what both change.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from controlplane.audit.model import KEPT_BY_DATABASE, AuditRow, Record, differences
from controlplane.errors import Conflict

if TYPE_CHECKING:
    from controlplane.operations import Operation, Outcome, Request

Req = TypeVar("Req", bound="Request")
NEW = "(new)"
NUMBERS = ("id", "grant", "change", "number", "leak")
"""Fields of a result that may hold a number assigned by the home."""
SHOWN_THINGS = 3
PASSING = KEPT_BY_DATABASE | {"request_id", "change_id", "sha256"}
"""Fields that always differ between a preview and its run, and mean nothing: a certificate's hash covers its time."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)


def bound(operation: Operation[Any], request: Req, preview: Outcome) -> Req:
    """The request with the version and the hash that its preview showed, where it has such fields and left them out."""
    fields = type(request).model_fields
    binding: Record = {"preview_hash": preview.result.get("preview_hash"), "version": _version(operation, preview.rows)}
    missing = {
        name: value
        for name, value in binding.items()
        if value is not None and name in fields and getattr(request, name) is None
    }
    return request.model_copy(update=missing) if missing else request


def _version(operation: Operation[Any], rows: Sequence[AuditRow]) -> int | None:
    """The version of the one thing that is changed; a change of several things is bound by the hash alone."""
    seen = [
        row.before["version"] for row in rows if row.noun == operation.noun and row.before and "version" in row.before
    ]
    return seen[0] if len(seen) == 1 else None


def check_as_previewed(preview: Outcome, rows: Sequence[AuditRow], result: Record) -> None:
    """Raises Conflict `preview_changed` when the run is not what its preview showed."""
    shown, now = _facts(preview.rows), _facts(rows)
    hashes = preview.result.get("preview_hash"), result.get("preview_hash")
    if shown == now and hashes[0] == hashes[1]:
        return
    things = sorted({f"{noun} {thing}" for noun, thing, *_ in set(shown) ^ set(now)})
    more = f" and {len(things) - SHOWN_THINGS:,} more" if len(things) > SHOWN_THINGS else ""
    what = ", ".join(things[:SHOWN_THINGS]) + more if things else "what it is done to"
    raise Conflict(
        "preview_changed",
        f"It would not be what you saw: {what} changed since the preview. Nothing was changed.",
        "Look at it again, then repeat.",
        why=[f"hash of the preview: {digest(preview.rows)}", f"hash now: {digest(rows)}", *things],
    )


def digest(rows: Sequence[AuditRow]) -> str:
    """What a change does, as SHA-256: the same for a preview and its run, whenever they are made."""
    return hashlib.sha256(json.dumps(_facts(rows)).encode()).hexdigest()


def _facts(rows: Sequence[AuditRow]) -> list[tuple[str, str, str, str]]:
    """Each row as it was seen and what becomes of it. Of a time that the change sets, only that it is set."""
    found = []
    for row in unnumbered(rows):
        before = row.before or {}
        seen = before["version"] if "version" in before else _timeless(before)
        masked = replace(row, personal={})
        after = None if row.after is None else _timeless({d.field: d.after for d in differences(masked)})
        found.append((row.noun, row.thing, _text(seen), _text(after)))
    return sorted(found)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in PASSING}
    if isinstance(value, list):
        return [_timeless(each) for each in value]
    return "an instant" if isinstance(value, str) and _INSTANT.match(value) else value


def unnumbered(rows: Sequence[AuditRow]) -> tuple[AuditRow, ...]:
    """The rows without the numbers that the home assigned to new things: the run gets other ones."""
    return tuple(replace(row, thing=_unnumbered(row), after=_without_id(row)) if _number(row) else row for row in rows)


def without_numbers(result: Record, rows: Sequence[AuditRow]) -> Record:
    """The result of a preview, without those numbers."""
    numbers = {number for row in rows if (number := _number(row))}
    return {name: value for name, value in result.items() if name not in NUMBERS or value not in numbers}


def _number(row: AuditRow) -> int | None:
    found = row.after.get("id") if row.before is None and row.after else None
    return found if isinstance(found, int) else None


def _unnumbered(row: AuditRow) -> str:
    number = str(_number(row))
    return "/".join(NEW if part == number else part for part in row.thing.split("/"))


def _without_id(row: AuditRow) -> Record:
    return {name: value for name, value in (row.after or {}).items() if name != "id"}
