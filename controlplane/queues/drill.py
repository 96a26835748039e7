"""A drill: messages that die on purpose are found, replayed, quarantined and discarded, and every count is checked.

The same steps as in runbooks/dead-letter-replay.md. They are done to messages of the kind `drill` alone, which nothing
depends on.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.operations import Call, Operation, Request, Risk, execute
from controlplane.queues.list import LETTERS
from controlplane.queues.model import Letter, LetterDirectory, LetterStore
from controlplane.queues.operations import quarantine, release, replay
from controlplane.runs.engine import drive, preview_run, start_run
from controlplane.runs.model import Run
from controlplane.runs.operations import RunStart

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane
    from controlplane.runs.rules import Clock

PER_SECOND = 50
REASON = "a drill"


@dataclass(frozen=True, slots=True)
class Step:
    """What was counted, and how many there should have been."""

    what: str
    expected: int
    found: int

    @property
    def passed(self) -> bool:
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Drill:
    """`name` and `runs` are other ones in every drill."""

    name: str
    runs: tuple[int, ...]
    begun: datetime
    ended: datetime
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        return all(step.passed for step in self.steps)

    def record(self) -> Record:
        """Two drills give the same but for what is in `ids` and `times`."""
        return {
            "drill": "dead-letter-replay",
            "verdict": "passed" if self.passed else "failed",
            "steps": [
                {"what": step.what, "expected": step.expected, "found": step.found,
                 "verdict": "passed" if step.passed else "failed"}
                for step in self.steps
            ],
            "ids": {"drill": self.name, "runs": list(self.runs)},
            "times": {"begun": self.begun.isoformat(), "ended": self.ended.isoformat()},
        }  # fmt: skip


class DrillStart(Request):
    subject = ("name",)
    name: Annotated[str, Field(pattern=r"^drill-[0-9a-f]{12}$")]


async def make(change: Change, request: DrillStart) -> Record:
    """Let messages die on purpose."""
    return {"name": request.name, "messages": await change.of(LetterStore).make_drill(request.name)}


DRILL: Operation[DrillStart] = Operation(
    "queues.drill", "Let messages die on purpose", DrillStart, make, role="operator", risk=Risk.SAFE, key="d"
)
"""Not in the registry: it is only a part of the command."""


async def run_drill(plane: ControlPlane, clock: Clock | None = None) -> Drill:
    """Nine messages die of one cause and three of another. Raises Refusal."""
    begun, name = plane.clock.now(), f"drill-{uuid.uuid4().hex[:12]}"
    await execute(plane, DRILL, DRILL.parse({"name": name}), Call(REASON))
    steps = [Step("messages died", 12, len(await _letters(plane, name))),
             Step("causes", 2, len({each.cause_id for each in await _letters(plane, name)}))]  # fmt: skip
    first = (await _letters(plane, name, "class:no_answer"))[-1]
    await execute(plane, quarantine, quarantine.parse({"id": first.id}), Call(REASON))
    asked = _request("queues.replay", name, "class:no_answer state:dead")
    preview = await preview_run(plane, asked, REASON)
    steps.append(Step("the dry run would replay", 8, preview.total - sum(preview.refusals.values())))
    steps.append(Step("dead after the dry run", 11, len(await _letters(plane, name, "state:dead"))))
    replayed = await _run(plane, asked, clock)
    steps.append(Step("replayed by the run", 8, replayed.done))
    steps.append(Step("left in quarantine", 1, len(await _letters(plane, name, "state:quarantined"))))
    await execute(plane, release, release.parse({"id": first.id}), Call(REASON))
    await execute(plane, replay, replay.parse({"id": first.id}), Call(REASON))
    steps.append(Step("replayed after the release", 9, len(await _letters(plane, name, "state:replayed"))))
    discarded = await _run(plane, _request("queues.discard", name, "class:rejected state:dead"), clock)
    steps.append(Step("discarded", 3, len(await _letters(plane, name, "state:discarded"))))
    steps.append(Step("still waiting", 0, len(await _letters(plane, name, "state:dead,quarantined"))))
    return Drill(name, (replayed.id, discarded.id), begun, plane.clock.now(), tuple(steps))


def _request(operation: str, name: str, text: str) -> RunStart:
    return RunStart.model_validate(
        {"operation": operation, "filter": f"payload.drill:{name} {text}", "per_second": PER_SECOND}
    )


async def _run(plane: ControlPlane, asked: RunStart, clock: Clock | None) -> Run:
    run = await start_run(plane, asked, REASON)
    return await drive(plane, run.id, clock=clock)


async def _letters(plane: ControlPlane, name: str, text: str = "") -> Sequence[Letter]:
    """Those of a drill, the newest first."""
    terms = parse(f"payload.drill:{name} {text}", LETTERS.fields)
    return (await plane.of(LetterDirectory).page(Query(terms, "age", True), limit=100)).rows
