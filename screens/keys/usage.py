"""How keys are used, per route, against the week before; what is strange about it, and by which numbers."""

from __future__ import annotations

from textwrap import wrap

from controlplane.formatting import count, milliseconds, percent, rate
from controlplane.lists import Line
from controlplane.telemetry.anomalies import BASELINE, WINDOW, KeyUsage, Slice, UsageReport
from controlplane.text import clean, fit

ROUTE = 20
MAX_USAGE_ROWS = 200
"""Keys and routes that are shown; the strange ones come first."""


def usage_lines(report: UsageReport, *, named: bool = False) -> list[Line]:
    """`named`: with the key of each, where there may be several."""
    if not report.rows:
        return [
            "Its calls by the hour are unknown.",
            ("no request of these days named the key, or none is rolled up yet", "muted"),
        ]
    begin, end = f"{report.start:%m-%d %H:%M}", f"{report.end:%m-%d %H:%M}"
    lines: list[Line] = [
        (f"{begin} to {end} UTC, against the {BASELINE // 24} days before", "title"),
        (fit("  route", ROUTE + 2) + "   calls      /h  before  5xx%  4xx%   mean", "muted"),
    ]
    if not any(usage.baseline.hours for usage in report.rows):
        lines.append(("nothing is known of the days before, so there is nothing to compare", "muted"))
    for usage in report.rows[:MAX_USAGE_ROWS]:
        lines += [(usage.key_prefix, "title")] if named else []
        lines.append((_row(usage), "warn" if usage.signals else ""))
        lines += [(f"    {signal.name.replace('_', ' ')}: {signal.words}", "warn") for signal in usage.signals]
    left = len(report.rows) - MAX_USAGE_ROWS
    return lines + ([(f"and {left:,} more: watchfloor telemetry anomalies", "muted")] if left > 0 else [])


def _row(usage: KeyUsage) -> str:
    now, before = usage.recent, usage.baseline
    shares = f"{_share(now.errors_5xx, now):>5} {_share(now.errors_4xx, now):>5}"
    glyph = "◐" if usage.signals else " "
    return (
        f"{glyph} {fit(clean(usage.route, 200), ROUTE, cut='middle')} {count(now.n):>7} {rate(now.per_hour):>7}"
        f" {rate(before.per_hour):>7} {shares} {milliseconds(now.latency):>6}"
    )


def _share(errors: int, of: Slice) -> str:
    return percent(errors / of.n if of.n else None)


def usage_why(report: UsageReport, *, named: bool = False) -> list[Line]:
    """Each signal with its inputs."""
    strange = [usage for usage in report.rows if usage.signals]
    lines: list[Line] = [(f"unusual in {WINDOW} h against {BASELINE} h before", "title")]
    for usage in strange:
        lines.append(f"{usage.key_prefix} {usage.route}" if named else usage.route)
        for words in usage.reasons():
            lines += wrap(words, 76, initial_indent="  ", subsequent_indent="      ", drop_whitespace=True)
    return lines if strange else [*lines, "  nothing, by these numbers" if report.rows else "  not known"]
