"""The rules of dead letters: what makes two of them one cause, what may be done in which state, what is shown."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from controlplane.errors import Refusal, Usage
from controlplane.filters.grammar import parse, render
from controlplane.queues import rules
from controlplane.queues.causes import MAX_CAUSE, cause_of, fingerprint
from controlplane.queues.list import LETTERS
from controlplane.queues.model import STATES, Letter, Message, SourceStats, Success
from controlplane.queues.refusals import OBSTACLES
from controlplane.queues.words import difference_lines, hex_lines, obstacle_words, payload_lines, source_words
from tests.controlplane.letters import ERRORS

NOW = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
LETTER = Letter(
    1, "jobs", "7", "acme", "jobs", "deliver", "http_503", "no answer", "no answer", "ab" * 8, 8, False, 5, NOW, NOW,
    None, None, "2.0", "dead", 0, False, None, None, None, 1, NOW + timedelta(days=90), None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no answer from 192.0.2.7 after 30.5 s", "no answer from 198.51.100.200 after 2 s"),
        ("user 550e8400-e29b-41d4-a716-446655440000 is gone", "user 00000000-0000-4000-8000-000000000000 is gone"),
        ("'acme' said \"no\" at 2026-11-30T06:26:03Z", "'globex' said \"maybe not\" at 2025-01-02 03:04:05.678+01:00"),
        ("no mail for ana@acme.example", "no mail for ben.lee+x@mail.globex.example"),
        ("build deadbeef01 of fe80::1:2", "build 0badcafe99 of 2001:db8:0:1::7"),
        ("row 9,999,999\n  of 3", "row 10,000,000 of 12"),
    ],
)
def test_messages_that_differ_only_in_what_differs_are_one_cause(one: str, other: str) -> None:
    assert cause_of(one) == cause_of(other)


def test_words_stay_apart() -> None:
    assert cause_of("std::vector is empty") == "std::vector is empty"
    assert cause_of("can't reach what isn't there") == "can't reach what isn't there"
    assert len({fingerprint(*each, "x") for each in (("q", "h", "c"), ("q", "h", "d"), ("q", "i", "c"))}) == 3


@given(ERRORS)
def test_a_cause_is_bounded_and_holds_no_number(error: str) -> None:
    assert len(cause_of(error * 50)) <= MAX_CAUSE and not set(cause_of(error)) & set("0123456789")


@pytest.mark.parametrize("piece", ["a", "a@", "1", "'a ", "1.2.", ":", "ab:", "a-", '"', "2026-11-30T06:26:03.1"])
def test_the_time_it_takes_is_linear(piece: str) -> None:
    """40 times the length takes no 400 times as long, on a machine as busy as it may be."""
    took = []
    for number in (1000, 40_000):
        text, begun = piece * number, time.process_time()
        cause_of(text)
        took.append(time.process_time() - begun)
    assert took[1] < 400 * max(took[0], 0.001)


def code(check: str, **changes: object) -> str | None:
    try:
        getattr(rules, f"check_{check}")(dataclasses.replace(LETTER, **changes))  # type: ignore[arg-type]
    except Refusal as refusal:
        return refusal.code
    return None


def test_only_what_is_dead_is_replayed() -> None:
    answers = [code("replay", state=state) for state in STATES]
    settled = "letter_settled"
    assert answers == [None, "letter_quarantined", settled, settled, settled]
    assert [code("release", state=state) for state in STATES[:2]] == ["letter_not_quarantined", None]
    assert {code("replay", obstacle=words.code) for words in OBSTACLES} == {words.code for words in OBSTACLES}
    assert code("replay", obstacle="delivery_route_off") == "delivery_route_off"


def test_a_hold_keeps_it_from_being_discarded_and_from_nothing_else() -> None:
    assert (code("discard", hold=True), code("discard")) == ("letter_held", None)
    assert code("replay", hold=True) is None and code("hold", hold=True) == "letter_held"
    assert (code("unhold", hold=True), code("unhold")) == (None, "letter_not_held")


@pytest.mark.parametrize(
    "text", ["payload.user.id:42", 'payload.a.B:x,"y z"', 'payload:"$.a ? (@ > 1)"', "-payload.a:1"]
)
def test_a_part_of_a_document_is_filtered_by_its_name(text: str) -> None:
    terms = parse(text, LETTERS.fields)
    assert parse(render(terms, LETTERS.fields), LETTERS.fields) == terms
    assert terms[0].field.partition(".")[0] == "payload"


@pytest.mark.parametrize("text", ["payload:42", "payload.a>1", "payload.a:/x/", "tenant.a:1", "payload.:1"])
def test_other_ways_to_name_it_are_refused(text: str) -> None:
    with pytest.raises(Usage):
        parse(text, LETTERS.fields)


def test_bytes_are_shown_in_hex_and_json_as_it_came() -> None:
    message = Message(b"\x00\x1b[31mA", False, None, {}, None)
    assert payload_lines(message, 7) == [f"000000  {'00 1b 5b 33 31 6d 41':<48} ..[31mA"]
    assert hex_lines(b"")[:1] == []
    told = payload_lines(
        Message(b"{}", True, '{\n    "id": 9007199254740993\n}', {"event": "x\x1b"}, '{"a": 1}'), 300_000
    )
    assert '    "id": 9007199254740993' in told and ("… 300,000 bytes in total", "muted") in told
    assert "event: x␛" in told and ('{"a": 1}', "warn") in told
    assert "Only operators" in payload_lines(None, 1)[0][0]


def test_what_differs_from_the_last_success_is_line_by_line() -> None:
    message = Message(b"", False, '{\n    "a": 1,\n    "n": 2\n}', {}, None)
    lines = difference_lines(message, Success("9", NOW, '{\n    "a": 1,\n    "n": 3\n}'), NOW)
    assert ('+    "n": 2', "warn") in lines and ('-    "n": 3', "muted") in lines
    assert "not the cause" in str(difference_lines(message, Success("9", NOW, message.json or ""), NOW)[-1])
    assert "No message of this handler" in difference_lines(message, None, NOW)[0][0]


def test_a_source_says_how_much_how_old_and_how_fast() -> None:
    stats = SourceStats("jobs", 1204, NOW - timedelta(days=3), 10_001, 2, 7)
    assert source_words(stats, NOW) == "jobs 1,204, oldest 3d, in 10,000+/h, out 2/h, 7 deleted within 7d"
    assert source_words(SourceStats("deliveries", 0, None, 0, 0, 0), NOW) == "deliveries 0"


def test_a_verdict_is_never_empty_for_what_waits() -> None:
    assert obstacle_words(LETTER).text == "replay"
    assert obstacle_words(dataclasses.replace(LETTER, obstacle="letter_conflict")).text == "under way"
    assert obstacle_words(dataclasses.replace(LETTER, state="quarantined")).text == "quarantined"
    assert obstacle_words(dataclasses.replace(LETTER, state="discarded")).text == ""
