"""Silences in words: what one hides, when and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from controlplane.alerts.model import Severity
from controlplane.formatting import count, relative, spell
from controlplane.lists import Line
from controlplane.matchers import show
from controlplane.silences.directory import Foreseen, KeptSilence, RecentAlert, SilenceRow
from controlplane.silences.model import Ends
from controlplane.text import UNKNOWN, clean

EARLIER: dict[Ends, str] = {
    "time": "",
    "resolved": "once all alerts that it hid are resolved",
    "unmatched": "once no alert matches it",
}
TONES: dict[Severity, str] = {"critical": "bad", "error": "bad", "warning": "warn", "info": "muted"}


def matchers_text(silence: KeptSilence) -> str:
    """As they are typed, in full."""
    return ", ".join(map(str, silence.matchers))


def stored_text(matchers: Iterable[Mapping[str, str]]) -> str:
    """The same from how they are stored, also of some that cannot be used."""
    escaped = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    texts = []
    for each in matchers:
        value = "".join(escaped.get(letter, letter) for letter in each["value"])
        texts.append(f'{each["label"]}{each["op"]}"{value}"')
    return ", ".join(texts)


def matchers_words(silence: KeptSilence) -> str:
    return f"cannot be read: {clean(silence.fault, 200)}" if silence.fault else show(silence.matchers)


def foreseen_words(found: Foreseen) -> str:
    """What matchers would hide: for the form, and for the preview."""
    if not found.evaluated:
        return "what it would hide is not known: no detector was evaluated yet"
    hidden, least = found.hidden, "at least " if found.more else ""
    worst = f", {count(hidden.worst)} of them critical" if hidden.worst else ""
    alerts = "alert" if hidden.now == 1 else "alerts"
    words = f"hides {least}{count(hidden.now)} open {alerts} now; in the last 7 days it would have hidden"
    return f"{words} {least}{count(hidden.week)}{worst}" + ("; not all alerts were looked at" if found.more else "")


def hides_words(row: SilenceRow) -> str:
    if row.hides is None:
        return UNKNOWN if row.standing == "active" else ""
    return count(row.hides) + ("+" if row.more else "")


def end_words(silence: KeptSilence, now: datetime) -> str:
    """When it ends, and what ends it earlier; or when and by what it ended."""
    if silence.ended_at is not None and silence.ended_at <= silence.ends_at:
        by = f"by {clean(silence.ended_by, 63)}" if silence.ended_by else f"by itself, {EARLIER[silence.ends]}"
        return f"ended {relative(silence.ended_at, now)} {by}"
    verb = "ended" if silence.ends_at <= now else "ends"
    earlier = EARLIER[silence.ends]
    until = f"{verb} {relative(silence.ends_at, now)}, at {silence.ends_at:%Y-%m-%d %H:%M} UTC"
    return until + (f", or {earlier} for {spell(silence.after.total_seconds())}" if earlier and verb == "ends" else "")


def alert_words(alert: RecentAlert) -> str:
    words = f"alert {alert.id}, {alert.severity}, {alert.tenant_id or 'all'}, {alert.kind}: {alert.summary}"
    return clean(words, 300)


def fact_lines(row: SilenceRow, now: datetime) -> list[Line]:
    """One silence, in reading order."""
    silence = row.silence
    starts = "starts" if row.standing == "pending" else "started"
    lines: list[Line] = [
        (f"hides: {matchers_words(silence)}", "bad" if silence.fault else ""),
        f"{starts} {relative(silence.starts_at, now)}, at {silence.starts_at:%Y-%m-%d %H:%M} UTC",
        end_words(silence, now),
        f"by {clean(silence.created_by, 63)}: {clean(silence.comment, 2000)}",
    ]
    if silence.replaces is not None:
        lines.append((f"replaces silence {silence.replaces}", "muted"))
    return lines


def hidden_lines(alerts: Sequence[RecentAlert], more: bool) -> list[Line]:
    if not alerts:
        return (
            [("it hides no alert now", "muted")]
            if not more
            else ["not all alerts were looked at; it hides none of those"]
        )
    lines: list[Line] = [(alert_words(each), TONES.get(each.severity, "")) for each in alerts]
    return [*lines, ("not all alerts were looked at: there may be more", "warn")] if more else lines


def why_of(row: SilenceRow, now: datetime) -> list[Line]:
    """Why it stands as it is shown."""
    lines: list[Line] = [(f"silence {row.silence.id}: {row.standing}", "title"), *fact_lines(row, now)]
    if row.standing == "unreadable":
        lines.append("it hides nothing; end it, and make a new one")
    if row.hides is not None:
        lines.append(f"open alerts that match all of its matchers now: {hides_words(row)}")
    return lines
