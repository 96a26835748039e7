"""What people write for a gate, and the home keeps: its checks. Only this reads them.

- name: checkout
  owner: payments
  checks:
    - name: no-dead-letters
      kind: queue
      measure: dead_letters
      at_most: 0
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from controlplane.errors import Usage
from controlplane.gates.checks import AnyCheck, Line, Name, Spec, shown
from controlplane.text import clean

MAX_CHECKS = 200


class Include(Spec):
    """The checks of another gate, as they are when this one is applied. `advisory`: none of them is required here."""

    gate: Name
    advisory: bool = False


class GateSpec(Spec):
    """All that a gate should be. A check without an owner is the gate's owner's."""

    name: Name
    owner: Annotated[Annotated[str, Field(min_length=1, max_length=200)], AfterValidator(shown)]
    means: Line = ""
    include: Annotated[list[Include], Field(default_factory=list, max_length=20)]
    checks: Annotated[list[AnyCheck], Field(default_factory=list, max_length=MAX_CHECKS)]

    @model_validator(mode="after")
    def _sound(self) -> GateSpec:
        seen: set[str] = set()
        for place, check in enumerate(self.checks):
            if check.name in seen:
                raise ValueError(f"checks.{place}.name: the check {check.name} is there twice")
            seen.add(check.name)
        if len({each.gate for each in self.include}) < len(self.include):
            raise ValueError("a gate is included twice")
        if not self.checks and not self.include:
            raise ValueError("a gate needs a check")
        return self


class Definition(Spec):
    """A gate as it is kept: whole, with the checks that it includes."""

    name: Name
    owner: Line
    means: Line = ""
    checks: Annotated[list[AnyCheck], Field(min_length=1, max_length=MAX_CHECKS)]

    def check(self, name: str) -> AnyCheck | None:
        return next((each for each in self.checks if each.name == name), None)


def whole(spec: GateSpec, others: Mapping[str, Definition]) -> Definition:
    """With the checks of what it includes. Raises Usage `gate_invalid`."""
    checks: list[Any] = [each.model_copy(update={"owner": each.owner or spec.owner}) for each in spec.checks]
    for include in spec.include:
        other = others.get(include.gate)
        if other is None or include.gate == spec.name:
            raise _invalid(spec.name, f"it includes {include.gate}, which is no gate before it")
        for each in other.checks:
            if "/" in each.name:
                raise _invalid(spec.name, f"it includes {include.gate}, which itself includes another")
            required = each.required and not include.advisory
            checks.append(each.model_copy(update={"name": f"{include.gate}/{each.name}", "required": required}))
    if len(checks) > MAX_CHECKS:
        raise _invalid(spec.name, f"it has {len(checks)} checks; {MAX_CHECKS} are the most")
    if not any(each.required for each in checks):
        raise _invalid(spec.name, "none of its checks is required, so that nothing could close it")
    return Definition(name=spec.name, owner=spec.owner, means=spec.means, checks=checks)


def canonical(value: Any) -> str:
    """JSON with sorted keys and without blanks: the same text for the same content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def written(definition: Definition) -> str:
    """As it is kept. Every field is there, so that a later default changes no old gate."""
    return canonical(definition.model_dump(mode="json"))


@lru_cache(maxsize=256)
def read(text: str) -> Definition:
    """Raises Usage `gate_unreadable`: it was written by another version, or by hand."""
    try:
        return Definition.model_validate_json(text)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]]
        words = clean("; ".join(faults), 400)
        raise Usage("gate_unreadable", f"The gate's definition cannot be read: {words}.", "Apply it again.") from None


def schema() -> dict[str, Any]:
    """The JSON Schema of a gate file: a list of gates, or a table with one key, gates."""
    item = GateSpec.model_json_schema()
    definitions = item.pop("$defs", {})
    gates = {"type": "array", "items": item}
    wrapped = {"type": "object", "properties": {"gates": gates}, "required": ["gates"], "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Watchfloor gates",
        "oneOf": [gates, wrapped],
        "$defs": definitions,
    }


def _invalid(name: str, words: str) -> Usage:
    return Usage("gate_invalid", f"The gate {name} cannot be so: {words}.", why=[f"{name}: {words}"])
