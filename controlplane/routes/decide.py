"""THE routing decision: which routes an alert takes, who is told what of it now, why, and when to look again.

A pure function: production, `explain`, `simulate` and `replay-policy` call it, with whatever facts they have. All that
it remembers is in the `GroupState` that it returns, and is given with the next call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controlplane.alerts.model import Severity
from controlplane.contacts.model import Contact
from controlplane.routes import escalation, matching, telling
from controlplane.routes.holds import DROPS, View, shared, shown, view
from controlplane.routes.model import (
    AlertFacts,
    Decision,
    Facts,
    GroupState,
    Heard,
    Held,
    Notice,
    Route,
    RouteDecision,
    Stage,
)
from controlplane.routes.policy import rank
from controlplane.routes.reasons import REASONS, Reason
from controlplane.routes.telling import DEDUPED, Candidate, Group
from controlplane.text import clean


def decide(alert: AlertFacts, facts: Facts, at: datetime) -> Decision:
    """For one alert, after something happened to it or when it is time to look again."""
    tried = matching.tried(facts.routes, alert)
    by_id = {route.id: route for route in facts.routes}
    states = {}
    for route, fault in tried:
        if not fault:
            key = matching.group_key(route, alert)
            states[key] = facts.groups.get(key) or GroupState(route.id, key)
    for key, state in facts.groups.items():  # who was told on a route that it does not take any more hears the end
        if alert.id in state.alerts and state.route in by_id:
            states.setdefault(key, state)
    decided = tuple(
        decide_group(by_id[state.route], state, _with(facts.members.get(key, ()), alert), facts, at, alert.id)
        for key, state in states.items()
    )
    stages = tuple(matching.stage(route, fault) for route, fault in tried)
    return Decision(alert.id, at, stages, decided, shared(alert, facts, at))


def decide_group(
    route: Route, state: GroupState, members: Iterable[AlertFacts], facts: Facts, at: datetime, about: str = ""
) -> RouteDecision:
    """For one group of a route: `members` are its alerts that are not resolved, and those in `state.alerts`. `about`:
    the alert whose stages are wanted.
    """
    group = Group(route, state, dict(_views(route, state, members, facts, at)), at)
    asked_by = _asked_by(group)
    step = _escalate(group, facts, asked_by)
    talk = _Talk(group, facts, dict(state.heard), state.number)
    if route.target:
        in_vain = asked_by != "" and step is not None and not step.pages
        talk.to_target(newly_nobody=in_vain or (_nobody(step) and not _nobody(state)))
    talk.to_people(step.pages if step else ())
    run = step.run if step else _kept(group)
    held = dict(_held(group, talk.digested))
    after = replace(state, number=talk.number, heard=talk.heard, held=held, run=run)
    stages = [*group.views[about].stages] if about in group.views else []
    stages += [_grouping(group), *talk.stages, *_escalation_stages(group, run, step, facts)]
    return RouteDecision(route, tuple(stages), tuple(talk.notices), after, _next(group, after, step, facts))


def _with(members: Sequence[AlertFacts], alert: AlertFacts) -> list[AlertFacts]:
    return [*(each for each in members if each.id != alert.id), alert]


def _views(
    route: Route, state: GroupState, members: Iterable[AlertFacts], facts: Facts, at: datetime
) -> Iterator[tuple[str, View]]:
    owed = state.alerts
    told = {name for heard in state.heard.values() for name in heard.alerts}
    for alert in members:
        if alert.state == "resolved":
            if alert.id not in owed:
                continue
            takes = True  # for what is over, it is enough that somebody was told
        else:
            takes = route in matching.matched(facts.routes, alert) and matching.group_key(route, alert) == state.key
        seen = view(route, alert, facts, at, state.held.get(alert.id), alert.id in told)
        if not takes:
            stage = Stage("route", "hold", "it no longer takes this route", "not_matched")
            seen = replace(seen, hold="not_matched", stages=(stage, *seen.stages))
        yield alert.id, seen


def _held(group: Group, digested: Sequence[str]) -> Iterator[tuple[str, Held]]:
    """What is to be remembered of each alert that is not told now."""
    for name, seen in group.views.items():
        before = group.state.held.get(name)
        if seen.phase == "resolved":
            if before and name not in digested and group.missed(name):
                yield name, before
        elif seen.hold in DROPS and before and before.code in DROPS:
            yield name, Held(seen.hold, max(before.severity, seen.severity, key=rank))
        elif seen.hold or seen.phase == "acked":
            yield name, Held(seen.hold or "acked", seen.severity)


# The escalation


def _escalate(group: Group, facts: Facts, asked_by: str) -> escalation.Step | None:
    """None: there is none, it does not run, or it stands still."""
    policy, run, active = group.route.escalation, group.state.run, group.active
    if policy is None or not active:
        return None
    paged = {name for person, heard in group.state.heard.items() if person for name in heard.alerts}
    cause: Reason = "first_notification"
    if run is not None and run.state == "over" and any(each.alert.id not in paged for each in active):
        run = None
    if run is not None and run.state == "acked" and not asked_by:
        run = None
    if run is None:
        ended = (group.ended(each, told=False) for each in active)
        cause = next((reason for reason in ended if reason), cause)
        if cause == "first_notification" and group.at < _begins(group, facts):
            return None
    return escalation.step(policy, run, cause, group.at, facts.schedules, asked_by)


def _asked_by(group: Group) -> str:
    """Who asked for the next level since the escalation came to this one; "" when nobody did, or there is no other."""
    policy, run = group.route.escalation, group.state.run
    if policy is None or run is None or not escalation.goes_on(policy, run):
        return ""
    asked = [(each.alert.escalated_at, each.alert.escalated_by) for each in group.active if each.alert.escalated_at]
    at, by = max(asked, default=(run.since, ""))
    return by if at > run.since else ""


def _kept(group: Group) -> escalation.Run | None:
    """Where an escalation stands that does not run now. While somebody has all of it, it is kept in case that person
    escalates it; otherwise it begins again.
    """
    run = group.state.run
    if run is not None and not group.active and any(each.phase == "acked" for each in group.views.values()):
        return run if run.state == "acked" else replace(run, state="acked", since=group.at, asked_by="")
    return run if _frozen(group) else None


def _begins(group: Group, facts: Facts) -> datetime:
    """When an escalation begins that nothing held back: with the first notice, which may have to wait."""
    return _deduped(group, Candidate("first_notification", "trigger", max(group.at, group.waits_until)), facts).due


def _frozen(group: Group) -> bool:
    """Whether all that would be escalated is unknown: then the escalation stands still, and goes on afterwards."""
    return any(each.phase == "firing" and each.hold == "unknown" for each in group.views.values()) and not group.active


def _nobody(stands: escalation.Step | GroupState | None) -> bool:
    return stands is not None and stands.run is not None and stands.run.state == "nobody"


# What is told


@dataclass
class _Talk:
    """The notices of one decision, and what each listener then knows."""

    group: Group
    facts: Facts
    heard: dict[str, Heard]
    number: int

    def __post_init__(self) -> None:
        self.notices: list[Notice] = []
        self.stages: list[Stage] = []
        self.digested: list[str] = []

    def to_target(self, newly_nobody: bool) -> None:
        first = [Candidate("nobody_on_call", "trigger", self.group.at)] if newly_nobody else []
        found = [*first, *telling.candidates(self.group, self.heard.get(""))]
        found = [_deduped(self.group, each, self.facts) for each in found]
        self.stages += [_stage(each, self.group.at) for each in found]
        if not found:
            self.stages.append(Stage("told", "wait", "there is nothing new to tell", "nothing_new"))
        if chosen := next((each for each in found if each.due <= self.group.at), None):
            self.say("", chosen)
            self.digested = self.group.digest

    def to_people(self, pages: Sequence[escalation.Page]) -> None:
        paged = {page.person: page for page in pages}
        for person in sorted({*self.heard, *paged} - {""}):
            if page := paged.get(person):
                self.say(person, Candidate(page.reason, "trigger", self.group.at), page.level, page.by)
            elif chosen := next(telling.candidates(self.group, self.heard[person], person=True), None):
                self.say(person, chosen)

    def say(self, person: str, candidate: Candidate, level: int = 0, by: str = "") -> None:
        group, before = self.group, self.heard.get(person)
        after = telling.after(group, before, candidate)
        known = before.alerts if before else {}
        over = [name for name in known if name in group.views and group.views[name].phase == "resolved"]
        over += [name for name in group.digest if not person]
        told = [each.severity for each in (after.alerts or known).values()]
        severity: Severity = max(told or [group.views[name].severity for name in over], key=rank)
        contact = self.facts.contacts.get((person, group.route.channel)) if person else None
        if person:
            self.stages.append(_reached(group.route, person, contact))
        self.number += 1
        self.heard[person] = after
        self.notices.append(
            Notice(
                group.route.id,
                group.state.key,
                self.number,
                person,
                candidate.action,
                candidate.reason,
                severity,
                tuple(after.alerts),
                tuple(over),
                _dedupe_key(group, severity) if candidate.action == "trigger" and not person else "",
                level,
                contact.id if contact else 0,
                by,
            )
        )


def _dedupe_key(group: Group, severity: Severity) -> str:
    dedupe = group.route.policy.dedupe
    if dedupe is None:
        return ""
    alerts = [each.alert for each in group.views.values()]
    values = {
        "tenant_id": _common(each.tenant_id for each in alerts),
        "event_type": _common(each.kind for each in alerts),
        "severity": severity,
        "channel": group.route.channel,
        "route_id": str(group.route.id),
    }
    return dedupe.render(values)


def _common(values: Iterable[str]) -> str:
    """What all have; "" when they differ."""
    first, *others = {*values}
    return "" if others else first


def _deduped(group: Group, candidate: Candidate, facts: Facts) -> Candidate:
    """Put off until nothing with the same key was told lately."""
    dedupe = group.route.policy.dedupe
    if dedupe is None or candidate.reason not in DEDUPED:
        return candidate
    severity = max((each.severity for each in group.active), key=rank)
    last = facts.sent.get((group.route.id, _dedupe_key(group, severity)))
    if last is None or (until := last + timedelta(seconds=dedupe.ttl_seconds)) <= candidate.due:
        return candidate
    return replace(candidate, due=until, stage="dedupe")


# In words


def _stage(candidate: Candidate, at: datetime) -> Stage:
    words = REASONS[candidate.reason]
    if candidate.due <= at:
        return Stage(candidate.stage, "pass", words, candidate.reason)
    words = f"{words}; told at {shown(candidate.due)}"
    if candidate.stage == "dedupe":
        words += ", for the same key was told before"
    return Stage(candidate.stage, "wait", words, candidate.reason, candidate.due)


def _reached(route: Route, person: str, contact: Contact | None) -> Stage:
    who = clean(person, 60)
    if contact is None:
        words = f"{who} has no address for {route.channel}: told the route's target"
        return Stage("page", "pass", words, "no_address")
    return Stage("page", "pass", f"{who}: told at {route.channel} {clean(contact.target, 100)}", "own_address")


def _grouping(group: Group) -> Stage:
    if group.route.group_by is None:
        return Stage("grouping", "pass", "each alert by itself", "alone")
    some = next(iter(group.views.values()), None)
    labels = matching.group_labels(group.route, some.alert) if some else {}
    named = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    firing = sum(each.phase != "resolved" for each in group.views.values())
    return Stage("grouping", "pass", clean(f"{firing} with {named or 'anything'} in common", 400), "group")


def _escalation_stages(
    group: Group, run: escalation.Run | None, step: escalation.Step | None, facts: Facts
) -> list[Stage]:
    if group.route.escalation is None:
        return []
    if step is not None:
        words = "; ".join(step.words)
        return [Stage("escalation", "pass" if step.pages else "wait", words, step.run.state, step.next_at)]
    if _frozen(group) and group.state.run:
        return [Stage("escalation", "wait", "it waits while its source is silent", "unknown")]
    if group.active:
        return [Stage("escalation", "wait", "it begins when the group is told", "waits", _begins(group, facts))]
    if run is not None and run.state == "acked":
        return [Stage("escalation", "hold", f"it is at level {run.level + 1} while somebody has it", "acked")]
    return [Stage("escalation", "hold", "there is nobody to page for it now", "stopped")]


def _next(group: Group, after: GroupState, step: escalation.Step | None, facts: Facts) -> datetime | None:
    """When to look again, if nothing happens before."""
    then = replace(group, state=after)
    times = [
        edge
        for name, seen in group.views.items()
        if seen.phase != "resolved" or name in after.held
        for edge in seen.changes
    ]
    if group.route.target:
        told: Mapping[str, Heard] = after.heard
        times += [_deduped(then, each, facts).due for each in telling.candidates(then, told.get(""))]
    if step is not None and step.next_at is not None:
        times.append(step.next_at)
    if step is None and group.route.escalation and group.active:
        times.append(_begins(group, facts))
    return min(times, default=None)
