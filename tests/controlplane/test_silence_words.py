"""What the console says of a silence: what it hides, when it ends, and what ends it earlier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controlplane.matchers import parse_matchers
from controlplane.silences.directory import Foreseen, KeptSilence, RecentAlert, SilenceRow
from controlplane.silences.model import Hidden
from controlplane.silences.words import (
    alert_words,
    end_words,
    fact_lines,
    foreseen_words,
    hidden_lines,
    hides_words,
    matchers_text,
    matchers_words,
    stored_text,
    why_of,
)
from tests.controlplane.alerting import DAY, HOUR, MINUTE, NOW
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

KEPT = KeptSilence(
    5,
    parse_matchers('tenant="acme", kind="burn_rate"'),
    NOW - HOUR,
    NOW + 2 * HOUR,
    "ana",
    "known",
    created_at=NOW - HOUR,
)
ALERT = RecentAlert(7, "burn_rate", "acme", "critical", "it burns", NOW - HOUR, None)


def test_matchers_are_shown_as_they_are_typed() -> None:
    assert matchers_text(KEPT) == 'tenant="acme", kind="burn_rate"'
    assert stored_text([{"label": "a", "op": "=~", "value": 'x"\\\n'}]) == 'a=~"x\\"\\\\\\n"'
    assert matchers_words(replace(KEPT, matchers=(), fault=HOSTILE)) == f"cannot be read: {SHOWN}"
    assert "cannot" not in matchers_words(KEPT)


@pytest.mark.parametrize(
    ("hidden", "more", "words"),
    [
        ((1, 2, 0), False, "hides 1 open alert now; in the last 7 days it would have hidden 2"),
        ((0, 9, 1), False, "hides 0 open alerts now; in the last 7 days it would have hidden 9, 1 of them critical"),
        (
            (2, 1200, 3),
            True,
            "hides at least 2 open alerts now; in the last 7 days it would have hidden at least 1,200, "
            "3 of them critical; not all alerts were looked at",
        ),
    ],
)
def test_what_it_would_hide(hidden: tuple[int, int, int], more: bool, words: str) -> None:
    assert foreseen_words(Foreseen(Hidden(*hidden), more, True)) == words


def test_before_any_detector_was_evaluated_nothing_is_known() -> None:
    assert "not known" in foreseen_words(Foreseen(Hidden(0, 0, 0), False, False))


@pytest.mark.parametrize(
    ("hides", "more", "standing", "words"),
    [
        (None, False, "active", "–"),
        (None, False, "pending", ""),
        (0, False, "active", "0"),
        (2000, True, "active", "2,000+"),
    ],
)
def test_how_many_it_hides_in_a_cell(hides: int | None, more: bool, standing: Any, words: str) -> None:
    assert hides_words(SilenceRow(KEPT, standing, hides, more)) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "ends in 2 h, at 2026-06-03 14:00 UTC"),
        ({"ends_at": NOW}, "ended now, at 2026-06-03 12:00 UTC"),
        ({"ends_at": NOW + MINUTE}, "ends in 1 m, at 2026-06-03 12:01 UTC"),
        (
            {"ends": "resolved"},
            "ends in 2 h, at 2026-06-03 14:00 UTC, or once all alerts that it hid are resolved for 15m",
        ),
        (
            {"ends": "unmatched", "after": HOUR},
            "ends in 2 h, at 2026-06-03 14:00 UTC, or once no alert matches it for 1h",
        ),
        ({"ends": "resolved", "ends_at": NOW - DAY}, "ended 1 d ago, at 2026-06-02 12:00 UTC"),
        ({"ended_at": NOW - MINUTE, "ended_by": HOSTILE}, f"ended 1 m ago by {SHOWN}"),
        (
            {"ended_at": NOW - MINUTE, "ends": "resolved"},
            "ended 1 m ago by itself, once all alerts that it hid are resolved",
        ),
        ({"ended_at": NOW + 2 * HOUR, "ended_by": "ben"}, "ended in 2 h by ben"),
        ({"ended_at": NOW, "ends_at": NOW - HOUR, "ended_by": "ben"}, "ended 1 h ago, at 2026-06-03 11:00 UTC"),
    ],
)
def test_when_it_ends_and_by_what(fields: dict[str, Any], words: str) -> None:
    assert end_words(replace(KEPT, **fields), NOW) == words


def test_the_facts_of_a_silence() -> None:
    row = SilenceRow(KEPT, "active", 2)
    assert fact_lines(row, NOW) == [
        (f"hides: {matchers_words(KEPT)}", ""),
        "started 1 h ago, at 2026-06-03 11:00 UTC",
        "ends in 2 h, at 2026-06-03 14:00 UTC",
        "by ana: known",
    ]
    pending = SilenceRow(replace(KEPT, starts_at=NOW + HOUR, replaces=0), "pending")
    assert fact_lines(pending, NOW)[1] == "starts in 1 h, at 2026-06-03 13:00 UTC"
    assert fact_lines(pending, NOW)[-1] == ("replaces silence 0", "muted")
    unreadable = replace(KEPT, matchers=(), fault=HOSTILE, comment=HOSTILE)
    assert fact_lines(SilenceRow(unreadable, "unreadable"), NOW)[0] == (f"hides: cannot be read: {SHOWN}", "bad")
    assert is_inert(fact_lines(SilenceRow(unreadable, "unreadable"), NOW))


def test_why_it_stands_as_it_does() -> None:
    assert texts(why_of(SilenceRow(KEPT, "active", 0), NOW))[0] == "silence 5: active"
    assert why_of(SilenceRow(KEPT, "active", 0), NOW)[-1] == "open alerts that match all of its matchers now: 0"
    assert why_of(SilenceRow(KEPT, "pending"), NOW)[-1] == "by ana: known"
    assert why_of(SilenceRow(KEPT, "unreadable"), NOW)[-1] == "it hides nothing; end it, and make a new one"


@pytest.mark.parametrize(
    ("severity", "tone"), [("critical", "bad"), ("error", "bad"), ("warning", "warn"), ("info", "muted")]
)
def test_each_hidden_alert_is_a_line(severity: Any, tone: str) -> None:
    alert = replace(ALERT, severity=severity)
    assert hidden_lines([alert], False) == [(f"alert 7, {severity}, acme, burn_rate: it burns", tone)]


def test_that_not_all_alerts_were_looked_at_is_said() -> None:
    assert hidden_lines([], False) == [("it hides no alert now", "muted")]
    assert hidden_lines([], True) == ["not all alerts were looked at; it hides none of those"]
    assert hidden_lines([ALERT], True)[1:] == [("not all alerts were looked at: there may be more", "warn")]
    assert alert_words(replace(ALERT, tenant_id=None, summary=HOSTILE)) == f"alert 7, critical, all, burn_rate: {SHOWN}"


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    long = replace(KEPT, matchers=(), fault=LONG, created_by=LONG, comment=LONG, ended_at=NOW, ended_by=LONG)
    assert cuts(fact_lines(SilenceRow(long, "unreadable"), NOW)) == [200, 63, 63, 2000]
    assert cuts([alert_words(replace(ALERT, summary=LONG))]) == [264]
