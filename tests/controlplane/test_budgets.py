"""Budgets at the edge of what fires, and budgets, burn rates and histories in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controlplane.errors import Refusal, Usage
from controlplane.formatting import count_words
from controlplane.objectives import checks, words
from controlplane.objectives.model import Counts, Episode, Maintenance, Pair, Slice
from controlplane.objectives.rules import (
    DAY,
    HOUR,
    MINUTE,
    PAIRS,
    History,
    absent_after,
    applies,
    burn_down,
    evaluate,
    impossible,
    reachable,
    replay,
    replay_words,
    resolve,
    time_to_empty,
    verdict,
)
from tests.controlplane.objectives import NOW, detect_seconds, objective, slices

ALL = Pair("page", HOUR, 5 * MINUTE, 100)
"""Of a period of an hour it fires at a burn of more than 1."""
HALF = objective(target=0.5, min_events=1)
SECOND = timedelta(seconds=1)


def judged(*numbers: tuple[int, int], **fields: Any) -> Any:
    return verdict(replace(HALF, **fields), ALL, HOUR, History(slices(numbers), adjusted=True), NOW)


# At the edge


def test_a_burn_that_is_just_allowed_does_not_fire() -> None:
    assert not judged((50, 100)).over and judged((49, 100)).over
    assert not judged(*[(0, 100)] * 6, *[(50, 100)] * 5).over, "the short window is within the budget again"
    assert not judged(*[(100, 100)] * 55, *[(0, 100)] * 5).over, "the long one still is"
    assert not judged(*[(0, 100)] * 6, *[(0, 0)] * 5).over, "nothing is known of the short one"


def test_a_pair_is_held_while_too_little_is_known() -> None:
    assert judged((0, 2)).fires and judged((0, 1)).held == "1 bad, at least 2 are needed"
    assert judged((0, 10), min_events=10).fires
    assert judged((0, 9), min_events=10).held == "9 requests, at least 10 are needed"
    assert judged((5, 10)).held == "", "it does not burn"


def test_an_outage_is_detected_within_the_long_window_or_never() -> None:
    assert detect_seconds(ALL, HOUR, 0.5, 0.5) == 3600
    assert detect_seconds(ALL, HOUR, 0.5, 0.49) is None and detect_seconds(ALL, HOUR, 0.5, 0.0) is None
    assert detect_seconds(ALL, HOUR, 0.5, 1.0) == 1800


def test_what_is_reachable_and_what_is_not() -> None:
    assert not reachable(0.5, 2.0) and reachable(0.5, 1.999)
    assert time_to_empty(0.5, HOUR, 2.0) == 900


def test_a_silence_is_unknown_after_an_outage_would_have_fired() -> None:
    after = [absent_after(target, 30 * DAY) / MINUTE for target in (0.999, 0.98, 0.5)]
    assert after == pytest.approx([10, 17.28, 60])


def test_at_which_age_news_are_too_old() -> None:
    quiet = slices([(500, 500)] * 60)
    at = [evaluate(objective(), quiet, NOW + 10 * MINUTE + late) for late in (timedelta(), SECOND)]
    assert [each.state for each in at] == ["ok", "unknown"]
    assert at[1].why == ("no data since 2026-03-31 12:00 UTC; after 10m of silence the state is unknown",)
    assert evaluate(objective(), [], NOW).why == ("no data in the window",)
    ahead = evaluate(objective(), slices([(1, 1)], until=NOW + HOUR), NOW)
    assert ahead.newest == NOW, "a clock that is ahead makes nothing newer than now"


def test_a_budget_that_is_gone_is_not_ok_when_nothing_burns_any_more() -> None:
    long_ago = slices([(9_000, 10_000)], until=NOW - 10 * DAY)
    standing = evaluate(objective(), [*long_ago, *slices([(1_000, 1_000)] * 60)], NOW)
    assert standing.remaining is not None and standing.remaining < 0
    assert standing.state == "exhausted" and standing.why[0].startswith("the budget of the window is gone; no pair")
    just = evaluate(objective(target=0.9), slices([(900, 1_000)], until=NOW - 10 * DAY) + slices([(1, 1)]), NOW)
    assert just.state == "ok" and just.remaining is not None and 0 < just.remaining < 0.01


def test_so_many_requests_make_it_known() -> None:
    assert evaluate(objective(), slices([(100, 100)]), NOW).state == "ok"
    few = evaluate(objective(), slices([(99, 99)]), NOW)
    assert few.state == "insufficient data" and few.why == ("99 requests in the window, at least 100 are needed",)
    skipped = evaluate(objective(), [*slices([(50, 50)], until=NOW - HOUR, skipped=True), *slices([(9, 9)])], NOW)
    assert skipped.why[1:] == ("50 in planned maintenance are not counted",)


def test_one_that_is_retired_says_so_whatever_is_known() -> None:
    found = evaluate(objective(retired_at=NOW), slices([(0, 1000)] * 60), NOW)
    assert found.state == "retired" and "retired since 2026-03-31 12:00 UTC" in found.why[0]


def test_what_was_promised_is_measured_by_its_own_target() -> None:
    both = evaluate(objective(target=0.99, contractual=0.9), slices([(950, 1000)]), NOW)
    assert (both.remaining, both.remaining_contractual) == (pytest.approx(-4), pytest.approx(0.5))
    assert both.burn == pytest.approx(5) and both.empties_in is None
    assert evaluate(objective(), slices([(950, 1000)]), NOW).remaining_contractual is None


def test_what_cannot_be_is_said_with_its_time() -> None:
    assert impossible(slices([(100, 100), (120, 100)])) == (
        "120 good of 100 at 2026-03-31 11:59 UTC: the data cannot be right"
    )
    assert impossible(slices([(0, 100), (100, 100)])) == ""


def test_a_replay_by_the_hour() -> None:
    """An hour is the shortest that is known: what burns in it fires until an hour after it."""
    numbers = [(1000, 1000)] * 80 + [(900, 1000)] * 2 + [(1000, 1000)] * 4
    history = slices(numbers, seconds=3600)
    first, last = history[80].end, history[-1].end
    found = replay(objective(), history, 30 * DAY)
    assert [(each.severity, each.start) for each in found] == [("page", first), ("ticket", first)]
    assert found[0].end == first + 2 * HOUR and found[1].end == last
    assert replay(objective(), slices(numbers[:80], seconds=3600), 30 * DAY) == ()


def test_two_outages_are_two_episodes() -> None:
    numbers = [(1, 1)] * 600 + [(0, 1)] * 60 + [(1, 1)] * 1200 + [(0, 1)] * 60 + [(1, 1)] * 1200
    found = replay(objective(min_events=1), slices(numbers), 30 * DAY)
    assert [each.severity for each in found].count("page") == 2
    assert all(each.start < each.end <= NOW for each in found)


def test_a_gap_in_what_is_known_ends_an_episode() -> None:
    broken = [(0, 1000)] * 30
    history = slices([*broken, *[(0, 0)] * 600, *broken])
    pages = [each for each in replay(objective(), history, 30 * DAY) if each.severity == "page"]
    assert len(pages) == 2 and pages[0].end < pages[1].start


def test_a_burn_down_counts_neither_what_was_planned_nor_what_was_before() -> None:
    start = NOW - 3 * HOUR
    hours = slices([(0, 1000)], seconds=3600, until=start) + slices([(990, 1000)] * 2, seconds=3600, until=NOW - HOUR)
    planned = slices([(0, 1000)], seconds=3600, skipped=True)
    planned = [replace(each, skipped=Counts(0, 1000)) for each in planned]
    line = burn_down(objective(target=0.99), [*hours, *planned], start)
    assert [at for at, _ in line] == [start + HOUR, start + 2 * HOUR, NOW]
    assert [value for _, value in line] == pytest.approx([0.5, 0.0, 0.0])
    assert burn_down(objective(), planned, start) == []


def test_an_objective_is_of_those_that_it_names() -> None:
    of = {"tenant_id": "acme", "plan": "pro", "route": "/a"}
    assert applies(objective(**of), "acme", "pro", "/a")
    for name in of:
        assert not applies(objective(**of | {name: "other"}), "acme", "pro", "/a")
    assert applies(objective(), "acme", None, None) and not applies(objective(plan="pro"), "acme", None, None)
    assert not applies(objective(retired_at=NOW), "acme", None, None)
    assert resolve([objective(plan="pro")], "acme", None, None) == []


# Words


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0.0%"),
        (0.0004, "<0.1%"),
        (-0.0004, ">-0.1%"),
        (0.624, "62.4%"),
        (-0.37, "-37.0%"),
        (0.9999, ">99.9%"),
        (1.0, "100.0%"),
        (1.0004, "100.0%"),
        (9.99, "999.0%"),
        (10.0, "1,000%"),
        (-300.0, "-30,000%"),
    ],
)
def test_what_is_left(share: float | None, said: str) -> None:
    assert words.left_words(share) == said


def test_burn_rates_and_targets() -> None:
    rates = [None, float("inf"), 0.0, 0.009, 0.01, 9.99, 10.0, 1234.56]
    assert [words.burn_words(rate) for rate in rates] == ["–", "–", "0.00", "<0.01", "0.01", "9.99", "10.0", "1,234.6"]
    assert [words.target_words(target) for target in (None, 0.9, 0.99999)] == ["–", "90%", "99.999%"]


def test_what_is_promised() -> None:
    assert words.promise_words(objective()) == "99.9% answered without 5xx, rolling 30 days"
    quick = objective(kind="latency", threshold_ms=300.0, contractual=0.99, period="month", zone="Europe/Berlin")
    assert words.promise_words(quick) == "99.9% under 300 ms, each month in Europe/Berlin; promised: 99%"


def test_when_the_budget_is_empty() -> None:
    calm = evaluate(objective(), slices([(1000, 1000)] * 60), NOW)
    burning = evaluate(objective(target=0.5), slices([(500, 1000)] * 60 + [(750, 1000)] * 60), NOW)
    spent = evaluate(objective(), slices([(0, 1000)]), NOW)
    unknown = evaluate(objective(), [], NOW)
    assert [words.empties_words(each) for each in (calm, spent, unknown)] == ["never", "exhausted", "–"]
    assert burning.empties_in is not None and words.empties_words(burning) == "15d"
    assert words.empties_words(replace(spent, remaining=0.0)) == "exhausted"
    assert words.empties_words(replace(calm, remaining=None)) == "–"
    assert words.verdict_cells(burning.verdicts[0], burning) == ["page", "1h/5m", "14.4", "0.50", "0.50", "15d"]
    assert [words.verdict_cells(each.verdicts[0], each)[-1] for each in (calm, spent, unknown)] == [
        "never",
        "exhausted",
        "–",
    ]
    assert words.verdict_cells(calm.verdicts[0], replace(calm, remaining=None))[-1] == "–"
    assert words.verdict_cells(spent.verdicts[0], replace(spent, remaining=0.0))[-1] == "exhausted"


def test_a_pair_in_a_word() -> None:
    quiet, fires, held = judged((100, 100)), judged((0, 100)), judged((0, 1))
    unknown, never = judged(), judged((0, 0), target=0.0)
    assert [words.verdict_words(each) for each in (quiet, fires, held, unknown, never)] == [
        *("quiet", "FIRES: page", "held: 1 bad, at least 2 are needed", "no data"),
        "cannot: even if all requests failed, it would not burn that fast",
    ]


def test_a_budget_in_numbers() -> None:
    good = slices([(990, 1000)] * 10)
    assert words.budget_words(evaluate(objective(target=0.98), good, NOW)) == [
        "50.0% left: 100 bad of 10,000 requests, 200 are allowed"
    ]
    planned = slices([(0, 1000)] * 10, until=NOW - HOUR)
    planned = [replace(each, skipped=Counts(0, 1000)) for each in planned]
    assert words.budget_words(evaluate(objective(target=0.98, contractual=0.9), planned + good, NOW)) == [
        "50.0% left: 100 bad of 10,000 requests, 200 are allowed",
        "raw, overspent by 2,425%: 10,100 bad of 20,000, planned maintenance counted too",
        "90.0% left, of what was promised (90%)",
    ]
    assert words.budget_words(evaluate(objective(), planned, NOW))[0] == (
        "– left: no request is known outside of planned maintenance"
    )
    assert words.budget_words(evaluate(objective(), [], NOW)) == ["– left: no request is known"]


@pytest.mark.parametrize(
    ("fields", "scope"),
    [
        ({}, "all"),
        ({"plan": "pro"}, "plan pro"),
        ({"tenant_id": "acme"}, "acme"),
        ({"route": "/a"}, "/a"),
        ({"tenant_id": "acme", "route": "/a"}, "acme /a"),
    ],
)
def test_maintenance_in_words(fields: dict[str, str], scope: str) -> None:
    known: dict[str, Any] = {"tenant_id": None, "plan": None, "route": None, **fields}
    made = Maintenance(7, **known, starts_at=NOW, ends_at=NOW + HOUR, reason="move", created_by="ana", created_at=NOW)
    assert words.maintenance_words(made) == f"2026-03-31 12:00 to 03-31 13:00 UTC, {scope}: move (ana, number 7)"
    assert made.until == NOW + HOUR
    for ended, until in ((NOW + MINUTE, NOW + MINUTE), (NOW + 2 * HOUR, NOW + HOUR)):
        assert replace(made, ended_at=ended).until == until


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "all (all)"),
        ({"route": "/a"}, "route /a (a route)"),
        ({"plan": "pro"}, "plan pro (a plan)"),
        ({"tenant_id": "acme"}, "acme (a tenant)"),
        ({"tenant_id": "acme", "route": "/a"}, "acme /a (a route of a tenant)"),
    ],
)
def test_why_one_goes_before_another(fields: dict[str, str], said: str) -> None:
    assert words.scope_words(objective(**fields)) == f"{said}, 99.9%, number 1"


def test_what_a_replay_could_see_and_what_it_saw() -> None:
    minutes, hours = slices([(1, 1)] * 2), slices([(1, 1)] * 2, seconds=3600, until=NOW - HOUR)
    assert words.history_words([]) == "no requests are stored for it: what it would have fired is unknown"
    assert words.history_words(minutes) == "over stored minutes since 2026-03-31 11:58 UTC"
    assert words.history_words(hours).startswith("over stored hours since 2026-03-31 09:00 UTC; windows under an hour")
    assert words.history_words(hours + minutes) == (
        "since 2026-03-31 09:00 UTC; before 03-31 11:58 by the hour: windows under an hour saw whole hours"
    )
    seen = [Episode("page", NOW, NOW + HOUR), Episode("ticket", NOW, NOW + DAY), Episode("ticket", NOW, NOW)]
    assert words.episode_words(seen[0]) == "page    2026-03-31 12:00 UTC, for 1h"
    assert words.fired_words(seen) == "1 page, 2 tickets" and words.fired_words([]) == "0 pages, 0 tickets"
    assert replay_words(seen, minutes) == "since 2026-03-31 11:58 UTC it would have fired 1 page and 2 tickets"
    assert "unknown" in replay_words([], []) and count_words(1000, "page") == "1,000 pages"


# What may be saved


def test_one_is_retired_once_and_restored_once() -> None:
    retired = objective(retired_at=NOW)
    checks.check_open(objective())
    checks.check_restore(retired)
    for check, each, code in (
        (checks.check_open, retired, "objective_retired"),
        (checks.check_restore, objective(), "objective_not_retired"),
    ):
        with pytest.raises(Refusal) as refused:
            check(each)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("availability", None, 0.9, 0.9), None),
        (("latency", 5.0, 0.9, 0.5), None),
        (("availability", None, 0.9, 0.91), "objective_contractual"),
        (("latency", None, 0.9, None), "objective_threshold"),
        (("availability", 5.0, 0.9, None), "objective_threshold"),
    ],
)
def test_what_belongs_together(fields: Any, code: str | None) -> None:
    try:
        checks.check_fields(*fields)
    except Usage as refused:
        assert refused.code == code
    else:
        assert code is None


def test_a_pair_that_fires_late_or_never_is_told_before_it_is_saved() -> None:
    assert checks.warnings(objective(period="7d"), NOW) == [
        "ticket over 3d/6h fires at burn 0.233, when the budget would outlast its window"
    ]
    assert checks.warnings(objective(period="15d"), NOW) == [], "at 0.5 it just does not"
    assert [each.partition(" can never")[0] for each in checks.warnings(objective(target=0.8), NOW)] == [
        *("page over 1h/5m", "page over 6h/30m")
    ]


def test_steps_along_the_ladder_of_targets_and_windows() -> None:
    assert [checks.step_target(0.99, by) for by in (1, -1)] == [0.995, 0.98]
    assert [checks.step_period("28d", by) for by in (1, -1)] == ["30d", "14d"]
    assert checks.step_period("quarter", 1) == "quarter" and checks.step_period("10d", -1) == "30d"


def test_slices_and_pairs_are_as_they_say() -> None:
    assert Slice(NOW, 60, 1, 2).end == NOW + MINUTE and Counts(1, 3).bad == 2
    assert max(pair.long for pair in PAIRS) == 3 * DAY
