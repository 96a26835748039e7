"""What the list says comes next for an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.alerts.model import Alert
from controlplane.alerts.standing import HELD, next_cell
from controlplane.routes.model import Hold

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
LEVELS = {"levels": [{"minutes": 5}, {"minutes": 5}]}


def run(level: int = 0, state: str = "running", minutes_left: int = 4) -> dict[str, Any]:
    since = NOW - timedelta(minutes=5 - minutes_left)
    return {
        "route": "ops",
        "escalation": LEVELS,
        "run": {"level": level, "state": state, "round": 0, "since": since.isoformat()},
    }


IN_4_MINUTES = (NOW + timedelta(minutes=4)).isoformat()
QUIET = {"route": "a", "held": "quiet_window", "until": IN_4_MINUTES}


def alert(*routing: dict[str, Any], **given: Any) -> Alert:
    empty: dict[str, Any] = dict.fromkeys(Alert.__dataclass_fields__)
    return Alert(**empty | {"standing": "firing", "state": "firing", "routing": list(routing)} | given)


@pytest.mark.parametrize(
    ("routing", "words", "tone"),
    [
        ([], "no route", "muted"),
        ([{"route": "ops"}], "told", "muted"),
        ([run()], "level 1/2, 4m left", "warn"),
        ([run(minutes_left=0)], "level 1/2", "warn"),
        ([run(minutes_left=5), run()], "level 1/2, 4m left", "warn"),
        ([run(level=1)], "all levels told", "warn"),
        ([QUIET], "quiet to 03:04Z", "muted"),
        ([QUIET, run()], "level 1/2, 4m left", "warn"),
        ([run() | {"held": "silenced"}], "silenced", "muted"),
        ([run(state="nobody")], "nobody on call", "bad"),
        ([run(state="over")], "all levels told", "warn"),
        ([run(state="nobody"), run()], "level 1/2, 4m left", "warn"),
        ([{"route": "a", "held": "\x1b[31m", "until": "yesterday"}], "␛[31m", "muted"),
        ([run() | {"run": {"level": "two"}}], "told", "muted"),
    ],
)
def test_the_nearest_step_is_said(routing: list[dict[str, Any]], words: str, tone: str) -> None:
    assert next_cell(alert(*routing), NOW) == (words, tone)


def test_what_is_over_has_no_next_step_and_an_ack_says_its_end() -> None:
    assert next_cell(alert(run(), standing="resolved", state="resolved"), NOW).text == ""
    held = alert(run(), state="acked", standing="acked", ack_until=NOW + timedelta(hours=2))
    assert next_cell(held, NOW) == ("fires in 2 h", "muted")


def test_every_hold_has_its_words() -> None:
    assert {*HELD} == {*Hold.__args__}
