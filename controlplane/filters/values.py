"""`plan:` alone: which values a field of text has, the most frequent first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from controlplane.filters.grammar import Field, named
from controlplane.text import clean

MAX_VALUES = 12
MAX_ROWS = 10_000
"""So many rows that match the rest of the filter are looked at, and no longer than:"""
SECONDS = 0.5

Found = Sequence[tuple[str, int]] | None
"""Values, and how many of the rows that were looked at have each; None: that took too long."""
_ALONE = re.compile(r"(?:^|\s)-?([A-Za-z_][\w.-]*):$")


def asked_field(text: str, fields: Sequence[Field]) -> tuple[str, Field] | None:
    """The field of text that ends a filter without a value, and the filter before it."""
    text = text.strip().removeprefix("/")
    alone = _ALONE.search(text)
    field = named(fields).get(alone[1].lower()) if alone else None
    return None if alone is None or field is None or field.kind != "text" else (text[: alone.start()], field)


def values_words(field: Field, found: Found) -> str:
    """ "plan is growth (412), pro (300)"."""
    if found is None:
        return f"{field.name}: finding its values took too long; filter by something else first, or type a part of it."
    if not found:
        return f"{field.name}: no value to show; type a part of it after the colon, or {field.name}:/…/."
    many = " and others" if len(found) > MAX_VALUES else ""
    said = ", ".join(f"{clean(value, 40)} ({number:,})" for value, number in found[:MAX_VALUES])
    return f"{field.name} is {said}{many}"
