"""Drawing a chart: in the program, and from a key to the last byte in a terminal; and the bytes of a live tick."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from statistics import quantiles

import psycopg

from benchmarks.estate import CHECKOUT, FIRST, Estate
from benchmarks.figures import Figure, middle
from controlplane.telemetry.chartviews import View, Window
from controlplane.telemetry.measures import Measured, heat_map, latency_chart
from controlplane.telemetry.model import Histogram, Point, Scope, Series
from screens.widgets.heat import heated
from screens.widgets.plot import draw, finish
from tests.terminal.driver import Terminal

AIM_MS = 50.0
DRAWN, PRESSES, TICKS = 60, 40, 5
SMALL = 5
SIZES = ((80, 24), (120, 40))
QUIET = 0.12
TENANT = "tenant-0000001"
WAIT = 10.0

# Two days of minutes up to now, for one tenant; and a request a second for the minutes that no roll-up has reached.
_MINUTES = """
INSERT INTO wf.request_minutes (tenant_id, route, minute, n, errors_4xx, errors_5xx, latency_sum, latency_max, buckets,
                                counts, dim, value)
SELECT %s, '/v1/orders', minute, 600 + 300 * sin(extract(epoch FROM minute) / 7000), 12, 3, NULL, NULL,
       '{120,140,160,180,200}', '{100,200,200,80,20}', 'route', ''
FROM generate_series(date_trunc('minute', now()) - interval '2 days', date_trunc('minute', now()), '1 minute') minute
"""
_REQUESTS = """
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, at)
SELECT %s, '/v1/orders', 'GET', 200, 40 + n, now() FROM generate_series(1, 40) n
"""


def run(estate: Estate, small: bool) -> list[Figure]:
    estate.fill(1000)
    with psycopg.connect(estate.owner, autocommit=True) as connection:
        connection.execute("SELECT wf.make_request_partitions()")
        connection.execute(_MINUTES, [TENANT])
        connection.execute(
            "UPDATE wf.request_marks SET minutes_from = date_trunc('minute', now()) - interval '2 days',"
            " minutes_until = date_trunc('minute', now())"
        )
    return [*_drawn(small), *_in_a_terminal(estate, small)]


def _drawn(small: bool) -> list[Figure]:
    """Different values each time, so that nothing is drawn already."""
    found = {}
    for name, width, height in (("80×24", 80, 18), ("120×40", 71, 10)):
        for chart in ("latency", "heat map"):
            times = []
            for n in range(DRAWN // SMALL if small else DRAWN):
                measured = _measured(n)
                began = time.perf_counter()
                if chart == "latency":
                    draw(latency_chart(measured), width, height)
                else:
                    finish(heated(spec := heat_map(measured), width, height, timedelta(), False), spec, None, False)
                times.append((time.perf_counter() - began) * 1000)
            found[f"{chart} of 168 steps drawn, {name}"] = times[1:]  # the first one loads the library
    return [_timed(claim, times) for claim, times in found.items()]


def _measured(shift: int) -> Measured:
    start, hour = datetime(2025, 11, 14, tzinfo=UTC), timedelta(hours=1)
    points = []
    for n in range(168):
        latency = Histogram.of([20.0 + (n * 7 + shift * 3 + each * 13) % 400 for each in range(120)])
        points.append(None if n in range(60, 66) else Point(120, 3, 1, latency, 420.0))
    series = Series(Scope("acme"), start, hour, tuple(points), start + 168 * hour)
    view = View(Scope("acme"), Window(168 * hour, start + 168 * hour), lines=(("p95", 250.0),))
    return Measured(view, series, series)


def _in_a_terminal(estate: Estate, small: bool) -> list[Figure]:
    presses = PRESSES // SMALL if small else PRESSES
    ticks = 1 if small else TICKS
    figures = []
    for columns, lines in SIZES[: 1 if small else None]:
        size = f"{columns}×{lines}"
        ours = _walk(estate, columns, lines, "on", presses, ticks)
        stock = _walk(estate, columns, lines, "off", 2, ticks)
        for key, name in (("tab", "the next chart"), ("h", "a step of the cursor")):
            figures.append(_timed(f"key to last paint: {name}, {size}", ours[f"{key} ms"]))
        for key, name in (("tab", "the next chart"), ("h", "a step of the cursor"), ("tick", "a live tick")):
            sent, _ = middle(ours[f"{key} bytes"])
            other, _ = middle(stock[f"{key} bytes"])
            figures.append(Figure(f"bytes for {name}, {size}", sent, "B", other, "without the shadow grid"))
    return figures


def _walk(estate: Estate, columns: int, lines: int, shadow: str, presses: int, ticks: int) -> dict[str, list[float]]:
    argv = [sys.executable, "-m", "app", "--home", str(estate.home.folder)]
    env = {**estate.env, "WATCHFLOOR_SHADOW": shadow}
    with Terminal(argv, columns, lines, env, str(CHECKOUT)) as terminal:
        terminal.see(FIRST, 30)
        terminal.type(f":telemetry tenant:{TENANT} window:15m")
        terminal.press("enter")
        terminal.see("total", 30)
        terminal.settle(1.0)
        found: dict[str, list[float]] = {"tick bytes": [_tick(estate, terminal) for _ in range(ticks)]}
        terminal.press("p")  # pause, so that no live update is painted between a key and its frame
        terminal.settle(2.5)
        for key in ("tab", "h"):
            pressed = [_press(terminal, key) for _ in range(presses)]
            found[f"{key} ms"] = [took for took, sent in pressed if sent]
            found[f"{key} bytes"] = [float(sent) for _, sent in pressed if sent]
        return found


def _tick(estate: Estate, terminal: Terminal) -> float:
    """The bytes until the terminal is quiet again after forty more requests came in."""
    terminal.settle(0.3)
    mark = terminal.mark()
    with psycopg.connect(estate.owner) as connection:
        connection.execute(_REQUESTS, [TENANT])
    deadline = time.monotonic() + WAIT
    while not terminal.bytes_since(mark):
        assert time.monotonic() < deadline, "the requests were not shown"
        time.sleep(0.02)
    terminal.settle(0.3)
    return float(len(terminal.bytes_since(mark)))


def _press(terminal: Terminal, key: str) -> tuple[float, int]:
    """Milliseconds until the last byte, and how many there were."""
    mark, pressed = terminal.mark(), time.monotonic()
    terminal.press(key)
    terminal.settle(QUIET)
    return (terminal.started + terminal.records[-1][0] - pressed) * 1000, len(terminal.bytes_since(mark))


def _timed(claim: str, times: list[float]) -> Figure:
    p95 = quantiles(times, n=100, method="inclusive")[94]
    p50, spread = middle(times)
    return Figure(f"{claim}, p95", p95, "ms", p50, "p50", f"≤ {AIM_MS:.0f} ms", p95 <= AIM_MS, spread)
