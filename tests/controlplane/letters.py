"""Texts of errors, as hostile as they come."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = (
    *"0123456789abcdefABCDEFxgzZTé\u0661ſK\n\t\v\x1c\u00a0 '\"`@._%+-:,<>n",
    "12:30", "2026-11-30T06:26:03.123Z", "2026-11-30 10:00", "550e8400-e29b-41d4-a716-446655440000", "192.168.0.1",
    "::1", "fe80::1:2", "0xdeadbeef", "a@b.c", "<n>", "<n>.", "deadbeef1", "std::vector", "can't",
)  # fmt: skip
ERRORS = st.lists(st.sampled_from(PIECES), max_size=20).map("".join) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=200
)
