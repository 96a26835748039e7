"""Incidents without a home: times that follow from events, the post-mortem, what the header says."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.incidents import as_json
from controlplane.errors import Refusal
from controlplane.incidents import rules
from controlplane.incidents.measures import measure
from controlplane.incidents.model import SEVERITIES, Incident, IncidentEvent, Standing
from controlplane.incidents.personal import personal_in
from controlplane.incidents.postmortem import document, markdown, missing
from controlplane.incidents.reading import number_of
from controlplane.incidents.words import event_words, header_words, standing_lines, update_line

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def incident(**changed: Any) -> Incident:
    made = Incident(
        id=41, title="Sign-in is down", summary="", severity="SEV-1", status="open", cycle=1, origin_noun=None,
        origin=None, origin_words=None, tenants=["acme"], regions=[], routes=[], began_at=at(-10), opened_at=at(0),
        opened_by="ana", cycle_at=at(0), mitigated_at=None, resolved_at=None, closed_at=None, snoozed_until=None,
        snoozed_why=None, commander=None, conn=None, roles=[], overrides=[], events=2, told_at=None, update_due=at(20),
        version=1,
    )  # fmt: skip
    return dataclasses.replace(made, **changed)


def event(seq: int, kind: str, when: datetime, words: str = "x", **changed: Any) -> IncidentEvent:
    made = IncidentEvent(
        incident_id=41, seq=seq, cycle=1, happened_at=when, recorded_at=when, kind=kind, actor="ana", words=words,
        noun=None, thing=None, operation=None, becomes=None, corrects=None, audit_seq=seq, corrected=False,
    )  # fmt: skip
    return dataclasses.replace(made, **changed)


STORY = (
    event(1, "opened", at(0), becomes="SEV-2"),
    event(2, "role", at(2), becomes="conn"),
    event(3, "severity", at(5), becomes="SEV-1"),
    event(4, "customers", at(8), "We look into it."),
    event(5, "status", at(30), becomes="mitigated"),
    event(6, "status", at(50), becomes="resolved"),
    event(7, "status", at(60), becomes="closed"),
    event(8, "status", at(100), becomes="open", cycle=2),
    event(9, "severity", at(110), becomes="SEV-3", cycle=2),
)


def test_times_follow_from_the_events_of_each_cycle() -> None:
    first, second = measure(incident(cycle=2), STORY, at(130))
    assert (first.detect, first.acknowledge, first.mitigate, first.resolve) == (600, 120, 2400, 3600)
    assert first.severities == {"SEV-1": 45 * 60, "SEV-2": 5 * 60} and first.updates == 1
    assert (second.detect, second.acknowledge, second.resolve) == (None, None, None)
    assert second.severities == {"SEV-1": 10 * 60, "SEV-3": 20 * 60}


@given(st.lists(st.tuples(st.floats(0, 500), st.sampled_from(SEVERITIES)), max_size=8), st.floats(0, 600))
def test_the_times_in_all_severities_are_the_whole_time(changes: list[tuple[float, str]], end: float) -> None:
    told = [event(1, "opened", at(0), becomes="SEV-2")]
    told += [event(place + 2, "severity", at(when), becomes=to) for place, (when, to) in enumerate(sorted(changes))]
    [found] = measure(incident(), told, at(end))
    assert sum(found.severities.values()) == pytest.approx(end * 60, abs=0.01)
    assert all(seconds > 0 for seconds in found.severities.values())


def test_the_post_mortem_says_what_is_missing_and_is_inert() -> None:
    story = [*STORY, event(10, "note", at(1), "Root cause: the disk | was *full*\n# not a heading")]
    resolved = incident(status="resolved", resolved_at=at(50), summary="Disk", title="<b>down</b> `x`")
    found = document(resolved, story, measure(resolved, story, at(60)), at(60))
    assert found["missing"] == [
        "what went well",
        "what went wrong",
        "action items, each with its owner and date",
    ]
    text = markdown(found)
    assert text.startswith("# INC-41: \\<b\\>down\\</b\\> \\`x\\`\n")
    assert "- the disk \\| was \\*full\\* \\# not a heading\n" in text
    rows = [line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| ")]
    assert set(rows) == {6, 8}, "no cell ends early"
    places = [each["seq"] for each in found["timeline"]]
    assert places[:3] == [1, 10, 2], "in the order in which it happened"
    assert json.loads(as_json(found))["timeline"][0]["happened_at"] == "2026-03-04T10:00:00+00:00"
    bare = incident(tenants=[], update_due=None)
    assert missing(bare, measure(bare, STORY[:1], NOW), STORY[:1])[4:] == [
        "a summary: incidents edit --summary",
        "what is affected: incidents affect",
        "an update for customers: nobody told them",
        "a role: nobody took one",
        "the end: it is not resolved",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to ana@acme.example", "an e-mail address"),
        ("from 10.1.2.3, again", "an IP address"),
        ("call +49 171 234 5678", "a telephone number"),
        ("DE89 3704 0044 0532 0130 00", "a bank account"),
        ("4111 1111 1111 1111", "a card number"),
        ("wf_live_abcdefgh1234", "an API key"),
        ("Since 10:02 UTC on 2026-03-04, 12,000 requests fail; version 1.2.3 is out.", None),
        ("@all: 5 % of sign-ins", None),
    ],
)  # fmt: skip
def test_a_text_for_customers_is_searched_for_what_names_somebody(text: str, found: str | None) -> None:
    assert personal_in(text) == found


def test_the_header_says_who_has_the_conn_and_what_waits() -> None:
    standing = Standing(41, "SEV-1", "ana", None, at(5))
    assert header_words([], NOW, "ben") == []
    assert header_words([standing], NOW, "ben") == ["INC-41: ana has the conn"]
    assert header_words([standing] * 3, NOW, "ana") == ["INC-41: you have the conn +2"]
    assert header_words([standing], at(8), "ben") == ["INC-41: ana has the conn", "update overdue 3m"]
    offered = dataclasses.replace(standing, offered_to="ben")
    assert header_words([offered], NOW, "ben") == ["INC-41: the conn is offered to you"]
    assert header_words([dataclasses.replace(standing, conn=None)], NOW, "x") == ["INC-41: nobody has the conn"]


def test_what_is_said_of_an_incident() -> None:
    held = {"role": "conn", "holder": "ana", "since": at(-5).isoformat(), "offered_to": "ben",
            "until": at(3).isoformat(), "summary": "half is back"}  # fmt: skip
    lines = [line if isinstance(line, str) else line[0] for line in standing_lines(incident(roles=[held]), NOW)]
    assert "conn       ana, 5 m ago" in lines and "commander  nobody" in lines
    assert "  offered to ben, who has 3m: half is back" in lines
    assert update_line(incident(), at(25)) == ("customers: not told yet; the next update is overdue by 5m", "bad")
    waits = incident(snoozed_until=at(20), snoozed_why="they sleep")
    assert update_line(waits, NOW) == "customers: not told yet; the next update is due in 20m; it can wait: they sleep"
    hostile = event(3, "note", NOW, "a\x1b[31mb\nc")
    assert "\x1b" not in event_words(hostile).text and "\n" not in event_words(hostile).text


def test_steps_and_roles_are_explained_before_the_home_refuses_them() -> None:
    with pytest.raises(Refusal, match="INC-41 is open"):
        rules.step_to("closed")(incident(), NOW)
    rules.step_to("resolved")(incident(), NOW)
    with pytest.raises(Refusal, match="Nobody has the conn of INC-41"):
        rules.check_mine(incident(), "conn", "ana")
    assert rules.with_affected(incident(), "region", "eu") == {"regions": ["eu"]}
    with pytest.raises(Refusal, match="The tenant beta is not affected"):
        rules.without_affected(incident(), "tenant", "beta")
    assert rules.past("10m ago", NOW) == rules.past("10m", NOW) == at(-10) and rules.past("now", NOW) == NOW
    assert [number_of(text) for text in ("INC-41", "41", "inc-41", "041", "x")] == [41, 41, 41, None, None]
