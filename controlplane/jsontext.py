"""Foreign JSON, read with a limit on its depth: where Python's own is reached, it raises no ValueError."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

DEEPEST = 64
"""Levels of nested lists and objects. No screen shows and no column holds what is nested deeper."""


def read(text: str | bytes, *, real: Callable[[str], Any] = float, constant: Callable[[str], Any] | None = None) -> Any:
    """Raises ValueError, and nothing else, for what cannot be read or is nested deeper than DEEPEST."""
    try:
        value = json.loads(text, parse_float=real, parse_constant=constant)
    except RecursionError:
        raise _too_deep() from None
    level, depth = [value], 0
    while level := [part for each in level for part in _parts(each)]:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep()
    return value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values()) or [None]
    return value or [None] if isinstance(value, list) else []


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {DEEPEST} levels")
