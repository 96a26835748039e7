"""The verdict of a gate: pure rules, the same for a run, for how a gate stands now, and for a summary that is read
years later. `wf.gate_decision` is the same rule in the home; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from controlplane.gates.checks import Check
    from controlplane.gates.document import Definition
    from controlplane.gates.judged import Judged

CheckState = Literal["pass", "fail", "inconclusive", "stale", "waived", "running"]
Verdict = Literal["GO", "GO_WITH_CONDITIONS", "NO_GO", "INCONCLUSIVE"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
EXIT_CODES: Mapping[Verdict, int] = {"GO": 0, "GO_WITH_CONDITIONS": 10, "NO_GO": 20, "INCONCLUSIVE": 30}
OPENS: tuple[CheckState, ...] = ("pass", "waived")
PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Result:
    """What a check was judged to be. `sha256`: of `observed`, the canonical text of what was seen; `seconds`: how long
    it took; `run_id` 0: it belongs to none.
    """

    name: str
    judged: Judged
    observed: str
    sha256: str
    observed_at: datetime
    seconds: float = 0.0
    run_id: int = 0


@dataclass(frozen=True, slots=True)
class Waiver:
    """`approved_at` None: no second person has agreed; in production it opens nothing then."""

    id: int
    gate: str
    check_name: str
    environment: str
    reason: str
    ends_at: datetime
    created_at: datetime
    created_by: str
    approved_at: datetime | None = None
    approved_by: str | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None
    version: int = 1

    @property
    def key(self) -> str:
        return str(self.id)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is still to be put right, by whom and when."""

    check: str
    state: CheckState
    owner: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """One check as it counts. `result` None: there is none; `waiver`: the one that opens it."""

    check: Check
    state: CheckState
    result: Result | None
    waiver: Waiver | None

    @property
    def blocks(self) -> bool:
        return self.check.required and self.state not in OPENS


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    checks: tuple[Decided, ...]
    conditions: tuple[Condition, ...]
    at: datetime


def in_effect(waiver: Waiver, at: datetime) -> bool:
    agreed = waiver.environment != PRODUCTION or (waiver.approved_at is not None and waiver.approved_at <= at)
    open_then = waiver.ended_at is None or waiver.ended_at > at
    return agreed and open_then and waiver.created_at <= at < waiver.ends_at


def decide(
    definition: Definition, results: Mapping[str, Result], waivers: Sequence[Waiver], environment: str, at: datetime
) -> Decision:
    """`results`: the newest of each check."""
    open_until: dict[str, Waiver] = {}
    for each in waivers:
        if (each.gate, each.environment) == (definition.name, environment) and in_effect(each, at):
            held = open_until.get(each.check_name)
            if held is None or each.ends_at > held.ends_at:
                open_until[each.check_name] = each
    checks = tuple(
        _counted(check, results.get(check.name), open_until.get(check.name), at) for check in definition.checks
    )
    return Decision(verdict_of(checks), checks, tuple(_conditions(checks, at)), at)


def verdict_of(checks: Sequence[Decided]) -> Verdict:
    """Only a gate whose every required check passes or is waived is open."""
    blocking = {each.state for each in checks if each.blocks}
    if "fail" in blocking:
        return "NO_GO"
    if blocking or not any(each.check.required for each in checks):
        return "INCONCLUSIVE"
    return "GO" if all(each.state == "pass" for each in checks) else "GO_WITH_CONDITIONS"


def _counted(check: Check, result: Result | None, waiver: Waiver | None, at: datetime) -> Decided:
    state: CheckState = "inconclusive" if result is None else result.judged.state
    if result is not None and state == "pass" and result.observed_at + timedelta(seconds=check.freshness) < at:
        state = "stale"
    if state != "pass" and waiver is not None:
        return Decided(check, "waived", result, waiver)
    return Decided(check, state, result, None)


def _conditions(checks: Sequence[Decided], at: datetime) -> list[Condition]:
    found = []
    for each in checks:
        if each.waiver is not None:
            found.append(Condition(each.check.name, "waived", each.check.owner, whole_seconds(each.waiver.ends_at)))
        elif not each.check.required and each.state != "pass":
            due = whole_seconds(at + timedelta(seconds=each.check.due))
            found.append(Condition(each.check.name, each.state, each.check.owner, due))
    return found


def kind_of(check: Check) -> str:
    kind: str = getattr(check, "kind", "")
    return kind


def whole_seconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
