"""Why one alert is told or not told on one route at a time: each question that is asked of it, with its answer.

The order is that of the older system's policy (thresholds, then windows), with what was added before the windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from controlplane.alerts.model import Severity
from controlplane.matchers import match_all
from controlplane.objectives.model import Maintenance
from controlplane.routes import windows
from controlplane.routes.model import AlertFacts, Facts, Held, Phase, Route, Stage
from controlplane.routes.policy import Counted, QuietWindow, rank
from controlplane.silences.model import Silence
from controlplane.silences.rules import hides
from controlplane.text import clean
from controlplane.zones import zone_of

Labels = Mapping[str, str]
DROPS = ("quiet_drop", "quiet_dropped")
_SUPPRESSED = {"reevaluate": "quiet_window", "digest": "quiet_digest", "drop": "quiet_drop"}


@dataclass(frozen=True, slots=True)
class View:
    """An alert as a route sees it. `severity`: after thresholds and windows. `hold`: the code of the first stage that
    holds it; "" when nothing does. `changes`: times at which some of it may change by itself.
    """

    alert: AlertFacts
    phase: Phase
    severity: Severity
    hold: str
    stages: tuple[Stage, ...]
    changes: tuple[datetime, ...]

    @property
    def active(self) -> bool:
        return self.phase == "firing" and not self.hold


def view(route: Route, alert: AlertFacts, facts: Facts, at: datetime, held: Held | None, told: bool) -> View:
    """`held`: why it was not told before. `told`: somebody was told of it on this route, and not yet of its end."""
    counted = _counted(route, alert)
    severity = alert.severity if counted is None or counted.severity is None else counted.severity
    labels = alert.all_labels
    found = windows.in_window(route.policy.quiet_windows, at)
    if found and found[0].mode == "warning_only" and not _breaks_through(found[0], severity):
        severity = min(severity, "warning", key=rank)
    stages = (
        _source(alert),
        _thresholds(alert, counted),
        _maintenance(alert, facts, at),
        _inhibition(route, labels, alert, facts),
        _silence(labels, facts, at),
        _quiet(route, found, severity, at, dropped=not told and _is_dropped(held, severity)),
        _urgency(route),
        _phase(alert, at),
    )
    hold = next((stage.code for stage in stages if stage.verdict == "hold"), "")
    changes = {*_changes(route, labels, alert, facts, at), *(stage.until for stage in stages if stage.until)}
    return View(alert, alert.phase(at), severity, hold, stages, tuple(each for each in changes if each > at))


def shared(alert: AlertFacts, facts: Facts, at: datetime) -> tuple[Stage, Stage]:
    """The questions whose answer is the same for every route, and where no route takes it."""
    return _maintenance(alert, facts, at), _silence(alert.all_labels, facts, at)


def shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _changes(route: Route, labels: Labels, alert: AlertFacts, facts: Facts, at: datetime) -> Iterator[datetime]:
    """When a silence, a maintenance, a window or an acknowledgement begins or ends. The beginning too: what was held is
    told at the end only if it was seen to be held.
    """
    for silence in facts.silences:
        if silence.until > at and match_all(silence.matchers, labels):
            yield from (silence.starts_at, silence.until)
    for maintenance in facts.maintenance:
        if maintenance.until > at and concerns(maintenance, alert):
            yield from (maintenance.starts_at, maintenance.until)
    for window in route.policy.quiet_windows:
        if edge := window.hours.next_change(at, zone_of(window.timezone)):
            yield edge
    if alert.state == "acked" and alert.acked_until:
        yield alert.acked_until


def _source(alert: AlertFacts) -> Stage:
    if alert.unknown_since is None:
        return Stage("source", "pass", "its source answers", "known")
    words = f"its source has been silent since {shown(alert.unknown_since)}: unknown, so nobody is told"
    return Stage("source", "hold", words, "unknown")


def _counted(route: Route, alert: AlertFacts) -> Counted | None:
    thresholds = route.policy.severity_thresholds.of(alert.kind)
    return thresholds.judge(alert.details) if thresholds else None


def _thresholds(alert: AlertFacts, counted: Counted | None) -> Stage:
    if counted is None:
        return Stage("severity", "pass", f"{alert.severity}: no threshold of the route counts for it", alert.severity)
    if counted.severity is None:
        return Stage("severity", "hold", f"{counted.words}: below the route's thresholds", "severity_threshold")
    return Stage("severity", "pass", f"{counted.words}: {counted.severity}", counted.severity)


def concerns(maintenance: Maintenance, alert: AlertFacts) -> bool:
    """Whether a planned maintenance is about what the alert is about."""
    return (
        maintenance.tenant_id in (None, alert.tenant_id)
        and maintenance.plan in (None, alert.plan)
        and maintenance.route in (None, alert.labels.get("route"))
    )


def _maintenance(alert: AlertFacts, facts: Facts, at: datetime) -> Stage:
    for each in facts.maintenance:
        if each.starts_at <= at < each.until and concerns(each, alert):
            words = f"planned maintenance {each.id} until {shown(each.until)}: {clean(each.reason, 200)}"
            return Stage("maintenance", "hold", words, "maintenance", each.until)
    return Stage("maintenance", "pass", "none is on", "no_maintenance")


def _inhibition(route: Route, labels: Labels, alert: AlertFacts, facts: Facts) -> Stage:
    for rule in route.policy.inhibit:
        if source := facts.inhibitor(rule, alert.id, labels):
            words = f"alert {clean(source.id, 60)} ({clean(source.kind, 60)}) fires, which inhibits it"
            return Stage("inhibition", "hold", words, "inhibited")
    return Stage("inhibition", "pass", "nothing inhibits it", "not_inhibited")


def _silence(labels: Labels, facts: Facts, at: datetime) -> Stage:
    found = [each for each in facts.silences if hides(each, labels, at)]
    if not found:
        return Stage("silence", "pass", "none hides it", "not_silenced")
    last = max(found, key=lambda silence: (silence.until, silence.id))
    return Stage("silence", "hold", _silence_words(last), "silenced", last.until)


def _silence_words(silence: Silence) -> str:
    end = {"time": "", "resolved": " or until it is resolved", "unmatched": " or until it has nothing to hide"}
    by = f"{clean(silence.created_by, 60)}: {clean(silence.comment, 200)}"
    return f"silence {silence.id} until {shown(silence.until)}{end[silence.ends]}, by {by}"


def _breaks_through(window: QuietWindow, severity: Severity) -> bool:
    return window.break_through is not None and rank(severity) >= rank(window.break_through)


def _quiet(
    route: Route, found: tuple[QuietWindow, date] | None, severity: Severity, at: datetime, *, dropped: bool
) -> Stage:
    if found and found[0].mode == "suppress" and not _breaks_through(found[0], severity):
        until = found[0].hours.next_change(at, zone_of(found[0].timezone))
        return Stage("quiet window", "hold", windows.words(*found), _SUPPRESSED[found[0].on_end], until)
    if dropped:
        words = "it fired in a quiet window whose alerts are dropped, and did not get worse since"
        return Stage("quiet window", "hold", words, "quiet_dropped")
    if found is None:
        extra = windows.odd_today(route.policy.quiet_windows, at)
        return Stage("quiet window", "pass", f"it is in none ({extra})" if extra else "it is in none", "not_quiet")
    through = _breaks_through(found[0], severity)
    words = f"{windows.words(*found)}: {severity} breaks through" if through else f"{windows.words(*found)}: {severity}"
    return Stage("quiet window", "pass", words, "breaks_through" if through else "warning_only")


def _is_dropped(held: Held | None, severity: Severity) -> bool:
    return held is not None and held.code in DROPS and rank(severity) <= rank(held.severity)


def _urgency(route: Route) -> Stage:
    if route.urgency == "low":
        return Stage("urgency", "hold", "the route's urgency is low: it is recorded, but nobody is told", "low_urgency")
    return Stage("urgency", "pass", "high", "high_urgency")


def _phase(alert: AlertFacts, at: datetime) -> Stage:
    phase = alert.phase(at)
    if phase == "acked":
        until = f"until {shown(alert.acked_until)}" if alert.acked_until else "until it is resolved"
        return Stage("state", "wait", f"somebody has it {until}", "acked", alert.acked_until)
    words = {"firing": "it fires, and nobody has it", "resolved": "it is resolved"}[phase]
    return Stage("state", "pass", words, phase)
