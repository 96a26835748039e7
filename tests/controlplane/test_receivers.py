"""Whatever happens and in whatever order, a receiver hears nothing twice, and the end of all that it heard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.routes.escalation import Escalation, Level, Target
from controlplane.routes.model import Facts, Route
from controlplane.routes.replay import Story, play
from tests.controlplane.alerting import (
    HOUR,
    MINUTE,
    NOW,
    RESOLVED,
    SECOND,
    START,
    alert,
    route,
    silence,
    story,
    told,
)

# 1.c: the order in which things come


def test_a_resolve_before_any_trigger_is_silent_and_a_trigger_after_a_resolve_opens_anew() -> None:
    """1.c: PagerDuty drops an end without an open alert, and a trigger after a resolve opens a new one."""
    early = Story(((NOW, alert(state="resolved", resolved_at=NOW)),))
    assert told(early, route()) == []
    first, second = alert("a1"), alert("a2", fired_at=NOW + 2 * HOUR)
    sent = told([story(first, (HOUR, RESOLVED), (HOUR, RESOLVED)), story(second)], route(group_by=("tenant",)))
    assert [(at, action) for at, _, action, _ in sent] == [
        (START, "trigger"),
        (HOUR, "resolve"),
        (2 * HOUR, "trigger"),
    ]


class PagerDuty:
    """Which incidents are open, by key; what it would drop or open twice is a fault."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.acked: set[str] = set()

    def hear(self, key: str, action: str) -> None:
        if action == "trigger":
            self.open.add(key)
            self.acked.discard(key)
            return
        assert key in self.open, f"{action} without an open incident is dropped"
        assert action == "resolve" or key not in self.acked, "it is acknowledged already"
        self.acked.add(key)
        if action == "resolve":
            self.open.remove(key)
            self.acked.discard(key)


changes = st.sampled_from(
    [
        {"state": "acked"},
        {"state": "acked", "acked_until": NOW + 40 * MINUTE},
        {"state": "firing", "acked_until": None},
        RESOLVED,
        {"severity": "critical"},
        {"severity": "info"},
        {"unknown_since": NOW},
        {"unknown_since": None},
    ]
)
lives = st.lists(st.tuples(st.integers(0, 120), changes), max_size=8)
some_routes = st.builds(
    lambda group_by, wait, interval, repeat, policy, levels: route(
        group_by=group_by,
        group_wait=wait * SECOND,
        group_interval=interval * MINUTE,
        repeat_interval=repeat and repeat * MINUTE,
        policy=policy,
        escalation=levels,
    ),
    st.sampled_from((None, (), ("tenant",))),
    st.sampled_from((0, 30, 600)),
    st.sampled_from((0, 5)),
    st.sampled_from((None, 7, 60)),
    st.sampled_from(
        (
            {},
            {"quiet_windows": [{"start": "12:10", "end": "12:50"}]},
            {"quiet_windows": [{"start": "12:10", "end": "12:50", "on_end": "drop"}]},
            {"quiet_windows": [{"start": "12:10", "end": "12:50", "on_end": "digest", "break_through": "critical"}]},
            {"quiet_windows": [{"start": "12:10", "end": "12:50", "mode": "warning_only"}], "dedupe": {}},
            {"inhibit": [{"source": 'severity="critical"', "target": 'severity!="critical"', "equal": ["tenant"]}]},
        )
    ),
    st.sampled_from((None, Escalation((Level((Target("person", "ana"),)),), 1))),
)


def lived(id: str, life: list[tuple[int, dict[str, Any]]]) -> Story:
    """Until it is resolved nothing comes after; at last it is."""
    made: list[tuple[timedelta, dict[str, Any]]] = []
    for minutes, change in sorted(life, key=lambda each: each[0]):
        made.append((minutes * MINUTE, change))
        if change is RESOLVED:
            break
    else:
        made.append((150 * MINUTE, {**RESOLVED, "unknown_since": None}))
    return story(alert(id), *made)


@given(st.lists(lives, min_size=1, max_size=3), some_routes, st.booleans())
@settings(max_examples=80)
def test_whatever_happens_every_receiver_hears_an_end_for_what_it_heard(
    found: list[list[tuple[int, dict[str, Any]]]], one: Route, silenced: bool
) -> None:
    stories = [lived(f"a{n}", life) for n, life in enumerate(found)]
    silences = [silence(starts_at=NOW + 20 * MINUTE, ends_at=NOW + 70 * MINUTE)] if silenced else []
    sent = play(stories, Facts(routes=[one], silences=silences), NOW + 10 * HOUR)
    digests = any(window.on_end == "digest" for window in one.policy.quiet_windows)
    receivers: dict[str, PagerDuty] = {}
    alive: dict[tuple[str, str], set[str]] = {}
    for each in sent:
        notice = each.notice
        if notice.reason != "quiet_window_ended" or notice.action == "trigger":
            receivers.setdefault(each.listener, PagerDuty()).hear(notice.group, notice.action)
        known = alive.setdefault((each.listener, notice.group), set())
        assert digests or set(notice.resolved) <= known, "an end of what was never told"
        known -= set(notice.resolved)
        assert known <= set(notice.alerts), "what was told is forgotten"
        known |= set(notice.alerts)
    assert all(not receiver.open for receiver in receivers.values())
    assert not any(alive.values())
    assert len({each.notice.key for each in sent}) == len(sent)
