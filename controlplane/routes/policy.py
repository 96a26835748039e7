"""The policy of a route: the language of the older system's `metadata.policy`, and what is added to it.

`severity_thresholds`, `quiet_windows` and `dedupe` mean what they meant there. Where this departs from it, and why:

- A zone, time, day, mode, key, event type or placeholder that is not known is refused, and the field is named. There it
  became UTC, midnight, "suppress", nothing: a window that was quiet at the wrong hours, and nobody was told.
- A number that is not whole or out of its range is refused. There it was cut and clamped.
- `end` may be "24:00". There that was invalid, and happened to mean the same.
- A window past midnight belongs to the day on which it began. There its second half was tested against the next day,
  so "Saturday 22:00 to 06:00" was quiet early on Saturday, and not early on Sunday.
- 00:30 is 00:30. There the hour after midnight was evaluated as 23:00 to 23:59.
- Counts that an alert does not have leave it as it is. There they were 0, and the event was dropped.
- Without `dedupe` nothing is deduplicated. There a default held back every second event of a type of a tenant for 30
  minutes; here an alert has an identity, and a second one is other news. A key's placeholder for the severity is the
  one after thresholds and windows, as there.
- Our severities `info` and `error` lie between the two that it knew: `warning_only` lowers an error too.

Added: `break_through` and `on_end` of a window, `inhibit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from controlplane.alerts.model import SEVERITIES, Severity
from controlplane.errors import Refusal
from controlplane.matchers import Matcher, match_all, parse_matchers
from controlplane.weekly import MINUTES_A_DAY, Hours
from controlplane.zones import zone_of

MAX_WINDOWS, MAX_INHIBITIONS, MAX_EQUAL, MAX_KEY = 50, 50, 20, 200
MIN_TTL, MAX_TTL, DEFAULT_TTL = 60, 604_800, 1800
MAX_COUNT = 1_000_000_000
DEFAULT_KEY = "{{tenant_id}}:{{event_type}}:{{severity}}:{{route_id}}"
PLACEHOLDERS = ("tenant_id", "event_type", "severity", "channel", "route_id")
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")

Details = Mapping[str, Any]
Levels = dict[Severity, bool]
"""Whether the limit of each severity is reached, the highest first."""


class Written:
    """What people write: an unknown key is refused, by pydantic, which only `reading` imports."""

    __slots__ = ()
    __pydantic_config__ = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Counted:
    """What thresholds make of an alert. `severity` None: it is below all of them. `words`: what was counted."""

    severity: Severity | None
    words: str


@dataclass(frozen=True, slots=True)
class _Thresholds(Written):
    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not isinstance(value, bool) and not 1 <= value <= MAX_COUNT:
                raise ValueError(f"{field.name}: a whole number from 1 to {MAX_COUNT:,}")


@dataclass(frozen=True, slots=True)
class UsageThresholds(_Thresholds):
    critical_anomalies: int | None = None
    warning_anomalies: int = 1

    def judge(self, details: Details) -> Counted | None:
        """None: the counts are not there."""
        anomalies = count_of(details, "anomalies_count")
        if anomalies is None:
            return None
        levels: Levels = {
            "critical": reached(anomalies, self.critical_anomalies),
            "warning": anomalies >= self.warning_anomalies,
        }
        return _highest(levels, f"{anomalies:,} anomalies")


@dataclass(frozen=True, slots=True)
class RotationThresholds(_Thresholds):
    critical_stale_count: int = 1
    warning_stale_count: int = 1
    warning_no_recent_rotation: bool = True

    def judge(self, details: Details) -> Counted | None:
        stale = count_of(details, "stale_count_for_tenant")
        if stale is None:
            return None
        unrotated = bool(details.get("tenant_without_recent_rotation"))
        levels: Levels = {
            "critical": stale >= self.critical_stale_count,
            "warning": stale >= self.warning_stale_count or (unrotated and self.warning_no_recent_rotation),
        }
        return _highest(levels, f"{stale:,} stale keys{', none rotated lately' if unrotated else ''}")


@dataclass(frozen=True, slots=True)
class PublishThresholds(_Thresholds):
    critical_signals: int = 1
    warning_signals: int = 1
    critical_dead_letter_backlog: int | None = None

    def judge(self, details: Details) -> Counted | None:
        criticals = count_of(details, "critical_signal_count")
        warnings = count_of(details, "warning_signal_count")
        backlog = count_of(details, "dead_letter_backlog")
        if criticals is None or warnings is None or (backlog is None and self.critical_dead_letter_backlog is not None):
            return None
        levels: Levels = {
            "critical": criticals >= self.critical_signals or reached(backlog, self.critical_dead_letter_backlog),
            "warning": warnings >= self.warning_signals,
        }
        dead = "" if backlog is None else f", {backlog:,} dead letters"
        return _highest(levels, f"{criticals:,} critical and {warnings:,} warning signals{dead}")


@dataclass(frozen=True, slots=True)
class SeverityThresholds(Written):
    """By event type; None: events of that type pass unchanged, as those of all other types do."""

    key_usage_anomaly: UsageThresholds | None = None
    key_rotation_sla_failed: RotationThresholds | None = None
    incident_publish_slo_degraded: PublishThresholds | None = None

    def of(self, event_type: str) -> UsageThresholds | RotationThresholds | PublishThresholds | None:
        known = {field.name for field in fields(self)}
        return getattr(self, event_type) if event_type in known else None


@dataclass(frozen=True, slots=True)
class QuietWindow(Written):
    """`days`: Sunday is 0. The same start and end: the whole day. "suppress" tells nothing, "warning_only" at most a
    warning. From the severity `break_through` on, an alert is told all the same.

    `on_end` of a window that suppresses: "reevaluate" tells what still fires then; "digest" also what came and went in
    it; "drop" never tells what fired in it, unless it gets worse.
    """

    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start: str = "00:00"
    end: str = "24:00"
    timezone: str = "UTC"
    mode: Literal["suppress", "warning_only"] = "suppress"
    break_through: Severity | None = None
    on_end: Literal["reevaluate", "digest", "drop"] = "reevaluate"

    def __post_init__(self) -> None:
        if not self.days or not all(0 <= day <= 6 for day in self.days):
            raise ValueError("days: one or more of 0 (Sunday) to 6 (Saturday)")
        for name, value in (("start", self.start), ("end", self.end)):
            if not _TIME.fullmatch(value) and (name, value) != ("end", "24:00"):
                raise ValueError(f'{name}: "{value[:20]}" is not a time of day: write 22:00')
        try:
            zone_of(self.timezone)
        except Refusal as fault:
            raise ValueError(f"timezone: {fault.message}") from None

    @property
    def hours(self) -> Hours:
        days = frozenset((day - 1) % 7 for day in self.days)
        return Hours(days, _minutes(self.start), _minutes(self.end))


@dataclass(frozen=True, slots=True)
class Dedupe(Written):
    """Nothing with the same key is told twice on a route within so many seconds."""

    key: str = DEFAULT_KEY
    ttl_seconds: int = DEFAULT_TTL

    def __post_init__(self) -> None:
        if not 1 <= len(self.key) <= MAX_KEY:
            raise ValueError(f"key: 1 to {MAX_KEY} characters")
        for name in _PLACEHOLDER.findall(self.key):
            if name not in PLACEHOLDERS:
                raise ValueError(f"key: there is no {{{{{name[:40]}}}}}, only {', '.join(PLACEHOLDERS)}")
        if not MIN_TTL <= self.ttl_seconds <= MAX_TTL:
            raise ValueError(f"ttl_seconds: a whole number from {MIN_TTL} to {MAX_TTL:,}")

    def render(self, values: Mapping[str, str]) -> str:
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.key)


@dataclass(frozen=True, slots=True)
class Inhibition(Written):
    """While an alert fires that `source` matches, those that `target` matches are not told, if the labels `equal` are
    the same in both (missing is the same as empty). An alert that both match is not inhibited by another such one, so
    never by itself. Matchers as in `team="db", env!="prod"`.
    """

    source: str
    target: str
    equal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.equal) > MAX_EQUAL:
            raise ValueError(f"equal: at most {MAX_EQUAL} labels")
        for name in ("source", "target"):
            try:
                if not parse_matchers(getattr(self, name)):
                    raise ValueError(f"{name}: at least one matcher")
            except Refusal as fault:
                raise ValueError(f"{name}: {fault.message}") from None

    def holds(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        """Whether an alert with the labels `source` inhibits one with the labels `target`."""
        sources, targets = self.matchers
        return (
            match_all(sources, source)
            and match_all(targets, target)
            and not (match_all(targets, source) and match_all(sources, target))
            and self.equals(source) == self.equals(target)
        )

    def equals(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(label, "") for label in self.equal)

    @property
    def matchers(self) -> tuple[tuple[Matcher, ...], tuple[Matcher, ...]]:
        return parse_matchers(self.source), parse_matchers(self.target)


@dataclass(frozen=True, slots=True)
class Policy(Written):
    """Of the quiet windows, the first counts that an alert falls into."""

    severity_thresholds: SeverityThresholds = SeverityThresholds()
    quiet_windows: tuple[QuietWindow, ...] = ()
    dedupe: Dedupe | None = None
    inhibit: tuple[Inhibition, ...] = ()

    def __post_init__(self) -> None:
        if len(self.quiet_windows) > MAX_WINDOWS:
            raise ValueError(f"quiet_windows: at most {MAX_WINDOWS}")
        if len(self.inhibit) > MAX_INHIBITIONS:
            raise ValueError(f"inhibit: at most {MAX_INHIBITIONS}")


NO_POLICY = Policy()


def rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def count_of(details: Details, name: str) -> int | None:
    value = details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def reached(count: int | None, limit: int | None) -> bool:
    return count is not None and limit is not None and count >= limit


def _highest(levels: Levels, words: str) -> Counted:
    return Counted(next((severity for severity, over in levels.items() if over), None), words)


def _minutes(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    return (hours * 60 + minutes) % MINUTES_A_DAY if text != "24:00" else MINUTES_A_DAY
