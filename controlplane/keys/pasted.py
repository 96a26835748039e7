"""A secret as a person pastes it: out of a settings file, a mail, a shell's history."""

from __future__ import annotations

AROUND = " \t\r\n\x0b\x0c\xa0\u200b\u2060\ufeff,;'\"`“”„‘’‚«»"
"""No secret begins or ends with one of these."""


def as_pasted(text: str) -> str:
    """The secret without what stood around it."""
    return text.strip(AROUND)
