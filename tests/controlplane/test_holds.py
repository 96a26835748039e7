"""What holds an alert back on a route, what is told all the same, and what when it is over."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.routes.decide import decide, decide_group
from controlplane.routes.escalation import Escalation, Level, Target
from controlplane.routes.matching import group_key
from controlplane.routes.model import Facts, GroupState, Heard, Told
from tests.controlplane.alerting import (
    ACKED,
    HOUR,
    INHIBITS,
    MINUTE,
    NOW,
    RAISED,
    RESOLVED,
    SECOND,
    START,
    alert,
    fired,
    maintenance,
    only,
    route,
    silence,
    stages,
    story,
    told,
    words,
)

# 1.e, and whatever else held it back


def test_when_a_silence_ends_the_notice_goes_out_at_once_with_that_reason() -> None:
    """1.e, alertmanager#2896: not after the repeat interval."""
    quiet = silence(starts_at=NOW - HOUR, ends_at=NOW + HOUR)
    expected = [(HOUR, "r1", "trigger", "silence_expired")]
    assert told(story(alert()), route(repeat_interval=4 * HOUR), 2 * HOUR, silences=[quiet]) == expected
    later = silence(starts_at=NOW + MINUTE, ends_at=NOW + HOUR)
    first = (START, "r1", "trigger", "first_notification")
    assert told(story(alert()), route(repeat_interval=4 * HOUR), 2 * HOUR, silences=[later]) == [first, *expected]


def test_of_two_silences_the_last_end_counts() -> None:
    both = [silence(id=1), silence('kind="burn_rate"', id=2, ends_at=NOW + 2 * HOUR, ends="resolved")]
    assert told(story(alert()), route(), silences=both) == [(2 * HOUR, "r1", "trigger", "silence_expired")]
    decision = decide(alert(), Facts(routes=[route()], silences=both), NOW)
    assert words(decision, "silence") == (
        "silence 2 until 2026-06-03 14:00:00 UTC or until it is resolved, by ana: known"
    )
    assert decision.next_action_at == NOW + HOUR


def test_a_resolve_reaches_who_heard_the_trigger_also_while_it_is_silenced() -> None:
    """alertmanager#226, #2805, #5247: it is not lost."""
    quiet = silence(starts_at=NOW + MINUTE, ends_at=NOW + 2 * HOUR)
    assert told(story(alert(), (HOUR, RESOLVED)), route(), silences=[quiet]) == [
        (START, "r1", "trigger", "first_notification"),
        (HOUR, "r1", "resolve", "all_alerts_resolved"),
    ]


@pytest.mark.parametrize(
    "facts",
    [
        {"silences": [silence()]},
        {"maintenance": [maintenance(-HOUR, 2 * HOUR)]},
        {"routes": [route(policy={"quiet_windows": [{}]})]},
        {"routes": [route(urgency="low")]},
        {"routes": [route(enabled=False)]},
        {"routes": [route(1, 'team="db"')]},
        {"routes": [route(min_severity="critical")]},
    ],
)
def test_a_resolve_reaches_who_heard_the_trigger_whatever_holds_the_alert_back_by_then(facts: dict[str, Any]) -> None:
    key = group_key(route(), alert())
    state = GroupState(1, key, 1, {"": Heard(NOW, {"a1": Told("warning")}), "ana": Heard(NOW, {"a1": Told("warning")})})
    gone = alert(state="resolved", resolved_at=NOW)
    decision = decide(gone, Facts(**{"routes": [route()], "groups": {key: state}, **facts}), NOW)
    assert [(each.person, each.action) for each in decision.notices] == [("", "resolve"), ("ana", "resolve")]
    assert only(decision).state.over


def test_an_alert_that_does_not_take_the_route_any_more_is_not_told_again_there() -> None:
    changing = [route(min_severity="error", repeat_interval=10 * MINUTE)]
    sent = told(story(alert(severity="error"), (15 * MINUTE, {"severity": "warning"}), (HOUR, RESOLVED)), changing)
    assert [(at, action) for at, _, action, _ in sent] == [
        (START, "trigger"),
        (10 * MINUTE, "trigger"),
        (HOUR, "resolve"),
    ]
    key = group_key(route(), alert())
    state = GroupState(1, key, 1, {"": Heard(NOW, {"a1": Told("warning")})})
    moved = decide(alert(), Facts(routes=[route(1, 'team="db"')], groups={key: state}), NOW)
    assert stages(moved)["route"] == "not_matched"


