"""Error budgets and burn rates: pure functions of counts, windows and the time.

The same functions compute an objective's state, explain it, and replay it over stored history.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from itertools import accumulate

from controlplane.formatting import count_words, spell
from controlplane.objectives.model import (
    Counts,
    Episode,
    Held,
    Objective,
    Pair,
    Severity,
    Slice,
    Standing,
    State,
    Verdict,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PAIRS = (
    Pair("page", HOUR, 5 * MINUTE, 2),
    Pair("page", 6 * HOUR, 30 * MINUTE, 5),
    Pair("ticket", DAY, 2 * HOUR, 10),
    Pair("ticket", 3 * DAY, 6 * HOUR, 10),
)
MAX_WINDOW = max(pair.long for pair in PAIRS)
MIN_BAD_REQUESTS = 2
"""A single error never pages, however few requests there are."""
MIN_ABSENCE = 10 * MINUTE
"""The shortest time without data that counts as silence; minutes may come up to two minutes late."""
ROLLING = re.compile(r"([7-9]|[1-8]\d|90)d")
CALENDAR = ("week", "month", "quarter")
ALMOST = 1e-9


# Formulas


def burn(counts: Counts, target: float) -> float | None:
    """How many times faster than allowed the budget is used up; None without requests."""
    return (counts.bad / counts.total) / (1 - target) if counts.total else None


def remaining(counts: Counts, target: float) -> float | None:
    """The share of the budget that is left. Below 0 it is overdrawn; that is not cut off at 0."""
    burned = burn(counts, target)
    return None if burned is None else 1 - burned


def allowed_bad(total: int, target: float) -> float:
    return (1 - target) * total


def time_to_empty(left: float | None, period: timedelta, rate: float | None) -> float | None:
    """Seconds until nothing is left at this burn; None when that never happens, has happened, or is unknown."""
    if left is None or rate is None or rate <= 0 or left <= 0:
        return None
    return left * period.total_seconds() / rate


def factor(pair: Pair, period: timedelta) -> float:
    """The burn that uses up the pair's share of the budget within its long window."""
    return pair.budget_percent * (period / pair.long) / 100


def reachable(target: float, threshold: float) -> bool:
    """Whether a burn can be that high at all: whether errors alone would reach it."""
    return threshold * (1 - target) < 1 - ALMOST


def absent_after(target: float, period: timedelta) -> timedelta:
    """How long a silence lasts before the state is unknown: as long as an outage would take to fire, but never so short
    that data may only be late.
    """
    pair = PAIRS[0]
    return max(MIN_ABSENCE, min(pair.long, factor(pair, period) * (1 - target) * pair.long))


# Windows


