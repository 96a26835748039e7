"""A value in a JSON document by a singular query of JSONPath (RFC 9535): `$.checks[0]['p 95']` gives one value or none.

Only these: a path that could find several values would need a rule for which of them counts.
"""

from __future__ import annotations

import re
from typing import Any

_SEGMENT = re.compile(
    r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(-?\d{1,9})\]|\['((?:[^'\\]|\\['\\])*)'\]|\[\"((?:[^\"\\]|\\[\"\\])*)\"\]"
)
MAX_SEGMENTS = 32


def segments(path: str) -> list[str | int]:
    """Raises ValueError for what is not a singular query."""
    if not path.startswith("$"):
        raise ValueError("a path begins with $: $.status, $.items[0]")
    found: list[str | int] = []
    place = 1
    while place < len(path):
        match = _SEGMENT.match(path, place)
        if match is None or len(found) >= MAX_SEGMENTS:
            raise ValueError("a path has names and numbers only: $.status, $.items[0]['p 95']")
        name, index, single, double = match.groups()
        if index is not None:
            found.append(int(index))
        else:
            found.append(
                name if name is not None else re.sub(r"\\(.)", r"\1", single if single is not None else double)
            )
        place = match.end()
    return found


def check_path(path: str) -> str:
    if path:
        segments(path)
    return path


def find(document: Any, path: str) -> tuple[bool, Any]:
    """Whether there is such a value, and the value."""
    value = document
    for part in segments(path):
        if isinstance(part, int):
            if not isinstance(value, list) or not -len(value) <= part < len(value):
                return False, None
            value = value[part]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return False, None
    return True, value