@pytest.mark.parametrize(
    ("kept", "why"),
    [({"maintenance": [maintenance(MINUTE, HOUR)]}, "maintenance_ended"), ({}, "repeat_interval_elapsed")],
)
def test_maintenance_stops_a_running_escalation_within_a_tick(kept: dict[str, Any], why: str) -> None:
    """goalert#2594: planned maintenance let running escalations go on."""
    pages = Escalation((Level((Target("person", "ana"),), 2), Level((Target("person", "ben"),))))
    sent = told(story(alert()), route(escalation=pages, repeat_interval=61 * MINUTE), 62 * MINUTE, **kept)
    people = [(at, who) for at, who, _, _ in sent if who != "r1"]
    assert people == ([(START, "ana"), (61 * MINUTE, "ana")] if kept else [(START, "ana"), (2 * MINUTE, "ben")])
    assert [(at, reason) for at, who, _, reason in sent if who == "r1"][-1] == (61 * MINUTE, why)


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        ({}, True),
        ({"tenant_id": None}, True),
        ({"tenant_id": "globex"}, False),
        ({"tenant_id": None, "plan": "pro"}, True),
        ({"tenant_id": None, "plan": "free"}, False),
        ({"route": "/orders"}, True),
        ({"route": "/carts"}, False),
        ({"ended_at": NOW}, False),
        ({"ended_at": NOW + SECOND}, True),
    ],
)
def test_maintenance_is_for_what_it_was_planned_for(fields: dict[str, Any], holds: bool) -> None:
    planned = maintenance(-HOUR, 2 * HOUR, **fields)
    one = alert(plan="pro", labels={"route": "/orders"})
    decision = decide(one, Facts(routes=[route()], maintenance=[planned]), NOW)
    assert (stages(decision)["maintenance"] == "maintenance") is holds is (decision.notices == ())
    if holds and "ended_at" not in fields:
        assert words(decision, "maintenance") == "planned maintenance 7 until 2026-06-03 13:00:00 UTC: move"


def test_maintenance_begins_at_its_first_moment() -> None:
    for start, holds in ((0 * SECOND, True), (SECOND, False)):
        decision = decide(alert(), Facts(routes=[route()], maintenance=[maintenance(start, HOUR)]), NOW)
        assert (stages(decision)["maintenance"] == "maintenance") is holds


# Inhibition


def test_what_is_inhibited_is_told_when_its_source_is_over() -> None:
    cause = alert("w1", kind="worker_missing")
    stories = [story(cause, (HOUR, RESOLVED)), story(alert(fired_at=NOW + MINUTE))]
    sent = told(stories, [route(1, 'kind="burn_rate"', INHIBITS)], 2 * HOUR)
    assert sent == [(HOUR, "r1", "trigger", "inhibition_ended")]
    decision = decide(alert(), Facts(routes=[route(policy=INHIBITS)], firing=[cause]), NOW)
    assert words(decision, "inhibition") == "alert w1 (worker_missing) fires, which inhibits it"
    for other in (
        alert("w1", kind="worker_missing", tenant_id="globex"),
        alert("w1", kind="worker_missing", state="resolved", resolved_at=NOW),
        alert("w1", kind="quota_over"),
    ):
        assert decide(alert(), Facts(routes=[route(policy=INHIBITS)], firing=[other]), NOW).notices


def test_when_an_inhibition_ends_its_escalation_begins_again_with_that_reason() -> None:
    cause = alert("w1", kind="worker_missing", fired_at=NOW + MINUTE)
    pages = Escalation((Level((Target("person", "ana"),), 60),))
    one = route(1, 'kind="burn_rate"', INHIBITS, escalation=pages, repeat_interval=30 * MINUTE)
    sent = told([story(alert()), story(cause, (HOUR, RESOLVED))], [one], 95 * MINUTE)
    assert [(at, reason) for at, who, _, reason in sent if who == "ana"] == [
        (START, "first_notification"),
        (61 * MINUTE, "inhibition_ended"),
    ]


