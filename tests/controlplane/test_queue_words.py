"""What the console says of dead letters: why one died, what a replay would meet, how long it is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.lists import Cell
from controlplane.queues.model import Cause, Letter, Message, SourceStats, Success
from controlplane.queues.words import (
    MAX_LINES,
    MAX_SHOWN_BYTES,
    attempt_lines,
    cause_words,
    difference_lines,
    fact_lines,
    hex_lines,
    hours_said,
    hours_words,
    json_lines,
    obstacle_words,
    payload_lines,
    source_words,
    state_words,
    why_cause,
    why_letter,
)
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

NOW = datetime(2026, 11, 30, 6, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LETTER = Letter(
    1, "jobs", "7", "acme", "jobs", "deliver", "http_503", "no answer", "no answer", "ab" * 8, 8, False, 5,
    NOW - 3 * HOUR, NOW - HOUR, "key-1", None, "2.0", "dead", 0, False, None, None, None, 1, NOW + 90 * DAY, None,
)  # fmt: skip
CAUSE = Cause(
    "ab12", "f" * 16, "jobs", "mail", "deliver", "http_503", "no answer", 3, 1, 2, 5, 4, 2, NOW - DAY, NOW - HOUR,
    ["2.0", "2.1"], None, 1, [0] * 24,
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "http_503: no answer"),
        ({"error_class": ""}, "no answer"),
        ({"fixed_in": "2.2"}, "fixed in 2.2: http_503: no answer"),
        ({"error_class": "", "cause": HOSTILE}, SHOWN),
    ],
)
def test_a_cause_says_its_class_and_the_release_that_removed_it(fields: dict[str, Any], words: str) -> None:
    assert cause_words(replace(CAUSE, **fields)) == words


def test_the_hours_of_a_cause_are_a_bar_of_twelve_cells_or_nothing() -> None:
    assert hours_words(CAUSE) == hours_said(CAUSE) == ""
    busy = replace(CAUSE, hours=[0] * 22 + [8, 8])
    assert hours_words(busy) == "▁" * 11 + "█" and hours_said(busy) == "least 0 an hour, most 8 an hour, steady"


@pytest.mark.parametrize(
    ("fields", "cell"),
    [
        ({}, Cell("replay", "good")),
        ({"obstacle": "letter_tenant"}, Cell("tenant not active", "warn")),
        ({"state": "quarantined", "obstacle": "letter_tenant"}, Cell("quarantined", "warn")),
        ({"state": "replayed", "obstacle": "letter_processed"}, Cell("")),
        ({"state": "discarded"}, Cell("")),
    ],
)
def test_only_of_a_dead_letter_a_replay_is_foreseen(fields: dict[str, Any], cell: Cell) -> None:
    assert obstacle_words(replace(LETTER, **fields)) == cell


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "died 1 h ago, after 5 attempts"),
        ({"attempt_count": 1}, "died 1 h ago, after 1 attempt"),
        ({"state": "quarantined"}, "no replay includes it until somebody releases it"),
        ({"state": "discarded", "settled_at": NOW - HOUR, "settled_by": "ana"}, "by ana 1 h ago"),
        (
            {"state": "quarantined", "settled_at": NOW, "settled_by": "ana", "settled_why": HOSTILE},
            f"by ana now: {SHOWN}",
        ),
    ],
)
def test_a_letter_says_how_it_came_to_its_state(fields: dict[str, Any], words: str) -> None:
    assert state_words(replace(LETTER, **fields), NOW) == words


def test_why_a_cause_is_one() -> None:
    told = texts(why_cause(CAUSE, NOW))
    assert told[:2] == ["cause ab12: deliver", "no answer"]
    assert told[4:9] == [
        "4 wait: 3 dead, 1 quarantined; of 2 tenants",
        "2 replayed, 5 discarded",
        "first 1 d ago, last 1 h ago",
        "died in: 2.0, 2.1",
        "not marked as fixed: press a, then f",
    ]
    told = texts(why_cause(replace(CAUSE, cause="", releases=[], fixed_in="2.2", waiting=1, tenants=1), NOW))
    assert told[1] == "no message" and told[7:9] == ["died in: no known release", "fixed in: 2.2"]
    assert told[4] == "1 waits: 3 dead, 1 quarantined; of 1 tenant"


def test_why_a_letter_waits_and_what_a_replay_would_meet() -> None:
    told = why_letter(LETTER, NOW)
    assert texts(told)[1:4] == [
        "dead: died 1 h ago, after 5 attempts",
        "error: no answer",
        f"cause: {'ab' * 8}, no answer",
    ]
    assert told[-1] == "kept until 2027-02-28 06:00 UTC, counted from its death" and len(told) == 6
    refused = why_letter(replace(LETTER, obstacle="letter_tenant", error=""), NOW)
    assert texts(refused)[2] == "error: none was kept"
    assert refused[5][0].startswith("a replay would be refused: ") and refused[5][0].endswith("[letter_tenant]")
    assert refused[5][1] == "warn"
    assert len(why_letter(replace(LETTER, obstacle="letter_tenant", state="quarantined"), NOW)) == 6
    held = ("under a legal hold: it is neither discarded nor deleted", "warn")
    assert why_letter(replace(LETTER, hold=True), NOW)[-1] == held
    assert len(why_letter(replace(LETTER, kept_until=None), NOW)) == 5


def facts(**fields: Any) -> dict[str, str]:
    return {
        line[:10].strip(): line[10:] for line in texts(fact_lines(replace(LETTER, **fields), NOW)) if line[9:10] == " "
    }


def test_the_facts_of_a_letter() -> None:
    assert fact_lines(LETTER, NOW)[:4] == [
        ("no answer", "title"),
        ("dead: died 1 h ago, after 5 attempts", "bad"),
        ("verdict: replay", "good"),
        "",
    ]
    assert facts() == {
        "handler": "deliver",
        "class": "http_503",
        "tenant": "acme",
        "source": "jobs 7, queue jobs",
        "attempts": "5, first failed 3 h ago",
        "replayed": "0 times before, and died of the same",
        "key": "key-1",
        "release": "2.0",
        "kept": "until 2027-02-28 (90d)",
    }
    unknown = facts(
        error_class="", tenant_id=None, idempotency_key=None, release="", first_failed_at=None, kept_until=None
    )
    assert [unknown[name] for name in ("class", "tenant", "key", "release")] == ["none", "none", "none", "–"]
    assert (unknown["attempts"], unknown["kept"]) == ("5, first failed –", "30 days after it was settled")
    assert facts(replays=1)["replayed"] == "1 time before, and died of the same"
    assert facts(replays=2, hold=True)["replayed"] == "2 times before, and died of the same"
    assert facts(hold=True)["kept"] == "legal hold"


@pytest.mark.parametrize(
    ("state", "tone"), [("quarantined", "warn"), ("replayed", "good"), ("replaying", "muted"), ("discarded", "muted")]
)
def test_a_settled_letter_has_no_verdict(state: Any, tone: str) -> None:
    lines = fact_lines(replace(LETTER, state=state, error=""), NOW)
    assert lines[0] == ("no error was kept", "title") and lines[1][1] == tone
    assert [text for text in texts(lines) if text.startswith("verdict")] == (
        ["verdict: quarantined"] if state == "quarantined" else []
    )


def test_whatever_a_message_died_of_is_inert() -> None:
    hostile = {"handler": HOSTILE, "error": HOSTILE, "error_class": HOSTILE, "tenant_id": HOSTILE, "queue": HOSTILE}
    letter = replace(LETTER, **hostile, idempotency_key=HOSTILE, release=HOSTILE, source_id=HOSTILE)  # type: ignore[arg-type]
    assert is_inert(fact_lines(letter, NOW)) and is_inert(why_letter(letter, NOW))
    cause = replace(CAUSE, handler=HOSTILE, error_class=HOSTILE, queue=HOSTILE, releases=[HOSTILE], fixed_in=HOSTILE)
    assert is_inert(why_cause(cause, NOW))
    assert is_inert(
        attempt_lines([{"attempt": HOSTILE, "at": HOSTILE, "outcome": HOSTILE, "error": HOSTILE, "by": HOSTILE}])
    )
    assert is_inert(payload_lines(Message(b"", False, HOSTILE, {HOSTILE: HOSTILE}, HOSTILE), 9))


def test_attempts_are_told_the_newest_first() -> None:
    first = {"attempt": 1, "at": "2026-11-30T05:00:00.5+00:00", "outcome": "failed", "error": "no answer"}
    second = {
        **first,
        "attempt": 2,
        "ended_at": "2026-11-30T05:10:00+00:00",
        "outcome": "lost",
        "error": None,
        "by": "w1",
    }
    assert attempt_lines([first, second]) == [
        ("2  2026-11-30 05:10:00  lost by w1", "bad"),
        ("   no error was kept: its worker was lost", "muted"),
        ("1  2026-11-30 05:00:00  failed", "bad"),
        ("   no answer", "muted"),
    ]
    assert attempt_lines([{"attempt": 1, "outcome": "failed"}])[0] == ("1  –  failed", "bad")
    assert attempt_lines([]) == [("no attempt was recorded", "muted")]


# What is in it


def message(payload: bytes = b"", cut: bool = False, json: str | None = None, **more: Any) -> Message:
    return Message(payload, cut, json, more.get("headers", {}), more.get("edited"))


def test_bytes_are_shown_to_their_limit_and_then_their_number() -> None:
    whole = payload_lines(message(bytes(MAX_SHOWN_BYTES)), MAX_SHOWN_BYTES)
    assert len(whole) == MAX_SHOWN_BYTES // 16 and texts(whole)[-1].startswith("000ff0  00 ")
    longer = payload_lines(message(bytes(MAX_SHOWN_BYTES + 1)), MAX_SHOWN_BYTES + 1)
    assert len(longer) == len(whole) + 1 and longer[-1] == ("… 4,097 bytes in total", "muted")
    assert payload_lines(message(b"x" * 5000, json="1"), 5000) == ["1"]
    assert payload_lines(message(b"x", cut=True, json="1"), 300_000)[-1] == ("… 300,000 bytes in total", "muted")
    assert payload_lines(message(), 0) == [("it is empty", "muted")]
    assert payload_lines(None, 9) == [
        ("Only operators and admins read messages: they may hold personal data.", "muted")
    ]


def test_headers_and_the_edit_follow_the_payload() -> None:
    lines = payload_lines(message(json="{}", headers={"retry": 2, "trace": None}, edited='{"a": 1}'), 2)
    assert lines == [
        "{}",
        "",
        ("headers", "title"),
        "retry: 2",
        "",
        ("in its replay, merged into it", "title"),
        ('{"a": 1}', "warn"),
    ]


def test_hexdump_shows_the_letters_and_a_dot_for_the_rest() -> None:
    [line] = texts(hex_lines(bytes([31, 32, 126, 127, 255])))
    assert line == f"{'000000  1f 20 7e 7f ff':<57}. ~.."
    first, second = texts(hex_lines(b"0123456789abcdefg"))
    assert first.endswith(" 0123456789abcdef") and second.startswith("000010  67 ")


def test_long_json_is_cut_between_lines() -> None:
    whole = json_lines("\n".join(["1"] * MAX_LINES))
    assert whole == ["1"] * MAX_LINES
    assert json_lines("\n".join(["1"] * (MAX_LINES + 1))) == [*whole, ("… 1 more line", "muted")]
    assert json_lines("\n".join(["1"] * (MAX_LINES + 1200)))[-1] == ("… 1,200 more lines", "muted")


def test_the_difference_from_the_last_success() -> None:
    success = Success("9", NOW - HOUR, '{\n"a": 1,\n"b": 2\n}')
    lines = difference_lines(message(json='{\n"a": 1,\n"b": 3\n}'), success, NOW)
    assert lines == [
        ("− 9 succeeded 1 h ago   + this one", "muted"),
        (' "a": 1,', ""),
        ('-"b": 2', "muted"),
        ('+"b": 3', "warn"),
        (" }", ""),
    ]
    same = difference_lines(message(json=success.payload), success, NOW)
    assert same[1:] == ["their payloads are the same: the message itself is not the cause"]
    assert texts(difference_lines(None, success, NOW)) == ["Only operators and admins read messages."]
    assert "of this handler succeeded" in texts(difference_lines(message(), None, NOW))[0]


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        (SourceStats("jobs", 0, None, 0, 0, 0), "jobs 0"),
        (SourceStats("jobs", 1200, NOW - 3 * DAY, 0, 0, 0), "jobs 1,200, oldest 3d"),
        (SourceStats("jobs", 1, None, 5, 0, 0), "jobs 1, in 5/h, out 0/h"),
        (SourceStats("jobs", 1, None, 0, 2, 3), "jobs 1, in 0/h, out 2/h, 3 deleted within 7d"),
        (
            SourceStats("jobs", 1, None, 10_000, 10_001, 10_001),
            "jobs 1, in 10,000/h, out 10,000+/h, 10,000+ deleted within 7d",
        ),
    ],
)
def test_a_source_says_how_much_how_old_and_how_fast(stats: SourceStats, words: str) -> None:
    assert source_words(stats, NOW) == words


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    texts = {"handler": LONG, "error": LONG, "error_class": LONG, "tenant_id": LONG, "queue": LONG, "source": LONG}
    more = {"source_id": LONG, "idempotency_key": LONG, "release": LONG, "cause": LONG}
    letter = replace(LETTER, **texts, **more, settled_at=NOW, settled_by=LONG, settled_why=LONG)  # type: ignore[arg-type]
    assert cuts(fact_lines(letter, NOW)) == [600, 63, 300, 200, 100, 100, 64, 100, 100, 200, 100]
    assert cuts(why_letter(letter, NOW)) == [100, 63, 300, 2000, 500]
    cause = replace(CAUSE, handler=LONG, cause=LONG, error_class=LONG, queue=LONG, source=LONG, releases=[LONG])
    assert cuts(why_cause(replace(cause, fixed_in=LONG), NOW)) == [100, 500, 100, 100, 64, 60, 100]
    assert cuts([cause_words(replace(cause, fixed_in=LONG)), cause_words(replace(cause, error_class=""))]) == [
        60,
        400,
        400,
    ]
    attempt = {"attempt": LONG, "at": LONG, "outcome": LONG, "error": LONG, "by": LONG}
    assert cuts(attempt_lines([attempt])) == [12, 40, 100, 1000]
    assert cuts(payload_lines(message(json=LONG, headers={LONG: LONG}, edited=LONG), 9)) == [1000, 60, 300, 4000]
    assert cuts(difference_lines(message(json=LONG), Success("9", NOW, "{}"), NOW)) == [999]
    assert cuts([source_words(SourceStats(LONG, 0, None, 0, 0, 0), NOW)]) == [40]
