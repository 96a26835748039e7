"""How full limits are: quotas by their period in the tenant's zone, rates by the step; what is not known is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.errors import NotFound
from controlplane.subscriptions.model import Claim, Effective, Standing, Usage
from controlplane.telemetry.chartviews import View, Window
from controlplane.telemetry.measures import Measured, reading_of_limits, records, saturation_chart
from controlplane.telemetry.model import Point, Scope, Series
from controlplane.telemetry.saturation import Limit, Saturation, limits_of, quota_filled, rate_filled, saturation_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = datetime(2025, 3, 30, 0, tzinfo=UTC)
"""Berlin's clock goes forward at 01:00 UTC of that day."""


def series(counts: list[int | None], step: timedelta = HOUR, start: datetime = START) -> Series:
    points = tuple(None if n is None else Point(n, 0, 0) for n in counts)
    return Series(Scope("acme"), start, step, points, start + len(counts) * step)


def standing(plan: Any, *values: tuple[str, Any], usage: tuple[Usage, ...] = ()) -> Standing:
    held = type("Held", (), {"plan": "growth", "billing_zone": "Europe/Berlin"})()
    effective = tuple(Effective(name, Claim(value, "plan")) for name, value in values)
    return Standing(held, plan, effective, usage, None, START)


QUOTA = {"soft": 800, "hard": 1000, "period": "day"}


def test_a_rate_limit_is_as_full_as_the_mean_of_a_step() -> None:
    limit = Limit("requests", 2, "plan")
    assert rate_filled(limit, series([7200, None, 3600])).shares == (1.0, None, 0.5)
    running = Series(Scope("acme"), START, HOUR, (Point(3600, 0, 0), Point(900, 0, 0)), START + 1.25 * HOUR)
    assert rate_filled(limit, running).shares == (0.5, 0.5)


def test_a_quota_fills_up_and_begins_anew_with_the_tenant_s_own_day() -> None:
    limit = Limit("api_calls", 1000, "plan", "day", "Europe/Berlin")
    assert limit.began(START) == START - HOUR  # midnight in Berlin, in winter
    assert limit.began(START + 23 * HOUR) == START + 22 * HOUR  # and in summer
    filled = quota_filled(limit, [Point(100, 0, 0)], series([50] * 24))
    assert filled.shares[0] == pytest.approx(0.15) and filled.shares[21] == pytest.approx(1.2)
    assert filled.shares[22] == pytest.approx(0.05), "the day of 23 hours is over"


def test_a_month_and_an_hour_begin_where_they_do() -> None:
    at = datetime(2025, 3, 15, 12, 34, tzinfo=UTC)
    assert Limit("a", 1, "plan", "month", "America/New_York").began(at) == datetime(2025, 3, 1, 5, tzinfo=UTC)
    assert Limit("a", 1, "plan", "hour", "Asia/Kolkata").began(at) == datetime(2025, 3, 15, 12, 30, tzinfo=UTC)
    several = quota_filled(Limit("a", 100, "plan", "hour"), [], series([600], 6 * HOUR))
    assert several.shares == (1.0,), "of several periods their mean"


def test_what_is_not_known_is_a_gap_and_makes_the_rest_at_least() -> None:
    limit = Limit("api_calls", 1000, "plan", "day")
    filled = quota_filled(limit, [None, Point(100, 0, 0)], series([100, None, 100]))
    assert filled.shares == (0.2, None, pytest.approx(0.3)) and filled.holes == 2
    measured = Measured(View(Scope("acme"), Window(3 * HOUR)), series([100, None, 100]))
    chart = saturation_chart(full := _with(measured, Saturation((filled,))))
    assert [None if y is None else round(y) for y in chart.series[0].ys] == [20, None, 30]
    assert chart.notes == ("2 steps unknown",)
    assert [line.value for line in chart.thresholds] == [100]
    assert reading_of_limits(full, 1) == "01:00  api_calls not known"
    assert reading_of_limits(full, None) == "last known: api_calls at least 30.00% of 1,000/day"
    assert [row["api_calls_share"] for row in records(full)] == [0.2, None, pytest.approx(0.3)]


def _with(measured: Measured, saturation: Saturation) -> Measured:
    return Measured(measured.view, measured.series, saturation=saturation)


def test_which_limits_count_requests_and_what_is_said_of_the_others() -> None:
    usage = (Usage("api_calls", QUOTA, "plan", START, 412, None),)
    found, words = limits_of(standing("a plan", ("api_calls", QUOTA), ("seats", 5), usage=usage))
    assert found == [Limit("api_calls", 1000, "plan", "day", "Europe/Berlin", 800, 412)] and words == ""
    assert limits_of(standing("a plan", ("requests", {"rps": 1.5, "burst": 9})))[0] == [Limit("requests", 1.5, "plan")]
    for value, said in (
        ({"hard": -1, "period": "month"}, "api_calls is unlimited"),
        (True, "no limit of this tenant counts requests (api_calls, requests)"),
    ):
        assert limits_of(standing("a plan", ("api_calls", value))) == ([], said)
    assert limits_of(standing(None)) == ([], "the catalogue does not know growth: its limits are unknown")


