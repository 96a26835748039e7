"""THE routing decision: what is told, to whom, when and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controlplane.routes.decide import decide
from controlplane.routes.escalation import Escalation, Level, Target
from controlplane.routes.matching import group_key
from controlplane.routes.model import AlertFacts, Facts, Route
from controlplane.routes.replay import play
from tests.controlplane.alerting import (
    ACKED,
    HOUR,
    INHIBITS,
    MINUTE,
    NIGHT,
    NOW,
    RAISED,
    RESOLVED,
    SECOND,
    START,
    alert,
    maintenance,
    only,
    quiet,
    route,
    silence,
    stages,
    story,
    told,
    words,
)

# The least: told once, and of the end


def test_an_alert_is_told_and_its_end_too() -> None:
    assert told(story(alert(), (HOUR, RESOLVED)), route()) == [
        (START, "r1", "trigger", "first_notification"),
        (HOUR, "r1", "resolve", "all_alerts_resolved"),
    ]


def test_a_notice_says_what_it_is_about() -> None:
    first = only(decide(alert(severity="error"), Facts(routes=[route()]), NOW))
    [notice] = first.notices
    assert (notice.alerts, notice.resolved, notice.severity, notice.dedupe_key) == (("a1",), (), "error", "")
    assert notice.key == f"{group_key(route(), alert())}:1" and first.state.number == 1 and not first.state.over
    gone = alert(state="resolved", resolved_at=NOW)
    last = only(decide(gone, Facts(routes=[route()], groups={notice.group: first.state}), NOW + MINUTE))
    [notice] = last.notices
    assert (notice.alerts, notice.resolved, notice.severity, notice.number) == ((), ("a1",), "error", 2)
    assert last.state.over and last.next_action_at is None


def test_who_decides_the_same_twice_gets_the_same_keys() -> None:
    facts = Facts(routes=[route(escalation=Escalation((Level((Target("person", "ana"),)),)))])
    first, second = (decide(alert(), facts, NOW + n * SECOND) for n in range(2))
    assert [each.key for each in first.notices] == [each.key for each in second.notices]
    assert len({each.key for each in first.notices}) == 2
    state = only(first).state
    again = decide(alert(), Facts(routes=facts.routes, groups={state.key: state}), NOW + SECOND)
    assert again.notices == ()


def test_without_a_route_nothing_is_told_and_why_is_said() -> None:
    decision = decide(alert(), Facts(routes=[route(1, 'team="db"'), route(2, enabled=False)]), NOW)
    assert decision.routes == () and decision.notices == () and decision.next_action_at is None
    assert [(each.name, each.verdict, each.words) for each in decision.tried] == [
        ("route 1 r1", "hold", 'team="db" does not match an alert without that label'),
        ("route 2 r2", "hold", "it is disabled"),
    ]


# 1.d: what came and went before anybody was told


def test_what_comes_and_goes_within_the_group_wait_is_silent() -> None:
    """1.d: and so is its resolve."""
    waits = route(group_wait=30 * SECOND)
    assert told(story(alert(), (29 * SECOND, RESOLVED), (HOUR, RESOLVED)), waits) == []
    assert told(story(alert()), waits) == [(30 * SECOND, "r1", "trigger", "first_notification")]


def test_those_that_come_while_it_waits_are_told_together_and_later_ones_after_the_interval() -> None:
    grouped = route(group_by=("tenant",), group_wait=30 * SECOND, group_interval=5 * MINUTE)
    second = alert("a2", fired_at=NOW + 20 * SECOND, labels={"key": "k2"})
    third = alert("a3", fired_at=NOW + MINUTE)
    other = alert("b1", tenant_id="globex")
    stories = [
        story(alert(), (10 * MINUTE, RESOLVED)),
        story(second, (20 * MINUTE, RESOLVED)),
        story(third),
        story(other),
    ]
    sent = play(stories, Facts(routes=[grouped]), NOW + HOUR)
    shown = [(each.at - NOW, each.notice.reason, each.notice.alerts, each.notice.resolved) for each in sent]
    assert shown == [
        (30 * SECOND, "first_notification", ("a1", "a2"), ()),
        (30 * SECOND, "first_notification", ("b1",), ()),
        (5 * MINUTE + 30 * SECOND, "new_alerts_in_group", ("a1", "a2", "a3"), ()),
        (10 * MINUTE + 30 * SECOND, "new_resolved_alerts", ("a2", "a3"), ("a1",)),
        (20 * MINUTE + 20 * SECOND, "new_resolved_alerts", ("a3",), ("a2",)),
    ]


def test_a_group_says_how_many_it_is() -> None:
    grouped = route(group_by=("team", "kind"))
    one = alert(labels={"team": "db"})
    decision = decide(
        one, Facts(routes=[grouped], members={group_key(grouped, one): [one, replace(one, id="a2")]}), NOW
    )
    assert words(decision, "grouping") == '2 with kind="burn_rate", team="db" in common'
    assert words(decide(one, Facts(routes=[route(group_by=())]), NOW), "grouping") == "1 with anything in common"
    assert words(decide(one, Facts(routes=[route()]), NOW), "grouping") == "each alert by itself"


# 1.f: repeats


@pytest.mark.parametrize("minutes", [7, 13, 61])
def test_a_repeat_comes_at_its_time_and_is_not_rounded(minutes: int) -> None:
    """1.f: Alertmanager rounds it up to the next tick of the group."""
    repeats = route(group_interval=5 * MINUTE, repeat_interval=minutes * MINUTE, group_wait=30 * SECOND)
    sent = told(story(alert(), (3 * HOUR, ACKED)), repeats, 5 * HOUR)
    times = [at for at, _, _, reason in sent if reason == "repeat_interval_elapsed"]
    assert times == [30 * SECOND + n * minutes * MINUTE for n in range(1, 180 // minutes + 1)]
    assert sent[-1] == (3 * HOUR, "r1", "acknowledge", "acknowledged")


def test_a_raised_severity_is_told_within_the_repeat_interval_and_a_lowered_one_is_not() -> None:
    flaps = story(alert(), (MINUTE, RAISED), (2 * MINUTE, {"severity": "warning"}), (3 * MINUTE, RAISED))
    sent = told(flaps, route(repeat_interval=4 * HOUR, group_interval=HOUR), 3 * HOUR)
    assert sent == [
        (START, "r1", "trigger", "first_notification"),
        (MINUTE, "r1", "trigger", "severity_raised"),
    ]


def test_who_was_paged_hears_that_it_became_more_severe() -> None:
    pages = route(escalation=Escalation((Level((Target("person", "ana"),), 60),)))
    sent = told(story(alert(), (MINUTE, ACKED), (2 * MINUTE, RAISED)), pages, HOUR)
    assert [(at, who) for at, who, _, reason in sent if reason == "severity_raised"] == [
        (2 * MINUTE, "r1"),
        (2 * MINUTE, "ana"),
    ]


# Acknowledgements


def test_acknowledged_five_times_is_one_message() -> None:
    """OpsKnight PR#391: a repeated acknowledgement notifies again there."""
    five = [(n * MINUTE, ACKED) for n in range(1, 6)]
    assert told(story(alert(), *five), route(repeat_interval=3 * MINUTE)) == [
        (START, "r1", "trigger", "first_notification"),
        (MINUTE, "r1", "acknowledge", "acknowledged"),
    ]


