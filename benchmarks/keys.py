"""From a key to the last byte that it paints, with a thousand tenants and with a million."""

from __future__ import annotations

import time
from statistics import quantiles

from benchmarks.estate import FIRST, Estate
from benchmarks.figures import Figure
from tests.terminal.driver import Terminal

FEW, MANY, MANY_SMALL = 1000, 1_000_000, 3000
AIM_MS = 30.0
QUIET = 0.12
KEYS = {"j": ["j"], "PgDn": ["pagedown"], "End and Home": ["end", "home"]}
PRESSES = {"j": 60, "PgDn": 30, "End and Home": 30}
SHARE_SMALL = 6


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(FEW)
    few = _latencies(estate, small)
    many_tenants = MANY_SMALL if small else MANY
    estate.fill(many_tenants)
    many = _latencies(estate, small)
    figures = []
    for name in KEYS:
        for tenants, found in ((FEW, few[name]), (many_tenants, many[name])):
            p50, p95 = _rank(found, 50), _rank(found, 95)
            claim = f"key to last paint, p95: {name}, {tenants:,} tenants"
            figures.append(Figure(claim, p95, "ms", p50, "p50", f"≤ {AIM_MS:.0f} ms", p95 <= AIM_MS, _ends(found)))
    return figures


def _latencies(estate: Estate, small: bool) -> dict[str, list[float]]:
    with estate.without_worker(), estate.console() as terminal:
        terminal.see(FIRST, 30)
        terminal.settle(1.0)
        found = {}
        for name, keys in KEYS.items():
            presses = PRESSES[name] // (SHARE_SMALL if small else 1)
            found[name] = [took for n in range(presses) if (took := _press(terminal, keys[n % len(keys)])) is not None]
            least = 1 if small else presses * 0.8  # a quick pass only shows that it runs
            assert len(found[name]) >= least, f"{name}: most presses must paint something"
        return found


def _press(terminal: Terminal, key: str) -> float | None:
    """Milliseconds until the last byte; None when nothing was painted."""
    pressed = time.monotonic()
    terminal.press(key)
    terminal.settle(QUIET)
    last = terminal.started + terminal.records[-1][0]
    return (last - pressed) * 1000 if last > pressed else None


def _rank(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _ends(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)
