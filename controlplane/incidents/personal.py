"""What a text that leaves the house must not hold. The same patterns as wf.personal_in; a test compares the two."""

from __future__ import annotations

import re

PATTERNS = (
    ("an e-mail address", r"[^\s@]@[^\s@]+\.[^\s@]"),
    ("an IP address", r"(^|[^0-9.])([0-9]{1,3}\.){3}[0-9]{1,3}([^0-9]|$)"),
    ("a telephone number", r"\+[0-9]([ ()/.-]?[0-9]){6}"),
    ("a bank account", r"[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){3}"),
    ("a card number", r"[0-9]([ -]?[0-9]){12}"),
    ("an API key", r"_(live|test)_[A-Za-z0-9]{8}"),
)


def personal_in(text: str) -> str | None:
    """What it looks like; None: nothing was found, which is no proof that there is nothing."""
    return next((what for what, pattern in PATTERNS if re.search(pattern, text)), None)
