"""A runbook as people write it: Markdown. Every `##` heading is a step; a fenced block in it says what is carried out.

    ## 2. Suspend the tenant

    Nobody of it gets in after this, and nothing of it is lost.

    ```operation tenants.suspend
    fields:
      id: "{tenant}"
    reason: security incident
    within: 1h
    ```

The other blocks are `check KIND`, `question NAME` and `person`; a step without one is text for a person.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from controlplane.formatting import as_seconds
from controlplane.gates.checks import (
    AlertsCheck,
    AuditCheck,
    Check,
    HttpCheck,
    KeysCheck,
    Limited,
    ObjectiveCheck,
    QueueCheck,
)
from controlplane.runbooks.model import Kind
from controlplane.text import showable

MAX_STEPS = 100
MAX_COUNTED = 10_000
"""How many rows a check counts."""
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
"""Where the answer to the question of that name stands."""
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)
"""An answer that may stand in a filter: it can neither add a term, name a field, negate, nor be a pattern."""
MAX_ANSWER = 400


def _shown(value: str) -> str:
    if not showable(value):
        raise ValueError("holds characters that cannot be shown")
    return value


Line = Annotated[Annotated[str, Field(max_length=400)], AfterValidator(_shown)]
Seconds = Annotated[int, BeforeValidator(as_seconds)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)


class StepSpec(_Spec):
    """`within`: seconds from the begin of the execution by which the step should be over. `when_failed`: the name of a
    check before it; the step is for when that fails, and is not needed when it passes.
    """

    within: Annotated[Seconds | None, Field(default=None, ge=1, le=30 * 86_400)]
    when_failed: Line = ""


class PersonSpec(StepSpec):
    """Text for a person, who says whether it is done."""


class OperationSpec(StepSpec):
    """`filter`: it is done to all that match, as a run."""

    fields: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    filter: Annotated[str | None, Field(default=None, min_length=1, max_length=1000)]
    reason: Line = ""


class QuestionSpec(StepSpec):
    """`choices`: the only answers. `words`: the answer may be a sentence, which cannot stand in a filter."""

    ask: Annotated[Line, Field(min_length=1)]
    choices: Annotated[list[Line], Field(default_factory=list, max_length=20)]
    words: bool = False

    def fault(self, answer: str) -> str:
        """What is wrong with an answer; "" for a good one."""
        if self.choices:
            return "" if answer in self.choices else f"it is one of {', '.join(self.choices)}"
        if self.words:
            good = 0 < len(answer) <= MAX_ANSWER and showable(answer)
            return "" if good else f"it has 1 to {MAX_ANSWER} characters on one line"
        return (
            ""
            if WORD.fullmatch(answer)
            else "it is one word of letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )


class ListCheck(Limited):
    """How many rows of a noun's list match a filter."""

    kind: Literal["list"] = "list"
    noun: Annotated[str, Field(pattern=r"^[a-z][a-z-]{0,39}$")]
    filter: Annotated[str, Field(default="", max_length=1000)]

    @model_validator(mode="after")
    def _counted(self) -> ListCheck:
        if any(
            isinstance(each, int | float) and each >= MAX_COUNTED for each in (self.at_most, self.at_least, self.equals)
        ):
            raise ValueError(f"rows are counted up to {MAX_COUNTED:,}")
        if self.equals is not None and (isinstance(self.equals, bool) or not isinstance(self.equals, float | int)):
            raise ValueError("equals is a number of rows")
        return self

    def _needs_limit(self) -> bool:
        return True


CHECKS: dict[str, type[Check]] = {
    "list": ListCheck,
    "objective": ObjectiveCheck,
    "queue": QueueCheck,
    "keys": KeysCheck,
    "alerts": AlertsCheck,
    "audit": AuditCheck,
    "http": HttpCheck,
}
"""What a check may look at: the same as a gate's, and the lists. No program and no SQL: a runbook is for everybody."""


class CheckSpec(StepSpec):
    kind: str
    check: Any


Spec = OperationSpec | CheckSpec | QuestionSpec | PersonSpec


@dataclass(frozen=True)
class Step:
    """`place` is from 1; `line` that of its heading. `what`: the operation, the check's kind, or the question's name;
    "" for a person's. `text`: its lines without its block.
    """

    place: int
    name: str
    kind: Kind
    what: str
    spec: Spec
    text: tuple[str, ...]
    line: int
    remedy_of: int | None = None

    @property
    def operation(self) -> str | None:
        """The operation whose change proves that the step was carried out: what is done to many starts a run."""
        if not isinstance(self.spec, OperationSpec):
            return None
        return "runs.start" if self.spec.filter is not None else self.what


@dataclass(frozen=True)
class Runbook:
    """`means`: its first paragraph; `body`: the whole text."""

    name: str
    title: str
    means: str
    steps: tuple[Step, ...]
    body: str

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()

    def step(self, place: int) -> Step:
        return self.steps[place - 1]

    def listed(self) -> list[dict[str, Any]]:
        """Its steps as the home keeps them."""
        return [
            {"name": each.name, "kind": each.kind, "operation": each.operation, "remedy_of": each.remedy_of}
            for each in self.steps
        ]


def placeholders(value: Any) -> set[str]:
    """The questions whose answers stand in a value, at any depth."""
    if isinstance(value, str):
        return {*PLACEHOLDER.findall(value)}
    if isinstance(value, dict):
        return {name for each in value.values() for name in placeholders(each)}
    if isinstance(value, list):
        return {name for each in value for name in placeholders(each)}
    return set()


def filled(value: Any, answers: dict[str, str]) -> Any:
    """The value with the answers in their places."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: answers.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: filled(each, answers) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, answers) for each in value]
    return value
