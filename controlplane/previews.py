"""What a change did, or would do, in lines: the same in a dialog, on the command line and in a log."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from controlplane.audit.model import AuditRow, differences
from controlplane.formatting import plain_number
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.operations import Operation, Outcome

MAX_VALUE_CHARACTERS = 200
MONEY = ("month_price", "year_price", "spend_cap")
"""Fields of the trail that are amounts in minor units."""
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00", re.ASCII)
"""A time as the trail keeps it."""


def value_words(value: Any) -> str:
    """A value of a field for a person, inert; unknown and empty said in words."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return plain_number(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, str) and (instant := _INSTANT.fullmatch(value)):
        return f"{instant[1]} {instant[2]} UTC"
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return clean(value, MAX_VALUE_CHARACTERS)


def row_lines(row: AuditRow) -> list[str]:
    """The thing, then a line per changed field."""
    verb = "new" if row.before is None else "gone" if row.after is None else "changed"
    lines = [f"{clean(row.noun)} {clean(row.thing)}: {verb}"]
    for change in differences(row):
        before, after = (_words(change.field, value, row) for value in (change.before, change.after))
        if row.before is None:
            lines.append(f"  {change.field}: {after}")
        elif row.after is not None:
            lines.append(f"  {change.field}: {before} → {after}")
    return lines


def _words(field: str, value: Any, row: AuditRow) -> str:
    """Money in the row's currency, where it has one; a key's cap is in its tenant's, which the row does not name."""
    currency = (row.after or row.before or {}).get("currency")
    if field in MONEY and isinstance(value, int):
        from controlplane.plans.currencies import money

        return money(value, currency)
    if field == "lines" and row.noun == "plan_changes" and isinstance(value, list):
        from controlplane.subscriptions.proration import line_words

        return clean("; ".join(line_words(line, currency or "") for line in value), MAX_VALUE_CHARACTERS)
    return value_words(value)


def outcome_lines(outcome: Outcome, limit: int = 200) -> list[str]:
    """The operation's notes, then every thing that changed; beyond `limit` lines only how many more there are."""
    lines = [clean(note) for note in outcome.result.get("notes", ())]
    lines += [line for row in outcome.rows for line in row_lines(row)]
    if not lines:
        return ["nothing changes"]
    return lines if len(lines) <= limit else [*lines[:limit], f"… and {len(lines) - limit:,} more lines"]


def _named(value: Any) -> str:
    """What names a thing, or several, as the command line takes them."""
    if not isinstance(value, list):
        return str(value)
    return json.dumps(value) if any("," in str(each) for each in value) else ",".join(map(str, value))


def command_line(operation: Operation[Any], request: Mapping[str, Any], reason: str | None) -> str:
    """The same action as a command: what a dialog shows, to be learnt, kept in a runbook, or pasted."""
    words = ["watchfloor", operation.noun, operation.verb]
    words += [_named(request.get(name, "")) for name in operation.request.subject]
    for name, value in request.items():
        if name in operation.request.subject or value is None:
            continue
        if isinstance(value, bool):
            words += [f"--{name.replace('_', '-')}"] if value else []
            continue
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    if reason:
        words += ["--reason", reason]
    return clean(shlex.join(words))
