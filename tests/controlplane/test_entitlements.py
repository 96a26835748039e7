"""Which entitlement holds when, what is used of a quota, and what may become of a trial."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from controlplane.errors import Refusal, Usage
from controlplane.plans.model import Plan
from controlplane.subscriptions import rules, words
from controlplane.subscriptions.model import Claim, Effective, Facts, Grant, Subscription
from controlplane.subscriptions.model import Usage as Used

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
PLAN = Plan("pro", 2, "Pro", "EUR", 2900, 29_000, "arrears", 14, {}, NOW, "ana")
HELD = Subscription(
    **{"tenant_id": "acme", "tenant_status": "active", "plan": "pro", "plan_version": 2, "previous_plan": None},
    **{"state": "active", "cycle": "month", "billing_zone": "UTC", "period_start": date(2026, 1, 1)},
    **{"trial_plan": None, "trial_version": None, "trial_start": None, "trial_end": None, "trial_return": None},
    **{"extensions": 0, "grace_until": None, "version": 1, "created_at": NOW, "updated_at": NOW},
)  # type: ignore[arg-type]
TRIED = replace(
    HELD,
    **{"state": "trial", "trial_plan": "max", "trial_version": 1, "trial_start": NOW - DAY, "trial_end": NOW + DAY},
    trial_return="active",
)  # type: ignore[arg-type]
QUOTA: dict[str, Any] = {"hard": 1000, "period": "day"}


@pytest.mark.parametrize(
    ("hard", "admitted", "recorded", "used", "left"),
    [
        (10, None, None, None, None),
        (10, 4, None, 4, 6),
        (10, None, 3, 3, 7),
        (10, 4, 3, 4, 6),
        (10, 12, 3, 12, 0),
        (-1, 4, None, 4, None),
    ],
)
def test_what_is_used_of_a_quota_is_the_most_that_anybody_counted(
    hard: int, admitted: int | None, recorded: int | None, used: int | None, left: int | None
) -> None:
    found = Used("calls", {"hard": hard, "period": "day"}, "plan", NOW, admitted, recorded)
    assert (found.used, found.left) == (used, left)


# Which one holds


def grant(**fields: Any) -> Grant:
    known = {"id": 1, "tenant_id": "acme", "name": "seats", "value": 9, "source": "override", "reason": "why"}
    return Grant(**{**known, "by": "ana", "starts_at": NOW - DAY, "ends_at": NOW + DAY, **fields})


def holds(*grants: Grant, **facts: Any) -> list[Any]:
    """The values, the one that holds first."""
    known: dict[str, Any] = {"plan": None, "trial": None, "state": "trial", "trial_start": None, "trial_end": None}
    found = rules.effective(Facts(**{**known, **facts}, grants=grants), NOW).get("seats")
    return [] if found is None else [claim.value for claim in (found.holds, *found.losers)]


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({"starts_at": NOW}, True),
        ({"starts_at": NOW + SECOND}, False),
        ({"ends_at": NOW}, False),
        ({"ends_at": NOW + SECOND}, True),
        ({"ended_at": NOW}, False),
        ({"ended_at": NOW + SECOND}, True),
    ],
)
def test_a_grant_holds_from_its_beginning_until_just_before_its_end(fields: dict[str, Any], held: bool) -> None:
    assert holds(grant(**fields)) == ([9] if held else [])


def test_the_source_goes_before_the_time() -> None:
    older = {"starts_at": NOW - 2 * DAY}
    assert holds(grant(value=1, source="incident"), grant(value=2, **older)) == [2, 1]
    tried = {"trial": replace(PLAN, entitlements={"seats": 3}), "trial_start": NOW, "trial_end": NOW + DAY}
    assert holds(grant(value=1, source="incident", **older), **tried) == [1, 3]
    assert holds(plan=replace(PLAN, entitlements={"seats": 4}), **tried) == [3, 4]
    assert holds(grant(id=1, value=5), grant(id=2, value=6)) == [6, 5], "of two that began at once the one made last"


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({}, True),
        ({"trial_start": NOW + SECOND}, False),
        ({"trial_end": NOW}, False),
        ({"trial_end": NOW + SECOND}, True),
        ({"trial_start": None}, False),
        ({"trial_end": None}, False),
        ({"state": "suspended"}, False),
        ({"trial": None}, False),
    ],
)
def test_what_is_tried_holds_while_it_is_tried(fields: dict[str, Any], held: bool) -> None:
    tried = {"trial": replace(PLAN, entitlements={"seats": 3}), "trial_start": NOW, "trial_end": NOW + DAY}
    assert holds(**{**tried, **fields}) == ([3] if held else [])


def test_a_grant_has_the_kind_of_what_it_takes_the_place_of() -> None:
    found = Effective("calls", Claim(QUOTA, "plan"))
    rules.check_grant(found, "calls", {"hard": -1, "period": "month"})
    rules.check_grant(None, "calls", "anything")
    with pytest.raises(Refusal, match="of the kind quota; what you give is of the kind integer") as refused:
        rules.check_grant(found, "calls", 5)
    assert refused.value.code == "grant_kind" and refused.value.hint == "It is now: 1,000 a day"


@pytest.mark.parametrize(
    ("value", "to", "said"),
    [(5, 5, "5 already"), (5, 0, "5 already"), (-1, 5, "unlimited already"), (-1, -1, "unlimited already")],
)
def test_a_limit_is_raised_to_more_and_to_none_at_all(value: int, to: int, said: str) -> None:
    assert (rules.raised(Effective("seats", Claim(5, "plan")), "seats", -1)) == -1
    with pytest.raises(Refusal, match=said) as refused:
        rules.raised(Effective("seats", Claim(value, "plan")), "seats", to)
    assert refused.value.code == "not_a_raise"


# Trials


def code(check: Any, held: Subscription) -> str:
    try:
        check(held)
    except Refusal as refused:
        assert "acme" in refused.message
        return refused.code
    return "yes"


def test_one_trial_for_each_tenant() -> None:
    assert code(rules.check_start_trial, HELD) == "yes"
    assert code(rules.check_start_trial, replace(HELD, state="past_due")) == "subscription_transition"
    assert code(rules.check_start_trial, replace(TRIED, state="expired")) == "trial_once"


def test_a_trial_is_extended_three_times_while_it_lasts_or_after() -> None:
    for held in (TRIED, replace(TRIED, state="expired")):
        assert [code(rules.check_extend, replace(held, extensions=times)) for times in (0, 2, 3, 4)] == [
            *("yes", "yes", "trial_extensions", "trial_extensions")
        ]
    assert code(rules.check_extend, replace(TRIED, state="active")) == "no_trial"
    assert code(rules.check_extend, replace(HELD, state="expired")) == "no_trial"


def test_a_trial_goes_on_from_its_end_or_from_now_when_it_is_over() -> None:
    assert rules.extended(TRIED, 7, NOW) == NOW + 8 * DAY
    assert rules.extended(TRIED, 7, NOW + 5 * DAY) == NOW + 12 * DAY


def test_what_was_tried_can_be_kept() -> None:
    assert code(rules.check_convert, TRIED) == code(rules.check_convert, replace(TRIED, state="expired")) == "yes"
    assert code(rules.check_convert, replace(TRIED, state="active")) == "no_trial"
    assert code(rules.check_convert, replace(HELD, state="expired")) == "no_trial"


@pytest.mark.parametrize(
    ("held", "way"),
    [
        (TRIED, "convert-trial"),
        (replace(TRIED, state="expired"), "convert-trial"),
        (replace(HELD, state="expired"), "state"),
        (replace(TRIED, state="canceled"), "state"),
    ],
)
def test_who_pays_nothing_changes_no_plan_and_is_told_the_way(held: Subscription, way: str) -> None:
    with pytest.raises(Refusal) as refused:
        rules.check_change(held)
    assert refused.value.code == "plan_not_paid" and f" {way} acme" in refused.value.hint


@pytest.mark.parametrize("state", ["active", "grace", "past_due", "suspended"])
def test_who_pays_changes_plans(state: Any) -> None:
    rules.check_change(replace(HELD, state=state))


@pytest.mark.parametrize(
    ("held", "state"),
    [
        (replace(TRIED, trial_end=NOW, trial_return=None), "expired"),
        (replace(TRIED, trial_end=None), "trial"),
        (replace(TRIED, state="suspended", trial_end=NOW), "suspended"),
        (replace(HELD, state="grace"), "grace"),
        (replace(HELD, grace_until=NOW), "active"),
    ],
)
def test_only_what_has_an_end_comes_to_it(held: Subscription, state: str) -> None:
    assert rules.state_at(held, NOW) == state


def test_the_clock_of_a_trial_in_words() -> None:
    assert words.trial_words(HELD, NOW) == []
    assert words.trial_words(replace(TRIED, extensions=1), NOW) == [
        "trial of max v1, ends 2026-01-16 12:00 UTC (in 1 d)",
        "  extended 1 of 3 times; then active",
    ]
    over = ["had a trial of max v1; its end: 2026-01-16 12:00 UTC (now); extended 0 of 3 times"]
    assert words.trial_words(TRIED, NOW + DAY) == over
    suspended = replace(TRIED, state="suspended")
    assert "not in force while suspended" in words.trial_words(suspended, NOW + DAY - SECOND)[0]
    assert words.trial_words(suspended, NOW + DAY) == over
    assert "had a trial" in words.trial_words(replace(TRIED, state="active"), NOW)[0]


def test_a_time_that_is_now_does_not_lie_ahead() -> None:
    assert rules.instant("1s", NOW, "until") == NOW + SECOND
    for text in ("0s", "2026-01-15T12:00:00Z"):
        with pytest.raises(Usage, match="is not in the future"):
            rules.instant(text, NOW, "until")
