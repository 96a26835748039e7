"""The words of the overview: pure functions, so every number that can come is tried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.alerts.model import OpenAlerts
from controlplane.alerts.words import open_words
from controlplane.filters.grammar import parse
from controlplane.incidents.list import INCIDENTS
from controlplane.incidents.model import Standing
from controlplane.listing import Count
from controlplane.objectives.list import OBJECTIVES
from controlplane.overview.entries import (
    Door,
    Entry,
    against,
    alerts_entries,
    burning_entries,
    failing_entries,
    incidents_entries,
    plans_entries,
    region_entries,
    region_state,
    slowest_entries,
    traffic_entries,
    work_entries,
)
from controlplane.overview.model import (
    Burner,
    Burning,
    Figures,
    PlansDue,
    Region,
    TenantFigures,
    Traffic,
    WorkDue,
    figures,
)
from controlplane.telemetry.model import Histogram, Point
from controlplane.tenants.list import TENANTS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = NOW - timedelta(hours=3)
numbers = st.none() | st.floats(0, 1e9)
shares = st.none() | st.floats(0, 1)


def by_key(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.key: entry for entry in entries}


@pytest.mark.parametrize(
    ("now", "before", "words"),
    [
        (None, 4.0, "no data from a week ago"),
        (4.0, None, "no data from a week ago"),
        (0.0, 0.0, "as a week ago"),
        (4.1, 4.0, "as a week ago"),
        (4.0, 0.0, "none a week ago"),
        (5.0, 4.0, "25 % more than a week ago"),
        (3.0, 4.0, "25 % less than a week ago"),
        (12.0, 4.0, "3.0 × that of a week ago"),
    ],
)
def test_a_number_is_held_against_a_week_ago(now: float | None, before: float | None, words: str) -> None:
    assert against(now, before) == words


@given(numbers, shares, numbers, st.sampled_from([None, OLD, NOW]))
def test_what_is_not_known_is_never_a_zero_and_never_good(
    rate: float | None, share: float | None, p95: float | None, until: datetime | None
) -> None:
    entries = traffic_entries(Traffic(until, Figures(rate, share, p95)), NOW)
    for entry, value in zip(entries, (rate, share, p95), strict=True):
        assert (entry.value == "–") == (value is None) == (entry.tone == "unknown")
        assert entry.tone != "good"
        if value is not None and until is not NOW:
            assert entry.value.startswith("~") and entry.tone == "muted", "what is old is marked"


@given(shares, st.sampled_from([None, OLD, NOW]))
def test_a_region_is_up_only_when_it_was_heard_of_lately(share: float | None, until: datetime | None) -> None:
    word, tone = region_state(Region("eu", until, Figures(1.0 if share is not None else None, share)), NOW)
    assert (tone == "good") == (until is NOW and share is not None and share < 0.01)
    assert (word == "unknown") == (share is None)


def test_figures_weigh_their_points_and_do_not_invent_any() -> None:
    one, two = Point(60, 0, 6, Histogram.of([10.0] * 60)), Point(120, 0, 0, Histogram.of([20.0] * 120))
    assert figures([(one, 1.0)], 60) == Figures(1.0, 0.1, pytest.approx(10, rel=0.02))
    half = figures([(one, 0.5), (two, 0.5)], 60)
    assert half.per_minute == pytest.approx(1.5) and half.error_share == pytest.approx(3 / 90)
    assert figures([], 60) == figures([(one, 1.0)], 0) == figures([(one, 0.0)], 60) == Figures()
    assert figures([(Point(3, 0, 0), 1.0)], 60).p95_ms is None


def test_tenants_that_do_not_fail_are_not_shown_as_failing() -> None:
    quiet = [TenantFigures("a", 1.0, 0.0, 5.0, NOW)]
    assert [entry.label for entry in failing_entries(quiet, NOW)] == ["no tenant with failed requests"]
    assert failing_entries([], NOW)[0].tone == slowest_entries([], NOW)[0].tone == "unknown"
    bad = failing_entries([TenantFigures("a", 1.0, 0.2, 5.0, NOW), TenantFigures("b", 1.0, 0.1, 5.0, OLD)], NOW)
    assert [(entry.value, entry.tone) for entry in bad] == [("20.00 %", "bad"), ("~10.00 %", "muted")]
    assert bad[0].door == Door("tenants", key="a")


def test_quotas_that_nobody_looked_at_are_not_known() -> None:
    due = PlansDue(Count(0), (), None, (), None)
    assert by_key(plans_entries(due, NOW))["quotas"].tone == "unknown"
    looked = by_key(plans_entries(PlansDue(Count(0), (), Count(0), (), NOW), NOW))["quotas"]
    assert (looked.value, looked.tone) == ("0", "")
    assert by_key(plans_entries(PlansDue(Count(0), (), Count(0), (), OLD), NOW))["quotas"].value == "~0"


def test_no_worker_is_worse_than_one_that_was_lost() -> None:
    none = work_entries(WorkDue(0, 0, 2, Count(0), Count(0)), NOW)[0]
    assert (none.value, none.tone, none.words) == ("none alive", "bad", "watchfloor worker")
    own = work_entries(WorkDue(0, 0, 2, Count(0), Count(0), by_itself=True), NOW)[0]
    assert own.words == "starts by itself"
    one = work_entries(WorkDue(1, 0, 2, Count(0), Count(0)), NOW)[0]
    assert (one.value, one.tone, one.words) == ("1 alive, 2 gone", "warn", "")


@given(st.text("ab -_:\"'é/0~*\x1b", min_size=1, max_size=12).filter(str.strip))
def test_a_region_of_any_name_opens_its_tenants(name: str) -> None:
    [entry] = region_entries([Region(name, None)], NOW)
    assert entry.door is not None
    if entry.door.text:
        [term] = parse(entry.door.text, TENANTS.fields)
        assert term.values == (name,)
    else:
        assert '"' in name or not name.isprintable(), "no filter can say it"


def test_budgets_that_fire_go_before_what_is_unknown_and_that_before_what_only_burns() -> None:
    fastest = (
        Burner(1, "quick", "ok", 9.0, 0.5),
        Burner(2, "api", "ticket", 3.2, -0.37),
        Burner(3, "web", "page", 2.0, None),
    )
    entries = burning_entries(Burning(Count(9), Count(2), fastest), NOW)
    assert [(each.label, each.value, each.tone) for each in entries] == [
        ("web", "2.00 ×", "bad"),
        ("api", "3.20 ×", "warn"),
        ("objectives not known", "2", "unknown"),
        ("quick", "9.00 ×", ""),
    ]
    assert (entries[0].words, entries[1].words) == ("", "over by 37.0%")
    assert entries[0].door == Door("objectives", key="3")
    assert entries[2].door is not None and parse(entries[2].door.text, OBJECTIVES.fields)
    [none] = burning_entries(Burning(Count(0), Count(0), ()), NOW)
    assert none.tone == "muted" and "no objectives" in none.label
    [quiet] = burning_entries(Burning(Count(3), Count(0), ()), NOW)
    assert quiet.label == "no budget burns"


def test_the_worst_regions_are_not_the_ones_that_are_cut_off() -> None:
    regions = [Region("a", NOW, Figures(1, 0.0, 1)), Region("b", None), Region("c", NOW, Figures(1, 0.5, 1))]
    assert [each.key for each in region_entries(regions, NOW)] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("found", "value", "tone", "words"),
    [
        (OpenAlerts(0, 0, 0, 0, NOW), "none firing", "", ""),
        (OpenAlerts(0, 0, 2, 0, NOW), "none firing", "", "2 acked"),
        (OpenAlerts(0, 0, 0, 1, NOW), "unknown", "unknown", "1 unknown"),
        (OpenAlerts(1200, 0, 2, 1, NOW), "1,200 firing", "warn", "2 acked, 1 unknown"),
        (OpenAlerts(3, 1, 0, 0, NOW, True), "3+ firing", "bad", "1+ critical"),
        (OpenAlerts(3, 1, 0, 0, NOW - timedelta(minutes=5)), "3 firing", "bad", "1 critical"),
        (OpenAlerts(3, 1, 0, 0, NOW - timedelta(minutes=6)), "–", "unknown", "no detector was evaluated for 6m"),
        (OpenAlerts(0, 0, 0, 0, None), "–", "unknown", "no detector was evaluated yet"),
    ],
)
def test_no_alert_is_only_known_when_detectors_were_evaluated_just_now(
    found: OpenAlerts, value: str, tone: str, words: str
) -> None:
    [entry] = alerts_entries(found, NOW)
    assert (entry.value, entry.tone, entry.words) == (value, tone, words)
    assert entry.door is not None and entry.door.noun == ("detectors" if value == "–" else "alerts")


def test_incidents_say_how_the_most_severe_one_stands() -> None:
    late = Standing(4, "SEV-1", "ana", None, NOW - timedelta(minutes=3))
    [entry] = incidents_entries([late, Standing(3, "SEV-3", None, None, None)], NOW)
    assert (entry.value, entry.tone) == ("2 open", "bad")
    assert entry.words == "INC-4 SEV-1, ana has the conn, update overdue 3m"
    assert entry.door is not None and parse(entry.door.text, INCIDENTS.fields)
    [entry] = incidents_entries([Standing(3, "SEV-3", None, None, None)] * 10, NOW)
    assert (entry.value, entry.tone, entry.words) == ("10+ open", "warn", "INC-3 SEV-3, nobody has the conn")
    assert incidents_entries([], NOW) == []


def test_acked_alerts_stay_in_the_counts() -> None:
    """An ack takes an alert from nobody's sight: "3 firing, 2 acked"."""
    found = OpenAlerts(3, 1, 2, 0, NOW)
    assert open_words(found) == "3 firing, 2 acked"
    [entry] = alerts_entries(found, NOW)
    assert (entry.value, entry.words) == ("3 firing", "1 critical, 2 acked")
