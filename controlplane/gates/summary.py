"""The summary of a run: all that its decision follows from, in one document that is decided again by itself.

It holds the definition and every observation as the very texts that were hashed, the waivers that were known, and the
verdict. `recompute` hashes, judges and decides anew, and says where the document does not agree with itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from controlplane import jsontext
from controlplane.errors import Refusal, Usage
from controlplane.gates.deciding import Condition, Decision, Result, Verdict, Waiver, decide
from controlplane.gates.document import Definition, sha256
from controlplane.gates.document import read as read_definition
from controlplane.gates.judged import Judged
from controlplane.gates.judging import judge
from controlplane.text import clean

KIND = "watchfloor.gate-summary/1"
MAX_SUMMARY_BYTES = 32 * 1024 * 1024
Text = Annotated[str, Field(max_length=400)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CheckPart(_Part):
    name: Text
    state: Text
    because: Text = ""
    value: float | None = None
    threshold: Text = ""
    unit: Text = ""
    words: Annotated[str, Field(max_length=2000)] = ""
    owner: Text = ""
    required: bool = True
    waiver: int | None = None
    observed: Annotated[str | None, Field(default=None, max_length=65_536)]
    observed_sha256: Annotated[Digest | None, Field(default=None)]
    observed_at: Annotated[AwareDatetime | None, Field(default=None)]
    seconds: float = 0.0


class WaiverPart(_Part):
    id: int
    check: Text
    reason: Annotated[str, Field(max_length=2000)]
    ends_at: AwareDatetime
    created_at: AwareDatetime
    created_by: Text
    approved_at: AwareDatetime | None = None
    approved_by: Text | None = None
    ended_at: AwareDatetime | None = None


class ConditionPart(_Part):
    check: Text
    state: Text
    owner: Text
    due: AwareDatetime


class Summary(_Part):
    kind: Literal["watchfloor.gate-summary/1"]
    run: int
    gate: Text
    version: int
    environment: Text
    mode: Text
    batch_size: int | None = None
    batch_index: int | None = None
    started_at: AwareDatetime
    decided_at: AwareDatetime
    by: Text
    definition: Annotated[str, Field(max_length=131_072)]
    definition_sha256: Digest
    checks: Annotated[list[CheckPart], Field(max_length=200)]
    waivers: Annotated[list[WaiverPart], Field(max_length=1000)]
    verdict: Verdict
    conditions: list[ConditionPart]
    inputs_sha256: Digest


class SummaryWrong(Refusal):
    """The document does not agree with itself."""

    exit_code = 1


def inputs_sha256(definition_sha256: str, results: Mapping[str, Result]) -> str:
    """Over all that was found; `wf.guard_gate_run` computes the same."""
    lines = [f"{name} {results[name].judged.state} {results[name].sha256}" for name in sorted(results)]
    return sha256(definition_sha256 + "\n" + "\n".join(lines))


def summary_of(
    run: Mapping[str, Any],
    definition: str,
    decision: Decision,
    results: Mapping[str, Result],
    waivers: Sequence[Waiver],
) -> dict[str, Any]:
    """`run`: number, gate, version, environment, mode, batch, start and author."""
    digest = sha256(definition)
    return {
        "kind": KIND,
        **run,
        "decided_at": stamp(decision.at),
        "definition": definition,
        "definition_sha256": digest,
        "checks": [_check_part(each) for each in decision.checks],
        "waivers": [_waiver_part(each) for each in waivers],
        "verdict": decision.verdict,
        "conditions": [dataclasses.asdict(each) | {"due": stamp(each.due)} for each in decision.conditions],
        "inputs_sha256": inputs_sha256(digest, results),
    }


def _check_part(decided: Any) -> dict[str, Any]:
    check, result = decided.check, decided.result
    judged = result.judged if result else Judged("inconclusive", "not_run")
    part = {
        "name": check.name,
        "state": decided.state,
        "because": judged.because,
        "value": judged.value,
        "threshold": judged.threshold,
        "unit": judged.unit,
        "words": judged.words,
        "owner": check.owner,
        "required": check.required,
        "waiver": decided.waiver.id if decided.waiver else None,
    }
    if result is not None:
        part |= {
            "observed": result.observed,
            "observed_sha256": result.sha256,
            "observed_at": stamp(result.observed_at),
            "seconds": result.seconds,
        }
    return part


def _waiver_part(waiver: Waiver) -> dict[str, Any]:
    fields = ("id", "reason", "ends_at", "created_at", "created_by", "approved_at", "approved_by", "ended_at")
    part = {name: getattr(waiver, name) for name in fields}
    return {"check": waiver.check_name} | {
        name: stamp(value) if isinstance(value, datetime) else value for name, value in part.items()
    }


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read(text: str | bytes, name: str = "the summary") -> Summary:
    """Raises Usage `summary_unreadable`."""
    shown = clean(name, 200)
    if len(text) > MAX_SUMMARY_BYTES:
        raise Usage("summary_unreadable", f"{shown} is larger than {MAX_SUMMARY_BYTES:,} bytes.")
    try:
        return Summary.model_validate(jsontext.read(text))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]]
        words = clean("; ".join(faults), 400)
    except ValueError as error:
        words = clean(error, 200)
    raise Usage("summary_unreadable", f"{shown} is no summary of a gate's run: {words}.")


def results_of(summary: Summary, definition: Definition) -> dict[str, Result]:
    """Every observation, hashed and judged anew. Raises SummaryWrong `summary_altered`."""
    results: dict[str, Result] = {}
    for part in summary.checks:
        if part.observed is None or part.observed_at is None:
            continue
        check = definition.check(part.name)
        if check is None:
            raise _altered(f"the definition has no check {part.name}")
        if part.name in results:
            raise _altered(f"the check {part.name} is there twice")
        if sha256(part.observed) != part.observed_sha256:
            raise _altered(f"what was observed by {part.name} has another hash")
        try:
            observed = jsontext.read(part.observed)
        except ValueError:
            observed = {"trouble": "error", "words": "the observation is not JSON"}
        judged = judge(check, observed if isinstance(observed, dict) else {})
        results[part.name] = Result(
            part.name, judged, part.observed, part.observed_sha256 or "", part.observed_at, part.seconds, summary.run
        )
    return results


def recompute(summaries: Sequence[Summary]) -> Decision:
    """Decide from summaries alone: one, or those of the batches of one gate's version. Of several observations of a
    check the newest counts; the time is that of the newest summary. Raises SummaryWrong, Usage `summaries_differ`.
    """
    first = summaries[0]
    same = {(each.gate, each.environment, each.definition_sha256) for each in summaries}
    if len(same) > 1:
        raise Usage("summaries_differ", "The summaries are of several gates, environments or versions.")
    results: dict[str, Result] = {}
    waivers: dict[int, Waiver] = {}
    for each in summaries:
        found = _checked(each)
        for name, result in found.items():
            if name not in results or results[name].observed_at < result.observed_at:
                results[name] = result
        waivers |= {part.id: _waiver(each, part) for part in each.waivers}
    definition = read_definition(first.definition)
    return decide(
        definition, results, list(waivers.values()), first.environment, max(each.decided_at for each in summaries)
    )


def _checked(summary: Summary) -> dict[str, Result]:
    """The results of one summary that says of itself what follows from it."""
    if sha256(summary.definition) != summary.definition_sha256:
        raise _altered("its definition has another hash")
    definition = read_definition(summary.definition)
    if definition.name != summary.gate:
        raise _altered(f"its definition is of the gate {definition.name}")
    results = results_of(summary, definition)
    if inputs_sha256(summary.definition_sha256, results) != summary.inputs_sha256:
        raise _altered("its inputs have another hash")
    waivers = [_waiver(summary, part) for part in summary.waivers]
    decision = decide(definition, results, waivers, summary.environment, summary.decided_at)
    if decision.verdict != summary.verdict:
        raise _altered(f"it says {summary.verdict}, and comes to {decision.verdict}")
    told = {part.name: part.state for part in summary.checks}
    for decided in decision.checks:
        if told.get(decided.check.name) != decided.state:
            said = told.get(decided.check.name, "nothing")
            raise _altered(f"of {decided.check.name} it says {said}, and it is {decided.state}")
    said_conditions = [Condition(each.check, each.state, each.owner, each.due) for each in summary.conditions]  # type: ignore[arg-type]
    if said_conditions != list(decision.conditions):
        raise _altered("its conditions are others than those that follow")
    return results


def _waiver(summary: Summary, part: WaiverPart) -> Waiver:
    return Waiver(
        part.id, summary.gate, part.check, summary.environment, part.reason, part.ends_at, part.created_at,
        part.created_by, part.approved_at, part.approved_by, part.ended_at,
    )  # fmt: skip


def _altered(words: str) -> SummaryWrong:
    return SummaryWrong("summary_altered", f"The summary does not agree with itself: {clean(words, 300)}.")
