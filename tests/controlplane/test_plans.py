"""What an entitlement of a plan is."""

from __future__ import annotations

import pytest

from controlplane.plans.rules import kind_of


@pytest.mark.parametrize("value", [0, -2, 1.5, "", None, [], {}, {"hard": 0, "period": "day"}, {"hard": 5}, 10**18])
def test_what_is_no_entitlement(value: object) -> None:
    assert kind_of(value) is None
