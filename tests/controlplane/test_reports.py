"""What a governance report says first, and that it is inert in each of its forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.evidence.controls import Control, Standing, standing
from controlplane.reports.data import KIND, document, points, read, status
from controlplane.reports.list import report_lines
from controlplane.reports.rendering import html, markdown

NOW = datetime(2026, 12, 1, 0, 20, tzinfo=UTC)
ASKED = {
    "kind": "weekly",
    "subject": "2026-W48",
    "from": "2026-11-23T00:00:00+00:00",
    "to": "2026-11-30T00:00:00+00:00",
}
KEPT = Standing(Control("CC7.2", "SOC 2", "Kept", ("junit",), timedelta(days=1)), "fresh", ())
EVIL = "<script>alert(1)</script>|`x`\u202e\x1b[31m"


def gate(last: str | None, name: str = "release") -> dict[str, Any]:
    return {"gate": name, "environment": "production", "runs": 3, "go": 1, "conditions": 0, "no_go": 1,
            "inconclusive": 1, "lost": 0, "last": last, "last_at": "2026-11-29T10:00:00+00:00"}  # fmt: skip


def figures(**more: Any) -> dict[str, Any]:
    """A week in which all was well."""
    return {
        "made_at": NOW.isoformat(),
        "gates": [gate("GO")],
        "days": [{"day": f"2026-11-{day}", "go": day % 2, "conditions": 0, "no_go": 0, "inconclusive": 0}
                 for day in range(23, 30)],
        "waivers": {"made": 0, "ended": 0, "open": 0, "ending": []},
        "rotations": {"stale": 0, "tenants": 0, "late": 0, "worst": []},
        "drift": {"fewest": 1000, "tenants": 2, "least": 0.001, "median": 0.002, "most": 0.003, "spread": 0.002,
                  "worst": [{"tenant": "acme", "requests": 5000, "share": 0.003}]},
        "drills": {"made": 1, "last_at": "2026-11-25T10:00:00+00:00", "settled": 12},
        "chain": {"written": 900, "chained": 900, "signed": 890, "signed_at": "2026-12-01T00:15:00+00:00",
                  "trouble": None},
    } | more  # fmt: skip


def report(*controls: Control, **more: Any) -> Any:
    kept = [KEPT] if not controls else [standing(each, [], NOW) for each in controls]
    return read(document(ASKED, figures(**more), kept))


def test_a_week_in_which_all_was_well_is_green_and_nothing_else_is() -> None:
    assert status(points(report())) == "green"
    waiver = {"id": 1, "gate": "release", "environment": "production", "check": "tests", "by": "ana", "second": "ben",
              "ends_at": "2026-12-03T00:00:00+00:00", "reason": "flaky"}  # fmt: skip
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"gates": [gate("NO_GO"), gate("GO", "core")]}, "red", "closed at the last run: release/production"),
        ({"gates": [gate("INCONCLUSIVE")]}, "yellow", "nothing was decided at the last run: release/production"),
        ({"gates": [gate(None)]}, "yellow", "nothing was decided at the last run: release/production"),
        ({"gates": []}, "yellow", "no gate was run"),
        ({"waivers": {"made": 1, "ended": 0, "open": 1, "ending": [waiver]}}, "yellow",
         "within 14 days 1 waiver will end: release/production tests"),
        ({"rotations": {"stale": 2, "tenants": 1, "late": 1, "worst": []}}, "yellow",
         "2 live keys too old, 1 rotation late"),
        ({"drift": figures()["drift"] | {"spread": None, "worst": []}}, "yellow",
         "drift between tenants is unknown: too few requests"),
        ({"drift": figures()["drift"] | {"spread": 0.4}}, "yellow",
         "shares of failed requests lie 40 % apart, among 2 tenants"),
        ({"drills": {"made": 0, "last_at": None, "settled": 0}}, "yellow", "no drill of dead letters was made"),
        ({"chain": figures()["chain"] | {"trouble": "row 7 was changed"}}, "red", "the trail: row 7 was changed"),
        ({"chain": figures()["chain"] | {"signed": None, "signed_at": None}}, "yellow",
         "no checkpoint proves the trail yet"),
    ]  # fmt: skip
    for more, colour, words in wrong:
        said = points(report(**more))
        assert status(said) == colour and words == said[0][1], more
    control = Control("CC8.1", "SOC 2", "Changes are tested", ("junit",), timedelta(days=31))
    said = points(report(control))
    assert status(said) == "red" and said[0][1] == "1 of 1 controls without fresh evidence: CC8.1"
    assert status(points(read(document(ASKED, figures(), [])))) == "yellow", "no control at all is not green"
    unmapped = points(report(Control("A1", "SOC 2", "x", (), timedelta(days=1))))
    assert status(unmapped) == "yellow" and "no kind of evidence is named" in unmapped[0][1]


def test_the_same_figures_are_the_same_bytes_and_others_are_refused() -> None:
    again = json.loads(json.dumps(figures(), sort_keys=True))
    assert document(ASKED, figures(), []) == document(dict(reversed(ASKED.items())), again, [])
    for text in ("", "[]", "{}", '{"report": "watchfloor.governance-report/2"}'):
        with pytest.raises(Usage, match="no report"):
            read(text)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href") or name.startswith("on")]


def test_what_people_wrote_is_inert_in_every_form() -> None:
    waiver = {"id": 1, "gate": "release", "environment": "production", "check": "tests", "by": EVIL, "second": None,
              "ends_at": "2026-12-03T00:00:00+00:00", "reason": EVIL}  # fmt: skip
    drift = figures()["drift"] | {"worst": [{"tenant": EVIL, "requests": 5000, "share": 0.3}]}
    data = report(gates=[gate("GO", EVIL)], waivers={"made": 1, "ended": 0, "open": 1, "ending": [waiver]}, drift=drift)
    page = Page()
    page.feed(html(data))
    assert "script" not in page.tags and not page.loads and page.tags.count("svg") == 2 and "rect" in page.tags
    text = markdown(data)
    assert "<script>" not in text and "\\<script\\>" in text and "\x1b" not in text + html(data)
    cells = [line for line in text.splitlines() if line.startswith("|") and "script" in line]
    assert cells and all(line.replace("\\|", "").count("|") in (8, 9, 4) for line in cells), "no cell makes another"
    assert "\u202e" not in text and "2026-12-03 00:00 UTC" in text and "Status: **yellow**" in text


def test_a_day_without_a_run_is_an_empty_place() -> None:
    drawn = html(report())
    assert drawn.count("<title>2026-11-") == 4 and "2026-11-24: " not in drawn
    nothing = report(days=[{"day": "2026-11-23", "go": 0, "conditions": 0, "no_go": 0, "inconclusive": 0}])
    assert html(nothing).count("<svg") == 1
    unknown = report(drift=figures()["drift"] | {"worst": [], "spread": None})
    assert "Nothing is known: no tenant had 1,000 requests." in html(unknown), "unknown is not zero"


parts = st.none() | st.just([]) | st.just({}) | st.just("x") | st.just(-1) | st.just([{"last": None, "state": []}])


@given(st.dictionaries(st.sampled_from(sorted(report())), parts))
def test_whatever_a_worker_kept_as_a_report_is_shown(other: dict[str, Any]) -> None:
    lines = report_lines(json.dumps({**report(), **other, "report": KIND}))
    assert lines and all(str(line if isinstance(line, str) else line[0]).isprintable() for line in lines)
