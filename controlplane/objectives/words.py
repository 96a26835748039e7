"""Objectives in words, the same for screens and commands. What is unknown is never 0 and never good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from controlplane.formatting import count, count_words, plain_number, spell
from controlplane.objectives.model import Episode, Maintenance, Objective, Slice, Standing, Verdict
from controlplane.objectives.rules import is_rolling, span
from controlplane.text import UNKNOWN


def target_words(target: float | None) -> str:
    """ "99.9%": as many digits as were agreed."""
    return UNKNOWN if target is None else f"{round(target * 100, 6):g}%"


def left_words(share: float | None) -> str:
    """What remains of a budget, with its sign: "62.4%", "-37.0%". "0.0%" and "100.0%" mean exactly 0 and 1."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if abs(share) >= 10:
        return f"{share * 100:,.0f}%"
    shown = f"{share * 100:,.1f}%"
    if shown in ("0.0%", "-0.0%") and share:
        return "<0.1%" if share > 0 else ">-0.1%"
    return ">99.9%" if shown == "100.0%" and share < 1 else shown


def spent_words(share: float | None, *, short: bool = False) -> str:
    """What remains of a budget as a phrase: "62.4% left", "overspent by 37.0%", or short: "over by 37.0%"."""
    if share is not None and share < 0 and math.isfinite(share):
        return f"{'over' if short else 'overspent'} by {left_words(-share)}"
    return f"{left_words(share)} left"


def burn_words(rate: float | None) -> str:
    if rate is None or not math.isfinite(rate):
        return UNKNOWN
    if 0 < rate < 0.01:
        return "<0.01"
    return f"{rate:.2f}" if rate < 10 else f"{rate:,.1f}"


def empties_words(standing: Standing) -> str:
    """How long until the budget is empty, at the burn of the last hour."""
    if standing.remaining is not None and standing.remaining <= 0:
        return "exhausted"
    if standing.empties_in is not None:
        return spell(standing.empties_in)
    return "never" if standing.burn == 0 and standing.remaining is not None else UNKNOWN


def promise_words(objective: Objective) -> str:
    """ "99% under 300 ms, rolling 30 days"."""
    slow = objective.threshold_ms or 0
    within = f"under {f'{slow / 1000:g} s' if slow >= 1000 else f'{plain_number(slow)} ms'}"
    what = "answered without 5xx" if objective.kind == "availability" else within
    rolling = is_rolling(objective.period)
    window = (
        f"rolling {objective.period.removesuffix('d')} days"
        if rolling
        else f"each {objective.period} in {objective.zone}"
    )
    promised = f"; promised: {target_words(objective.contractual)}" if objective.contractual is not None else ""
    return f"{target_words(objective.target)} {what}, {window}{promised}"


def verdict_cells(verdict: Verdict, standing: Standing) -> list[str]:
    """A pair of windows as a row: severity, windows, factor, both burns, when the long one's empties the budget."""
    pair = verdict.pair
    period = standing.end - standing.start
    rate, left = verdict.long_burn, standing.remaining
    empty = UNKNOWN
    if left is not None and left <= 0:
        empty = "exhausted"
    elif left is not None and rate is not None:
        empty = spell(left * period.total_seconds() / rate) if rate > 0 else "never"
    return [
        pair.severity,
        f"{span(pair.long)}/{span(pair.short)}",
        f"{verdict.factor:.4g}",
        burn_words(rate),
        burn_words(verdict.short_burn),
        empty,
    ]


VERDICT_TITLES = ("PAIR", "OVER", "ABOVE", "LONG", "SHORT", "EMPTY IN")


def verdict_word(verdict: Verdict) -> str:
    """The state of a pair now, in a word."""
    if verdict.fires:
        return "FIRES"
    if not verdict.reachable:
        return "cannot"
    return "held" if verdict.held else "no data" if None in (verdict.long_burn, verdict.short_burn) else "quiet"


def verdict_words(verdict: Verdict) -> str:
    """`verdict_word` with its reason."""
    word = verdict_word(verdict)
    reasons = {
        "held": verdict.held,
        "cannot": "even if all requests failed, it would not burn that fast",
        "FIRES": verdict.pair.severity,
    }
    return f"{word}: {reasons[word]}" if word in reasons else word


def budget_words(standing: Standing) -> list[str]:
    """The budget in numbers, adjusted and, where it differs, raw."""
    objective, counted, raw = standing.objective, standing.adjusted, standing.raw
    if counted.total:
        allowed = count(math.floor((1 - objective.target) * counted.total + 1e-9))
        numbers = f"{count(counted.bad)} bad of {count(counted.total)} requests, {allowed} are allowed"
    else:
        numbers = "no request is known" + (" outside of planned maintenance" if raw.total else "")
    lines = [f"{spent_words(standing.remaining)}: {numbers}"]
    if raw != counted:
        lines.append(
            f"raw, {spent_words(standing.remaining_raw)}: {count(raw.bad)} bad of {count(raw.total)}, "
            "planned maintenance counted too"
        )
    if objective.contractual is not None:
        left = spent_words(standing.remaining_contractual)
        lines.append(f"{left}, of what was promised ({target_words(objective.contractual)})")
    return lines


def maintenance_words(each: Maintenance) -> str:
    scope = (
        f"plan {each.plan}" if each.plan else " ".join(part for part in (each.tenant_id, each.route) if part) or "all"
    )
    return (
        f"{each.starts_at:%Y-%m-%d %H:%M} to {each.until:%m-%d %H:%M} UTC, {scope}: {each.reason} "
        f"({each.created_by}, number {each.id})"
    )


def scope_words(objective: Objective) -> str:
    """Its scope and how specific that is, which decides among objectives of one name."""
    rank = ("all", "a route", "a plan", "a tenant", "a route of a tenant")
    from controlplane.objectives.rules import rank as ranked

    return f"{objective.scope} ({rank[ranked(objective)]}), {target_words(objective.target)}, number {objective.id}"


def history_words(slices: Sequence[Slice]) -> str:
    """Which data a replay had."""
    if not slices:
        return "no requests are stored for it: what it would have fired is unknown"
    minutes = [each for each in slices if each.seconds < 3600]
    first = f"{slices[0].start:%Y-%m-%d %H:%M} UTC"
    if not minutes:
        return f"over stored hours since {first}; windows under an hour saw whole hours"
    if minutes[0] is slices[0]:
        return f"over stored minutes since {first}"
    return f"since {first}; before {minutes[0].start:%m-%d %H:%M} by the hour: windows under an hour saw whole hours"


def episode_words(each: Episode) -> str:
    lasted = spell((each.end - each.start) / timedelta(seconds=1))
    return f"{each.severity:<7} {each.start:%Y-%m-%d %H:%M} UTC, for {lasted}"


def fired_words(episodes: Sequence[Episode]) -> str:
    pages = sum(each.severity == "page" for each in episodes)
    return f"{count_words(pages, 'page')}, {count_words(len(episodes) - pages, 'ticket')}"
