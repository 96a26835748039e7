"""What happened to an alert, in one order: its events, the changes without one, and its marks on charts."""

from __future__ import annotations

from typing import Any

from controlplane.alerts.marks import alert_happenings
from controlplane.alerts.timeline import change_words, judges, timeline_lines
from controlplane.audit.model import AuditRow
from tests.controlplane.stored_alerts import FIRED, HOUR, MINUTE, event, stored


def row(seq: int, **fields: Any) -> AuditRow:
    known: dict[str, Any] = {
        "at": FIRED + seq * MINUTE,
        "actor": "ana",
        "operation": "alerts.ack",
        "noun": "alerts",
        "thing": "7",
        "tenant_id": "acme",
        "reason": None,
        "request_id": None,
        "out_of_band": False,
        "before": {"ack_comment": "looking", "version": 2},
        "after": {"ack_comment": "still looking", "version": 3},
    }
    return AuditRow(seq, **{**known, **fields})


SET = row(
    5,
    operation="thresholds.set",
    noun="thresholds",
    thing="burn_rate.factor/all",
    reason="too \x1b[31mloud",
    before=None,
    after={"value": 0.9, "scope": "all", "set_by": "ana"},
)


def test_changes_without_an_event_are_on_the_timeline_and_those_with_one_stand_once() -> None:
    events = [event("fired"), event("acked", FIRED + 2 * MINUTE, actor="ana", audit_seq=2, words="looking")]
    lines = timeline_lines(events, [row(2), row(3), SET])
    assert [str(line[0]).partition("  ")[2].partition(":")[0] for line in lines] == [
        "thresholds.set burn_rate.factor/all by ana",
        "alerts.ack by ana",
        "acked by ana",
        "fired, critical",
    ]
    assert lines[1] == ("03-31 11:03:00Z  alerts.ack by ana: ack_comment looking → still looking · audit 3", "muted")


def test_of_a_threshold_the_value_is_said_and_foreign_text_is_inert() -> None:
    words = change_words(SET)
    assert "value – → 0.9, too" in words and "set_by" not in words and "\x1b" not in words


def test_a_threshold_judges_the_alerts_of_its_detector_in_its_scope() -> None:
    scopes = ("all", "plan:growth", "tenant:acme")
    assert judges("quota_near.share/plan:growth", "quota_near", scopes)
    assert not judges("quota_near.share/plan:pro", "quota_near", scopes)
    assert not judges("quota_near_by.share/all", "quota_near", scopes)


def test_an_alert_is_marked_where_it_fired_and_where_it_ended() -> None:
    over = stored(id=3, fired_at=FIRED - HOUR, resolved_at=FIRED + MINUTE, resolved_by="ben", resolved_why="fixed")
    late = stored(id=4, fired_at=FIRED + HOUR)
    found = alert_happenings([stored(), over, late], FIRED, FIRED + HOUR)
    assert [(each.source, each.tone, each.glyph, each.at - FIRED) for each in found] == [
        ("alert 7", "bad", "◆", 0 * HOUR),
        ("alert 3", "good", "◆", MINUTE),
    ]
    assert found[0].words == "alert 7 fired, critical: it burns"
    assert found[1].words == "alert 3 ended by ben: fixed (it burns)"
