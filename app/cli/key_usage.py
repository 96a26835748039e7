"""`watchfloor telemetry anomalies`: how a tenant's keys are used, and what is strange about it."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

from app.cli.asked import READING, Reading, opened
from app.cli.output import Column, listed, say, table, tell
from app.cli.parameters import Parameter
from controlplane.errors import Usage
from controlplane.formatting import count, milliseconds, parse_duration, percent, rate, show
from controlplane.telemetry.anomalies import KeyUsage, Limits
from controlplane.telemetry.model import RequestTelemetry, Scope
from controlplane.text import clean


async def anomalies(
    tenant: str,
    /,
    *,
    key: Annotated[str | None, Parameter(help="Only the key with this prefix.")] = None,
    window: Annotated[str, Parameter(help="How long the window is, in whole hours.")] = "24h",
    baseline: Annotated[str, Parameter(help="How long the time before is, for comparison.")] = "7d",
    fewest: Annotated[int, Parameter(help="Fewer requests than this count as chance.")] = Limits().fewest,
    errors: Annotated[float, Parameter(help="From how many standard errors on a difference counts.")] = Limits().errors,
    every: Annotated[bool, Parameter(name="--all", help="Also keys without anomalies.")] = False,
    why: Annotated[bool, Parameter(help="Also the numbers behind each signal.")] = False,
    asked: Reading = READING,
) -> None:
    """Show anomalies of a tenant's keys, by route: spikes, drops, new keys, slowness, errors, refusals."""
    if fewest < 1 or not 0 < errors < math.inf:
        raise Usage("limits_unreadable", "--fewest is at least 1, and --errors a number above 0.", "--errors 6")
    limits = dataclasses.replace(Limits(), fewest=fewest, errors=errors)
    async with opened(asked) as context:
        telemetry = context.home.of(RequestTelemetry)
        found = await telemetry.key_usage(tenant, _hours(window), _hours(baseline), limits, key)
        if not found.rows:
            await telemetry.require(Scope(tenant, key_prefix=key))
    rows = [usage for usage in found.rows if usage.signals or every]
    if asked.json:
        items = [dataclasses.asdict(usage) for usage in rows]
        listed(items, found.as_of, baseline=found.baseline, start=found.start, end=found.end)
        return
    columns = [Column("KEY"), Column("ROUTE"), *(Column(c, "right") for c in ("REQUESTS", "/h", "/h BEFORE", "5XX%"))]
    columns += [Column("4XX%", "right"), Column("MEAN", "right"), Column("STRANGE")]
    table(columns, [_words(usage) for usage in rows])
    for usage in rows if why else ():
        say(clean(f"{usage.key_prefix} {usage.route}", 200))
        for line in usage.reasons():
            say(f"  {clean(line, 300)}")
    strange = sum(bool(usage.signals) for usage in found.rows)
    said = f"{show(found.start, found.start, 'utc')} to {show(found.end, found.end, 'utc')}"
    tell(f"{strange:,} of {len(found.rows):,} keys and routes are unusual, {said}")
    if not found.rows:
        tell("Nothing is known of keys in these hours: no request named its key, or nothing is rolled up.")


def _hours(text: str) -> int:
    hours, rest = divmod(parse_duration(text), 3600)
    if rest:
        raise Usage("window_unreadable", "Keys are looked at by whole hours.", "Write 24h or 7d.")
    return int(hours)


def _words(usage: KeyUsage) -> list[str]:
    recent, before = usage.recent, usage.baseline
    shares = [percent(errors / recent.n if recent.n else None) for errors in (recent.errors_5xx, recent.errors_4xx)]
    counts = [count(recent.n), rate(recent.per_hour), rate(before.per_hour)]
    names = ", ".join(signal.name for signal in usage.signals)
    return [usage.key_prefix, usage.route, *counts, *shares, milliseconds(recent.latency), names]
