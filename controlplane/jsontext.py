"""JSON: foreign text read with a limit on its depth, and text of ours that whoever reads it can read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

MAX_INTEGER_BITS = 4096
DEEPEST = 64
"""Levels of nested lists and objects. No screen shows what is nested deeper, and the home refuses it."""
LONGEST = 308
"""Digits of a number that a double holds. PostgreSQL's JSON takes 131,072 before the point."""
_DIGITS = "0123456789"
TOO_DEEP = {"unreadable": f"nested deeper than {DEEPEST} levels"}


def read(text: str | bytes, *, real: Callable[[str], Any] = float, constant: Callable[[str], Any] | None = None) -> Any:
    """Raises ValueError, and nothing else, for what cannot be read or is nested deeper than DEEPEST."""
    try:
        value = json.loads(text, parse_float=real, parse_constant=constant)
    except RecursionError:
        raise _too_deep() from None
    if _is_too_deep(value):
        raise _too_deep()
    return value


def read_stored(text: str | bytes) -> Any:
    """What a home holds. A value that is nested deeper than DEEPEST, however it came to be there, is read as TOO_DEEP,
    and a number of more than LONGEST digits as a text: neither hides the others.
    """
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_real) if _has_long_number(text) else json.loads(text)
    except RecursionError:
        return dict(TOO_DEEP)
    brackets = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    return dict(TOO_DEEP) if brackets > DEEPEST and _is_too_deep(value) else value


def _has_long_number(text: str | bytes) -> bool:
    """Whether more than LONGEST digits follow one another: then one of every LONGEST + 1 characters is among them."""
    for place in range(LONGEST, len(text), LONGEST + 1):
        around = text[place - LONGEST : place], text[place : place + LONGEST + 1]
        before, after = (each if isinstance(each, str) else each.decode("latin-1") for each in around)
        if len(before) - len(before.rstrip(_DIGITS)) + len(after) - len(after.lstrip(_DIGITS)) > LONGEST:
            return True
    return False


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST else digits


def _real(digits: str) -> float | str:
    return value if math.isfinite(value := float(digits)) else digits


def _is_too_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level := [part for each in level for part in _parts(each)]:
        depth += 1
        if depth > DEEPEST:
            return True
    return False


def write(value: Any) -> bytes:
    """Compact UTF-8, whatever is in it: what JSON has no word for becomes null or its own text."""
    text = json.dumps(_fit(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _fit(value: Any, depth: int = 0) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:  # Python itself does not write out such a one
        return None
    if value is None or isinstance(value, str | int):
        return value
    if depth > DEEPEST:
        return "nested too deep"
    if isinstance(value, Mapping):
        return {str(name): _fit(part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_fit(part, depth + 1) for part in value]
    return str(value)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values()) or [None]
    return value or [None] if isinstance(value, list) else []


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {DEEPEST} levels")
