"""What a change did, or would do, in lines: the same in a dialog, on the command line and in a log."""

from __future__ import annotations

import json
from typing import Any

from controlplane.audit import AuditRow, differences
from controlplane.operations import Outcome
from controlplane.text import clean

LONGEST_VALUE = 200


def value_words(value: Any) -> str:
    """A value of a field for a person, inert; unknown and empty said in words."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return clean(value, LONGEST_VALUE)


def row_lines(row: AuditRow) -> list[str]:
    """The thing, then a line per changed field."""
    verb = "new" if row.before is None else "gone" if row.after is None else "changed"
    lines = [f"{clean(row.noun)} {clean(row.thing)}: {verb}"]
    for change in differences(row):
        if row.before is None:
            lines.append(f"  {change.field}: {value_words(change.after)}")
        elif row.after is not None:
            lines.append(f"  {change.field}: {value_words(change.before)} → {value_words(change.after)}")
    return lines


def outcome_lines(outcome: Outcome, limit: int = 200) -> list[str]:
    """Every thing that changed; beyond `limit` lines only how many more there are."""
    lines = [line for row in outcome.rows for line in row_lines(row)]
    if not lines:
        return ["nothing changes"]
    return lines if len(lines) <= limit else [*lines[:limit], f"… and {len(lines) - limit:,} lines more"]