class Plane:
    """A home that was asked for what came before, and by which steps."""

    def __init__(self, found: Standing | None) -> None:
        self.found, self.asked = found, list[tuple[datetime, datetime, timedelta]]()

    def of(self, port: type) -> Plane:
        return self

    async def standing(self, tenant_id: str) -> Standing:
        if self.found is None:
            raise NotFound("no_subscription", f"There is no subscription of {tenant_id}.", "")
        return self.found

    async def series(self, scope: Scope, start: datetime, end: datetime, step: timedelta) -> Series:
        self.asked.append((start, end, step))
        return series([1] * ((end - start) // step), step, start)


async def test_what_came_since_the_period_began_is_counted_as_well() -> None:
    plane: Any = Plane(standing("a plan", ("api_calls", QUOTA)))
    at = START + timedelta(hours=3, minutes=20)
    found = await saturation_of(plane, series([10], 5 * MINUTE, at))
    assert plane.asked == [(START - HOUR, START + 3 * HOUR, HOUR), (START + 3 * HOUR, at, MINUTE)]
    assert found.filled[0].shares == (pytest.approx(0.034),)  # four hours, twenty minutes and the step


async def test_without_a_tenant_or_its_plan_it_says_why() -> None:
    def of(scope: Scope) -> Series:
        return Series(scope, START, HOUR, (Point(1, 0, 0),), START + HOUR)

    plane: Any = Plane(None)
    assert "name one" in (await saturation_of(plane, of(Scope()))).words
    assert "whole tenant" in (await saturation_of(plane, of(Scope("acme", "/v1")))).words
    missing = await saturation_of(plane, of(Scope("acme")))
    assert missing == Saturation(words="There is no subscription of acme.")
    measured = Measured(View(Scope("acme")), of(Scope("acme")), saturation=missing)
    assert saturation_chart(measured).nothing == reading_of_limits(measured, None) == missing.words


async def test_a_period_that_begins_within_an_hour_is_counted_from_there() -> None:
    held = standing("a plan", ("api_calls", QUOTA))
    held.subscription.billing_zone = "Asia/Kolkata"
    plane: Any = Plane(held)
    at = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)
    await saturation_of(plane, series([10], 5 * MINUTE, at))
    midnight = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    assert plane.asked == [
        (midnight, midnight + 30 * MINUTE, MINUTE),
        (midnight + 30 * MINUTE, at - 10 * MINUTE, HOUR),
        (at - 10 * MINUTE, at, MINUTE),
    ]


def test_of_a_step_that_has_just_begun_nothing_is_said() -> None:
    limit = Limit("requests", 2, "plan")
    for minutes, shares in ((14, (0.5, None)), (15, (0.5, 0.5)), (16, (0.5, 900 / 960 / 2))):
        points = (Point(3600, 0, 0), Point(900, 0, 0))
        running = Series(Scope("acme"), START, HOUR, points, START + HOUR + minutes * MINUTE)
        assert rate_filled(limit, running).shares == shares


@pytest.mark.parametrize(("period", "days", "share"), [("day", 7, 1.0), ("month", 60, 3.5), ("day", 0.5, 7.0)])
def test_of_a_step_of_several_periods_the_mean_is_told(period: str, days: float, share: float) -> None:
    filled = quota_filled(Limit("a", 100, "plan", period), [], series([700], days * DAY))
    assert filled.shares == (pytest.approx(share),)


def test_a_step_that_still_runs_is_no_hole() -> None:
    limit = Limit("a", 100, "plan", "day")
    running = Series(Scope("acme"), START, HOUR, (Point(50, 0, 0), None, None), START + 2.5 * HOUR)
    assert quota_filled(limit, [None], running).holes == 2
    assert quota_filled(limit, [], series([None, 50] + [None] * 22 + [5])).holes == 0, "those are of the day before"


async def test_each_limit_is_filled_in_its_own_way() -> None:
    both = standing("a plan", ("requests", {"rps": 2, "burst": 9}), ("api_calls", {"hard": 1000, "period": "hour"}))
    plane: Any = Plane(both)
    found = await saturation_of(plane, series([3600]))
    assert plane.asked == [], "a rate has no period, and the hour has just begun"
    assert [(each.limit.words, each.shares) for each in found.filled] == [("1,000/hour", (3.6,)), ("2/second", (0.5,))]


def test_limits_are_said_to_be_unknown_only_where_they_are() -> None:
    rate = ("requests", {"rps": 2, "burst": 9})
    found, words = limits_of(standing(None, rate))
    assert len(found) == 1 and words == "the catalogue does not know growth: its limits are unknown"
    endless = ("api_calls", {"hard": -1, "period": "day"})
    assert limits_of(standing("a plan", endless, rate))[1] == "api_calls is unlimited"
    assert limits_of(standing("a plan", rate))[1] == ""


@pytest.mark.parametrize(
    ("period", "zone", "at", "began"),
    [
        ("hour", "UTC", "2025-03-15T12:34:56.7", "2025-03-15T12:00"),
        ("hour", "Asia/Kathmandu", "2025-03-15T12:14:59", "2025-03-15T11:15"),
        ("hour", "Asia/Kathmandu", "2025-03-15T12:15:00", "2025-03-15T12:15"),
        ("hour", "Australia/Lord_Howe", "2025-04-05T15:10:00", "2025-04-05T15:00"),
        ("day", "Asia/Tokyo", "2025-03-15T15:00:00", "2025-03-15T15:00"),
        ("day", "Asia/Tokyo", "2025-03-15T14:59:59", "2025-03-14T15:00"),
        ("month", "Asia/Tokyo", "2025-03-31T15:00:00", "2025-03-31T15:00"),
        ("month", "Asia/Tokyo", "2025-03-31T14:59:59", "2025-02-28T15:00"),
    ],
)
def test_periods_begin_by_the_clock_of_their_zone(period: str, zone: str, at: str, began: str) -> None:
    """Lord Howe's clock goes back by half an hour at 15:00 UTC of that day: it is 01:30 again."""
    asked, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (at, began))
    assert Limit("a", 1, "plan", period, zone).began(asked) == expected
