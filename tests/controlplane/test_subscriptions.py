"""What a change of plan costs, which entitlement holds, and how a subscription may go on."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal, Usage
from controlplane.plans.model import Plan
from controlplane.subscriptions import rules
from controlplane.subscriptions.model import STATES, Claim, Effective, Facts, Grant, Subscription
from controlplane.subscriptions.operations import today_of
from controlplane.subscriptions.proration import add_months, period_of, propose, share

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
TRANSITIONS = {(was, becomes) for was, after in rules.FOLLOWS.items() for becomes in after}
JANUARY = date(2026, 1, 1)


def plan(code: str, month: int, *, year: int = 0, billing: str = "arrears", currency: str = "EUR", **given) -> Plan:
    return Plan(code, 1, code, currency, month, year or month * 10, billing, 0, given, NOW, "test")  # type: ignore[arg-type]


HELD = Subscription(
    **{"tenant_id": "acme", "tenant_status": "active", "plan": "old", "plan_version": 1, "previous_plan": None},
    **{"state": "active", "cycle": "month", "billing_zone": "UTC", "period_start": JANUARY},
    **{"trial_plan": None, "trial_version": None, "trial_start": None, "trial_end": None, "trial_return": None},
    **{"extensions": 0, "grace_until": None, "version": 1, "created_at": NOW, "updated_at": NOW},
)


def test_the_golden_change_in_arrears() -> None:
    """EUR 100 to 200 on 15 January: 45.16 for the days before, 109.68 for that day and those after."""
    made = propose(HELD, plan("old", 10_000), plan("new", 20_000), "month", None, date(2026, 1, 15))
    assert [(line.days, line.of_days, line.amount, line.due) for line in made.lines] == [
        (14, 31, 4516, date(2026, 1, 15)),
        (17, 31, 10_968, date(2026, 2, 1)),
    ]
    assert (made.direction, made.effective_on) == ("upgrade", date(2026, 1, 15))
    assert made.summary == ("upgrade at once: 14 of 31 days of old v1 45.16 EUR; 17 of 31 days of new v1 109.68 EUR")


def test_in_advance_the_unused_days_are_credited_and_all_is_due_now() -> None:
    old, new = plan("old", 10_000, billing="advance"), plan("new", 20_000, billing="advance")
    made = propose(HELD, old, new, "month", None, date(2026, 1, 15))
    assert [(line.days, line.amount, line.due) for line in made.lines] == [
        (17, -5484, date(2026, 1, 15)),
        (17, 10_968, date(2026, 1, 15)),
    ]


def test_an_equal_price_is_an_upgrade_and_a_lower_one_waits_for_the_periods_end() -> None:
    assert propose(HELD, plan("old", 500), plan("new", 500), "month", None, JANUARY).direction == "upgrade"
    down = propose(HELD, plan("old", 20_000), plan("new", 10_000), "month", None, date(2026, 1, 15))
    assert (down.direction, down.effective_on) == ("downgrade", date(2026, 2, 1))
    assert [(line.days, line.amount) for line in down.lines] == [(28, 10_000)]
    assert "the period's end" in down.summary
    today = propose(HELD, plan("old", 20_000), plan("new", 10_000), "month", date(2026, 1, 15), date(2026, 1, 15))
    assert today.effective_on == date(2026, 1, 15) and len(today.lines) == 2


def test_a_year_is_as_many_days_as_it_has() -> None:
    yearly = dataclasses.replace(HELD, cycle="year", period_start=date(2024, 1, 1))
    made = propose(yearly, plan("old", 0, year=36_600), plan("new", 0, year=73_200), "year", None, date(2024, 1, 2))
    assert [(line.days, line.of_days, line.amount) for line in made.lines] == [(1, 366, 100), (365, 366, 73_000)]


def test_another_cycle_begins_its_own_period() -> None:
    made = propose(HELD, plan("old", 3100), plan("old", 3100, year=36_500), "year", None, date(2026, 1, 15))
    assert [(line.days, line.of_days, line.amount) for line in made.lines] == [(14, 31, 1400), (365, 365, 36_500)]


def test_an_unknown_plan_is_neither_charged_nor_credited_and_that_is_said() -> None:
    made = propose(HELD, None, plan("new", 3100), "month", None, date(2026, 1, 15))
    assert [line.amount for line in made.lines] == [1700]
    assert made.direction == "unknown" and "its part is unknown" in made.summary


def test_what_is_over_and_what_has_another_currency_is_refused() -> None:
    with pytest.raises(Usage, match="is over"):
        propose(HELD, plan("old", 1), plan("new", 2), "month", JANUARY, date(2026, 1, 15))
    with pytest.raises(Usage, match="USD"):
        propose(HELD, plan("old", 1), plan("new", 2, currency="USD"), "month", None, JANUARY)


def test_what_is_paid_in_advance_is_credited_only_once_it_was_charged() -> None:
    old, new, today = plan("old", 3100, billing="advance"), plan("new", 6200), date(2026, 1, 15)
    for on, amounts, when in (
        (today, [-1700, 3400], "at once"),
        (date(2026, 1, 20), [-1200, 2400], "on 2026-01-20:"),
        (date(2026, 2, 1), [6200], "on 2026-02-01, the period's end"),
        (date(2026, 2, 15), [-1550, 3100], "on 2026-02-15:"),
    ):
        made = propose(HELD, old, new, "month", on, today)
        assert [line.amount for line in made.lines] == amounts and when in made.summary
        assert (made.period_start, made.period_end) == period_of(JANUARY, "month", on)


def test_a_year_is_dearer_or_cheaper_than_a_month_by_its_day() -> None:
    old = plan("old", 3100)
    for year, direction in ((36_500, "upgrade"), (36_499, "downgrade")):
        assert propose(HELD, old, plan("new", 0, year=year), "year", None, JANUARY).direction == direction
    yearly = dataclasses.replace(HELD, cycle="year")
    for month, direction in ((3100, "upgrade"), (3099, "downgrade")):
        assert propose(yearly, plan("old", 1, year=36_500), plan("new", month), "month", None, JANUARY).direction == (
            direction
        )


def test_another_cycle_is_due_when_its_plan_is_billed() -> None:
    for billing, due in (("arrears", date(2027, 1, 15)), ("advance", date(2026, 1, 15))):
        new = plan("new", 1, year=99_999, billing=billing)
        assert propose(HELD, plan("old", 1), new, "year", None, date(2026, 1, 15)).lines[-1].due == due
    same = propose(HELD, plan("old", 1), plan("new", 3100, billing="advance"), "month", None, date(2026, 1, 15))
    assert same.lines[-1].due == date(2026, 1, 15)


def test_a_proposal_as_it_is_kept() -> None:
    made = propose(HELD, plan("old", 3100), plan("new", 6200), "month", None, date(2026, 1, 15))
    assert made.records()[0] == {
        **{"plan": "old v1", "days": 14, "of_days": 31, "amount": 1400},
        "due": "2026-01-15",
    }
    assert len(made.preview_hash) == 16


@given(st.integers(0, 10**9), st.dates(JANUARY, date(2030, 1, 1)), st.sets(st.integers(1, 30), max_size=8))
def test_any_split_of_a_month_sums_to_the_whole_within_one_unit_a_line(price: int, day: date, cuts: set[int]) -> None:
    start, end = period_of(JANUARY, "month", day)
    days = (end - start).days
    edges = [0, *sorted(cut for cut in cuts if cut < days), days]
    parts = [share(price, until - since, days) for since, until in itertools.pairwise(edges)]
    assert abs(sum(parts) - price) <= len(parts)
    assert all(part >= 0 for part in parts)


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.sampled_from(["month", "year"]), st.integers(-500, 5000))
def test_periods_follow_on_each_other_without_gap(anchor: date, cycle: str, offset: int) -> None:
    day = anchor + timedelta(days=offset)
    start, end = period_of(anchor, cycle, day)  # type: ignore[arg-type]
    assert start <= day < end
    assert period_of(anchor, cycle, end)[0] == end  # type: ignore[arg-type]
    assert period_of(anchor, cycle, end - timedelta(days=1)) == (start, end)  # type: ignore[arg-type]


def test_the_last_of_a_month_stays_the_last() -> None:
    assert add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert period_of(date(2026, 1, 31), "month", date(2026, 3, 1)) == (date(2026, 2, 28), date(2026, 3, 31))


@pytest.mark.parametrize(("hour", "day"), [(22, 29), (21, 28)])
def test_a_day_of_23_hours_is_one_day_of_the_tenants_zone(hour: int, day: int) -> None:
    """Clocks in Berlin went forward on 29 March 2026."""
    berlin = dataclasses.replace(HELD, billing_zone="Europe/Berlin", period_start=date(2026, 3, 1))
    at = datetime(2026, 3, day, hour, 30, tzinfo=UTC)
    today = today_of(berlin, at)
    assert today == at.astimezone(ZoneInfo("Europe/Berlin")).date()
    made = propose(berlin, plan("old", 3100), plan("new", 6200), "month", None, today)
    assert made.lines[0].amount == 100 * (today.day - 1) and made.lines[1].amount == 200 * (32 - today.day)


def test_the_hash_is_of_what_was_shown() -> None:
    one = propose(HELD, plan("old", 1), plan("new", 200), "month", None, JANUARY)
    assert one.preview_hash == propose(HELD, plan("old", 1), plan("new", 200), "month", None, JANUARY).preview_hash
    later = propose(HELD, plan("old", 1), plan("new", 200), "month", None, date(2026, 1, 2))
    other = propose(HELD, plan("old", 1), plan("new", 201), "month", None, JANUARY)
    assert len({one.preview_hash, later.preview_hash, other.preview_hash}) == 3


# Entitlements


def granted(number: int, source: str, value: object, *, began: int = 1, hours: int = 24) -> Grant:
    start = NOW - timedelta(hours=began)
    return Grant(number, "acme", "seats", value, source, start, start + timedelta(hours=hours), "why", "ana")  # type: ignore[arg-type]


def test_an_override_goes_before_an_incident_before_the_trial_before_the_plan() -> None:
    grants = (granted(1, "incident", 30), granted(2, "override", 40), granted(3, "override", 50, began=2))
    facts = Facts(
        plan("a", 1, seats=1, sso=False), plan("b", 1, seats=2), "trial", NOW, NOW + timedelta(days=1), grants
    )
    found = rules.effective(facts, NOW)["seats"]
    assert [(c.source, c.value) for c in (found.holds, *found.losers)] == [
        ("override", 40),  # the one that began last
        ("override", 50),
        ("incident", 30),
        ("trial", 2),
        ("plan", 1),
    ]
    assert rules.effective(facts, NOW)["sso"] == Effective("sso", Claim(False, "plan", words="a v1"))
    later = rules.effective(facts, NOW + timedelta(days=2))["seats"]
    assert (later.holds.source, later.losers) == ("plan", ())
    assert rules.effective(Facts(None, None, "active", None, None, ()), NOW) == {}


def test_a_raise_raises() -> None:
    quota = Effective("calls", Claim({"soft": 8, "hard": 10, "period": "day"}, "plan"))
    assert rules.raised(quota, "calls", 20) == {"soft": 8, "hard": 20, "period": "day"}
    assert rules.raised(quota, "calls", -1)["hard"] == -1
    assert rules.raised(Effective("seats", Claim(5, "plan")), "seats", 6) == 6
    for found, to, code in (
        (quota, 10, "not_a_raise"),
        (Effective("seats", Claim(-1, "plan")), 5, "not_a_raise"),
        (Effective("sso", Claim(True, "plan")), 5, "not_a_limit"),
        (None, 5, "limit_unknown"),
    ):
        with pytest.raises(Refusal) as refused:
            rules.raised(found, "x", to)
        assert refused.value.code == code


# States


@given(st.lists(st.sampled_from(STATES), max_size=12))
def test_a_walk_goes_only_where_the_table_leads(walk: list) -> None:
    held = HELD
    for becomes in walk:
        try:
            rules.check_state(held, becomes)
        except Refusal as refused:
            assert refused.code == ("already_so" if held.state == becomes else "subscription_transition")
            assert (held.state, becomes) not in TRANSITIONS
        else:
            assert (held.state, becomes) in TRANSITIONS
            held = dataclasses.replace(held, state=becomes)


def test_suspending_and_resuming_loses_no_capability() -> None:
    facts = Facts(plan("a", 1, seats=5, sso=True), None, "active", None, None, (granted(1, "override", 9),))
    before = rules.effective(facts, NOW)
    for state in ("suspended", "expired", "canceled", "active"):
        assert rules.effective(dataclasses.replace(facts, state=state), NOW) == before


def test_a_trial_is_over_when_its_time_is() -> None:
    tried = dataclasses.replace(HELD, state="trial", trial_end=NOW, trial_return="active")
    assert rules.state_at(tried, NOW - timedelta(seconds=1)) == "trial"
    assert rules.state_at(tried, NOW) == "active"
    graced = dataclasses.replace(HELD, state="grace", grace_until=NOW)
    assert (rules.state_at(graced, NOW - timedelta(seconds=1)), rules.state_at(graced, NOW)) == ("grace", "expired")


def test_times_are_read_with_their_zone_and_lie_ahead() -> None:
    assert rules.instant("24h", NOW, "until") == NOW + timedelta(days=1)
    assert rules.instant("2026-02-01T00:00:00Z", NOW, "until") == datetime(2026, 2, 1, tzinfo=UTC)
    for text, code in (
        ("2026-02-01", "time_without_zone"),
        ("2020-01-01T00:00Z", "time_over"),
        ("soon", "duration_unreadable"),
    ):
        with pytest.raises(Usage) as refused:
            rules.instant(text, NOW, "until")
        assert refused.value.code == code
