"""What the console says of a detector: what an evaluation would do, why nothing is known, where a threshold is from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.detectors.model import Detector, DryRun, Foreseen, Judged, ThresholdSource
from controlplane.detectors.words import (
    dry_run_notes,
    foreseen_words,
    judged_lines,
    source_lines,
    state_words,
    statement_lines,
    whole_words,
    why_of,
)
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
DETECTOR = Detector(
    "burn_rate",
    timedelta(minutes=2),
    "a budget burns",
    "ok",
    NOW,
    None,
    NOW + timedelta(minutes=2),
    12.0,
    1,
    None,
    None,
    1,
)
ALERT = Foreseen(("fired",), None, "acme", {}, "critical", 17.0, 14.4, "×", "it burns")
DEFAULT = ThresholdSource("default", 14.4, None, None)
OF_ALL = ThresholdSource(HOSTILE, 1.0, "ana", NOW)


@pytest.mark.parametrize(
    ("foreseen", "words"),
    [
        (DryRun(None, {}, 0, 3.2), "found 0 in 3.2ms"),
        (DryRun(None, {}), "found – in –"),
        (
            DryRun(None, {"unchanged": 2, "fired": 1200, "resolved": 1}, 1202, 212),
            "found 1,202 in 212ms; 1,200 would fire, 1 would resolve, 2 would stay the same",
        ),
        (
            DryRun("no request for 5 min", {"unknown": 1}),
            "no request for 5 min: 1 alert would become unknown, none would fire or be resolved",
        ),
        (DryRun("silent", {}), "silent: 0 alerts would become unknown, none would fire or be resolved"),
    ],
)
def test_what_an_evaluation_would_do(foreseen: DryRun, words: str) -> None:
    assert whole_words(foreseen) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "fire: a new alert, critical, acme: it burns (17 ×)"),
        ({"id": 0, "does": ("lowered", "known")}, "lower, be known again: alert 0, critical, acme: it burns (17 ×)"),
        ({"tenant_id": None, "value": None, "summary": HOSTILE}, f"fire: a new alert, critical, all: {SHOWN}"),
        ({"value": 0.0}, "fire: a new alert, critical, acme: it burns (0 ×)"),
    ],
)
def test_what_would_become_of_one_alert(fields: dict[str, Any], words: str) -> None:
    assert foreseen_words(replace(ALERT, **fields)) == words


def test_alerts_that_stay_the_same_are_not_listed() -> None:
    same = replace(ALERT, does=("unchanged",), id=1)
    found = DryRun(None, {"fired": 1, "unchanged": 1}, 2, 3.0, (ALERT, same))
    assert dry_run_notes("burn_rate", found) == [f"burn_rate: {whole_words(found)}", f"  {foreseen_words(ALERT)}"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "its source is fresh"),
        ({"state": "silent", "silent": HOSTILE}, f"nothing is known: {SHOWN}; its alerts are unknown"),
        ({"state": "failed", "error": HOSTILE}, f"it failed: {SHOWN}; its alerts are unknown until it succeeds"),
        ({"state": "late"}, "no worker has evaluated it for some periods"),
        ({"state": "never"}, "no worker has evaluated it yet"),
    ],
)
def test_only_a_fresh_source_is_current(fields: dict[str, Any], words: str) -> None:
    assert state_words(replace(DETECTOR, **fields)).startswith(words)


def test_why_it_knows_what_it_knows() -> None:
    assert why_of(DETECTOR) == [
        ("burn_rate: ok", "title"),
        "a budget burns",
        state_words(DETECTOR),
        "evaluated every 120 s; last: 2026-03-04 12:00:00 UTC",
        "last known: never; next: 2026-03-04 12:02:00 UTC",
    ]
    own = replace(DETECTOR, language="sql", statement=f"SELECT 1\n-- {HOSTILE}")
    assert why_of(own)[5:] == statement_lines(own)
    assert statement_lines(own)[:2] == ["your team's own, in SQL:", ("  SELECT 1", "muted")]
    assert is_inert(statement_lines(replace(own, statement=HOSTILE)))
    assert statement_lines(replace(own, language="promql"))[0] == "your team's own, in PromQL:"


def test_the_threshold_that_holds_comes_before_those_that_lost() -> None:
    lines = source_lines([OF_ALL, DEFAULT], "keys")
    assert lines == [
        (f"applies     {SHOWN}: 1 key, set by ana at 2026-03-04 12:00 UTC", ""),
        ("overridden  default: 14.4 keys", "muted"),
    ]
    assert judged_lines("burn_rate", [Judged("burn_rate.fast", "keys", (OF_ALL, DEFAULT))]) == [
        "burn_rate.fast",
        *((f"  {words}", tone) for words, tone in lines),
    ]
    assert judged_lines("burn_rate", []) == [("burn_rate has none that can be set", "muted")]


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    failed = replace(DETECTOR, state="failed", error=LONG, means=LONG, language="sql", statement=LONG)
    assert cuts(why_of(failed)) == [500, 500, 200]
    assert cuts([state_words(replace(DETECTOR, state="silent", silent=LONG))]) == [500]
    assert cuts([foreseen_words(replace(ALERT, summary=LONG))]) == [300]
    assert cuts(source_lines([ThresholdSource(LONG, 1.0, LONG, NOW)], "keys")) == [80, 63]
