"""Dead letters in words: a cause, a message, why it is as it is, and what differs between two payloads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controlplane.audit.model import Record
from controlplane.formatting import age, count_words, relative, spell
from controlplane.lists import Cell, Line
from controlplane.queues.model import Cause, Letter, Message, SourceStats, Success
from controlplane.queues.rules import obstacle
from controlplane.telemetry.charts import sparkline, trend_words
from controlplane.text import UNKNOWN, clean

HOURS = 24
HEX_WIDTH = 16
"""Bytes of a line of hex."""
MAX_SHOWN_BYTES = 4096
MAX_LINES = 400
ENTERED_CAP = 10_000


def cause_words(cause: Cause) -> str:
    passed = ", gate passed" if cause.ready else ""
    fixed = f"fixed in {clean(cause.fixed_in, 60)}{passed}: " if cause.fixed_in else ""
    return fixed + clean(f"{cause.error_class}: {cause.cause}" if cause.error_class else cause.cause, 400)


def hours_words(cause: Cause) -> str:
    """How many died in each of the last 24 hours, two hours a cell; "" when none did."""
    return sparkline(cause.hours, HOURS // 2) if any(cause.hours) else ""


def hours_said(cause: Cause) -> str:
    return trend_words(cause.hours, lambda died: f"{died:,.0f} an hour") if any(cause.hours) else ""


def obstacle_words(letter: Letter) -> Cell:
    """What would refuse a replay of it now, in a word or two."""
    if letter.state == "quarantined":
        return Cell("quarantined", "warn")
    if letter.state != "dead":
        return Cell("")
    named = {"letter_tenant": "tenant not active", "letter_processed": "done already", "letter_conflict": "under way",
             "letter_gone": "gone", "delivery_route_off": "route off"}  # fmt: skip
    return Cell(named.get(letter.obstacle, letter.obstacle), "warn") if letter.obstacle else Cell("replay", "good")


def why_cause(cause: Cause, now: datetime) -> list[Line]:
    lines: list[Line] = [
        (f"cause {cause.id}: {clean(cause.handler, 100)}", "title"),
        clean(cause.cause, 500) or "no message",
        f"class: {clean(cause.error_class, 100) or 'none'}",
        f"queue: {clean(cause.queue, 100)}; source: {clean(cause.source, 64)}",
        f"{cause.waiting:,} wait{'s' if cause.waiting == 1 else ''}: {cause.dead:,} dead, "
        f"{cause.quarantined:,} quarantined; of {count_words(cause.tenants, 'tenant')}",
        f"{cause.replayed:,} replayed, {cause.discarded:,} discarded",
        f"first {relative(cause.first_seen, now)}, last {relative(cause.last_seen, now)}",
        f"died in: {', '.join(clean(each, 60) for each in cause.releases) or 'no known release'}",
        f"fixed in: {clean(cause.fixed_in, 100)}" if cause.fixed_in else "not marked as fixed: press a, then f",
        *gate_lines(cause),
        "one cause: the same queue, handler and class, and the same message",
        "without ids, numbers, quoted texts, addresses and times",
        f"fingerprint: {cause.fingerprint}",
    ]
    return lines


def gate_lines(cause: Cause) -> list[Line]:
    """What the gate of the release in which it is fixed decided, and what to do then."""
    if not cause.fixed_gate:
        return []
    decided = cause.gate_verdict or "has not decided since then"
    lines: list[Line] = [f"its gate {clean(cause.fixed_gate, 200)}: {clean(decided, 40)}"]
    if cause.ready:
        lines.append(("it may be replayed, one message first: press a, then r", "good"))
    elif cause.fixed_in in cause.releases:
        lines.append(("but it died in that release too", "bad"))
    return lines


def ready_lines(number: int) -> list[Line]:
    """Above the causes: those whose fix passed its gate."""
    if not number:
        return []
    said = (
        "1 cause is fixed and its gate passed" if number == 1 else f"{number} causes are fixed and their gates passed"
    )
    return [(f"{said}: /ready:yes, then a, r replays one message first", "good")]


def why_letter(letter: Letter, now: datetime) -> list[Line]:
    """Why it is in its state, and what a replay would meet."""
    lines: list[Line] = [
        (f"letter {letter.id}: {clean(letter.handler, 100)}", "title"),
        f"{letter.state}: {state_words(letter, now)}",
        f"error: {clean(letter.error, 2000) or 'none was kept'}",
        f"cause: {letter.cause_id}, {clean(letter.cause, 500)}",
        f"replayed before, and died of the same cause: {letter.replays}; from 3 on it is quarantined",
    ]
    if letter.obstacle is not None and letter.state == "dead":
        refusal = obstacle(letter)
        lines.append((f"a replay would be refused: {refusal.message} [{refusal.code}]", "warn"))
    if letter.hold:
        lines.append(("under a legal hold: it is neither discarded nor deleted", "warn"))
    elif letter.kept_until is not None:
        lines.append(f"kept until {letter.kept_until:%Y-%m-%d %H:%M} UTC, counted from its death")
    return lines


def state_words(letter: Letter, now: datetime) -> str:
    if letter.settled_at is not None:
        why = f": {clean(letter.settled_why, 300)}" if letter.settled_why else ""
        return f"by {clean(letter.settled_by, 63)} {relative(letter.settled_at, now)}{why}"
    if letter.state == "quarantined":
        return "no replay includes it until somebody releases it"
    return f"died {relative(letter.dead_at, now)}, after {count_words(letter.attempt_count, 'attempt')}"


def fact_lines(letter: Letter, now: datetime) -> list[Line]:
    """What a person needs first."""
    verdict = obstacle_words(letter)
    tone = {"dead": "bad", "quarantined": "warn", "replayed": "good"}.get(letter.state, "muted")
    rows = {
        "handler": clean(letter.handler, 200),
        "class": clean(letter.error_class, 100) or "none",
        "tenant": clean(letter.tenant_id, 100) if letter.tenant_id else "none",
        "source": f"{clean(letter.source, 64)} {clean(letter.source_id, 100)}, queue {clean(letter.queue, 100)}",
        "attempts": f"{letter.attempt_count}, first failed {relative(letter.first_failed_at, now)}",
        "replayed": f"{count_words(letter.replays, 'time')} before, and died of the same",
        "key": clean(letter.idempotency_key, 200) if letter.idempotency_key else "none",
        "release": clean(letter.release, 100) or UNKNOWN,
        "kept": "legal hold" if letter.hold else _kept(letter, now),
    }
    return [
        (clean(letter.error, 600) or "no error was kept", "title"),
        (f"{letter.state}: {state_words(letter, now)}", tone),
        *([(f"verdict: {verdict.text}", verdict.tone)] if verdict.text else []),
        "",
        *(f"{name:<10}{value}" for name, value in rows.items()),
    ]


def _kept(letter: Letter, now: datetime) -> str:
    if letter.kept_until is None:
        return "30 days after it was settled"
    return f"until {letter.kept_until:%Y-%m-%d} ({spell((letter.kept_until - now).total_seconds())})"


def attempt_lines(attempts: Sequence[Record]) -> list[Line]:
    """The newest first, each with its error."""
    lines: list[Line] = []
    for each in reversed(attempts):
        by = f" by {clean(each['by'], 100)}" if each.get("by") else ""
        at = clean(str(each.get("ended_at") or each.get("at") or UNKNOWN)[:19].replace("T", " "), 30)
        lines.append((f"{clean(each.get('attempt'), 12)}  {at}  {clean(each.get('outcome'), 40)}{by}", "bad"))
        lines.append((f"   {clean(each.get('error') or 'no error was kept: its worker was lost', 1000)}", "muted"))
    return lines or [("no attempt was recorded", "muted")]


def payload_lines(message: Message | None, size: int) -> list[Line]:
    """The payload: JSON with every number as it came, other bytes in hex; then its headers, and the edit."""
    if message is None:
        return [("Only operators and admins read messages: they may hold personal data.", "muted")]
    lines: list[Line] = []
    if message.json is not None:
        lines += json_lines(message.json)
    elif message.payload:
        lines += hex_lines(message.payload[:MAX_SHOWN_BYTES])
    if message.cut or (message.json is None and len(message.payload) > MAX_SHOWN_BYTES):
        lines.append((f"… {size:,} bytes in total", "muted"))
    if not lines:
        lines.append(("it is empty", "muted"))
    if message.headers:
        lines += ["", ("headers", "title")]
        known = ((name, value) for name, value in message.headers.items() if value is not None)
        lines += [f"{clean(name, 60)}: {clean(value, 300)}" for name, value in known]
    if message.edited is not None:
        lines += ["", ("in its replay, merged into it", "title"), (clean(message.edited, 4000), "warn")]
    return lines


def json_lines(text: str) -> list[Line]:
    lines = [clean(line, 1000) for line in text.split("\n")]
    more: list[Line] = (
        [(f"… {count_words(len(lines) - MAX_LINES, 'more line')}", "muted")] if len(lines) > MAX_LINES else []
    )
    return [*lines[:MAX_LINES], *more]


def hex_lines(payload: bytes) -> list[Line]:
    """As hexdump shows it: offset, bytes, and those that are letters."""
    lines: list[Line] = []
    for at in range(0, len(payload), HEX_WIDTH):
        row = payload[at : at + HEX_WIDTH]
        shown = "".join(chr(each) if 32 <= each < 127 else "." for each in row)
        lines.append(f"{at:06x}  {row.hex(' '):<{HEX_WIDTH * 3}} {shown}")
    return lines


def difference_lines(message: Message | None, success: Success | None, now: datetime) -> list[Line]:
    """What is different from the last message of its handler that succeeded, line by line of their JSON."""
    from difflib import unified_diff  # only here: lists do not need it

    if message is None:
        return [("Only operators and admins read messages.", "muted")]
    if success is None:
        return [("No message of this handler succeeded within a day, which is how long done jobs are kept.", "muted")]
    lines: list[Line] = [(f"− {success.source_id} succeeded {relative(success.at, now)}   + this one", "muted")]
    was, now_said = success.payload.split("\n"), (message.json or "").split("\n")
    changed = list(unified_diff(was, now_said, n=1, lineterm=""))[2:]
    for line in changed[:MAX_LINES]:
        if not line.startswith("@@"):
            lines.append((clean(line, 1000), {"+": "warn", "-": "muted"}.get(line[:1], "")))
    if not changed:
        lines.append("their payloads are the same: the message itself is not the cause")
    return lines


def source_words(stats: SourceStats, now: datetime) -> str:
    """ "jobs 12, oldest 3d, in 5/h, out 2/h": one source on the list's line of sources. Rates when something moves."""
    words = f"{clean(stats.name, 40)} {stats.waiting:,}"
    if stats.oldest is not None:
        words += f", oldest {age(stats.oldest, now)}"
    if stats.entered or stats.settled:
        words += f", in {_rate(stats.entered)}, out {_rate(stats.settled)}"
    return words + (f", {_capped(stats.ending)} deleted within 7d" if stats.ending else "")


def _rate(number: int) -> str:
    return f"{_capped(number)}/h"


def _capped(number: int) -> str:
    return f"{ENTERED_CAP:,}+" if number > ENTERED_CAP else f"{number:,}"
