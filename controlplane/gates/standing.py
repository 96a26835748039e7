"""How a gate stands in an environment now: its present version, the newest result of each check, waivers and answers.

A waiver that ends, a result that becomes stale, and a person's answer count at once; no run is needed for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from controlplane.gates.checks import ManualCheck
from controlplane.gates.deciding import CheckState, Decided, Decision, Result, Waiver, decide, kind_of
from controlplane.gates.document import Definition, canonical, read, sha256
from controlplane.gates.engine import batch
from controlplane.gates.judged import Because
from controlplane.gates.judging import judge
from controlplane.gates.model import Answer, CheckRow, Whole
from controlplane.gates.observing import answered
from controlplane.gates.summary import stamp, summary_of

OPEN = ("GO", "GO_WITH_CONDITIONS")
MAX_INSTANTS = 400


def with_answers(definition: Definition, results: Mapping[str, Result], answers: Sequence[Answer]) -> dict[str, Result]:
    """The results, in which each newer answer of a person takes the place of what a run had found."""
    found = dict(results)
    for answer in answers:
        check = definition.check(answer.check_name)
        held = found.get(answer.check_name)
        if not isinstance(check, ManualCheck) or (held is not None and held.observed_at >= answer.answered_at):
            continue
        observed = answered(answer.answer, answer.answered_by, answer.reason)
        text = canonical(observed)
        judged = judge(check, observed)
        found[check.name] = Result(check.name, judged, text, sha256(text), answer.answered_at)
    return found


def closes_at(
    definition: Definition, results: Mapping[str, Result], waivers: Sequence[Waiver], environment: str, now: datetime
) -> datetime | None:
    """When an open gate closes by itself if nothing is done; None: it is closed, or it does not."""
    if decide(definition, results, waivers, environment, now).verdict not in OPEN:
        return None
    instants = {each.ends_at for each in waivers}
    for check in definition.checks:
        if check.required and (result := results.get(check.name)) is not None:
            instants.add(result.observed_at + timedelta(seconds=check.freshness) + timedelta(microseconds=1))
    for at in sorted(each for each in instants if each > now)[:MAX_INSTANTS]:
        if decide(definition, results, waivers, environment, at).verdict not in OPEN:
            return at
    return None


def blocking(decision: Decision) -> tuple[str, ...]:
    return tuple(each.check.name for each in decision.checks if each.blocks)


def check_row(decided: Decided, running: bool = False) -> CheckRow:
    """`running`: a run that is under way has not found it yet."""
    check, result = decided.check, decided.result
    state: CheckState = "running" if running and result is None else decided.state
    because: Because = "not_run" if result is None else result.judged.because
    if state == "stale":
        because = "stale"
    judged = result.judged if result else None
    return CheckRow(
        check.name,
        kind_of(check),
        state,
        because,
        check.required,
        judged.value if judged else None,
        judged.threshold if judged else "",
        judged.unit if judged else "",
        judged.words if judged else "",
        check.owner,
        check.means,
        result.observed_at if result else None,
        result.seconds if result else None,
        result.run_id if result else None,
        decided.waiver.id if decided.waiver else None,
        result.sha256 if result else "",
        result.observed if result else "",
    )


def decision_of(whole: Whole) -> Decision:
    """A run's decision, at the time at which it was made; of one that is under way, by what it holds.

    Raises Usage `gate_unreadable`.
    """
    run, definition = whole.run, read(whole.definition)
    return decide(definition, whole.results, whole.waivers, run.environment, run.decided_at or run.ends_by)


def rows_of(whole: Whole) -> list[CheckRow]:
    """What a run found, in the order of its gate; of a batch its own checks."""
    run, definition = whole.run, read(whole.definition)
    among = {each.name for each in batch(definition, run.batch_size, run.batch_index)}
    checks = decision_of(whole).checks
    return [check_row(each, run.state == "running") for each in checks if each.check.name in among]


def flaky(history: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Checks whose state went and came back: at least two changes over the runs, the oldest first, in which it ran."""
    names = sorted({name for run in history for name in run})
    found = []
    for name in names:
        states = [run[name] for run in history if name in run]
        changes = sum(before != after for before, after in pairwise(states))
        if changes >= 2:
            found.append(name)
    return tuple(found)


def document_of(whole: Whole) -> dict[str, Any]:
    """The summary of a run that is decided. Raises Usage for a definition that cannot be read."""
    run = whole.run
    about = {
        "run": run.id, "gate": run.gate, "version": run.gate_version, "environment": run.environment, "mode": run.mode,
        "batch_size": run.batch_size, "batch_index": run.batch_index, "started_at": stamp(run.started_at),
        "by": run.started_by,
    }  # fmt: skip
    return summary_of(about, whole.definition, decision_of(whole), whole.results, whole.waivers)
