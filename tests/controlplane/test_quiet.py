"""Quiet windows: what they hold back, what breaks through, and what is told when they end."""

from __future__ import annotations

import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from controlplane.routes.decide import decide
from controlplane.routes.escalation import Escalation, Level, Target
from controlplane.routes.matching import group_key
from controlplane.routes.model import Facts
from controlplane.routes.replay import play
from tests.controlplane.alerting import (
    DAY,
    HOUR,
    MINUTE,
    NIGHT,
    NOW,
    RAISED,
    RESOLVED,
    SECOND,
    START,
    alert,
    fired,
    quiet,
    route,
    silence,
    story,
    told,
    words,
)
from tests.controlplane.zones import all_changes, shown


def test_in_a_quiet_window_nothing_is_told_and_at_its_end_what_still_fires() -> None:
    assert told(story(fired(20)), quiet(), 80 * MINUTE) == [(70 * MINUTE, "r1", "trigger", "quiet_window_ended")]
    assert told(story(fired(20), (MINUTE, RESOLVED)), quiet()) == []
    assert told(story(fired(0)), quiet(), 80 * MINUTE) == [
        (START, "r1", "trigger", "first_notification"),
        (70 * MINUTE, "r1", "trigger", "quiet_window_ended"),
    ]


def test_a_digest_also_tells_what_came_and_went() -> None:
    digest = quiet(on_end="digest")
    came = story(fired(20), (MINUTE, RESOLVED))
    assert told(came, digest) == [(70 * MINUTE, "r1", "resolve", "quiet_window_ended")]
    grouped = route(policy={"quiet_windows": [{"start": "12:10", "end": "13:10", "on_end": "digest"}]}, group_by=())
    stays = story(alert("a2", fired_at=NOW + 30 * MINUTE))
    sent = play([came, stays], Facts(routes=[grouped]), NOW + 3 * HOUR)
    [one] = [each.notice for each in sent]
    assert (one.action, one.reason, one.alerts, one.resolved) == ("trigger", "quiet_window_ended", ("a2",), ("a1",))
    told_before = story(alert("a3"))
    sent = play([told_before, came], Facts(routes=[grouped]), NOW + 3 * HOUR)
    assert [(each.notice.action, each.notice.resolved) for each in sent] == [("trigger", ()), ("trigger", ("a1",))]


def test_a_digest_is_not_lost_when_something_else_is_told_first() -> None:
    policy = {"quiet_windows": [{"start": "12:10", "end": "13:10", "on_end": "digest", "break_through": "critical"}]}
    hidden = silence('key="k1"', starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)
    stories = [
        story(fired(20, labels={"key": "k1"}), (MINUTE, RESOLVED)),
        story(fired(30, id="a2", severity="critical")),
        story(fired(80, id="a3")),
    ]
    sent = play(stories, Facts(routes=[route(policy=policy, group_by=())], silences=[hidden]), NOW + 3 * HOUR)
    assert [(each.at - NOW, each.notice.alerts, each.notice.resolved) for each in sent] == [
        (30 * MINUTE, ("a2",), ()),
        (80 * MINUTE, ("a2", "a3"), ()),
        (2 * HOUR, ("a2", "a3"), ("a1",)),
    ]


def test_where_only_people_are_told_there_is_no_digest_and_nothing_is_kept() -> None:
    people = replace(quiet(on_end="digest"), target="", escalation=Escalation((Level((Target("person", "ana"),)),)))
    key = group_key(people, alert())
    held = decide(fired(20), Facts(routes=[people]), NOW + 20 * MINUTE).routes[0].state
    assert held.held and not held.over
    gone = fired(20, state="resolved", resolved_at=NOW + 30 * MINUTE)
    after = decide(gone, Facts(routes=[people], groups={key: held}), NOW + 30 * MINUTE).routes[0].state
    assert after.over and told(story(fired(20), (MINUTE, RESOLVED)), people) == []


def test_what_was_told_before_the_window_ends_at_once_and_is_not_in_the_digest() -> None:
    sent = told(story(fired(0), (20 * MINUTE, RESOLVED)), quiet(on_end="digest"))
    assert sent == [
        (START, "r1", "trigger", "first_notification"),
        (20 * MINUTE, "r1", "resolve", "all_alerts_resolved"),
    ]


