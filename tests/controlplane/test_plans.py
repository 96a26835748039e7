"""What can be an entitlement, how it is told, and when a plan is there to be tried."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.plans import rules, words
from controlplane.plans.model import Plan

PLAN = Plan("pro", 2, "Pro", "EUR", 2900, 29_000, "arrears", 14, {}, datetime(2026, 1, 15, tzinfo=UTC), "ana")
QUOTA: dict[str, Any] = {"hard": 1000, "period": "day"}
RATE: dict[str, Any] = {"rps": 1.5, "burst": 1000}


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (True, "boolean", "yes"),
        (False, "boolean", "no"),
        ("g", "string", "g"),
        ("g" * 200, "string", "g" * 200),
        (-1, "integer", "unlimited"),
        (1, "integer", "1"),
        (1200, "integer", "1,200"),
        (10**18 - 1, "integer", f"{10**18 - 1:,}"),
        (QUOTA, "quota", "1,000 a day"),
        ({"hard": 1, "period": "hour"}, "quota", "1 an hour"),
        ({"hard": -1, "period": "month"}, "quota", "unlimited a month"),
        ({"hard": -1, "soft": 5, "period": "month"}, "quota", "unlimited a month, soft 5"),
        (QUOTA | {"soft": 1000, "burst": 1}, "quota", "1,000 a day, soft 1,000, burst 1"),
        (RATE, "rate", "1.5/s, burst 1,000"),
        ({"rps": 1_000_000, "burst": 1}, "rate", "1,000,000/s, burst 1"),
        (RATE | {"max_wait_ms": 0}, "rate", "1.5/s, burst 1,000"),
        (RATE | {"max_wait_ms": 1}, "rate", "1.5/s, burst 1,000, waits 1 ms"),
        (RATE | {"max_wait_ms": 9_999_999}, "rate", "1.5/s, burst 1,000, waits 9999999 ms"),
    ],
)
def test_what_an_entitlement_can_be_and_how_it_is_told(value: Any, kind: str, said: str) -> None:
    assert rules.kind_of(value) == kind
    assert words.value_words(value) == said


@pytest.mark.parametrize(
    "value",
    [
        *(0, -2, 1.5, "", None, [], {}, {"hard": 0, "period": "day"}, {"hard": 5}, 10**18),
        "g" * 201,
        *[QUOTA | more for more in ({"hard": 0}, {"hard": -2}, {"hard": True}, {"hard": "9"}, {"hard": 10**18})],
        *[QUOTA | more for more in ({"soft": 1001}, {"soft": 0}, {"soft": True}, {"burst": 0}, {"period": "week"})],
        *[QUOTA | more for more in ({"rps": 1}, {"more": 1}, {"period": None})],
        *[
            RATE | more
            for more in ({"rps": 0}, {"rps": True}, {"rps": 1_000_001}, {"rps": math.inf}, {"rps": math.nan})
        ],
        *[RATE | more for more in ({"rps": "1"}, {"burst": 0}, {"burst": None}, {"burst": 1.5}, {"more": 1})],
        *[RATE | {"max_wait_ms": wait} for wait in (-1, 10_000_000, True, False, 0.5)],
        {"rps": 1},
        {"burst": 1},
    ],
)
def test_what_is_no_entitlement(value: object) -> None:
    assert rules.kind_of(value) is None


def test_a_limit_that_is_not_set_is_not_one_without_end() -> None:
    assert [words.limit_words(number) for number in (None, -1, 1200)] == ["–", "unlimited", "1,200"]


def test_more_tenants_than_are_counted_are_said_to_be_more() -> None:
    assert [words.tenants_words(replace(PLAN, tenants=number)) for number in (None, 0, 10_000, 10_001)] == [
        *("–", "0", "10,000", "10,000+")
    ]


@pytest.mark.parametrize(
    ("price", "days", "tried"), [(0, 14, True), (0, 1, True), (0, 0, False), (1, 14, False), (1, 0, False)]
)
def test_a_plan_that_is_only_there_to_be_tried(price: int, days: int, tried: bool) -> None:
    assert rules.is_trial_plan(replace(PLAN, month_price=price, trial_days=days)) is tried
