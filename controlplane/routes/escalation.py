"""Who is paged when nobody acknowledges: levels with a time limit, each with people and schedules.

`step` is a pure function of the policy, of where the escalation stands, and of the time. It goes one level at a time:
when nobody looked for a while, the next level is paged, not all that would have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from controlplane.routes.policy import Written
from controlplane.routes.reasons import Reason
from controlplane.schedules import rules
from controlplane.schedules.model import Schedule
from controlplane.text import clean

MAX_LEVELS, MAX_TARGETS, MAX_REPEATS = 20, 20, 9
MIN_LIMIT, MAX_LIMIT, MAX_NAME = 1, 1440, 200

Schedules = Mapping[str, Schedule]


@dataclass(frozen=True, slots=True)
class Target(Written):
    kind: Literal["person", "schedule"]
    name: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= MAX_NAME:
            raise ValueError(f"name: 1 to {MAX_NAME} characters")


@dataclass(frozen=True, slots=True)
class Level(Written):
    """`minutes`: how long it has before the next is paged."""

    targets: tuple[Target, ...]
    minutes: int = 5

    def __post_init__(self) -> None:
        if not 1 <= len(self.targets) <= MAX_TARGETS:
            raise ValueError(f"targets: 1 to {MAX_TARGETS} people or schedules")
        if not MIN_LIMIT <= self.minutes <= MAX_LIMIT:
            raise ValueError(f"minutes: {MIN_LIMIT} to {MAX_LIMIT:,}")

    @property
    def limit(self) -> timedelta:
        return timedelta(minutes=self.minutes)


@dataclass(frozen=True, slots=True)
class Escalation(Written):
    """`repeat`: how often it begins again at level 1 after the last."""

    levels: tuple[Level, ...]
    repeat: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.levels) <= MAX_LEVELS:
            raise ValueError(f"levels: 1 to {MAX_LEVELS}")
        if not 0 <= self.repeat <= MAX_REPEATS:
            raise ValueError(f"repeat: 0 to {MAX_REPEATS}")


@dataclass(frozen=True, slots=True)
class Run:
    """Where an escalation stands: at which level, counted from 0, since when, and how often it began again.

    "acked": somebody has all of it; "nobody": nobody is on call at any level; "over": the last level had its time.
    `asked_by`: who asked for this level before its time.
    """

    level: int
    since: datetime
    round: int = 0
    state: Literal["running", "acked", "nobody", "over"] = "running"
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """`level` counts from 1. `schedule`: by which one; "" when the level names the person. `by`: who asked for it."""

    person: str
    level: int
    reason: Reason
    schedule: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """`words`: what happened and why. `next_at`: when it has to be looked at again; None: not by itself."""

    run: Run
    pages: tuple[Page, ...]
    words: tuple[str, ...]
    next_at: datetime | None


def goes_on(escalation: Escalation, run: Run) -> bool:
    """Whether there is a level after the one that it is at."""
    return run.level + 1 < len(escalation.levels) or run.round < escalation.repeat


def step(
    escalation: Escalation, run: Run | None, cause: Reason, at: datetime, schedules: Schedules, asked_by: str = ""
) -> Step:
    """Begin (`run` None) with `cause` as the reason of the first page, go on, or wait. `asked_by`: who asked for the
    next level since it came to this one.
    """
    if run is None:
        return _enter(escalation, 0, 0, cause, at, schedules)
    if asked_by and goes_on(escalation, run):
        return _enter(escalation, run.level + 1, run.round, "escalated", at, schedules, asked_by)
    if run.state == "over":
        return Step(run, (), ("every level had its time",), None)
    due = run.since + escalation.levels[run.level].limit
    if at < due:
        words = f"level {run.level + 1} has until {due:%Y-%m-%d %H:%M:%S} UTC"
        if run.asked_by:
            words += f", escalated by {clean(run.asked_by, 63)}"
        if run.state == "nobody":
            words = f"nobody is on call at any level; tried again at {due:%Y-%m-%d %H:%M:%S} UTC"
        return Step(run, (), (words,), due)
    if run.state == "nobody":
        return _enter(escalation, 0, run.round, "nobody_on_call", at, schedules)
    return _enter(escalation, run.level + 1, run.round, "escalation", at, schedules)


def _enter(
    escalation: Escalation,
    level: int,
    round: int,
    reason: Reason,
    at: datetime,
    schedules: Schedules,
    asked_by: str = "",
) -> Step:
    """Page that level or, where nobody is on call, the next one that has somebody."""
    words = [f"escalated by {clean(asked_by, 63)}"] if asked_by else []
    for _ in escalation.levels:
        if level == len(escalation.levels):
            if round == escalation.repeat:
                return Step(Run(level - 1, at, round, "over"), (), (*words, "every level had its time"), None)
            level, round = 0, round + 1
        pages, missing = _pages(escalation.levels[level].targets, level, reason, at, schedules)
        words += missing
        if pages:
            who = ", ".join(clean(page.person, 60) for page in pages)
            words.append(f"level {level + 1}{f', round {round + 1}' if round else ''}: {who}")
            run = Run(level, at, round, asked_by=asked_by)
            pages = tuple(replace(page, by=asked_by) for page in pages)
            return Step(run, pages, tuple(words), at + escalation.levels[level].limit)
        level, reason = level + 1, "escalated" if asked_by else "nobody_on_call"
    run = Run(0, at, round, "nobody")
    return Step(run, (), (*words, "nobody is on call at any level"), at + escalation.levels[0].limit)


def _pages(
    targets: Sequence[Target], level: int, reason: Reason, at: datetime, schedules: Schedules
) -> tuple[tuple[Page, ...], list[str]]:
    """One page for each person, and in words the schedules that have nobody."""
    pages: dict[str, Page] = {}
    missing: list[str] = []
    for target in targets:
        if target.kind == "person":
            pages.setdefault(target.name, Page(target.name, level + 1, reason))
            continue
        schedule = schedules.get(target.name)
        duty = schedule and rules.on_call(schedule, at)
        if duty:
            pages.setdefault(duty.person, Page(duty.person, level + 1, reason, target.name))
        else:
            why = "nobody is on call in" if schedule else "there is no schedule"
            missing.append(f"level {level + 1}: {why} {clean(target.name, 60)}")
    return tuple(pages.values()), missing
