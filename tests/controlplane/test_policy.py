"""The policy of a route: the older system's language, what is refused of it, and what was added."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from controlplane.errors import Usage
from controlplane.routes.policy import NO_POLICY, Counted, Inhibition, Policy, QuietWindow
from controlplane.routes.policy_words import escalation_lines, policy_lines
from controlplane.routes.reading import read_escalation, read_policy
from controlplane.routes.windows import in_window, odd_days, words

Thresholds = dict[str, Any]


def judged(event: str, thresholds: Thresholds, **details: Any) -> str | None:
    """The severity, "dropped", or None where nothing is judged."""
    found = read_policy({"severity_thresholds": {event: thresholds}}).severity_thresholds.of(event)
    counted = found.judge(details) if found else None
    return counted and (counted.severity or "dropped")


@pytest.mark.parametrize(
    ("thresholds", "count", "expected"),
    [
        ({"critical_anomalies": 5}, 5, "critical"),
        ({"critical_anomalies": 5}, 4, "warning"),
        ({"critical_anomalies": 5}, 1, "warning"),
        ({"critical_anomalies": 5}, 0, "dropped"),
        ({"warning_anomalies": 3}, 2, "dropped"),
        ({"warning_anomalies": 3}, 1_000_000, "warning"),
        ({"critical_anomalies": 2, "warning_anomalies": 3}, 2, "critical"),
        ({"critical_anomalies": 5}, None, None),
        ({"critical_anomalies": 5}, True, None),
        ({}, 0, None),
    ],
)
def test_thresholds_of_anomalies(thresholds: Thresholds, count: int | None, expected: str | None) -> None:
    assert judged("key_usage_anomaly", thresholds, anomalies_count=count) == expected


@pytest.mark.parametrize(
    ("thresholds", "stale", "unrotated", "expected"),
    [
        ({"critical_stale_count": 1}, 1, None, "critical"),
        ({"critical_stale_count": 3}, 2, None, "warning"),
        ({"critical_stale_count": 3, "warning_stale_count": 3}, 2, None, "dropped"),
        ({"critical_stale_count": 3}, 0, {"tenant_id": "acme"}, "warning"),
        ({"warning_no_recent_rotation": False}, 0, {"tenant_id": "acme"}, "dropped"),
        ({"warning_no_recent_rotation": "false"}, 0, {"tenant_id": "acme"}, "dropped"),
        ({"warning_no_recent_rotation": "true"}, 0, {"tenant_id": "acme"}, "warning"),
        ({"critical_stale_count": 3}, 0, None, "dropped"),
        ({"critical_stale_count": 3}, None, {"tenant_id": "acme"}, None),
    ],
)
def test_thresholds_of_rotation(
    thresholds: Thresholds, stale: int | None, unrotated: Any, expected: str | None
) -> None:
    details = {"stale_count_for_tenant": stale, "tenant_without_recent_rotation": unrotated}
    assert judged("key_rotation_sla_failed", thresholds, **details) == expected


@pytest.mark.parametrize(
    ("thresholds", "counts", "expected"),
    [
        ({"critical_signals": 2}, (2, 0, 0), "critical"),
        ({"critical_signals": 2}, (1, 1, 0), "warning"),
        ({"critical_signals": 2, "warning_signals": 2}, (1, 1, 0), "dropped"),
        ({"critical_dead_letter_backlog": 10}, (0, 0, 10), "critical"),
        ({"critical_dead_letter_backlog": 10}, (0, 0, 9), "dropped"),
        ({"critical_signals": 2}, (0, 0, 10**6), "dropped"),
        ({"critical_signals": 2}, (2, 0, None), "critical"),
        ({"critical_dead_letter_backlog": 10}, (5, 0, None), None),
        ({"critical_signals": 2}, (None, 0, 0), None),
        ({"critical_signals": 2}, (0, None, 0), None),
    ],
)
def test_thresholds_of_publishing(thresholds: Thresholds, counts: tuple[int | None, ...], expected: str | None) -> None:
    names = ("critical_signal_count", "warning_signal_count", "dead_letter_backlog")
    details = dict(zip(names, counts, strict=True))
    assert judged("incident_publish_slo_degraded", thresholds, **details) == expected


def test_what_was_counted_is_said() -> None:
    thresholds = read_policy({"severity_thresholds": {"key_rotation_sla_failed": {"critical_stale_count": 2}}})
    found = thresholds.severity_thresholds.of("key_rotation_sla_failed")
    details = {"stale_count_for_tenant": 1204, "tenant_without_recent_rotation": {"tenant_id": "acme"}}
    assert found and found.judge(details) == Counted("critical", "1,204 stale keys, none rotated lately")
    assert thresholds.severity_thresholds.of("burn_rate") is None
    assert NO_POLICY.severity_thresholds.of("key_usage_anomaly") is None


# What is refused, with the field's name, where the older system went on with a default


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"quiet_window": []}, "quiet_window: there is no such field"),
        ({"quiet_windows": [{}, {"start": "24:00"}]}, 'quiet_windows.1.start: "24:00" is not a time of day'),
        ({"quiet_windows": [{"end": "25:00"}]}, 'quiet_windows.0.end: "25:00" is not a time of day: write 22:00'),
        ({"quiet_windows": [{"end": "22"}]}, "quiet_windows.0.end"),
        ({"quiet_windows": [{"start": "22:60"}]}, "quiet_windows.0.start"),
        (
            {"quiet_windows": [{"timezone": "Mars/Olympus"}]},
            "quiet_windows.0.timezone: This machine knows no time zone",
        ),
        ({"quiet_windows": [{"timezone": "../etc/passwd"}]}, "quiet_windows.0.timezone"),
        ({"quiet_windows": [{"days": [7]}]}, "quiet_windows.0.days: one or more of 0 (Sunday) to 6"),
        ({"quiet_windows": [{"days": []}]}, "quiet_windows.0.days"),
        ({"quiet_windows": [{"days": ["mon"]}]}, "quiet_windows.0.days.0"),
        ({"quiet_windows": [{"mode": "loud"}]}, "quiet_windows.0.mode"),
        ({"quiet_windows": [{"tz": "UTC"}]}, "quiet_windows.0.tz: there is no such field"),
        ({"quiet_windows": [{"break_through": "fatal"}]}, "quiet_windows.0.break_through"),
        ({"quiet_windows": [{}] * 51}, "quiet_windows: at most 50"),
        ({"severity_thresholds": {"burn_rate": {"critical": 1}}}, "severity_thresholds.burn_rate: there is no such"),
        ({"severity_thresholds": {"burn_rate": {}}}, "severity_thresholds.burn_rate: there is no such"),
        (
            {"severity_thresholds": {"key_usage_anomaly": {"critical_anomalies": 2.7}}},
            "critical_anomalies: Input should",
        ),
        ({"severity_thresholds": {"key_usage_anomaly": {"critical_anomalies": 0}}}, "a whole number from 1 to"),
        ({"severity_thresholds": {"key_usage_anomaly": {"warning_anomalies": 10**10}}}, "a whole number from 1 to"),
        ({"dedupe": {"ttl_seconds": 59}}, "dedupe.ttl_seconds: a whole number from 60 to 604,800"),
        ({"dedupe": {"ttl_seconds": 604_801}}, "dedupe.ttl_seconds"),
        ({"dedupe": {"key": "{{tenant}}"}}, "dedupe.key: there is no {{tenant}}, only tenant_id, event_type"),
        ({"dedupe": {"key": ""}}, "dedupe.key: 1 to 200"),
        ({"dedupe": {"key": "x" * 201}}, "dedupe.key: 1 to 200"),
        ({"inhibit": [{"source": "a", "target": 'a="b"'}]}, "inhibit.0.source: From here on these are no matchers: a"),
        ({"inhibit": [{"source": 'a="b"', "target": ""}]}, "inhibit.0.target: at least one matcher"),
        ({"inhibit": [{"source": 'a="b"'}]}, "inhibit.0.target: is missing"),
        ({"inhibit": [{"source": 'a="b"', "target": 'a="c"', "equal": ["x"] * 21}]}, "inhibit.0.equal"),
        ({"inhibit": [{"source": 'a="b"', "target": 'a="c"'}] * 51}, "inhibit: at most 50"),
        ({"quiet_windows": [{"mode": "\x1b[2J"}]}, "quiet_windows.0.mode"),
        ("policy", "policy: Input should be"),
    ],
)
def test_what_is_wrong_is_refused_and_named(document: Any, says: str) -> None:
    with pytest.raises(Usage) as refused:
        read_policy(document)
    assert says in refused.value.message and refused.value.code == "policy_invalid" and refused.value.why
    assert refused.value.message.isprintable()


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(Usage) as refused:
        read_policy({"quiet_windows": [{"start": "x"}, {"timezone": "y"}], "dedupe": {"ttl_seconds": 1}})
    assert [each.split(":")[0] for each in refused.value.why] == [
        "quiet_windows.0.start",
        "quiet_windows.1.timezone",
        "dedupe.ttl_seconds",
    ]


def test_escalations_are_read_the_same_way() -> None:
    level = {"targets": [{"kind": "person", "name": "ana"}]}
    assert read_escalation({"levels": [level], "repeat": 9}).levels[0].minutes == 5
    for document, says in (
        ({"levels": []}, "levels: 1 to 20"),
        ({"levels": [level] * 21}, "levels: 1 to 20"),
        ({"levels": [level], "repeat": 10}, "repeat: 0 to 9"),
        ({"levels": [{"targets": []}]}, "levels.0.targets: 1 to 20"),
        ({"levels": [level | {"minutes": 0}]}, "levels.0.minutes: 1 to 1,440"),
        ({"levels": [level | {"minutes": 1441}]}, "levels.0.minutes: 1 to 1,440"),
        ({"levels": [{"targets": [{"kind": "team", "name": "db"}]}]}, "levels.0.targets.0.kind"),
        ({"levels": [{"targets": [{"kind": "person", "name": ""}]}]}, "levels.0.targets.0.name"),
        ({"levels": [level], "loop": True}, "loop: there is no such field"),
    ):
        with pytest.raises(Usage) as refused:
            read_escalation(document)
        assert says in refused.value.message and refused.value.code == "escalation_invalid"


# What is taken as it is


def test_a_policy_of_the_older_system_is_read_unchanged() -> None:
    policy = read_policy(
        {
            "severity_thresholds": {
                "key_usage_anomaly": {"critical_anomalies": 10, "warning_anomalies": 2},
                "key_rotation_sla_failed": {"warning_no_recent_rotation": "true"},
                "incident_publish_slo_degraded": {},
            },
            "quiet_windows": [
                {"days": [0, 6], "start": "22:00", "end": "6:30", "timezone": "Asia/Seoul", "mode": "warning_only"},
                {"start": "00:00", "end": "24:00"},
            ],
            "dedupe": {"key": "{{tenant_id}}/{{ event_type }}/{{channel}}", "ttl_seconds": 3600},
        }
    )
    assert policy.severity_thresholds.incident_publish_slo_degraded is None  # empty: events pass unchanged
    weekend = policy.quiet_windows[0].hours
    assert weekend.days == {5, 6} and (weekend.start, weekend.end) == (1320, 390)
    assert policy.quiet_windows[1] == QuietWindow() and policy.dedupe
    values = {"tenant_id": "acme", "event_type": "burn_rate", "channel": "webhook"}
    assert policy.dedupe.render(values) == "acme/burn_rate/webhook"
    assert read_policy({"dedupe": {}}).dedupe and read_policy({}) == Policy() == NO_POLICY


def test_a_value_in_a_key_is_not_read_as_a_placeholder() -> None:
    dedupe = read_policy({"dedupe": {"key": "{{tenant_id}}:{{severity}}"}}).dedupe
    assert dedupe and dedupe.render({"tenant_id": "{{severity}}\\1", "severity": "error"}) == "{{severity}}\\1:error"


# Quiet windows


def window(**fields: Any) -> QuietWindow:
    return QuietWindow(**fields)


def test_the_hour_after_midnight_is_that_hour() -> None:
    late, early = window(start="23:00", end="24:00"), window(start="00:00", end="01:00")
    half_past = datetime(2026, 6, 3, 0, 30, tzinfo=UTC)
    assert in_window([late, early], half_past) == (early, date(2026, 6, 3))


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_began() -> None:
    saturday = window(days=(6,), start="22:00", end="06:00")
    assert in_window([saturday], datetime(2026, 6, 7, 3, tzinfo=UTC)) == (saturday, date(2026, 6, 6))
    assert in_window([saturday], datetime(2026, 6, 6, 3, tzinfo=UTC)) is None


def test_the_first_window_counts() -> None:
    first, second = window(mode="warning_only"), window()
    assert in_window([first, second], datetime(2026, 6, 3, 3, tzinfo=UTC)) == (first, date(2026, 6, 3))
    assert in_window([], datetime(2026, 6, 3, 3, tzinfo=UTC)) is None


def test_how_long_a_window_really_is_that_night_is_said() -> None:
    early = window(start="02:00", end="03:00", timezone="America/New_York")
    assert words(early, date(2026, 3, 7)) == "02:00–03:00 America/New_York, 1h"
    assert words(early, date(2026, 3, 8)) == (
        "02:00–03:00 America/New_York, 1h; on 2026-03-08 it lasts 0 minutes, not 60, for the clocks go forward"
    )
    twice = window(start="01:00", end="02:00", timezone="America/New_York")
    assert words(twice, date(2026, 11, 1)).endswith(
        "on 2026-11-01 it lasts 120 minutes, not 60, for the clocks go back"
    )


def test_the_odd_days_of_the_next_year_are_known_before_it_is_saved() -> None:
    night = window(start="22:00", end="06:00", timezone="Europe/Berlin")
    days = list(odd_days(night, date(2026, 1, 1)))
    assert [day for day, _ in days] == [date(2026, 3, 28), date(2026, 10, 24)]
    assert "420 minutes, not 480" in days[0][1] and "540 minutes, not 480" in days[1][1]
    mondays = window(days=(1,), start="22:00", end="06:00", timezone="Europe/Berlin")
    assert list(odd_days(mondays, date(2026, 1, 1))) == [] == list(odd_days(window(), date(2026, 1, 1)))


# Inhibition


def test_inhibition_needs_both_sides_and_equal_labels() -> None:
    rule = Inhibition('kind="worker_missing"', 'kind=~"rollup.*"', ("tenant", "region"))
    source = {"kind": "worker_missing", "tenant": "acme"}
    assert rule.holds(source, {"kind": "rollup_behind", "tenant": "acme", "region": ""})  # missing is empty
    assert not rule.holds(source, {"kind": "rollup_behind", "tenant": "globex"})
    assert not rule.holds(source, {"kind": "burn_rate", "tenant": "acme"})
    assert not rule.holds({"kind": "rollup_behind", "tenant": "acme"}, {"kind": "rollup_behind", "tenant": "acme"})


def test_what_both_sides_match_is_not_inhibited_by_its_like() -> None:
    rule = Inhibition('severity="critical"', 'tenant="acme"')
    both = {"severity": "critical", "tenant": "acme"}
    assert not rule.holds(both, both)
    assert rule.holds(both, {"severity": "warning", "tenant": "acme"})
    assert rule.holds({"severity": "critical", "tenant": "globex"}, both)


def test_a_policy_and_an_escalation_in_words() -> None:
    policy = read_policy(
        {
            "severity_thresholds": {
                "key_usage_anomaly": {"critical_anomalies": 5},
                "key_rotation_sla_failed": {"critical_stale_count": 3, "warning_no_recent_rotation": False},
            },
            "quiet_windows": [
                {"days": [1, 2, 3, 4, 5], "start": "22:00", "end": "06:00", "timezone": "Europe/Berlin",
                 "break_through": "critical", "on_end": "digest"},
                {"days": [6, 3], "start": "09:00", "end": "09:00", "mode": "warning_only"},
            ],
            "dedupe": {"key": "{{tenant_id}}:{{event_type}}", "ttl_seconds": 600},
            "inhibit": [{"source": 'kind="worker_missing"', "target": 'kind="burn_rate"', "equal": ["tenant"]}],
        }
    )  # fmt: skip
    assert [*policy_lines(policy)] == [
        "key_usage_anomaly: critical from 5 anomalies, warning from 1 anomalies",
        "key_rotation_sla_failed: critical from 3 stale, warning from 1 stale",
        "quiet Mon to Fri, 22:00 to 06:00, Europe/Berlin: nobody is told, but from critical on;"
        " at its end one notice says what still fires, and what came and went",
        "quiet Wed, Sat, all day, UTC: at most a warning",
        "one notice within 10m for each {{tenant_id}}:{{event_type}}",
        'while kind="worker_missing" fires, kind="burn_rate" with the same tenant is not told',
    ]
    assert [*policy_lines(NO_POLICY)] == []
    levels = [
        {"targets": [{"kind": "person", "name": "ana"}, {"kind": "schedule", "name": "primary"}], "minutes": 90},
        {"targets": [{"kind": "person", "name": "b\u202een"}]},
    ]
    assert [*escalation_lines(read_escalation({"levels": levels, "repeat": 1}))] == [
        "level 1: ana, who is on call by primary; 1h 30m to take it",
        "level 2: b�en; 5m to take it",
        "then again from level 1, 1 time",
    ]
