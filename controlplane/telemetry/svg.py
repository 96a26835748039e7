"""A chart as a self-contained SVG file: it loads no font, script or address from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from xml.sax.saxutils import escape

from controlplane.formatting import plain_number
from controlplane.telemetry.axes import Axis, axis, latency_words, moment, round_ratios, times
from controlplane.telemetry.charts import ChartSpec, HeatSpec, Series, Tone, bands, known
from controlplane.telemetry.measures import CHARTS_OF, Measured
from controlplane.text import clean

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 70, 40
COLOURS: dict[Tone, str] = {"": "#1f4e79", "good": "#1b7f4b", "bad": "#b3261e", "warn": "#b26a00", "muted": "#777777"}
DASHES = ("", "6 3", "2 3", "8 3 2 3")
"""Series differ without colour as well."""
COLUMNS, BANDS, ROWS = 160, 24, 16
TIME_COLUMNS, TIME_WIDTH = 86, 100
"""So many cells of a terminal the axis of time stands for; how wide a date with its time is at most."""


def svg(spec: ChartSpec | HeatSpec, title: str, zone: tzinfo = UTC) -> str:
    body = _heat(spec) if isinstance(spec, HeatSpec) else _lines(spec)
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 24, title, anchor="start", more=' font-size="16" font-weight="bold"'),
        *body,
        *_times(spec, zone),
        *(_mark(spec, mark.x, COLOURS[mark.tone]) for mark in spec.marks if spec.x_from <= mark.x <= spec.x_to),
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" fill="none" '
        'stroke="#999999"/>',
        "</svg>",
    ]
    return "\n".join(shapes) + "\n"


def _lines(spec: ChartSpec) -> list[str]:
    if not spec.values:
        words = "; ".join([spec.nothing or "no data", *spec.notes])
        return [_text(LEFT, 62, words, anchor="start", more=f' fill="{COLOURS["warn"]}"')]
    upright = axis(spec, ROWS)
    shapes = [_text(LEFT - 8, _y(place, upright) + 4, words) for place, words in upright.labels]
    x = float(LEFT)
    for number, series in enumerate(spec.series):
        dash = f' stroke-dasharray="{DASHES[number % len(DASHES)]}"' if DASHES[number % len(DASHES)] else ""
        look = f'fill="none" stroke="{COLOURS[series.tone]}" stroke-width="1.5"{dash}'
        shapes += [f'<polyline points="{points}" {look}/>' for points in _pieces(spec, series, upright)]
        shapes.append(f'<line x1="{x:g}" y1="42" x2="{x + 24:g}" y2="42" {look}/>')
        shapes.append(_text(x + 30, 46, series.name, anchor="start"))
        x += 50 + 7 * len(series.name)
    for line in spec.thresholds:
        if not upright.low <= upright.at(line.value) <= upright.high:
            continue
        y = _y(upright.at(line.value), upright)
        shapes.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#777777" '
                      'stroke-dasharray="1 4"/>')  # fmt: skip
        shapes.append(_text(WIDTH - RIGHT - 4, y - 4, f"{line.name} {plain_number(line.value)}{spec.unit}"))
    return [*shapes, _text(LEFT, 62, "; ".join(spec.notes), anchor="start", more=f' fill="{COLOURS["warn"]}"')]


def _pieces(spec: ChartSpec, series: Series, upright: Axis) -> list[str]:
    """The points of each unbroken part; a single point is drawn as a short dash."""
    parts: list[list[str]] = [[]]
    for x, y in zip(series.xs, series.ys, strict=True):
        if y is None or not known(y):
            parts.append([])
        else:
            parts[-1].append(f"{_x(spec, x):.1f},{_y(upright.at(y), upright):.1f}")
    lonely = (
        f"{part[0]} {float(part[0].split(',')[0]) + 2:.1f},{part[0].split(',')[1]}" for part in parts if len(part) == 1
    )
    return [*(" ".join(part) for part in parts if len(part) > 1), *lonely]


def _heat(spec: HeatSpec) -> list[str]:
    found = bands(spec.steps, COLUMNS, BANDS)
    if found is None:
        return [_text(LEFT, 62, "; ".join(["no data", *spec.notes]), anchor="start")]
    wide, high = (WIDTH - LEFT - RIGHT) / COLUMNS, (HEIGHT - TOP - BOTTOM) / len(found.tops)
    shapes = []
    for column, shares in enumerate(found.shares):
        for band, share in enumerate(shares or ()):
            if share:
                x, y = LEFT + column * wide, HEIGHT - BOTTOM - (band + 1) * high
                shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.2f}" height="{high:.2f}" fill="#b3261e" '
                              f'fill-opacity="{max(0.06, min(1.0, share * 2)):.2f}"/>')  # fmt: skip
        if shares is None:
            shapes.append(f'<rect x="{LEFT + column * wide:.1f}" y="{TOP}" width="{wide:.2f}" '
                          f'height="{HEIGHT - TOP - BOTTOM}" fill="#eeeeee"/>')  # fmt: skip
    low, top = math.log(found.tops[0]), math.log(found.tops[-1])
    for value in round_ratios(found.tops[0], found.tops[-1], 6) if top > low else ():
        up = (math.log(value) - low) / (top - low) * (len(found.tops) - 1) + 1  # a top is its band's upper edge
        shapes.append(_text(LEFT - 8, HEIGHT - BOTTOM - up * high + 4, latency_words(value)))
    words = "; ".join(["the darker, the more of a step's requests; grey: no data", *spec.notes])
    return [*shapes, _text(LEFT, 46, words, anchor="start")]


def _times(spec: ChartSpec | HeatSpec, zone: tzinfo) -> list[str]:
    offset = datetime.fromtimestamp(spec.x_from, UTC).astimezone(zone).utcoffset() or timedelta()
    shapes = []
    for x in times(spec.x_from, spec.x_to, TIME_COLUMNS, offset):
        at = min(max(_x(spec, x), LEFT), WIDTH - RIGHT - TIME_WIDTH / 2)
        shapes.append(_text(at, HEIGHT - 14, f"{moment(x, offset):%Y-%m-%d %H:%M}", anchor="middle"))
        shapes.append(f'<path d="M{_x(spec, x):.1f} {HEIGHT - BOTTOM} v5" stroke="#999999"/>')
    return shapes


def _mark(spec: ChartSpec | HeatSpec, x: float, colour: str) -> str:
    at, foot = _x(spec, x), HEIGHT - BOTTOM
    return f'<path d="M{at:.1f} {foot} l-5 10 h10 z" fill="{colour}"/>'


def _x(spec: ChartSpec | HeatSpec, x: float) -> float:
    return LEFT + (x - spec.x_from) / ((spec.x_to - spec.x_from) or 1.0) * (WIDTH - LEFT - RIGHT)


def _y(at: float, upright: Axis) -> float:
    return HEIGHT - BOTTOM - (at - upright.low) / (upright.high - upright.low) * (HEIGHT - TOP - BOTTOM)


def _text(x: float, y: float, words: str, anchor: str = "end", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(clean(words, 300))}</text>'


def drawing(measured: Measured, names: Sequence[str]) -> str:
    """Charts of `CHARTS_OF`, by name, one below the other."""
    title = f"{measured.label}, {measured.view.window.words}"
    return together([svg(CHARTS_OF[name](measured), f"{name}: {title}", measured.zone) for name in names])


def together(drawings: Sequence[str]) -> str:
    """Several drawings, one below the other, in one file."""
    parts = [f'<svg y="{n * HEIGHT}" height="{HEIGHT}"{each.removeprefix("<svg")}' for n, each in enumerate(drawings)]
    height = HEIGHT * len(drawings)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join([head, *parts, "</svg>\n"])
