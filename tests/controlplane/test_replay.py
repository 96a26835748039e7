"""What would have been told: a simulated alert, and a changed policy over stored alerts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controlplane.errors import Usage
from controlplane.routes.decide import decide
from controlplane.routes.escalation import Escalation, Level, Target
from controlplane.routes.model import AlertFacts, Facts, GroupState
from controlplane.routes.reading import read_state, state_document
from controlplane.routes.replay import SIMULATED, Difference, Story, play, replay_policy, simulate
from controlplane.zones import parse_local
from tests.controlplane.alerting import ACKED, DAY, HOUR, MINUTE, NOW, RESOLVED, SECOND, alert, route, silence, story

START = timedelta(0)
PAGES = Escalation((Level((Target("person", "ana"),), 10), Level((Target("person", "ben"),), 10)))
EARLY: dict[str, Any] = {"start": "02:00", "end": "03:00", "timezone": "America/New_York"}


def heard(difference: Difference) -> dict[str, list[tuple[timedelta, ...]]]:
    return {
        "added": [(each.at - NOW,) for each in difference.added],
        "removed": [(each.at - NOW,) for each in difference.removed],
        "moved": [(before.at - NOW, after.at - NOW) for before, after in difference.moved],
    }


# Simulate


def test_a_simulated_alert_takes_the_path_of_a_real_one() -> None:
    routes = [route(1, 'team="db", kind="quota_over"', escalation=PAGES, group_wait=30 * SECOND), route(2, position=9)]
    labels = {"tenant": "globex", "kind": "quota_over", "team": "db"}
    found = simulate(labels, "error", NOW, Facts(routes=routes), HOUR)
    assert [each.words for each in found.decision.tried] == ["matches"] and found.decision.alert == SIMULATED
    assert [stage.name for stage in found.decision.routes[0].stages][-2:] == ["group wait", "escalation"]
    assert [(each.at - NOW, each.listener, each.notice.reason) for each in found.sent] == [
        (30 * SECOND, "webhook https://hooks.example/1", "first_notification"),
        (30 * SECOND, "ana", "first_notification"),
        (10 * MINUTE + 30 * SECOND, "ben", "escalation"),
    ]
    assert found.sent[0].notice.severity == "error"
    other = simulate({}, "info", NOW, Facts(routes=routes), HOUR)
    assert [each.verdict for each in other.decision.tried] == ["hold", "pass"]


def test_what_real_groups_were_told_does_not_matter_to_it() -> None:
    real = simulate({"kind": "x"}, "info", NOW, Facts(routes=[route(group_by=())])).decision.routes[0].state
    assert isinstance(real, GroupState) and real.heard
    again = simulate({"kind": "x"}, "info", NOW, Facts(routes=[route(group_by=())], groups={real.key: real}))
    assert [each.reason for each in again.decision.notices] == ["first_notification"] and len(again.sent) == 1


@pytest.mark.parametrize("machine", ["Asia/Seoul", "UTC"])
def test_it_may_be_asked_about_a_time_that_the_clocks_skip(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """alertmanager#3889: its test of routes takes labels, and no time."""
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    quiet = route(policy={"quiet_windows": [EARLY]})
    verdicts = []
    for text in ("2026-03-07 02:30", "2026-03-08 02:30", "2026-03-09 02:30"):
        at, _ = parse_local(f"{text} America/New_York")
        decision = simulate({"tenant": "acme"}, "error", at, Facts(routes=[quiet])).decision
        [stage] = [stage for stage in decision.routes[0].stages if stage.name == "quiet window"]
        verdicts.append((stage.verdict, stage.words))
    assert [verdict for verdict, _ in verdicts] == ["hold", "pass", "hold"]
    assert verdicts[1][1] == (
        "it is in none (02:00–03:00 America/New_York, 1h; "
        "on 2026-03-08 it lasts 0 minutes, not 60, for the clocks go forward)"
    )
    at, _ = parse_local("2026-11-01 01:30 America/New_York")
    twice = route(policy={"quiet_windows": [{**EARLY, "start": "01:00", "end": "02:00"}]})
    decision = simulate({}, "error", at, Facts(routes=[twice])).decision
    assert any("it lasts 120 minutes, not 60" in stage.words for stage in decision.routes[0].stages)
    assert decision.next_action_at == at + 90 * MINUTE


def test_silences_and_what_fires_count_for_it() -> None:
    inhibits = route(policy={"inhibit": [{"source": 'kind="a"', "target": 'kind="b"'}]})
    facts = Facts(routes=[inhibits], firing=[alert("x", kind="a")])
    assert simulate({"kind": "b"}, "info", NOW, facts).sent == ()
    assert simulate({"kind": "c"}, "info", NOW, facts).sent
    hidden = simulate({"tenant": "acme"}, "info", NOW, Facts(routes=[route()], silences=[silence()]), 2 * HOUR)
    assert [(each.at - NOW, each.notice.reason) for each in hidden.sent] == [(HOUR, "silence_expired")]
    assert simulate({"tenant": "acme"}, "info", NOW, Facts(routes=[route()], silences=[silence()]), HOUR / 2).sent == ()


# Play


