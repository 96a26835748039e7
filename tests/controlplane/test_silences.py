"""What a silence hides, when it ends, and what an edit keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controlplane.errors import Refusal, Usage
from controlplane.matchers import parse_matchers
from controlplane.silences.model import DEFAULT_QUIET, Hidden
from controlplane.silences.rules import check, edit, ends_by_itself, hides, state, would_hide
from tests.controlplane.alerting import DAY, HOUR, MINUTE, NOW, SECOND, alert, silence

ACME = {"tenant": "acme"}


def test_it_is_pending_then_active_then_expired() -> None:
    one = silence(starts_at=NOW, ends_at=NOW + HOUR)
    times = [NOW - SECOND, NOW, NOW + HOUR - SECOND, NOW + HOUR]
    assert [state(one, at) for at in times] == ["pending", "active", "active", "expired"]
    assert [hides(one, ACME, at) for at in times] == [False, True, True, False]
    assert not hides(one, {"tenant": "globex"}, NOW)
    ended = silence(starts_at=NOW, ends_at=NOW + HOUR, ended_at=NOW + MINUTE)
    assert state(ended, NOW + MINUTE) == "expired" and ended.until == NOW + MINUTE and ended.key == "1"
    assert silence(ended_at=NOW + DAY).until == NOW + HOUR


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"matchers": 'team!="db"'}, "silence_matchers"),
        ({"matchers": 'team=~".*"'}, "silence_matchers"),
        ({"matchers": ""}, "silence_matchers"),
        ({"ends_at": NOW - HOUR}, "silence_times"),
        ({"comment": " "}, "silence_comment"),
        ({"created_by": ""}, "silence_comment"),
    ],
)
def test_what_cannot_be_a_silence(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(Usage) as refused:
        check(silence(**fields))
    assert refused.value.code == code


def test_one_matcher_that_needs_a_label_is_enough() -> None:
    check(silence('team!="db", tenant="acme"', ends_at=NOW - HOUR + SECOND))


# How much it hides


def test_what_it_hides_now_and_would_have_hidden_this_week() -> None:
    alerts = [
        alert("fires"),
        alert("old but fires", fired_at=NOW - 30 * DAY, severity="critical"),
        alert("unknown", fired_at=NOW - DAY, unknown_since=NOW - HOUR),
        alert("gone", fired_at=NOW - 2 * DAY, state="resolved", resolved_at=NOW - DAY, severity="critical"),
        alert("just gone", fired_at=NOW - DAY, state="resolved", resolved_at=NOW),
        alert("reached into the week", fired_at=NOW - 9 * DAY, state="resolved", resolved_at=NOW - 7 * DAY + SECOND),
        alert("before the week", fired_at=NOW - 9 * DAY, state="resolved", resolved_at=NOW - 7 * DAY),
        alert("to come", fired_at=NOW + SECOND),
        alert("another's", tenant_id="globex"),
    ]
    assert would_hide(parse_matchers('tenant="acme"'), alerts, NOW) == Hidden(3, 6, 2)
    assert would_hide(parse_matchers('severity="critical"'), alerts, NOW) == Hidden(1, 2, 2)
    assert would_hide(parse_matchers('kind!="burn_rate"'), alerts, NOW) == Hidden(0, 0, 0)


# How it ends


def over(minutes: int, **fields: Any) -> Any:
    return alert(state="resolved", fired_at=NOW - DAY, resolved_at=NOW - minutes * MINUTE, **fields)


def test_at_its_time_only_unless_told_otherwise() -> None:
    assert ends_by_itself(silence(), [over(30)], NOW) is None and ends_by_itself(silence(), [], NOW) is None


@pytest.mark.parametrize("ends", ["resolved", "unmatched"])
def test_when_all_that_it_hid_has_been_resolved_for_long_enough(ends: Any) -> None:
    one = silence(ends=ends)
    assert one.after == DEFAULT_QUIET == 15 * MINUTE
    assert ends_by_itself(one, [over(20), over(40)], NOW) == NOW - 5 * MINUTE
    assert ends_by_itself(one, [over(15)], NOW) == NOW
    assert ends_by_itself(one, [over(14), over(40)], NOW) is None
    assert ends_by_itself(one, [over(20), alert()], NOW) is None
    assert ends_by_itself(one, [over(20), alert(fired_at=NOW - DAY, unknown_since=NOW - HOUR)], NOW) is None
    assert ends_by_itself(one, [over(20), alert(tenant_id="globex")], NOW) == NOW - 5 * MINUTE
    assert ends_by_itself(one, [over(20), alert(fired_at=NOW + SECOND)], NOW) == NOW - 5 * MINUTE
    assert ends_by_itself(one, [over(20), over(-1)], NOW) is None


def test_what_hid_nothing_ends_only_when_it_is_to_end_unmatched() -> None:
    before_it_began = over(60)
    for alerts in ([], [before_it_began]):
        assert ends_by_itself(silence(ends="resolved"), alerts, NOW) is None
        assert ends_by_itself(silence(ends="unmatched"), alerts, NOW) == NOW - 45 * MINUTE
    fresh = silence(ends="unmatched", starts_at=NOW - 14 * MINUTE)
    assert ends_by_itself(fresh, [], NOW) is None
    for state_at in (silence(ends="unmatched", starts_at=NOW + MINUTE), silence(ends="unmatched", ended_at=NOW)):
        assert ends_by_itself(state_at, [], NOW) is None


# An edit keeps what was


def test_a_longer_end_and_another_comment_are_in_place() -> None:
    one = silence()
    done = edit(one, NOW, ends_at=NOW + DAY, comment="longer")
    assert done.added is None and done.kept.id == 1
    assert (done.kept.ends_at, done.kept.comment, done.kept.starts_at) == (NOW + DAY, "longer", one.starts_at)
    both = silence('tenant="acme", team="db"')
    assert edit(both, NOW, matchers=parse_matchers('team="db", tenant="acme"')).added is None


def test_other_matchers_or_another_start_make_a_new_one() -> None:
    one = silence()
    for change in ({"matchers": parse_matchers('tenant="globex"')}, {"starts_at": NOW - MINUTE}):
        done = edit(one, NOW, **change)
        assert done.added and done.added.replaces == 1 and done.added.starts_at == NOW
        assert done.kept.ended_at == NOW and done.kept.matchers == one.matchers and state(done.kept, NOW) == "expired"
        assert hides(done.kept, ACME, NOW - SECOND)  # what it hid stays on record
    later = edit(one, NOW, starts_at=NOW + MINUTE)
    assert later.added and later.added.starts_at == NOW + MINUTE


def test_a_pending_one_may_be_moved() -> None:
    pending = silence(starts_at=NOW + MINUTE)
    moved = edit(pending, NOW, starts_at=NOW)
    assert moved.added is None and moved.kept.starts_at == NOW
    early = edit(pending, NOW, starts_at=NOW - SECOND)
    assert early.added and early.added.starts_at == NOW and early.kept.ended_at == NOW
    assert state(early.kept, NOW + 2 * MINUTE) == "expired"
    other = edit(pending, NOW, matchers=parse_matchers('team="db"'))
    assert other.added and other.added.starts_at == pending.starts_at


def test_what_cannot_be_edited() -> None:
    with pytest.raises(Refusal, match="silence_over"):
        edit(silence(ended_at=NOW), NOW, comment="too late")
    with pytest.raises(Usage, match="silence_past"):
        edit(silence(), NOW, ends_at=NOW)
    with pytest.raises(Usage, match="silence_matchers"):
        edit(silence(), NOW, matchers=())
    with pytest.raises(Usage, match="silence_comment"):
        edit(silence(), NOW, comment="")
    with pytest.raises(Usage, match="silence_times"):
        edit(silence(), NOW, starts_at=NOW + 2 * HOUR)
    assert edit(silence(), NOW, ends_at=NOW + SECOND).kept.ends_at == NOW + timedelta(seconds=1)
