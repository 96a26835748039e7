"""Records in the one form that is hashed and signed: RFC 8785, so that the same record always has the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MAX_SAFE_INTEGER = 2**53 - 1
"""A larger one is not the same number to every reader of JSON, so it is written as text."""


def document(value: Any) -> bytes:
    """The record's canonical JSON; what JSON has no word for becomes null or its own text."""
    import rfc8785

    return rfc8785.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        parts = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(part) for part in parts]
    return str(value)
