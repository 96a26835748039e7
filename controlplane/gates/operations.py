"""What an operator can do with gates: keep them, run them, answer a manual check."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from controlplane.audit.model import Record
from controlplane.errors import Usage
from controlplane.formatting import spell
from controlplane.gates.checks import Name, Seconds
from controlplane.gates.deciding import kind_of
from controlplane.gates.document import Definition, GateSpec, read, whole, written
from controlplane.gates.model import Gate, GateRow, GateStore, Mode
from controlplane.gates.refusals import GATE_RETIRED
from controlplane.operations import Request, Risk, operation
from controlplane.text import showable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.changes import Change

MAX_GATES = 50
MAX_NOTES = 100


def _environment(value: str) -> str:
    if value != "production" and (value.startswith(("prod", "prd")) or value == "live"):
        raise ValueError('write "production" in full: a second person is asked for there')
    return value


Environment = Annotated[
    Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", description="production, staging …")],
    AfterValidator(_environment),
]
GateName = Annotated[Name, Field(description="its name")]


def shown(value: str) -> str:
    if not showable(value):
        raise ValueError("holds characters that cannot be shown")
    return value


CheckName = Annotated[
    Annotated[str, Field(min_length=1, max_length=130, description="its name in the gate")], AfterValidator(shown)
]


class GatesApply(Request):
    model_config = ConfigDict(defer_build=True)
    subject = ()
    gates: Annotated[list[GateSpec], Field(min_length=1, max_length=MAX_GATES)]

    @model_validator(mode="after")
    def _once(self) -> GatesApply:
        seen: set[str] = set()
        for place, spec in enumerate(self.gates):
            if spec.name in seen:
                raise ValueError(f"gates.{place}: the gate {spec.name} is there twice")
            seen.add(spec.name)
        return self


class OneGate(Request):
    subject = ("gate",)
    gate: GateName


class GateRun(Request):
    subject = ("gate", "environment")
    gate: GateName
    environment: Environment
    mode: Annotated[Mode, Field(description="full, or fast: only what changed, where a check can")] = "full"
    batch_size: Annotated[int | None, Field(default=None, ge=1, le=200, description="how many checks a batch has")]
    batch_index: Annotated[int | None, Field(default=None, ge=0, le=199, description="which of the batches, from 0")]

    @model_validator(mode="after")
    def _both(self) -> GateRun:
        if (self.batch_size is None) != (self.batch_index is None):
            raise ValueError("a batch needs both its size and its index")
        return self


class GateAnswer(Request):
    subject = ()
    gate: GateName
    environment: Environment
    check_name: Annotated[CheckName, Field(json_schema_extra={"also": "check"})]
    answer: Annotated[Literal["pass", "fail"], Field(description="what is so")]


class OnePlace(Request):
    subject = ("gate", "environment")
    gate: GateName
    environment: Environment


class GateSchedule(OnePlace):
    every: Annotated[Seconds, Field(ge=300, le=31 * 86_400, description="how often: 1h, 1d; at least 5m")]


@operation("gates.apply", GatesApply, role="admin", risk=Risk.CONFIRM, key="f")
async def apply(change: Change, request: GatesApply) -> Record:
    """Store the gates of a file, all or none; other gates stay as they are.

    A gate that is changed is a new version: its earlier runs keep the one that they were made with.
    """
    store = change.of(GateStore)
    present = await store.present()
    known = {name: definition for name, gate in present.items() if (definition := _readable(gate)) is not None}
    created, changed, notes = 0, 0, []
    for spec in request.gates:
        definition = whole(spec, known)
        known[spec.name] = definition
        old = present.get(spec.name)
        if old is not None and old.definition == written(definition) and old.retired_at is None:
            continue
        await store.put(definition)
        created, changed = created + (old is None), changed + (old is not None)
        notes += differences(_readable(old) if old else None, definition)
    return {
        "created": created,
        "changed": changed,
        "unchanged": len(request.gates) - created - changed,
        "notes": notes[:MAX_NOTES],
    }


@operation(
    "gates.retire", OneGate, role="admin", risk=Risk.CONFIRM, key="x", needs_reason=True,
    way_back="Apply its file again: all versions are kept.",
)  # fmt: skip
async def retire(change: Change, request: OneGate) -> Record:
    """Retire a gate: it is no longer run or counted; its past runs stay."""
    gate = await change.of(GateStore).lock(request.gate)
    if gate.retired_at is not None:
        raise GATE_RETIRED()
    retired = await change.of(GateStore).retire(request.gate, change.now)
    return {"gate": retired.name, "retired_at": retired.retired_at}


@operation("gates.run", GateRun, role="operator", risk=Risk.SAFE, key="r")
async def run(change: Change, request: GateRun) -> Record:
    """Run a gate: carry out its checks and record the verdict."""
    number = await change.of(GateStore).begin(
        request.gate, request.environment, request.mode, request.batch_size, request.batch_index
    )
    return {"id": number, "gate": request.gate, "environment": request.environment}


@operation("gates.schedule", GateSchedule, role="operator", risk=Risk.CONFIRM, key="s",
           way_back="End it, or schedule it as it was.")  # fmt: skip
async def schedule(change: Change, request: GateSchedule) -> Record:
    """Schedule a gate: a worker runs it every so often, and alerts (gate_closed) when it does not open."""
    made = await change.of(GateStore).schedule(request.gate, request.environment, timedelta(seconds=request.every))
    return {"gate": made.gate, "environment": made.environment, "every": spell(made.every.total_seconds())}


@operation("gates.unschedule", OnePlace, role="operator", risk=Risk.CONFIRM, key="z", way_back="Schedule it again.")
async def unschedule(change: Change, request: OnePlace) -> Record:
    """End a gate's schedule: workers stop running it."""
    ended = await change.of(GateStore).unschedule(request.gate, request.environment)
    return {"gate": ended.gate, "environment": ended.environment, "ended_at": ended.ended_at}


