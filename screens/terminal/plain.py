"""Can this terminal draw a screen at all? No import of Textual: the answer decides whether it is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping


def why_not_a_screen(environ: Mapping[str, str] = os.environ) -> str:
    """Why the console prints plain text instead of a screen, in words; empty when a screen can be drawn."""
    if environ.get("TERM", "") in ("", "dumb"):
        return f"TERM is {environ.get('TERM') or 'not set'}"
    # Textual reads from stdin and draws on stderr; stdout counts because a person who pipes it wants text.
    for name, stream in (("input", sys.stdin), ("output", sys.stdout), ("error output", sys.stderr)):
        if stream is None or not stream.isatty():
            return f"the {name} is not a terminal"
    return ""