def test_what_happens_comes_before_whom_to_look_at_again_and_nothing_after_the_end() -> None:
    waits = route(group_wait=MINUTE)
    assert play([story(alert(), (MINUTE, RESOLVED))], Facts(routes=[waits]), NOW + DAY) == []
    facts = Facts(routes=[waits])
    assert play([story(alert())], facts, NOW + MINUTE - SECOND) == [] != play([story(alert())], facts, NOW + MINUTE)


def test_alerts_of_a_group_find_each_other() -> None:
    grouped = route(group_by=("tenant",), group_interval=10 * MINUTE)
    stories = [story(alert(f"a{n}", fired_at=NOW + n * MINUTE)) for n in range(5)]
    sent = play(stories, Facts(routes=[grouped]), NOW + HOUR)
    assert [(each.at - NOW, len(each.notice.alerts)) for each in sent] == [(START, 1), (10 * MINUTE, 5)]
    assert [each.notice.number for each in sent] == [1, 2]


def test_what_is_kept_of_a_group_can_be_stored_and_read_again() -> None:
    one = route(escalation=PAGES, policy={"quiet_windows": [{"start": "12:05", "end": "13:00", "on_end": "drop"}]})
    facts, groups, kept = Facts(routes=[one]), {}, []
    for minutes, changed in ((0, {}), (6, {"id": "a2"}), (7, ACKED)):
        decision = decide(alert(**changed), replace(facts, groups=groups), NOW + minutes * MINUTE)
        groups = {each.state.key: each.state for each in decision.routes}
        kept += groups.values()
    assert any(each.run for each in kept) and any(each.held for each in kept) and any(each.heard for each in kept)
    for state in kept:
        assert read_state(json.loads(json.dumps(state_document(state)))) == state
    with pytest.raises(Usage, match="state_invalid"):
        read_state({"route": 1})


def test_deciding_imports_no_pydantic() -> None:
    """It would be in the way of the first screen that says who is on call."""
    code = "import sys, controlplane.routes.replay, controlplane.silences.rules; print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# Replay


def stored(count: int = 3) -> list[Story]:
    """Each an hour after the other; somebody has it after 15 minutes, and it ends after 30."""
    lives = [alert(f"a{n}", fired_at=NOW + n * HOUR) for n in range(count)]
    return [story(each, (15 * MINUTE, ACKED), (30 * MINUTE, RESOLVED)) for each in lives]


def test_the_same_policy_changes_nothing() -> None:
    routes = [route(escalation=PAGES, group_wait=MINUTE, repeat_interval=7 * MINUTE)]
    assert replay_policy(routes, routes, stored(), Facts(), NOW + DAY) == {}


def test_what_it_would_have_added_removed_and_moved_is_told_per_person() -> None:
    before = [route(escalation=PAGES)]
    faster = [
        route(escalation=Escalation((Level((Target("person", "ana"),), 5), Level((Target("person", "cho"),), 60))))
    ]
    found = replay_policy(before, faster, stored(1), Facts(), NOW + DAY)
    assert {who: heard(each) for who, each in found.items()} == {
        "ben": {"added": [], "removed": [(10 * MINUTE,), (15 * MINUTE,), (30 * MINUTE,)], "moved": []},
        "cho": {"added": [(5 * MINUTE,), (15 * MINUTE,), (30 * MINUTE,)], "removed": [], "moved": []},
    }
    later = [route(escalation=PAGES, group_wait=3 * MINUTE)]
    found = replay_policy(before, later, stored(1), Facts(), NOW + DAY)
    assert {who: heard(each)["moved"] for who, each in found.items()} == {
        "ana": [(START, 3 * MINUTE)],
        "ben": [(10 * MINUTE, 13 * MINUTE)],
        "webhook https://hooks.example/1": [(START, 3 * MINUTE)],
    }


def test_a_quiet_window_moves_what_lasts_and_removes_what_does_not() -> None:
    quiet = [route(policy={"quiet_windows": [{"start": "12:00", "end": "13:10"}]})]
    found = replay_policy([route()], quiet, stored(), Facts(), NOW + DAY)
    [(who, difference)] = found.items()
    assert who == "webhook https://hooks.example/1"
    assert heard(difference) == {
        "added": [],
        # The first came and went in the window, with what was said of it.
        "removed": [(START,), (15 * MINUTE,), (30 * MINUTE,)],
        "moved": [(HOUR, HOUR + 10 * MINUTE)],
    }


def test_repeats_that_stay_at_their_time_are_not_listed() -> None:
    lasts = [story(alert())]
    found = replay_policy(
        [route(repeat_interval=HOUR)], [route(repeat_interval=2 * HOUR)], lasts, Facts(), NOW + 6 * HOUR
    )
    [difference] = found.values()
    assert heard(difference) == {"added": [], "removed": [(HOUR,), (3 * HOUR,), (5 * HOUR,)], "moved": []}


def test_it_is_bounded_by_its_end_and_asks_nobody() -> None:
    found = replay_policy([], [route(repeat_interval=MINUTE)], [story(alert())], Facts(), NOW + HOUR)
    assert [len(each.added) for each in found.values()] == [61]
    unrouted: list[AlertFacts] = []
    assert replay_policy([], [], [story(each) for each in unrouted], Facts(), NOW + DAY) == {}
