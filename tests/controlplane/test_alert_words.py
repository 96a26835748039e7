from __future__ import annotations

from typing import Any

import pytest

from controlplane.alerts.words import measured_words, number_words
from tests.controlplane.stored_alerts import stored


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": 3.0, "threshold": 1.0, "unit": "keys"}, "3 / 1 keys"),
        ({"value": 17.0, "threshold": None, "unit": "×"}, "17 × / –"),
        ({"value": None, "threshold": 14.4, "unit": "×"}, "– / 14.4 ×"),
        ({"value": None, "threshold": None, "unit": "×"}, "–"),
        ({"value": 0.25, "threshold": 0.05, "unit": "share"}, "25 % / 5 %"),
    ],
)
def test_what_was_measured_stands_beside_its_threshold(fields: dict[str, Any], words: str) -> None:
    assert measured_words(stored(**fields)) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(1, "keys", "1 key"), (2, "keys", "2 keys"), (0.831, "share", "83.1 %"), (None, "keys", "–"), (1500, "", "1,500")],
)
def test_a_number_has_its_unit(value: float | None, unit: str, words: str) -> None:
    assert number_words(value, unit) == words
