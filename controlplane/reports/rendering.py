"""A report as Markdown and as one HTML page with charts. Every text in it is inert in its format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from controlplane.gates.words import VERDICT_WORDS
from controlplane.reports.data import moment, points, share, status
from controlplane.reports.model import Data
from controlplane.text import UNKNOWN, clean

VERDICTS = (("go", "GO"), ("conditions", "GO with conditions"), ("no_go", "NO GO"), ("inconclusive", "inconclusive"))
COLOURS = {"go": "#2e7d32", "conditions": "#f9a825", "no_go": "#c62828", "inconclusive": "#757575"}
WIDTH, HEIGHT, GAP = 640, 120, 4
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")
Table = tuple[str, Sequence[str], Sequence[Sequence[str]], str]
"""Title, columns, rows, and what is said when there is no row."""


def title(data: Data) -> str:
    what = f"week {data['subject']}" if data["kind"] == "weekly" else f"release {data['subject']}"
    return clean(f"Governance report, {what}", 300)


def about(data: Data) -> str:
    return f"{moment(data['from'])} to {moment(data['to'])}; made at {moment(data['made_at'])}"


def tables(data: Data) -> list[Table]:
    gates, waivers, gaps = data["gates"], data["waivers"], data["evidence"]["gaps"]
    rotations, drift, chain = data["rotations"], data["drift"], data["chain"]
    return [
        (
            "Gates", ("gate", "environment", "runs", *(words for _, words in VERDICTS), "last"),
            [(g["gate"], g["environment"], _n(g["runs"]), *(_n(g[name]) for name, _ in VERDICTS), _verdict(g["last"]))
             for g in gates],
            "No gate was run.",
        ),
        (
            f"Waivers: {_n(waivers['made'])} made, {_n(waivers['ended'])} ended, {_n(waivers['open'])} open",
            ("ends", "gate", "environment", "check", "by", "second person", "reason"),
            [(moment(w["ends_at"]), w["gate"], w["environment"], w["check"], w["by"], w["second"] or "–", w["reason"])
             for w in waivers["ending"]],
            "No waiver ends within 14 days.",
        ),
        (
            "Evidence gaps", ("control", "framework", "title", "state", "lacking", "was due"),
            [(g["id"], g["framework"], g["title"], g["state"], ", ".join(g["lacking"]),
              "–" if g["due"] is None else moment(g["due"])) for g in gaps],
            "Every control has fresh evidence.",
        ),
        (
            f"Rotations due: {_n(rotations['stale'])} keys too old, {_n(rotations['late'])} rotations late",
            ("tenant", "keys too old", "live keys", "oldest"),
            [(r["tenant"], _n(r["stale"]), _n(r["keys"]), moment(r["oldest"])) for r in rotations["worst"]],
            "No key is too old.",
        ),
        (
            f"Drift between tenants: {spread(drift)}",
            ("tenant", "requests", "failed"),
            [(t["tenant"], _n(t["requests"]), share(t["share"])) for t in drift["worst"]],
            f"No tenant had {_n(drift['fewest'])} requests: nothing is known.",
        ),
        (
            "Dead letters and the trail", ("what", "found"),
            [("drills", _n(data["drills"]["made"])), ("messages replayed or settled", _n(data["drills"]["settled"])),
             ("rows written", _n(chain["written"])), ("rows chained", _n(chain["chained"])),
             ("signed to row", _n(chain["signed"])), ("checkpoint of", moment(chain["signed_at"]))],
            "",
        ),
    ]  # fmt: skip


def spread(drift: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {share(drift[name])}" for name in ("least", "median", "most"))


def markdown(data: Data) -> str:
    said = points(data)
    lines = [f"# {_mark(title(data))}", "", _mark(about(data)), "", f"Status: **{status(said)}**", ""]
    lines += [f"- {tone}: {_mark(words)}" for tone, words in said]
    for name, columns, rows, nothing in tables(data):
        lines += ["", f"## {_mark(name)}", ""]
        if not rows:
            lines.append(_mark(nothing))
            continue
        lines += ["| " + " | ".join(map(_mark, columns)) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(map(_mark, row)) + " |" for row in rows]
    return "\n".join([*lines, ""])


def html(data: Data) -> str:
    """One page that loads nothing and runs nothing."""
    said = points(data)
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(title(data))}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title(data))}</h1><p>{escape(about(data))}</p>",
        f'<p>Status: <strong class="{status(said)}">{status(said)}</strong></p><ul>',
        *(f'<li class="{tone}">{escape(f"{tone}: {words}")}</li>' for tone, words in said),
        "</ul><h2>Verdicts by day</h2>",
        verdict_chart(data["days"]),
        "<h2>Failed requests of tenants</h2>",
        drift_chart(data["drift"]),
    ]
    for name, columns, rows, nothing in tables(data):
        parts.append(f"<h2>{escape(name)}</h2>")
        if not rows:
            parts.append(f"<p>{escape(nothing)}</p>")
            continue
        parts.append("<table><tr>" + "".join(f"<th>{escape(each)}</th>" for each in columns) + "</tr>")
        parts += ["<tr>" + "".join(f"<td>{escape(clean(each, 400))}</td>" for each in row) + "</tr>" for row in rows]
        parts.append("</table>")
    return "\n".join([*parts, "</body></html>", ""])


STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left}.bad,.red{color:#b71c1c}.warn,.yellow{color:#8d6e00}"
    ".unknown{color:#555}.good,.green{color:#1b5e20}"
)


def verdict_chart(days: Sequence[Mapping[str, Any]]) -> str:
    """Stacked bars, a day each; a day without a run is an empty place, not a zero bar."""
    most = max((sum(day[name] for name, _ in VERDICTS) for day in days), default=0)
    if not most:
        return "<p>No gate was run.</p>"
    wide = (WIDTH - GAP) / len(days)
    bars = []
    for place, day in enumerate(days):
        top: float = HEIGHT
        for name, words in VERDICTS:
            tall = day[name] / most * HEIGHT
            top -= tall
            if tall:
                what = f"<title>{escape(clean(day['day'], 20))}: {day[name]} {words}</title>"
                bars.append(_bar(GAP + place * wide, top, max(1.0, wide - GAP), tall, COLOURS[name], what))
    legend = " ".join(f'<tspan fill="{COLOURS[name]}">■ {words}</tspan>' for name, words in VERDICTS)
    first, last = (escape(clean(days[place]["day"], 20)) for place in (0, -1))
    words = f'<text x="0" y="{HEIGHT + 16}" font-size="12">{first} to {last}; the highest is {most}. {legend}</text>'
    return _svg(bars, words)


def drift_chart(drift: Mapping[str, Any]) -> str:
    worst: Sequence[Mapping[str, Any]] = drift["worst"]
    if not worst:
        return f"<p>Nothing is known: no tenant had {_n(drift['fewest'])} requests.</p>"
    most = max((each["share"] for each in worst), default=0)
    if not most:
        return "<p>No request of these tenants failed.</p>"
    tall = HEIGHT / len(worst)
    bars = []
    for place, each in enumerate(worst):
        wide, line = each["share"] / most * (WIDTH - 220), place * tall + 13
        bars.append(_bar(150, place * tall, wide, tall - 3, "#5c6bc0"))
        bars.append(f'<text x="0" y="{line:.1f}" font-size="12">{escape(clean(each["tenant"], 20))}</text>')
        bars.append(f'<text x="{155 + wide:.1f}" y="{line:.1f}" font-size="12">{share(each["share"])}</text>')
    return _svg(bars, "")


def _bar(x: float, y: float, width: float, height: float, colour: str, what: str = "") -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {size} fill="{colour}">{what}</rect>'


def _svg(bars: Sequence[str], words: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 22}" width="{WIDTH}" role="img">{"".join(bars)}{words}</svg>'


def _mark(text: str) -> str:
    return _MARKS.sub(r"\\\1", clean(text, 400))


def _n(value: Any) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _verdict(word: str | None) -> str:
    return "none" if word is None else VERDICT_WORDS.get(word, word)