def test_acknowledged_before_anybody_was_told_is_silent_until_that_ends() -> None:
    soon = {**ACKED, "acked_until": NOW + HOUR}
    waits = route(group_wait=30 * SECOND)
    assert told(story(alert(), (10 * SECOND, soon)), waits) == [(HOUR, "r1", "trigger", "ack_expired")]
    assert told(story(alert(), (10 * SECOND, soon), (HOUR - SECOND, RESOLVED)), waits) == []


def test_a_group_is_acknowledged_when_all_of_it_is() -> None:
    grouped = route(group_by=("tenant",), group_interval=START)
    one, two = story(alert(), (MINUTE, ACKED)), story(alert("a2"), (2 * MINUTE, ACKED))
    sent = told([one, two], grouped)
    assert [(at, action) for at, _, action, _ in sent if action == "acknowledge"] == [(2 * MINUTE, "acknowledge")]


def test_an_acknowledgement_is_heard_while_it_is_silenced_and_its_end_is_said() -> None:
    quiet = silence(starts_at=NOW + MINUTE, ends_at=NOW + HOUR)
    life = story(alert(), (2 * MINUTE, {**ACKED, "acked_until": NOW + 2 * HOUR}))
    assert told(life, route(), silences=[quiet]) == [
        (START, "r1", "trigger", "first_notification"),
        (2 * MINUTE, "r1", "acknowledge", "acknowledged"),
        (2 * HOUR, "r1", "trigger", "ack_expired"),
    ]


# Unknown


def test_a_gap_of_60_minutes_is_no_message_and_unknown() -> None:
    """grafana#105571: a gap in the data sends "resolved" there."""
    gap = story(alert(), (10 * MINUTE, {"unknown_since": NOW}), (70 * MINUTE, {"unknown_since": None}))
    repeats = route(repeat_interval=15 * MINUTE, escalation=Escalation((Level((Target("person", "ana"),), 30),), 5))
    sent = told(gap, repeats, 71 * MINUTE)
    assert [at for at, *_ in sent] == [START, START, 70 * MINUTE, 70 * MINUTE]
    decision = decide(alert(unknown_since=NOW), Facts(routes=[route()]), NOW + MINUTE)
    assert stages(decision)["source"] == "unknown" and decision.notices == () and decision.next_action_at is None
    assert words(decision, "source").startswith("its source has been silent since 2026-06-03 12:00:00 UTC: unknown")


def test_an_alert_that_became_unknown_before_it_was_told_is_told_when_it_is_known() -> None:
    gap = story(alert(), (MINUTE, {"unknown_since": NOW}), (HOUR, {"unknown_since": None}))
    assert told(gap, route(group_wait=5 * MINUTE)) == [(HOUR, "r1", "trigger", "first_notification")]


# Urgency, thresholds


