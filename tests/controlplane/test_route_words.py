"""What the console says of a route, of what a decision went through, and of what may not be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controlplane.errors import Refusal
from controlplane.routes.checks import check_disable, check_enable, check_open, check_restore, check_signs
from controlplane.routes.kept import RouteRow
from controlplane.routes.model import Decision, GroupState, RouteDecision, Stage
from controlplane.routes.words import (
    decision_lines,
    fact_lines,
    matchers_words,
    seconds_words,
    stage_line,
    target_words,
    why_of,
)
from tests.controlplane.alerting import HOUR, NOW, SECOND, route
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

KNOWN: dict[str, Any] = {
    **dict.fromkeys(("tenant_id", "parent", "group_by", "repeat_seconds", "escalation", "secret_at", "retired_at")),
    **dict.fromkeys(("disabled", "disabled_at", "delivered_at")),
    **{"id": 4, "name": "night", "position": 2, "continues": False, "matchers": [], "events": ["*"], "policy": {}},
    **{"min_severity": "warning", "urgency": "high", "group_wait": 0, "group_interval": 300, "channel": "webhook"},
    **{"target": "hooks.example", "template": "", "target_at": NOW, "enabled": True, "version": 1, "created_at": NOW},
    **{"created_by": "ana", "updated_at": NOW, "failures": 0},
}


def stored(**fields: Any) -> RouteRow:
    return RouteRow(**KNOWN | fields)


def facts(**fields: Any) -> dict[str, str]:
    lines = texts(fact_lines(stored(**fields), NOW))
    return {line[:10].strip(): line[10:] for line in lines if line[8:10] == "  "}


def test_the_facts_of_a_route() -> None:
    assert fact_lines(stored(), NOW)[:2] == [("night", "title"), ("on", "good")] and why_of(stored(), NOW)
    assert facts() == {
        "tells": "webhook hooks.example",
        "takes": matchers_words(stored()),
        "events": "all",
        "severity": "warning and above",
        "tenant": "all",
        "grouped": "each alert by itself",
        "waits": "at once; further ones after 5m",
        "repeats": "never",
        "order": "2",
        "secret": "none",
        "last ok": "–",
        "failed": "0 in a row",
    }
    other = facts(
        **{"tenant_id": "acme", "parent": 3, "continues": True, "events": ["alert", "gate"], "urgency": "low"},
        **{"group_by": ["tenant", "kind"], "group_wait": 30, "repeat_seconds": 3600, "secret_at": NOW - HOUR},
        **{"failures": 1200, "delivered_at": NOW - HOUR},
    )
    assert other["events"] == "alert, gate" and other["tenant"] == "acme" and other["grouped"] == "by tenant, kind"
    assert other["severity"] == "warning and above, urgency low: nobody is told"
    assert other["order"] == "2, below route 3, then the next are tried too"
    assert other["waits"] == "30s; further ones after 5m" and other["repeats"] == "1h"
    assert other["secret"] == "since 1 h ago" and other["last ok"] == "1 h ago" and other["failed"] == "1,200 in a row"
    assert facts(group_by=[])["grouped"] == "all alerts together"


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"retired_at": NOW}, [("retired", "muted")]),
        ({"enabled": False}, [("disabled", "muted")]),
        (
            {"disabled": HOSTILE, "disabled_at": NOW - HOUR},
            [("endpoint off", "bad"), (f"disabled 1 h ago: {SHOWN}; its deliveries are held", "bad")],
        ),
        ({"matchers": [{}]}, [("unreadable", "bad"), ("it is not written as a route is", "bad")]),
    ],
)
def test_how_a_route_stands(fields: dict[str, Any], lines: list[object]) -> None:
    told = fact_lines(stored(**fields), NOW)
    assert told[1 : 1 + len(lines)] == lines and not isinstance(told[1 + len(lines)], tuple)


def test_policy_and_escalation_are_told_in_words_or_as_they_are_kept() -> None:
    policy = {"dedupe": {"key": "{tenant}", "ttl_seconds": 60}}
    assert fact_lines(stored(policy=policy), NOW)[-3:] == [
        "",
        ("policy", "title"),
        "one notice within 1m for each {tenant}",
    ]
    broken = fact_lines(stored(policy={"x": 1}), NOW)
    assert broken[-2:] == [("policy", "title"), '{"x":1}']
    assert fact_lines(stored(escalation={"x": 1}), NOW)[-2][0] == "escalation"


@pytest.mark.parametrize(
    "matchers", [[{}], ["x"], [{"label": "a", "op": "=~", "value": "("}], [{"label": "a", "op": "?", "value": ""}]]
)
def test_matchers_that_cannot_be_read_are_said_to_be_so(matchers: list[Any]) -> None:
    assert matchers_words(stored(matchers=matchers)) == "cannot be read"


def test_the_words_of_a_route_are_inert() -> None:
    hostile = stored(name=HOSTILE, tenant_id=HOSTILE, target=HOSTILE, events=[HOSTILE], group_by=[HOSTILE])
    assert is_inert(fact_lines(hostile, NOW)) and target_words(hostile) == f"webhook {SHOWN}"


@pytest.mark.parametrize(("seconds", "words"), [(None, "never"), (0, "at once"), (1, "1s"), (90, "1m 30s")])
def test_how_long_it_waits(seconds: int | None, words: str) -> None:
    assert seconds_words(seconds) == words


# A decision


def test_a_decision_is_told_stage_by_stage() -> None:
    passed, held = Stage("matches", "pass", "it does"), Stage("quiet", "hold", HOSTILE)
    group = RouteDecision(route(4, name="night"), (held, Stage("group", "wait", "30s")), (), GroupState(4, "g"), None)
    decision = Decision("a1", NOW, (passed, held), (group, replace(group, next_action_at=NOW + SECOND)))
    assert decision_lines(decision) == [
        ("which routes it takes", "title"),
        ("● matches: it does", ""),
        (f"○ quiet: {SHOWN}", "muted"),
        *(told := ["", ("route 4 night", "title"), stage_line(held), ("◐ group: 30s", "warn")]),
        *told,
        "looked at again at 2026-06-03 12:00:01 UTC",
    ]
    assert decision_lines(decision, all_tried=False)[:3] == [("which routes it takes", "title"), stage_line(passed), ""]
    nobody = decision_lines(replace(decision, routes=(), tried=()))
    assert nobody[1:] == [("no route takes it: nobody is told", "warn")]


@pytest.mark.parametrize(
    ("check", "fields", "code"),
    [
        *((check_open, {}, ""), (check_open, {"retired_at": NOW}, "route_retired")),
        *((check_restore, {}, "route_live"), (check_restore, {"retired_at": NOW}, "")),
        *((check_disable, {}, ""), (check_disable, {"enabled": False}, "route_off")),
        (check_disable, {"retired_at": NOW}, "route_retired"),
        *((check_enable, {}, "route_on"), (check_enable, {"enabled": False}, "")),
        (check_enable, {"disabled": "50 failures"}, ""),
        *((check_signs, {}, ""), (check_signs, {"channel": "slack"}, "route_no_secret")),
        (check_signs, {"retired_at": NOW}, "route_retired"),
    ],
)
def test_what_may_be_done_with_a_route(check: Callable[[RouteRow], None], fields: dict[str, Any], code: str) -> None:
    refused = ""
    try:
        check(stored(**fields))
    except Refusal as refusal:
        refused = refusal.code
        assert "night" in refusal.message
    assert refused == code


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    long = stored(
        name=LONG, tenant_id=LONG, target=LONG, events=[LONG], group_by=[LONG], disabled=LONG, disabled_at=NOW
    )
    assert cuts(fact_lines(long, NOW)) == [100, 400, 292, 300, 64, 200]
    assert cuts(fact_lines(stored(policy={LONG: 1}), NOW)) == [200, 3998]
    group = RouteDecision(route(4, name=LONG), (Stage("quiet", "hold", LONG),), (), GroupState(4, "g"), None)
    assert cuts(decision_lines(Decision("a1", NOW, (), (group,)))) == [60, 400]
