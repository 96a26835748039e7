"""What a change would do, in words that a tired person can read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.previews import value_words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (True, "yes"),
        (1234567, "1234567"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04:05.678901+00:00", "2026-01-02 03:04:05 UTC"),  # as the trail keeps it
        ("2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"),
        ("from 2026-01-02T03:04:05+00:00 on", "from 2026-01-02T03:04:05+00:00 on"),
        (["orders:read"], '["orders:read"]'),
        ("red\x1b[31m", "red␛[31m"),
    ],
)
def test_a_value_is_said_for_a_person(value: object, words: str) -> None:
    assert value_words(value) == words
