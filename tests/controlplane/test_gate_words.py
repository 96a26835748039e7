"""What the console says of a gate, of one check, and of a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controlplane.gates import standing
from controlplane.gates.deciding import Decision, decide
from controlplane.gates.judging import trouble
from controlplane.gates.model import CheckRow, GateRow, GateRun
from controlplane.gates.words import (
    because_words,
    check_words,
    compared,
    run_lines,
    trend_said,
    trend_words,
    value_words,
    why_lines,
)
from tests.controlplane.gates import NOW, gate, results, saw, waiver
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts, is_inert, texts

HOUR = timedelta(hours=1)
SHOP = gate(
    {"name": "a"}, {"name": "b", "owner": "ben", "means": "no orders are lost"}, {"name": "c", "required": False}
)
RUN = GateRun(
    3, "shop", 2, "staging", "full", None, None, "decided", "NO_GO", [], "f" * 64, NOW - HOUR, "ana", NOW,
    NOW - HOUR / 2, 2, 1, 3, 1,
)  # fmt: skip


def decided(**found: Any) -> Decision:
    return decide(SHOP, results(SHOP, **found), [], "staging", NOW)


def row(decision: Decision | None, **fields: Any) -> GateRow:
    known: dict[str, Any] = {
        "standing": decision.verdict if decision else "NO_GO",
        "closes_at": None,
        "decided_at": NOW,
    }
    made = known | fields
    return GateRow(
        "shop",
        "staging",
        made["standing"],
        1,
        "f" * 64,
        "ana",
        3,
        (),
        made["closes_at"],
        made["decided_at"],
        7,
        (),
        decision,
    )


def check_row(**fields: Any) -> CheckRow:
    known: dict[str, Any] = {
        **{
            "name": "dead",
            "kind": "queue",
            "state": "pass",
            "because": "",
            "required": True,
            "value": 2.0,
            "unit": "jobs",
        },
        **{"threshold": "at most 0", "words": "", "owner": "ana", "means": "", "at": NOW - HOUR, "seconds": None},
        **{"run_id": None, "waiver": None, "sha256": "", "observed": ""},
    }
    return CheckRow(**known | fields)


def test_a_trend_shows_what_it_does_not_know() -> None:
    trend = ["GO", "GO", "GO_WITH_CONDITIONS", "NO_GO", "INCONCLUSIVE", "new"]
    assert trend_words(trend) == "●●◐✕??"
    assert trend_said(trend) == "new, then inconclusive, then NO GO, then GO with conditions, then 2 times GO"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "2 jobs"),
        ({"value": 1.0}, "1 job"),
        ({"value": 0.0}, "0 jobs"),
        ({"value": 1.0, "unit": "ms"}, "1 ms"),
        ({"value": 90.0, "unit": "s"}, "1m 30s"),
        ({"value": 41.5, "unit": ""}, "41.5"),
        ({"value": 0.0, "unit": "tests"}, "0 failed"),
        ({"value": 3.0, "unit": "tests", "threshold": "at most 0 skipped"}, "3 skipped"),
        ({"value": 1.0, "unit": "objectives"}, "1 firing"),
        ({"value": 41.5, "unit": HOSTILE}, f"41.5 {SHOWN}"),
        ({"value": None}, ""),
        ({"value": None, "state": "inconclusive"}, "–"),
        ({"value": None, "state": "fail"}, "–"),
    ],
)
def test_what_a_check_found_has_its_unit(fields: dict[str, Any], words: str) -> None:
    assert value_words(check_row(**fields)) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"because": "no_data"}, "no data"),
        ({"because": "no_data", "words": HOSTILE}, f"no data: {SHOWN}"),
        ({"because": "new_reason", "words": "x"}, "new_reason: x"),
        ({"words": "x"}, "x"),
    ],
)
def test_why_nothing_is_known(fields: dict[str, Any], words: str) -> None:
    assert because_words(check_row(**fields)) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "● pass         dead  2 jobs (at most 0)  1h ago"),
        ({"threshold": ""}, "● pass         dead  1h ago"),
        ({"value": None, "at": None}, "● pass         dead  (at most 0)"),
        (
            {"state": "inconclusive", "value": None, "because": "no_data", "required": False},
            "? inconclusive dead  – (at most 0)  no data  1h ago  advisory",
        ),
        ({"name": HOSTILE, "threshold": "", "at": None}, f"● pass         {SHOWN}"),
    ],
)
def test_a_check_is_one_line(fields: dict[str, Any], words: str) -> None:
    assert check_words(check_row(**fields), NOW) == words


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ({"standing": "never"}, "nothing is known yet, so it is closed: run it (gates run)"),
        ({"standing": "retired"}, "it is retired; apply it again to keep it"),
        ({}, "its definition cannot be read by this program: apply it again"),
    ],
)
def test_a_gate_without_a_decision_says_why(gone: dict[str, Any], words: str) -> None:
    assert texts(why_lines(row(None, **gone), NOW))[1:] == [words]


def test_what_blocks_comes_before_what_is_a_condition() -> None:
    told = texts(why_lines(row(decided(a=0, b=2, c=1)), NOW))
    assert told[:2] == ["shop in staging: NO GO", "last decided now (run 7)"]
    assert told[2:5] == ["", "what must change to open it: 1 of 3 checks", "  b: at most 0; or it is waived"]
    assert told[5:9] == ["", "why it is closed", "├ ✕ b: fail", "│   found 2 messages, held to at most 0, 0s ago"]
    assert told[9].startswith("│   observed sha256 ") and told[9].endswith("…, run 1")
    assert told[10] == "│   owner ben, no orders are lost"
    assert [each for each in told if not each.startswith("│")][8:] == [
        *("", "conditions", "├ ✕ c: fail", "", "version 1, definition sha256 ffffffffffffffff…"),
    ]
    assert told[-3] == "│   owner ana"
    open_ = texts(why_lines(row(decided(a=0, b=0, c=0), closes_at=NOW + HOUR, decided_at=None), NOW))
    assert open_[1:2] == ["closes by itself in 1 h, if nothing is done"]
    assert texts(why_lines(replace(row(None, standing="never"), environment=""), NOW))[0] == "shop: never run"


def test_a_branch_says_what_was_not_found_and_who_waived_it() -> None:
    unknown = saw(SHOP, "a", trouble("no_data", HOSTILE), ago=60)
    nobody = [waiver("b"), waiver("c", id=2, approved_by="cho")]
    found = {"a": replace(unknown, run_id=None), "c": saw(SHOP, "c", {"found": True, "value": 1})}
    told = texts(why_lines(row(decide(SHOP, found, nobody, "staging", NOW)), NOW))
    at = told.index("├ ? a: inconclusive")
    assert told[at + 1 : at + 3] == ["│   found –, held to at most 0, 1m ago", f"│   no data: {SHOWN}"]
    assert told[at + 3].endswith("…")
    at = told.index("├ ◐ b: waived")
    assert told[at + 1 : at + 3] == [
        "│   no run holds it yet",
        "│   waived until 2026-03-04 11:20 UTC by ana: as the test says",
    ]
    assert any(" by ana and cho: " in each for each in told)
    assert is_inert(why_lines(row(decide(SHOP, {"a": unknown}, [], "staging", NOW)), NOW))


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({}, ("shop in staging: NO GO", "bad")),
        ({"verdict": "GO"}, ("shop in staging: GO", "good")),
        ({"verdict": None, "state": "running"}, ("shop in staging: running", "muted")),
        ({"verdict": None, "state": "lost"}, ("shop in staging: lost: it never ended", "muted")),
    ],
)
def test_a_run_says_its_verdict_or_that_it_has_none(fields: dict[str, Any], first: tuple[str, str]) -> None:
    assert run_lines(replace(RUN, **fields), NOW)[0] == first


def test_the_facts_of_a_run() -> None:
    assert run_lines(RUN, NOW)[1:] == [
        "run 3 by ana, 1 h ago, full",
        "version 2 of the gate; 2 of 3 checks recorded",
        "took 30m",
        (f"inputs sha256 {'f' * 64}", "muted"),
    ]
    condition = {"check": "b", "state": "waived", "owner": HOSTILE, "due": "2026-04-01"}
    batch = replace(RUN, batch_size=4, batch_index=0, decided_at=None, inputs_sha256=None, conditions=[condition, "?"])
    assert run_lines(batch, NOW)[3:] == [
        "batch 0 of size 4: the other checks are in other batches",
        (f"condition: b waived; {SHOWN} by 2026-04-01 UTC", "warn"),
    ]
    assert run_lines(replace(RUN, conditions=None, batch_size=4), NOW) == run_lines(RUN, NOW)


def test_two_runs_are_compared_check_by_check() -> None:
    before = [standing.check_row(each) for each in decided(a=0, b=2).checks]
    after = [standing.check_row(each) for each in decided(a=0, b=3, c=0).checks]
    assert compared(before, after[:2]) == [
        ("b", "fail 2 messages", "fail 3 messages"),
        ("c", "inconclusive –", "not in it"),
    ]
    assert compared(before[:1], after[:2]) == [("b", "not in it", "fail 3 messages")]


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    row_ = check_row(words=LONG, unit=LONG, because="no_data")
    assert cuts([value_words(row_), because_words(row_), check_words(row_, NOW)]) == [58, 300, 58, 296]
    assert cuts([check_words(check_row(name=LONG), NOW)]) == [385]
    condition = {"check": LONG, "state": "fail"}
    assert cuts(run_lines(replace(RUN, started_by=LONG, conditions=[condition]), NOW)) == [100, 189]
    found = {"a": saw(SHOP, "a", trouble("no_data", LONG))}
    waived = [waiver("b", created_by=LONG, reason=LONG)]
    assert cuts(why_lines(row(decide(SHOP, found, waived, "staging", NOW)), NOW)) == [291, 100, 200]