def period_of(period: str, zone: str, now: datetime) -> tuple[datetime, datetime]:
    """The window that `now` is in: the days before it, or the calendar's in that zone, whose ends may differ in their
    UTC offset.
    """
    if (rolling := ROLLING.fullmatch(period)) is not None:
        return now - timedelta(days=int(rolling[1])), now
    from controlplane.zones import zone_of  # not before the first paint

    here = zone_of(zone)
    today = now.astimezone(here).date()
    if period == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        months = 3 if period == "quarter" else 1
        first = today.replace(month=(today.month - 1) // months * months + 1, day=1)
        later = first.month - 1 + months
        after = first.replace(year=first.year + later // 12, month=later % 12 + 1)
    start, end = (datetime.combine(day, time(), here).astimezone(now.tzinfo) for day in (first, after))
    return start, end


def is_rolling(period: str) -> bool:
    return ROLLING.fullmatch(period) is not None


class History:
    """Slices that can be summed over any interval. A slice belongs to an interval when its middle does."""

    def __init__(self, slices: Sequence[Slice], *, adjusted: bool) -> None:
        self.slices = slices
        self._middles = [each.start.timestamp() + each.seconds / 2 for each in slices]
        cut = [each.skipped if adjusted else Counts() for each in slices]
        self._good = [0, *accumulate(s.good - c.good for s, c in zip(slices, cut, strict=True))]
        self._total = [0, *accumulate(s.total - c.total for s, c in zip(slices, cut, strict=True))]

    def counts(self, start: datetime, end: datetime) -> Counts:
        """After `start`, up to `end`."""
        first, last = (bisect_right(self._middles, at.timestamp()) for at in (start, end))
        return Counts(self._good[last] - self._good[first], self._total[last] - self._total[first])


def impossible(slices: Iterable[Slice]) -> str:
    """The first impossible count, in words; "" when there is none."""
    for each in slices:
        if each.good > each.total or each.good < 0 or each.total < 0:
            return f"{each.good:,} good of {each.total:,} at {each.start:%Y-%m-%d %H:%M} UTC: the data cannot be right"
    return ""


# How an objective stands


def verdict(objective: Objective, pair: Pair, period: timedelta, history: History, now: datetime) -> Verdict:
    target, threshold = objective.target, factor(pair, period)
    long = history.counts(now - pair.long, now)
    long_burn = burn(long, target)
    short_burn = burn(history.counts(now - pair.short, now), target)
    over = long_burn is not None and short_burn is not None and long_burn > threshold and short_burn > threshold
    held = _held(long, objective.min_events) if over else ""
    return Verdict(pair, threshold, long, long_burn, short_burn, reachable(target, threshold), over, held)


def _held(long: Counts, min_events: int) -> str:
    if long.total < min_events:
        return f"{long.total:,} requests, at least {min_events:,} are needed"
    return f"{long.bad:,} bad, at least {MIN_BAD_REQUESTS} are needed" if long.bad < MIN_BAD_REQUESTS else ""


def evaluate(objective: Objective, slices: Sequence[Slice], now: datetime) -> Standing:
    """How an objective stands now; `slices` reach back to its window's start."""
    start, end = period_of(objective.period, objective.zone, now)
    adjusted, whole = History(slices, adjusted=True), History(slices, adjusted=False)
    counted, raw = adjusted.counts(start, now), whole.counts(start, now)
    fault = impossible(slices)
    verdicts = tuple(verdict(objective, pair, end - start, adjusted, now) for pair in PAIRS)
    newest = max((each.end for each in slices if each.total > 0), default=None)
    state, why = _state(objective, verdicts, counted, raw, newest, end - start, fault, now)
    left = None if fault else remaining(counted, objective.target)
    rate = None if fault else verdicts[0].long_burn
    contractual = objective.contractual
    return Standing(
        objective,
        state,
        why,
        start,
        end,
        raw,
        counted,
        left,
        None if fault else remaining(raw, objective.target),
        None if fault or contractual is None else remaining(counted, contractual),
        rate,
        time_to_empty(left, end - start, rate),
        verdicts,
        None if newest is None else min(newest, now),
        now,
    )


def _state(
    objective: Objective,
    verdicts: Sequence[Verdict],
    counted: Counts,
    raw: Counts,
    newest: datetime | None,
    period: timedelta,
    fault: str,
    now: datetime,
) -> tuple[State, tuple[str, ...]]:
    """Bad news first, then what is unknown; ok only when it is known to be ok."""
    if objective.retired_at is not None:
        return "retired", (f"retired since {objective.retired_at:%Y-%m-%d %H:%M} UTC: nothing counts for it",)
    if fault:
        return "unknown", (fault,)
    delay = absent_after(objective.target, period)
    silent = newest is None or now - newest > delay
    silence = f"no data since {newest:%Y-%m-%d %H:%M} UTC" if newest else "no data in the window"
    if fired := [each for each in verdicts if each.fires]:
        reasons = [firing_words(each) for each in fired]
        return fired[0].pair.severity, (*reasons, *([silence] if silent else []))
    if silent:
        after = f"; after {spell(delay.total_seconds())} of silence the state is unknown" if newest else ""
        return "unknown", (silence + after,)
    if waiting := [each for each in verdicts if each.held]:
        return "insufficient data", tuple(f"{firing_words(each)}, but {each.held}" for each in waiting)
    if counted.total < objective.min_events:
        words = f"{counted.total:,} requests in the window, at least {objective.min_events:,} are needed"
        skipped = raw.total - counted.total
        more = f"{skipped:,} in planned maintenance are not counted"
        return "insufficient data", (words, *([more] if skipped else []))
    calm = "no pair of windows burns faster than its factor"
    left = remaining(counted, objective.target)
    if left is not None and left <= 0:
        return "exhausted", (f"the budget of the window is gone; {calm}",)
    return "ok", (calm,)


def firing_words(each: Verdict) -> str:
    pair = each.pair
    return (
        f"{pair.severity}: burn {each.long_burn:.1f} over {span(pair.long)} and {each.short_burn:.1f} over "
        f"{span(pair.short)}, both above {each.factor:.4g}"
    )


def span(length: timedelta) -> str:
    return spell(length.total_seconds())


# Over history


def replay(objective: Objective, slices: Sequence[Slice], period: timedelta) -> tuple[Episode, ...]:
    """When it would have paged or opened a ticket, judged at each slice's end and sorted by start.

    Where only hours are known, a window shorter than an hour is the whole hour.
    """
    history = History(slices, adjusted=True)
    thresholds = [(pair, factor(pair, period)) for pair in PAIRS]
    found: list[Episode] = []
    opened: dict[Severity, Episode] = {}
    for each in slices:
        least = timedelta(seconds=each.seconds)
        burning = {
            pair.severity: max(least, pair.short)
            for pair, threshold in thresholds
            if _burning(history, objective, pair, threshold, each.end, least)
        }
        for severity in ("page", "ticket"):
            running = opened.get(severity)
            if running is not None and (severity not in burning or each.start > running.end):
                del opened[severity]
                found.append(Episode(severity, running.start, min(running.end, each.end)))
            if severity in burning:
                started = opened[severity].start if severity in opened else each.end
                opened[severity] = Episode(severity, started, each.end + burning[severity])
    found += [Episode(e.severity, e.start, min(e.end, slices[-1].end)) for e in opened.values()]
    return tuple(sorted(found, key=lambda episode: episode.start))


def replayed(objective: Objective, slices: Sequence[Slice], now: datetime) -> tuple[Standing, tuple[Episode, ...]]:
    """How it stands, and what it would have fired over all stored history. Slow: call it outside the event loop."""
    found = evaluate(objective, slices, now)
    return found, replay(objective, slices, found.end - found.start)


def _burning(
    history: History, objective: Objective, pair: Pair, threshold: float, at: datetime, least: timedelta
) -> bool:
    short = burn(history.counts(at - max(pair.short, least), at), objective.target)
    if short is None or short <= threshold:
        return False
    counts = history.counts(at - max(pair.long, least), at)
    rate = burn(counts, objective.target)
    return rate is not None and rate > threshold and not _held(counts, objective.min_events)


def burn_down(objective: Objective, slices: Sequence[Slice], start: datetime) -> list[tuple[datetime, float | None]]:
    """What was left of the window's budget after each of its hours; None for an hour without data.

    The budget is that of all requests counted in the window so far, so the line ends at what remains now.
    """
    inside = [each for each in slices if each.start.timestamp() + each.seconds / 2 > start.timestamp()]
    allowed = allowed_bad(sum(s.total - s.skipped.total for s in inside), objective.target)
    if allowed <= 0:
        return []
    bad, points = 0, {}
    for each in inside:
        bad += (each.total - each.good) - each.skipped.bad
        points[each.start.replace(minute=0, second=0, microsecond=0)] = 1 - bad / allowed
    hour, last = min(points), max(points)
    line: list[tuple[datetime, float | None]] = []
    while hour <= last:
        line.append((hour + HOUR, points.get(hour)))
        hour += HOUR
    return line


# Inheritance


def rank(objective: Objective) -> int:
    """How specific its scope is: the one with the greatest rank holds. The home has the same ranks.

    From the greatest: tenant and route, tenant, plan, route, all.
    """
    if objective.tenant_id is not None:
        return 4 if objective.route is not None else 3
    return 2 if objective.plan is not None else 1 if objective.route is not None else 0


def applies(objective: Objective, tenant_id: str, plan: str | None, route: str | None) -> bool:
    return (
        objective.tenant_id in (None, tenant_id)
        and objective.plan in (None, plan)
        and objective.route in (None, route)
        and objective.retired_at is None
    )


def resolve(objectives: Iterable[Objective], tenant_id: str, plan: str | None, route: str | None) -> list[Held]:
    """The objective of each name that holds for a tenant's requests to a route; without a route, for its requests to
    routes that have no objective of their own.
    """
    named: dict[str, list[Objective]] = {}
    for each in objectives:
        if applies(each, tenant_id, plan, route):
            named.setdefault(each.name, []).append(each)
    ranked = [sorted(found, key=rank, reverse=True) for _, found in sorted(named.items())]
    return [Held(found[0], tuple(found[1:])) for found in ranked]


def replay_words(episodes: Sequence[Episode], slices: Sequence[Slice]) -> str:
    """What would have fired, and since when that is known."""
    if not slices:
        return "what it would have fired is unknown: no requests are stored for it"
    pages = sum(each.severity == "page" for each in episodes)
    since = slices[0].start
    return (
        f"since {since:%Y-%m-%d %H:%M} UTC it would have fired {count_words(pages, 'page')} and "
        f"{count_words(len(episodes) - pages, 'ticket')}"
    )