def test_what_is_dropped_is_told_only_if_it_gets_worse() -> None:
    drops = quiet(on_end="drop")
    assert told(story(fired(20)), drops) == []
    assert told(story(fired(20), (10 * MINUTE, RAISED)), drops) == []
    worse = story(fired(20), (60 * MINUTE, RAISED))
    assert told(worse, drops, 2 * HOUR)[0] == (80 * MINUTE, "r1", "trigger", "first_notification")
    assert [at for at, *_ in told(story(fired(0)), drops, 80 * MINUTE)] == [START, 70 * MINUTE]  # it repeats as before
    dropped = story(fired(20), (HOUR, {"severity": "info"}), (2 * HOUR, {"severity": "warning"}))
    assert told(dropped, drops) == []


def test_what_was_dropped_stays_so_in_a_window_that_lets_warnings_through() -> None:
    windows = [
        {"start": "12:10", "end": "13:10", "on_end": "drop"},
        {"start": "13:10", "end": "14:00", "mode": "warning_only"},
    ]
    assert told(story(fired(20)), route(policy={"quiet_windows": windows})) == []


def test_what_is_severe_enough_breaks_through() -> None:
    through = quiet(break_through="error")
    assert told(story(fired(20, severity="error")), through, 21 * MINUTE) == [
        (20 * MINUTE, "r1", "trigger", "first_notification")
    ]
    raised = story(fired(20), (5 * MINUTE, RAISED))
    assert told(raised, through, 30 * MINUTE) == [(25 * MINUTE, "r1", "trigger", "severity_raised")]
    decision = decide(alert(severity="critical"), Facts(routes=[through]), NOW + 20 * MINUTE)
    assert words(decision, "quiet window") == "12:10–13:10 UTC, 1h: critical breaks through"


def test_warning_only_tells_it_as_a_warning_and_at_its_end_as_what_it_is() -> None:
    one = story(fired(20, severity="critical"))
    sent = play([one], Facts(routes=[quiet(mode="warning_only")]), NOW + 71 * MINUTE)
    assert [(each.at - NOW, each.notice.severity, each.notice.reason) for each in sent] == [
        (20 * MINUTE, "warning", "first_notification"),
        (65 * MINUTE, "warning", "repeat_interval_elapsed"),
        (70 * MINUTE, "critical", "severity_raised"),
    ]
    for severity, expected in (("info", "info"), ("error", "warning")):
        decision = decide(alert(severity=severity), Facts(routes=[quiet(mode="warning_only")]), NOW + 20 * MINUTE)
        assert decision.notices[0].severity == expected
    through = quiet(mode="warning_only", break_through="critical")
    assert (
        decide(alert(severity="critical"), Facts(routes=[through]), NOW + 20 * MINUTE).notices[0].severity == "critical"
    )


@pytest.mark.parametrize("machine", ["Asia/Seoul", "UTC"])
def test_over_every_change_of_the_clocks_the_verdict_and_its_words_are_right(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.a and 1.b: at every change of three zones, a window of the time that is skipped, or shown twice."""
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    for name, at, by in all_changes():
        local = shown(at, name) - max(by, START)
        until = local + abs(by)
        window = {"start": f"{local:%H:%M}", "end": f"{until:%H:%M}", "timezone": name}
        one = route(policy={"quiet_windows": [window]})
        size = abs(by) // SECOND
        seconds = (-size - 1, -size, 0, size - 1, size)
        fires = alert(fired_at=at - DAY)
        held = [decide(fires, Facts(routes=[one]), at + n * SECOND).notices == () for n in seconds]
        assert held == [by < START and -size <= n < size for n in seconds]
        lasts = words(decide(fires, Facts(routes=[one]), at), "quiet window")
        minutes, way = (0, "forward") if by > START else (2 * size // 60, "back")
        assert f"it lasts {minutes} minutes, not {size // 60}, for the clocks go {way}" in lasts


def test_a_night_that_is_longer_holds_until_its_real_end() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    one = route(policy={"quiet_windows": [{**NIGHT, "timezone": "Europe/Berlin"}]})
    for day, hours in (((2026, 3, 28), 7), ((2026, 10, 24), 9), ((2026, 7, 1), 8)):
        begin = NOW.replace(year=day[0], month=day[1], day=day[2], hour=22, tzinfo=berlin).astimezone(NOW.tzinfo)
        [sent] = play([story(alert(fired_at=begin))], Facts(routes=[one]), begin + DAY / 2)
        assert sent.at - begin == hours * HOUR and sent.notice.reason == "quiet_window_ended"
