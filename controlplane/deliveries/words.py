"""What people read in a notice, unless a route has a template of its own."""

from __future__ import annotations

from datetime import UTC

from controlplane.deliveries.model import Notice, Text
from controlplane.text import clean, clean_lines

TEST = "TEST"
MAX_TITLE = 300
MAX_BODY = 4000
_ACTIONS = {"acknowledge": "ACKNOWLEDGED", "resolve": "RESOLVED"}


def built_in(notice: Notice) -> Text:
    return finished(notice, notice.summary, "\n".join(_lines(notice)))


def finished(notice: Notice, title: str, body: str, fault: str = "") -> Text:
    """Foreign text made inert and bounded, marked with what it is; a fault is the last line."""
    mark = _ACTIONS.get(notice.action, notice.severity.upper())
    test = f"{TEST} " if notice.test else ""
    lines = clean_lines(body, MAX_BODY)
    if notice.test:
        lines = f"This is a {TEST}: nothing has happened.\n{lines}"
    if fault:
        lines += f"\n\nThe template of this route failed ({fault}); this is the built-in text."
    return Text(f"{test}[{mark}] {clean(title.strip(), MAX_TITLE)}", lines, fault)


def value_words(value: float | None, unit: str) -> str:
    return clean(f"{'unknown' if value is None else f'{value:.6g}'} {unit}", 80).strip()


def _lines(notice: Notice) -> list[str]:
    lines = [f"tenant: {clean(notice.tenant_id, 200) or 'all tenants'}", f"what: {clean(notice.event_type, 200)}"]
    if notice.value is not None or notice.threshold is not None:
        lines.append(f"value: {value_words(notice.value, notice.unit)}")
    if notice.threshold is not None:
        lines.append(f"threshold: {value_words(notice.threshold, notice.unit)}")
    lines.append(f"severity: {notice.severity}")
    lines.append(f"at: {notice.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    lines.append(f"why you: {clean(notice.reason.replace('_', ' '), 200)}")
    if notice.label or notice.route:
        lines.append(f"route: {clean(notice.label or notice.route, 200)}")
    return lines
