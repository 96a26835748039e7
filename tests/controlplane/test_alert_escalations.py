"""Where the escalations of an alert stand, and whether somebody can have the next level told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.alerts.escalations import check, next_step, standings, words
from controlplane.alerts.model import Alert
from controlplane.errors import Refusal
from tests.controlplane.alerting import NOW

EMPTY: dict[str, Any] = dict.fromkeys(Alert.__dataclass_fields__)
LEVELS = [{"targets": [], "minutes": 10}, {"targets": []}]


def kept(level: int = 0, state: str = "running", route: str = "ops", repeat: int = 0, **run: Any) -> dict[str, Any]:
    run = {"level": level, "since": NOW.isoformat(), "round": 0, "state": state, **run}
    return {"route": route, "run": run, "escalation": {"levels": LEVELS, "repeat": repeat}}


def alert(*escalations: dict[str, Any], state: str = "firing") -> Alert:
    return Alert(**EMPTY | {"id": 7, "state": state, "routing": list(escalations)})


def test_the_next_level_is_told_when_its_time_is_up() -> None:
    assert [each.next_at for each in standings([kept(), kept(1)])] == [NOW + n * timedelta(minutes=1) for n in (10, 5)]
    soonest = next_step(standings(alert(kept(), kept(1, route="late", repeat=1), kept(1)).routing))
    assert soonest is not None and (soonest.route, soonest.next_at) == ("late", NOW + timedelta(minutes=5))
    assert next_step(standings(alert(kept(1), kept(state="acked"), kept(state="nobody")).routing)) is None


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("", alert(kept())),
        ("", alert(kept(), state="acked")),
        ("", alert(kept(state="acked"))),
        ("", alert(kept(1, repeat=1))),
        ("", alert(kept(1), kept(0))),
        ("alert_not_escalating", alert()),
        ("alert_nobody_on_call", alert(kept(state="nobody"))),
        ("alert_last_level", alert(kept(1))),
        ("alert_last_level", alert(kept(1, state="acked"))),
        ("alert_last_level", alert(kept(1, state="over"), kept(state="nobody"))),
        ("alert_last_level", alert(kept(1, round=1, repeat=1))),
        ("alert_resolved", alert(kept(), state="resolved")),
    ],
)
def test_who_escalates_is_told_why_not(code: str, found: Alert) -> None:
    if not code:
        check(found)
        return
    with pytest.raises(Refusal) as refusal:
        check(found)
    assert refusal.value.code == code


def test_where_it_stands_in_words() -> None:
    said = [words(each) for each in standings([kept(asked_by="ana"), kept(1), kept(state="acked"), kept(1, "over")])]
    assert said == [
        "ops: level 1 of 2, escalated by ana; the next is told at 2026-06-03 12:10:00 UTC",
        "ops: level 2 of 2, the last",
        "ops: level 1 of 2, while somebody has it",
        "ops: level 2 of 2: every level had its time",
    ]


BROKEN: list[Any] = [
    {},
    {"run": None},
    kept(9),
    kept(level="x"),  # type: ignore[arg-type]
    kept(since=7),
    kept(since="now"),
    kept(since=datetime(9999, 12, 31, 23, 59, tzinfo=UTC).isoformat()),
    kept() | {"escalation": {"levels": 5}},
    kept() | {"escalation": {"levels": [{"minutes": "x"}]}},
    kept() | {"escalation": {"levels": [7, 7]}},
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_what_cannot_be_read_is_left_out(broken: Any) -> None:
    assert len(standings([broken, kept()])) == 1
