"""Gates in words: why one is closed, what must change to open it, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from controlplane.formatting import age, plain_number, relative, spell
from controlplane.gates.deciding import Decided, Decision, kind_of
from controlplane.gates.judged import WHY
from controlplane.gates.model import CheckRow, GateRow, GateRun
from controlplane.lists import Line, Tone
from controlplane.text import UNKNOWN, clean

VERDICT_WORDS = {
    "GO": "GO",
    "GO_WITH_CONDITIONS": "GO with conditions",
    "NO_GO": "NO GO",
    "INCONCLUSIVE": "inconclusive",
    "never": "never run",
    "retired": "retired",
}
VERDICT_TONES: dict[str, Tone] = {
    "GO": "good",
    "GO_WITH_CONDITIONS": "warn",
    "NO_GO": "bad",
    "INCONCLUSIVE": "unknown",
    "never": "unknown",
    "retired": "muted",
}
TREND = {"GO": "●", "GO_WITH_CONDITIONS": "◐", "NO_GO": "✕", "INCONCLUSIVE": "?"}
STATE_TONES: dict[str, Tone] = {
    "pass": "good",
    "fail": "bad",
    "inconclusive": "unknown",
    "stale": "unknown",
    "waived": "warn",
    "running": "muted",
}
COUNTED = ("jobs", "messages", "rows", "objectives", "keys", "alerts", "tests", "components", "findings")
GLYPHS = {"pass": "●", "fail": "✕", "inconclusive": "?", "stale": "~", "waived": "◐", "running": "◌"}


def trend_words(trend: Sequence[str]) -> str:
    return "".join(TREND.get(each, "?") for each in trend)


def trend_said(trend: Sequence[str]) -> str:
    """For a screen reader: the newest first, and what is equal once."""
    runs = [(words, len(list(same))) for words, same in groupby(VERDICT_WORDS.get(v, v) for v in reversed(trend))]
    return ", then ".join(words if times == 1 else f"{times} times {words}" for words, times in runs)


def value_words(row: CheckRow) -> str:
    """What was found, with its unit; "?" where it is not known."""
    if row.value is None:
        return UNKNOWN if row.state != "pass" else ""
    return clean(_amount(row.value, row.unit, row.threshold), 60)


def _amount(value: float, unit: str, threshold: str) -> str:
    """ "1 message", "224 messages", "41.5 ms", "3d", "0 failed". Of tests and objectives the bad ones are counted."""
    if unit == "s":
        return spell(value)
    if unit == "tests":
        return f"{plain_number(value)} {'skipped' if threshold.endswith('skipped') else 'failed'}"
    if unit == "objectives":
        return f"{plain_number(value)} firing"
    counted = unit.removesuffix("s") if value == 1 and unit in COUNTED else unit
    return f"{plain_number(value)} {counted}".rstrip()


def because_words(row: CheckRow) -> str:
    parts = [WHY.get(row.because, row.because) if row.because else "", clean(row.words, 300)]
    return ": ".join(part for part in parts if part)


def check_words(row: CheckRow, now: datetime) -> str:
    """One check in one line."""
    parts = [f"{GLYPHS[row.state]} {row.state:<12} {row.name}"]
    if row.threshold:
        parts.append(f"{value_words(row)} ({row.threshold})".strip())
    if words := because_words(row):
        parts.append(words)
    if row.at is not None:
        parts.append(f"{age(row.at, now)} ago")
    if not row.required:
        parts.append("advisory")
    return clean("  ".join(part for part in parts if part), 400)


def why_lines(row: GateRow, now: datetime) -> list[Line]:
    """What must change to open it, and the tree that led to the verdict: what blocks first, then the conditions."""
    lines: list[Line] = [
        (f"{row.gate}{f' in {row.environment}' if row.environment else ''}: {VERDICT_WORDS[row.standing]}", "title")
    ]
    decision = row.decision
    if row.standing == "never":
        return [*lines, "nothing is known yet, so it is closed: run it (gates run)"]
    if row.standing == "retired":
        return [*lines, "it is retired; apply it again to keep it"]
    if decision is None:
        return [*lines, ("its definition cannot be read by this program: apply it again", "bad")]
    if row.every is not None:
        lines.append(f"a worker runs it every {spell(row.every.total_seconds())}")
    if row.decided_at is not None:
        lines.append(f"last decided {relative(row.decided_at, now)} (run {row.run_id})")
    if row.closes_at is not None:
        lines.append((f"closes by itself {relative(row.closes_at, now)}, if nothing is done", "warn"))
    lines += opening_lines(decision)
    blocking = [each for each in decision.checks if each.blocks]
    if blocking:
        lines += ["", ("why it is closed", "title")]
        lines += [line for each in blocking for line in _branch(each, now)]
    conditions = [each for each in decision.checks if not each.blocks and each.state != "pass"]
    if conditions:
        lines += ["", ("conditions", "title")]
        lines += [line for each in conditions for line in _branch(each, now)]
    return [*lines, "", (f"version {row.version}, definition sha256 {row.sha256[:16]}…", "muted")]


def _branch(each: Decided, now: datetime) -> list[Line]:
    """A check with what was found, and from what: a leaf names the hash of the observation."""
    check, result, waiver = each.check, each.result, each.waiver
    lines: list[Line] = [(f"├ {GLYPHS[each.state]} {check.name}: {each.state}", STATE_TONES[each.state])]
    if result is None:
        lines.append("│   no run holds it yet")
    else:
        judged = result.judged
        value = UNKNOWN if judged.value is None else clean(_amount(judged.value, judged.unit, judged.threshold), 60)
        held = f", held to {judged.threshold}" if judged.threshold else ""
        lines.append(f"│   found {value}{held}, {age(result.observed_at, now)} ago")
        if judged.because or judged.words:
            words = ": ".join(filter(None, (WHY.get(judged.because, judged.because), judged.words)))
            lines.append(f"│   {clean(words, 300)}")
        lines.append(
            (f"│   observed sha256 {result.sha256[:16]}…{f', run {result.run_id}' if result.run_id else ''}", "muted")
        )
    if waiver is not None:
        by = waiver.created_by + (f" and {waiver.approved_by}" if waiver.approved_by else "")
        lines.append(
            f"│   waived until {waiver.ends_at:%Y-%m-%d %H:%M} UTC by {clean(by, 100)}: {clean(waiver.reason, 200)}"
        )
    lines.append(
        (f"│   owner {clean(check.owner, 100)}{', ' + clean(check.means, 200) if check.means else ''}", "muted")
    )
    return lines


def opening_lines(decision: Decision) -> list[Line]:
    """What must change to open it. The smallest set is every check that blocks, with the least that opens each."""
    blocking = [each for each in decision.checks if each.blocks]
    if not blocking:
        return []
    lines: list[Line] = [
        "",
        (f"what must change to open it: {len(blocking)} of {len(decision.checks)} checks", "title"),
    ]
    return [*lines, *(f"  {each.check.name}: {_opens(each)}" for each in blocking)]


def _opens(each: Decided) -> str:
    check, result = each.check, each.result
    if kind_of(check) == "manual" and (result is None or result.judged.because == "unanswered"):
        return "somebody answers it (gates answer)"
    if result is None or result.judged.because in ("not_run", "not_here"):
        return "it is run" + (" with --commands" if kind_of(check) == "command" else "")
    if each.state == "stale":
        return "it is run again"
    if each.state == "fail":
        return f"{result.judged.threshold or 'it passes'}; or it is waived"
    word = WHY.get(result.judged.because, "something is known")
    return f"it gives a result (now: {word}); or it is waived"


def run_lines(run: GateRun, now: datetime) -> list[Line]:
    verdict = run.verdict or {"running": "running", "lost": "lost: it never ended"}[run.state]
    lines: list[Line] = [
        (
            f"{run.gate} in {run.environment}: {VERDICT_WORDS.get(verdict, verdict)}",
            VERDICT_TONES.get(verdict, "muted"),
        ),
        f"run {run.id} by {clean(run.started_by, 100)}, {relative(run.started_at, now)}, {run.mode}",
        f"version {run.gate_version} of the gate; {run.found} of {run.checks} checks recorded",
    ]
    if run.pruned_at is not None:
        lines.append((f"what they found was removed {relative(run.pruned_at, now)}: it is kept 400 days", "warn"))
    if run.batch_size is not None and run.batch_index is not None:
        lines.append(f"batch {run.batch_index} of size {run.batch_size}: the other checks are in other batches")
    if run.decided_at is not None:
        lines.append(f"took {spell((run.decided_at - run.started_at).total_seconds())}")
    if run.inputs_sha256:
        lines.append((f"inputs sha256 {run.inputs_sha256}", "muted"))
    for each in run.conditions or ():
        if isinstance(each, dict):
            due = str(each.get("due"))[:16].replace("T", " ")
            words = f"condition: {each.get('check')} {each.get('state')}; {each.get('owner')} by {due} UTC"
            lines.append((clean(words, 200), "warn"))
    return lines


def compared(before: Sequence[CheckRow], after: Sequence[CheckRow]) -> list[tuple[str, str, str]]:
    """(check, what it was, what it is) of those that differ between two runs, in state or in what was found."""
    was = {each.name: each for each in before}
    now = {each.name: each for each in after}
    found = []
    for name in dict.fromkeys([*was, *now]):
        old, new = was.get(name), now.get(name)
        words = tuple("not in it" if e is None else f"{e.state} {value_words(e)}".strip() for e in (old, new))
        if words[0] != words[1]:
            found.append((name, *words))
    return found  # type: ignore[return-value]
