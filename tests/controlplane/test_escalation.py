"""Who is paged when nobody acknowledges."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane import jsontext
from controlplane.alerts.model import AlertEvent
from controlplane.contacts.model import Contact
from controlplane.routes.decide import decide
from controlplane.routes.escalation import Escalation, Level, Run, Step, Target, step
from controlplane.routes.model import Facts, GroupState
from controlplane.routes.notices import Alerted, content_of
from controlplane.routes.stored import as_document, state_of
from controlplane.routes.stories import story_of
from controlplane.schedules.model import Override, Rotation, Schedule
from controlplane.weekly import Hours
from tests.controlplane.alerting import (
    ACKED,
    HOUR,
    MINUTE,
    NOW,
    RESOLVED,
    SECOND,
    alert,
    only,
    route,
    silence,
    story,
    told,
    words,
)


def level(*names: str, minutes: int = 5) -> Level:
    """A name with @ is a schedule."""
    targets = (Target("schedule" if name[0] == "@" else "person", name.strip("@")) for name in names)
    return Level(tuple(targets), minutes)


def rota(name: str, *people: str, hours: tuple[int, int] = (0, 1440)) -> Schedule:
    only = (Hours(frozenset(range(7)), *hours),)
    return Schedule(name, (Rotation("r", people, datetime(2026, 1, 1), 24, only=only),) if people else ())


EMPTY = {"empty": rota("empty")}
TWO = Escalation((level("ana"), level("ben", "cho", minutes=10)), repeat=1)


def steps(
    escalation: Escalation, times: list[datetime], **schedules: Schedule
) -> list[tuple[datetime, list[str], str]]:
    """At each time: whom it pages (with level and reason), and how it then stands."""
    run: Run | None = None
    found = []
    for at in times:
        done = step(escalation, run, "first_notification", at, schedules)
        run = done.run
        found.append((at, [f"{each.person} {each.level} {each.reason}" for each in done.pages], run.state))
    return found


def test_each_level_has_its_time_then_the_next_is_paged_and_at_last_it_begins_again() -> None:
    minutes = (0, 4, 5, 14, 15, 20, 30, 31)
    assert steps(TWO, [NOW + n * MINUTE for n in minutes]) == [
        (NOW, ["ana 1 first_notification"], "running"),
        (NOW + 4 * MINUTE, [], "running"),
        (NOW + 5 * MINUTE, ["ben 2 escalation", "cho 2 escalation"], "running"),
        (NOW + 14 * MINUTE, [], "running"),
        (NOW + 15 * MINUTE, ["ana 1 escalation"], "running"),
        (NOW + 20 * MINUTE, ["ben 2 escalation", "cho 2 escalation"], "running"),
        (NOW + 30 * MINUTE, [], "over"),
        (NOW + 31 * MINUTE, [], "over"),
    ]


def test_a_page_says_whether_it_reaches_the_person_or_the_target_for_them() -> None:
    policy = Escalation((level("ana", "ben"),))
    contacts = {
        ("ana", "mail"): contact(3, "ana", "mail", "a…@acme.example"),
        ("ben", "slack"): contact(4, "ben", "slack"),
    }
    decision = decide(alert(), Facts(routes=[route(channel="mail", escalation=policy)], contacts=contacts), NOW)
    assert [(each.person, each.contact) for each in decision.notices] == [("", 0), ("ana", 3), ("ben", 0)]
    assert [each.words for each in only(decision).stages if each.name == "page"] == [
        "ana: told at mail a…@acme.example",
        "ben has no address for mail: told the route's target",
    ]


def contact(id: int, person: str, channel: str, target: str = "a member") -> Contact:
    return Contact(id, person, channel, target, NOW, 1, NOW, person, NOW, None)


def test_the_time_of_the_next_step_is_known() -> None:
    first = step(TWO, None, "ack_expired", NOW, {})
    assert first.next_at == NOW + 5 * MINUTE and first.pages[0].reason == "ack_expired"
    waiting = step(TWO, first.run, "first_notification", NOW + MINUTE, {})
    assert waiting == Step(first.run, (), ("level 1 has until 2026-06-03 12:05:00 UTC",), NOW + 5 * MINUTE)
    last = step(TWO, Run(1, NOW, 1), "first_notification", NOW + 10 * MINUTE, {})
    assert last.next_at is None and last.words == ("every level had its time",)
    assert step(TWO, last.run, "first_notification", NOW + HOUR, {}).next_at is None


def test_after_a_long_sleep_only_the_next_level_is_paged() -> None:
    late = steps(TWO, [NOW, NOW + 5 * HOUR, NOW + 5 * HOUR + 9 * MINUTE])
    assert [pages for _, pages, _ in late] == [
        ["ana 1 first_notification"],
        ["ben 2 escalation", "cho 2 escalation"],
        [],
    ]


def test_a_schedule_is_asked_when_its_level_is_paged() -> None:
    by_day = Escalation((level("@day", "ana"), level("@day")))
    schedules = {"day": rota("day", "dee", hours=(720, 725))}
    first = step(by_day, None, "first_notification", NOW, schedules)
    assert [(page.person, page.schedule) for page in first.pages] == [("dee", "day"), ("ana", "")]
    moved = Schedule("day", schedules["day"].rotations, (Override(1, "zoe", NOW, NOW + HOUR, "add"),))
    second = step(by_day, first.run, "first_notification", NOW + 5 * MINUTE, {"day": moved})
    assert [page.person for page in second.pages] == ["zoe"]


def test_nobody_on_call_is_the_next_level_at_once_with_the_reason() -> None:
    three = Escalation((level("@empty", "@gone"), level("ben")))
    done = step(three, None, "first_notification", NOW, EMPTY)
    assert [(page.person, page.level, page.reason) for page in done.pages] == [("ben", 2, "nobody_on_call")]
    assert done.words == (
        "level 1: nobody is on call in empty",
        "level 1: there is no schedule gone",
        "level 2: ben",
    )


def test_one_person_is_paged_once_at_a_level() -> None:
    done = step(
        Escalation((level("ana", "@day", "ana"),)), None, "first_notification", NOW, {"day": rota("day", "ana")}
    )
    assert [page.person for page in done.pages] == ["ana"]


def test_where_nobody_is_on_call_at_all_it_tries_again_until_somebody_is() -> None:
    day = Escalation((level("@day"), level("@empty")))
    schedules = {**EMPTY, "day": rota("day", "dee", hours=(731, 1440))}
    found = steps(day, [NOW + n * MINUTE for n in (0, 1, 5, 10, 15)], **schedules)
    assert [(pages, state) for _, pages, state in found] == [
        ([], "nobody"),
        ([], "nobody"),
        ([], "nobody"),
        ([], "nobody"),
        (["dee 1 nobody_on_call"], "running"),
    ]
    first = step(day, None, "first_notification", NOW, schedules)
    assert first.next_at == NOW + 5 * MINUTE and first.words[-1] == "nobody is on call at any level"
    again = step(day, first.run, "first_notification", NOW + MINUTE, schedules)
    assert again.words == ("nobody is on call at any level; tried again at 2026-06-03 12:05:00 UTC",)


def test_empty_levels_at_the_end_use_up_the_round() -> None:
    half = Escalation((level("ana"), level("@empty")), repeat=1)
    found = steps(half, [NOW + n * MINUTE for n in (0, 5, 10)], **EMPTY)
    assert [(pages, state) for _, pages, state in found] == [
        (["ana 1 first_notification"], "running"),
        (["ana 1 nobody_on_call"], "running"),
        ([], "over"),
    ]


levels = st.lists(st.sampled_from((level("ana"), level("ben", minutes=1), level("@empty"))), min_size=1, max_size=4)


@given(levels, st.integers(0, 3), st.lists(st.integers(0, 600), min_size=1, max_size=30))
def test_it_always_goes_on_or_is_over(levels: list[Level], repeat: int, waits: list[int]) -> None:
    policy, run, at = Escalation(tuple(levels), repeat), None, NOW
    for wait in waits:
        at += timedelta(seconds=wait)
        done = step(policy, run, "first_notification", at, EMPTY)
        assert (done.next_at is None) == (done.run.state == "over")
        assert done.next_at is None or done.next_at > at
        assert step(policy, done.run, "first_notification", at, EMPTY).pages == ()  # asked twice, paged once
        assert not done.pages or done.run == Run(done.pages[0].level - 1, at, done.run.round)
        run = done.run
    assert run is not None and run.round <= repeat


# Within a route


def people(sent: list[tuple[timedelta, str, str, str]]) -> list[tuple[timedelta, str, str, str]]:
    return [each for each in sent if each[1] != "r1"]


PAGED = route(escalation=Escalation((level("ana"), level("ben"))))


def test_an_acknowledgement_stops_it_and_who_was_paged_hears_of_it() -> None:
    sent = told(story(alert(), (7 * MINUTE, ACKED), (HOUR, RESOLVED)), PAGED)
    assert people(sent) == [
        (0 * MINUTE, "ana", "trigger", "first_notification"),
        (5 * MINUTE, "ben", "trigger", "escalation"),
        (7 * MINUTE, "ana", "acknowledge", "acknowledged"),
        (7 * MINUTE, "ben", "acknowledge", "acknowledged"),
        (HOUR, "ana", "resolve", "all_alerts_resolved"),
        (HOUR, "ben", "resolve", "all_alerts_resolved"),
    ]


def test_who_was_not_paged_hears_nothing() -> None:
    sent = told(story(alert(), (MINUTE, RESOLVED)), PAGED)
    assert {who for _, who, _, _ in people(sent)} == {"ana"}


def test_an_acknowledgement_that_ends_while_it_fires_begins_again_at_level_1() -> None:
    acked = {**ACKED, "acked_until": NOW + 30 * MINUTE}
    sent = told(story(alert(), (7 * MINUTE, acked)), PAGED, 40 * MINUTE)
    assert people(sent)[4:] == [
        (30 * MINUTE, "ana", "trigger", "ack_expired"),
        (35 * MINUTE, "ben", "trigger", "escalation"),
    ]
    assert (30 * MINUTE, "r1", "trigger", "ack_expired") in sent


def test_a_silence_stops_it_and_after_its_end_it_begins_again_at_level_1() -> None:
    quiet = silence(starts_at=NOW + 2 * MINUTE, ends_at=NOW + 20 * MINUTE)
    sent = people(told(story(alert()), PAGED, 22 * MINUTE, silences=[quiet]))
    assert sent == [
        (0 * MINUTE, "ana", "trigger", "first_notification"),
        (20 * MINUTE, "ana", "trigger", "silence_expired"),
    ]


def test_without_a_target_only_people_are_told() -> None:
    alone = route(target="", escalation=Escalation((level("ana"),)), group_wait=30 * SECOND)
    assert told(story(alert()), alone) == [(30 * SECOND, "ana", "trigger", "first_notification")]


def test_where_nobody_is_on_call_the_route_itself_says_so_once() -> None:
    nobody = route(escalation=Escalation((level("@empty"),)))
    sent = told(story(alert()), nobody, HOUR, schedules=EMPTY)
    assert sent == [(0 * MINUTE, "r1", "trigger", "nobody_on_call")]


def test_while_the_source_is_silent_it_stands_still_and_goes_on_afterwards() -> None:
    gone, back = {"unknown_since": NOW + MINUTE}, {"unknown_since": None}
    sent = told(story(alert(), (MINUTE, gone), (HOUR, back)), PAGED, 2 * HOUR)
    assert people(sent) == [
        (0 * MINUTE, "ana", "trigger", "first_notification"),
        (HOUR, "ben", "trigger", "escalation"),
    ]


def test_what_joins_the_group_after_the_last_level_begins_again() -> None:
    grouped = route(escalation=Escalation((level("ana"),)), group_by=("tenant",))
    late = alert("a2", fired_at=NOW + HOUR)
    sent = people(told([story(alert()), story(late)], grouped, 2 * HOUR))
    assert [(at, reason) for at, _, _, reason in sent] == [
        (0 * MINUTE, "first_notification"),
        (HOUR, "first_notification"),
    ]


# Somebody asks for the next level


def asks(at: timedelta, by: str = "cho", **fields: Any) -> tuple[timedelta, dict[str, Any]]:
    return at, {"state": "firing", "acked_until": None, "escalated_at": NOW + at, "escalated_by": by, **fields}


def test_who_escalates_has_the_next_level_told_at_once_and_then_it_goes_on_by_time() -> None:
    three = route(escalation=Escalation((level("ana"), level("ben", minutes=10), level("cho"))))
    assert people(told(story(alert(), asks(MINUTE)), three, HOUR)) == [
        (0 * MINUTE, "ana", "trigger", "first_notification"),
        (MINUTE, "ben", "trigger", "escalated"),
        (11 * MINUTE, "cho", "trigger", "escalation"),
    ]
    again = people(told(story(alert(), asks(MINUTE), asks(2 * MINUTE)), three, HOUR))
    assert again[1:] == [(MINUTE, "ben", "trigger", "escalated"), (2 * MINUTE, "cho", "trigger", "escalated")]


def test_a_notice_and_the_decision_name_who_escalated() -> None:
    asked = replace(alert(), escalated_at=NOW + MINUTE, escalated_by="cho")
    first = only(decide(alert(), Facts(routes=[PAGED]), NOW))
    key = first.state.key
    found = decide(asked, Facts(routes=[PAGED], groups={key: first.state}), NOW + 2 * MINUTE)
    [notice] = found.notices
    assert (notice.person, notice.level, notice.reason, notice.by) == ("ben", 2, "escalated", "cho")
    assert words(found, "escalation") == "escalated by cho; level 2: ben"
    content = content_of(PAGED, notice, {"a1": Alerted(asked, "it burns", None, None, "")})
    assert content["summary"] == "it burns (for ben, who has no address for webhook, level 2, escalated by cho)"
    assert content["notice"]["details"]["escalated_by"] == "cho"
    later = decide(asked, Facts(routes=[PAGED], groups={key: kept(only(found).state)}), NOW + 3 * MINUTE)
    assert later.notices == (), "it was asked for once"
    assert words(later, "escalation").endswith("UTC, escalated by cho")


def kept(state: GroupState) -> GroupState:
    """As it is read back."""
    return state_of(state.route, state.key, state.number, jsontext.read(jsontext.write(as_document(state))))


def test_who_has_it_gives_it_to_the_level_after_the_one_that_it_was_at() -> None:
    three = route(escalation=Escalation((level("ana"), level("ben", minutes=10), level("cho"))))
    sent = people(told(story(alert(), (6 * MINUTE, ACKED), asks(40 * MINUTE)), three, HOUR))
    assert [each for each in sent if each[2] == "trigger"] == [
        (0 * MINUTE, "ana", "trigger", "first_notification"),
        (5 * MINUTE, "ben", "trigger", "escalation"),
        (40 * MINUTE, "cho", "trigger", "escalated"),
    ]


def test_what_was_asked_before_somebody_took_it_is_not_done_when_their_ack_ends() -> None:
    taken = {**ACKED, "acked_until": NOW + 30 * MINUTE, "escalated_at": NOW + MINUTE, "escalated_by": "cho"}
    sent = people(told(story(alert(), (2 * MINUTE, taken)), PAGED, 33 * MINUTE))
    assert [each for each in sent if each[2] == "trigger"][1:] == [(30 * MINUTE, "ana", "trigger", "ack_expired")]


def test_after_the_last_level_it_begins_again_or_nothing_is_done() -> None:
    once = route(escalation=Escalation((level("ana"),)))
    assert len(people(told(story(alert(), asks(MINUTE)), once, HOUR))) == 1
    twice = route(escalation=Escalation((level("ana"),), repeat=1))
    sent = people(told(story(alert(), asks(MINUTE), asks(2 * MINUTE)), twice, HOUR))
    assert [(at, reason) for at, _, _, reason in sent] == [
        (0 * MINUTE, "first_notification"),
        (MINUTE, "escalated"),
    ]


def test_when_nobody_is_on_call_further_on_the_route_itself_hears_that_it_was_in_vain() -> None:
    empty = route(escalation=Escalation((level("ana"), level("@empty"))))
    sent = told(story(alert(), asks(MINUTE)), empty, HOUR, schedules=EMPTY)
    assert sent[2:] == [(MINUTE, "r1", "trigger", "nobody_on_call")]


def test_a_stored_alert_is_replayed_with_what_was_asked() -> None:
    asked = replace(alert(), escalated_at=NOW + MINUTE, escalated_by="cho")
    happened = [
        AlertEvent(1, n, NOW + at, kind, "warning", None, by, None, None, None, None)
        for n, (at, kind, by) in enumerate([(0 * MINUTE, "fired", None), (MINUTE, "escalated", "cho")], 1)
    ]
    assert people(told(story_of(asked, happened), PAGED, 2 * MINUTE))[1:] == [(MINUTE, "ben", "trigger", "escalated")]
