"""What the console says of an alert: what was measured, who has it, what happened; and what may be done with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from controlplane.alerts.model import AlertEvent, OpenAlerts
from controlplane.alerts.rules import ack_end, check_acked, check_open, written_out
from controlplane.alerts.words import (
    event_words,
    flapping_words,
    lasted_words,
    measured_words,
    number_words,
    open_words,
    standing_words,
    why_of,
)
from controlplane.errors import Refusal, Usage
from tests.controlplane.stored_alerts import FIRED, HOUR, MINUTE, event, stored
from tests.controlplane.texts import HOSTILE, LONG, SHOWN, cuts


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": 3.0, "threshold": 1.0, "unit": "keys"}, "3 / 1 keys"),
        ({"value": 17.0, "threshold": None, "unit": "×"}, "17 × / –"),
        ({"value": None, "threshold": 14.4, "unit": "×"}, "– / 14.4 ×"),
        ({"value": None, "threshold": None, "unit": "×"}, "–"),
        ({"value": 0.25, "threshold": 0.05, "unit": "share"}, "25 % / 5 %"),
    ],
)
def test_what_was_measured_stands_beside_its_threshold(fields: dict[str, Any], words: str) -> None:
    assert measured_words(stored(**fields)) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(1, "keys", "1 key"), (2, "keys", "2 keys"), (0.831, "share", "83.1 %"), (None, "keys", "–"), (1500, "", "1,500")],
)
def test_a_number_has_its_unit(value: float | None, unit: str, words: str) -> None:
    assert number_words(value, unit) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "nobody has it"),
        ({"holder": "ana", "ack_until": FIRED + 3 * HOUR}, "ana has it until 2026-03-31 14:00 UTC"),
        ({"standing": "unknown", "unknown_why": HOSTILE}, f"not known: {SHOWN}"),
        (
            {"standing": "unknown", "unknown_why": "no data", "unknown_since": FIRED + HOUR},
            "not known since 2026-03-31 12:00 UTC: no data",
        ),
        (
            {"standing": "unknown", "unknown_why": "no data", "holder": HOSTILE, "ack_until": FIRED},
            f"not known: no data; {SHOWN} has it until 2026-03-31 11:00 UTC",
        ),
        ({"standing": "resolved", "resolved_at": FIRED}, "resolved 1 h ago by itself: it is no longer found"),
        (
            {"standing": "resolved", "resolved_at": FIRED, "resolved_by": HOSTILE, "resolved_why": HOSTILE},
            f"resolved 1 h ago by {SHOWN}: {SHOWN}",
        ),
    ],
)
def test_an_alert_says_who_has_it_or_why_nothing_is_known(fields: dict[str, Any], words: str) -> None:
    assert standing_words(stored(**fields), FIRED + HOUR) == words


def test_how_long_it_lasted_is_unknown_until_it_is_resolved() -> None:
    assert lasted_words(stored()) == "–"
    assert lasted_words(stored(resolved_at=FIRED + 90 * MINUTE)) == "1h 30m"


@pytest.mark.parametrize(("fires", "words"), [(3, ""), (4, "flaps: fired 4 times within 24 hours")])
def test_from_four_times_a_day_on_it_flaps(fires: int, words: str) -> None:
    assert flapping_words(stored(fires=fires)) == words
    assert why_of(stored(fires=fires), FIRED)[6:] == ([(f"{words} (4 or more)", "warn")] if words else [])


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (event("fired"), "fired, critical"),
        (event("fired", actor="ana", words=HOSTILE, audit_seq=3), f"fired, critical by ana: {SHOWN} · audit 3"),
        (event("raised"), "raised to critical"),
        (event("lowered", severity="info"), "lowered to info"),
        (event("acked", actor=HOSTILE, until=FIRED), f"acked by {SHOWN} until 2026-03-31 11:00 UTC"),
        (event("acked"), "acked"),
        (event("ack_ended", until=FIRED), "fires again"),
        (event("handed_over", actor="ana", holder=HOSTILE), f"handed over by ana to {SHOWN}"),
        (event("handed_over", actor="ana"), "handed over by ana"),
        (event("escalated", holder="ben"), "escalated"),
        (event("resolved", words="done"), "resolved: done"),
    ],
)
def test_what_happened_is_one_line(happened: AlertEvent, words: str) -> None:
    assert event_words(happened) == words


def test_why_an_alert_is_as_it_is_shown() -> None:
    alert = stored(labels={"queue": HOSTILE, "app": "shop"}, details={"threshold_from": "plan:growth"}, previous_id=0)
    lines = why_of(alert, FIRED + HOUR)
    assert lines == [
        ("alert 7: burn_rate", "title"),
        "firing: nobody has it",
        "found: it burns",
        "17 × against a threshold of 14.4 ×, from: plan:growth",
        "fired 1 h ago, severity critical",
        f"told apart by: app=shop queue={SHOWN}",
        "fingerprint: ffffffffffffffff…",
        "previous alert: 0",
    ]
    assert why_of(stored(), FIRED)[3:] == [
        "17 × against a threshold of 14.4 ×",
        "fired now, severity critical",
        "fingerprint: ffffffffffffffff…",
    ]


@pytest.mark.parametrize(
    ("numbers", "capped", "words"),
    [
        ((0, 0, 0), False, ""),
        ((3, 0, 1), False, "3 firing, 1 unknown"),
        ((1, 2, 0), True, "1+ firing, 2+ acked"),
    ],
)
def test_the_open_ones_in_the_header(numbers: tuple[int, int, int], capped: bool, words: str) -> None:
    firing, acked, unknown = numbers
    assert open_words(OpenAlerts(firing, 0, acked, unknown, FIRED, capped)) == words


# What may be done


def test_only_an_open_alert_is_acked_and_only_an_acked_one_given_back() -> None:
    check_open(stored())
    check_open(stored(state="acked", holder="ana"))
    check_acked(stored(state="acked", holder="ana"))
    for check in (check_open, check_acked):
        with pytest.raises(Refusal, match="Alert 7 is resolved") as refused:
            check(stored(state="resolved", holder="ana"))
        assert refused.value.code == "alert_resolved" and list(refused.value.why) == ["state: resolved"]
    with pytest.raises(Refusal, match="Nobody has alert 7") as refused:
        check_acked(stored())
    assert refused.value.code == "alert_not_acked" and list(refused.value.why) == ["state: firing"]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("4h", FIRED + 4 * HOUR),
        ("1s", FIRED + MINUTE / 60),
        ("7d", FIRED + 168 * HOUR),
        ("2026-04-07", FIRED + 157 * HOUR),
        ("2026-04-07T11:00Z", FIRED + 168 * HOUR),
    ],
)
def test_an_ack_ends_within_seven_days(text: str, end: datetime) -> None:
    assert ack_end(text, FIRED) == end


@pytest.mark.parametrize("text", ["0s", "7d 1s", "2026-03-31T11:00Z", "2026-04-07T11:00:01Z", "2026-03-30"])
def test_an_ack_that_ends_now_or_later_than_that_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        ack_end(text, FIRED)
    assert refused.value.code == "alert_ack_until"


def test_the_end_of_an_ack_is_sent_with_its_zone() -> None:
    assert written_out("2026-04-07") == "2026-04-07T00:00:00+00:00" and written_out("4h") == "4h"
    for text in ("soon", "2026-13-01"):
        with pytest.raises(Usage):
            written_out(text)


def test_a_long_text_leaves_room_for_what_stands_beside_it() -> None:
    by = {"actor": LONG, "words": LONG}
    assert cuts([event_words(event("handed_over", **by, holder=LONG))]) == [63, 63, 500]
    over = stored(standing="resolved", resolved_at=FIRED, resolved_by=LONG, resolved_why=LONG)
    unknown = stored(standing="unknown", unknown_why=LONG, holder=LONG, ack_until=FIRED)
    assert cuts([standing_words(over, FIRED), standing_words(unknown, FIRED)]) == [63, 300, 300, 63]
    alert = stored(summary=LONG, labels={LONG: LONG}, details={"threshold_from": LONG}, unit=LONG)
    assert cuts(why_of(alert, FIRED)) == [500, 40, 40, 100, 60, 200]
    assert cuts([measured_words(alert)]) == [40]