def _manual(rows: Sequence[GateRow]) -> Record:
    """The first manual check that blocks, where it is one gate."""
    [row, *more] = rows
    if more:
        return {}
    checks = row.decision.checks if row.decision else ()
    asked = [each.check for each in checks if kind_of(each.check) == "manual"]
    first = next((each.check.name for each in checks if each.blocks and each.check in asked), "")
    name = first or (asked[0].name if asked else "")
    return {"gate": row.gate, "environment": row.environment, "check_name": name}


@operation(
    "gates.answer",
    GateAnswer,
    role="operator",
    risk=Risk.CONFIRM,
    key="q",
    needs_reason=True,
    begins={GateRow: _manual},
    way_back="Answer it again: the newest answer counts.",
)
async def answer(change: Change, request: GateAnswer) -> Record:
    """Answer a manual check; the answer counts until it is older than the check's freshness."""
    await change.of(GateStore).answer(
        request.gate, request.check_name, request.environment, request.answer, change.reason or ""
    )
    return {"gate": request.gate, "check": request.check_name, "answer": request.answer}


def _readable(gate: Gate) -> Definition | None:
    try:
        return read(gate.definition)
    except Usage:
        return None


def differences(old: Definition | None, new: Definition) -> list[str]:
    """What an apply changes, in words."""
    if old is None:
        required = sum(each.required for each in new.checks)
        return [f"{new.name}: new, {len(new.checks)} checks, {required} of them required"]
    was, now = {each.name: each for each in old.checks}, {each.name: each for each in new.checks}
    words = [f"{new.name}: check {name} is new" for name in now if name not in was]
    words += [f"{new.name}: check {name} is removed" for name in was if name not in now]
    for name in now:
        if name in was and was[name] != now[name]:
            before, after = was[name].model_dump(), now[name].model_dump()
            fields = sorted(field for field in before | after if before.get(field) != after.get(field))
            words.append(f"{new.name}: check {name} changes in {', '.join(fields)}")
    return words or [f"{new.name}: kept again"]
