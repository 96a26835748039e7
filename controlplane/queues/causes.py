"""What makes two dead letters the same cause: queue, handler, class of the error, and its message without what differs
from one message to the next. The home computes the same (wf.dead_cause, wf.dead_fingerprint).
"""

from __future__ import annotations

import hashlib
import re

MAX_CAUSE = 500
"""Characters of a cause."""
ID_LENGTH = 16
"""Hexadecimal digits of a fingerprint by which a cause is named."""

# Digits, letters of any script, and . _ % + -
_OF_MAIL = r"[^\x01-$&-*,/:-@\[-^`{-\x7f]"
# In this order. Each is greedy and made of classes of ASCII characters, so that Python and PostgreSQL find the same.
# Each begins only where the character before could not belong to it, so that the time stays linear.
RULES = (
    (r'"[^"]*"', "<s>"),
    (r"(?<![0-9A-Za-z])'[^']*'", "<s>"),
    (r"`[^`]*`", "<s>"),
    (
        r"(?<![0-9A-Za-z])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}"
        r"(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?(?![0-9A-Za-z])",
        "<time>",
    ),
    (rf"(?<!{_OF_MAIL}){_OF_MAIL}+@{_OF_MAIL}+", "<email>"),
    (r"(?<![^\t-\r @])[^\t-\r @]+@[^\t-\r @]+", "<email>"),  # what is left: other characters, quotes, brackets
    (
        r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])",
        "<uuid>",
    ),
    (r"(?<![0-9A-Za-z.])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9A-Za-z.])", "<ip>"),
    (r"(?<![0-9A-Za-z:])([0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])", "<ip>"),
    (r"(?<![0-9A-Za-z])0x[0-9A-Fa-f]+(?![0-9A-Za-z])", "<hex>"),
    (r"(?<![0-9A-Za-z])[0-9]+(?![0-9A-Za-z])", "<n>"),
    (r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8,}(?![0-9A-Za-z])", "<hex>"),
    (r"[0-9]+", "<n>"),
    (r"<n>([.,]<n>)+", "<n>"),
    (r"[\t-\r ]+", " "),
)
_COMPILED = [(re.compile(pattern), mark) for pattern, mark in RULES]


def cause_of(error: str) -> str:
    """The message without ids, numbers, quoted texts, addresses and times."""
    for pattern, mark in _COMPILED:
        error = pattern.sub(mark, error)
    return error.strip(" ")[:MAX_CAUSE]


def fingerprint(queue: str, handler: str, error_class: str, error: str) -> str:
    """SHA-256 in hexadecimal."""
    said = "|".join((queue, handler, error_class, cause_of(error)))
    return hashlib.sha256(said.encode()).hexdigest()