def test_who_was_told_before_is_not_told_again_when_an_inhibition_ends() -> None:
    cause = alert("w1", kind="worker_missing", fired_at=NOW + MINUTE)
    stories = [story(alert()), story(cause, (HOUR, RESOLVED))]
    sent = told(stories, [route(1, 'kind="burn_rate"', INHIBITS, repeat_interval=30 * MINUTE)], 95 * MINUTE)
    assert [(at, reason) for at, _, _, reason in sent] == [
        (START, "first_notification"),
        (61 * MINUTE, "repeat_interval_elapsed"),
        (91 * MINUTE, "repeat_interval_elapsed"),
    ]


def test_an_alert_does_not_inhibit_itself() -> None:
    itself = {"inhibit": [{"source": 'tenant="acme"', "target": 'kind="burn_rate"'}]}
    one = alert()
    assert decide(one, Facts(routes=[route(policy=itself)], firing=[one, alert("a2")]), NOW).notices
    assert not decide(
        one, Facts(routes=[route(policy=itself)], firing=[alert("w", kind="worker_missing")]), NOW
    ).notices


# Dedupe


def test_the_same_key_is_told_once_in_its_time() -> None:
    dedupes = route(policy={"dedupe": {"ttl_seconds": 1800}})
    stories = [
        story(alert(), (MINUTE, RESOLVED)),
        story(fired(10, id="a2"), (5 * MINUTE, RESOLVED)),
        story(fired(20, id="a3")),
        story(fired(25, id="a4", severity="critical")),
    ]
    assert told(stories, dedupes, 2 * HOUR) == [
        (START, "r1", "trigger", "first_notification"),
        (MINUTE, "r1", "resolve", "all_alerts_resolved"),
        (25 * MINUTE, "r1", "trigger", "first_notification"),  # another key: another severity
        (30 * MINUTE, "r1", "trigger", "first_notification"),
    ]
    key = "acme:burn_rate:warning:1"
    facts = Facts(routes=[dedupes], sent={(1, key): NOW - 10 * MINUTE, (2, key): NOW})
    decision = decide(alert(), facts, NOW)
    assert decision.notices == () and decision.next_action_at == NOW + 20 * MINUTE
    assert words(decision, "dedupe").endswith("told at 2026-06-03 12:20:00 UTC, for the same key was told before")
    assert decide(alert(), facts, NOW + 20 * MINUTE).notices[0].dedupe_key == key


def test_dedupe_holds_back_no_end_no_acknowledgement_and_nothing_worse() -> None:
    """OpsKnight PR#391: its debounce swallows a resolve."""
    same_for_all = route(
        policy={"dedupe": {"key": "{{tenant_id}}", "ttl_seconds": 604_800}}, repeat_interval=10 * MINUTE
    )
    life = story(alert(), (MINUTE, RAISED), (2 * MINUTE, {**ACKED, "acked_until": NOW + HOUR}), (2 * HOUR, RESOLVED))
    assert [reason for *_, reason in told(life, same_for_all)] == [
        "first_notification",
        "severity_raised",
        "acknowledged",
        "ack_expired",
        "all_alerts_resolved",
    ]


def test_dedupe_holds_back_the_pages_too() -> None:
    paged = route(policy={"dedupe": {"ttl_seconds": 600}}, escalation=Escalation((Level((Target("person", "ana"),)),)))
    sent = told([story(alert(), (MINUTE, RESOLVED)), story(fired(2, id="a2"))], paged, HOUR)
    assert [at for at, who, action, _ in sent if (who, action) == ("ana", "trigger")] == [START, 10 * MINUTE]
    facts = Facts(routes=[paged], sent={(1, "acme:burn_rate:warning:1"): NOW})
    decision = decide(alert(), facts, NOW)
    [stage] = [stage for stage in only(decision).stages if stage.name == "escalation"]
    assert decision.next_action_at == stage.until == NOW + 10 * MINUTE


def test_without_dedupe_a_second_alert_of_a_type_is_told_too() -> None:
    assert len(told([story(alert()), story(fired(1, id="a2"))], route(), HOUR)) == 2


def test_a_key_of_a_group_has_what_all_have_in_common() -> None:
    policy = {"dedupe": {"key": "{{tenant_id}}|{{event_type}}|{{severity}}|{{channel}}|{{route_id}}"}}
    grouped = route(policy=policy, group_by=("tenant",))
    members = [alert(), alert("a2", kind="quota_over", severity="error")]
    decided = decide_group(grouped, GroupState(1, group_key(grouped, alert())), members, Facts(routes=[grouped]), NOW)
    assert decided.notices[0].dedupe_key == "acme||error|webhook|1"