def test_of_low_urgency_it_is_recorded_and_nobody_is_told() -> None:
    """goalert#4530: record, but never page."""
    low = route(urgency="low", escalation=Escalation((Level((Target("person", "ana"),)),)))
    assert told(story(alert(), (MINUTE, RAISED), (HOUR, RESOLVED)), low) == []
    decision = decide(alert(), Facts(routes=[low]), NOW)
    assert stages(decision)["urgency"] == "low_urgency" and stages(decision)["escalation"] == "stopped"


def test_thresholds_decide_what_it_is_told_as() -> None:
    policy = {"severity_thresholds": {"key_usage_anomaly": {"warning_anomalies": 2, "critical_anomalies": 5}}}
    counted = [route(policy=policy, repeat_interval=None)]
    life = story(
        alert(kind="key_usage_anomaly", severity="info", details={"anomalies_count": 1}),
        (MINUTE, {"details": {"anomalies_count": 2}}),
        (2 * MINUTE, {"details": {"anomalies_count": 5}}),
        (3 * MINUTE, {"details": {"anomalies_count": 1}}),
        (4 * MINUTE, RESOLVED),
    )
    sent = play([life], Facts(routes=counted), NOW + HOUR)
    assert [(each.at - NOW, each.notice.severity, each.notice.reason) for each in sent] == [
        (MINUTE, "warning", "first_notification"),
        (2 * MINUTE, "critical", "severity_raised"),
        (4 * MINUTE, "critical", "all_alerts_resolved"),
    ]
    low = decide(life.versions[0][1], Facts(routes=counted), NOW)
    assert words(low, "severity") == "1 anomalies: below the route's thresholds"
    unknown = decide(alert(kind="key_usage_anomaly"), Facts(routes=counted), NOW)
    assert words(unknown, "severity") == "warning: no threshold of the route counts for it" and unknown.notices


# When to look again


def test_it_is_looked_at_again_when_something_may_change() -> None:
    def next_at(*routes: Route, one: AlertFacts | None = None, **facts: Any) -> timedelta | None:
        at = decide(one or alert(), Facts(routes=routes or [route()], **facts), NOW).next_action_at
        return at and at - NOW

    assert next_at() is None
    assert next_at(route(repeat_interval=HOUR)) == HOUR
    assert next_at(route(group_wait=30 * SECOND)) == 30 * SECOND
    assert next_at(route(escalation=Escalation((Level((Target("person", "ana"),)),)))) == 5 * MINUTE
    assert next_at(route(escalation=Escalation((Level((Target("person", "ana"),)),)), group_wait=MINUTE)) == MINUTE
    assert next_at(silences=[silence(starts_at=NOW + MINUTE)]) == MINUTE
    assert next_at(silences=[silence()]) == HOUR
    assert next_at(silences=[silence('team="db"'), silence(ended_at=NOW)]) is None
    assert next_at(maintenance=[maintenance(MINUTE, HOUR)]) == MINUTE
    assert next_at(maintenance=[maintenance(-MINUTE, HOUR)]) == 59 * MINUTE
    assert next_at(maintenance=[maintenance(MINUTE, HOUR, tenant_id="globex")]) is None
    assert next_at(quiet()) == 10 * MINUTE
    assert next_at(one=alert(state="acked", acked_until=NOW + HOUR)) == HOUR
    assert next_at(one=alert(state="acked")) is None


def test_every_stage_has_its_words() -> None:
    busy = route(
        policy={"quiet_windows": [NIGHT], **INHIBITS},
        group_wait=MINUTE,
        escalation=Escalation((Level((Target("person", "ana"),)),)),
    )
    decision = decide(alert(), Facts(routes=[busy]), NOW)
    assert [(each.name, each.verdict) for each in only(decision).stages] == [
        ("source", "pass"),
        ("severity", "pass"),
        ("maintenance", "pass"),
        ("inhibition", "pass"),
        ("silence", "pass"),
        ("quiet window", "pass"),
        ("urgency", "pass"),
        ("state", "pass"),
        ("grouping", "pass"),
        ("group wait", "wait"),
        ("escalation", "wait"),
    ]
    assert all(each.words and each.words.isprintable() and each.code for each in only(decision).stages)
    assert words(decision, "group wait") == "nobody was told yet; told at 2026-06-03 12:01:00 UTC"
    nothing = decide(alert(state="acked"), Facts(routes=[route()]), NOW)
    assert (
        stages(nothing)["told"] == "nothing_new" and words(nothing, "state") == "somebody has it until it is resolved"
    )


def test_words_from_outside_are_inert() -> None:
    hostile = "\x1b[2J\u202e"
    facts = Facts(
        routes=[route(name=hostile, policy=INHIBITS, group_by=("x",), tenant_id="")],
        silences=[silence(comment=hostile, created_by=hostile)],
        maintenance=[maintenance(-HOUR, 2 * HOUR)],
        firing=[alert(hostile, kind="worker_missing")],
    )
    decision = decide(alert(labels={"x": hostile}), facts, NOW)
    for each in (*decision.tried, *only(decision).stages):
        assert each.words.isprintable() and each.name.isprintable()
