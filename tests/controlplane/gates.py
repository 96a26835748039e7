"""Gates for tests: definitions written short, and results as if a run had found them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.gates.deciding import Result, Waiver
from controlplane.gates.document import Definition, GateSpec, canonical, sha256, whole
from controlplane.gates.judging import judge

NOW = datetime(2026, 3, 4, 10, 20, 30, tzinfo=UTC)


def gate(*checks: dict[str, Any], name: str = "shop", **more: Any) -> Definition:
    """Checks are of a queue that is to be empty, unless they say another kind."""
    some = [each if "kind" in each else {"kind": "queue", "at_most": 0} | each for each in checks]
    spec = {"name": name, "owner": "ana", "checks": some, **more}
    return whole(GateSpec.model_validate(spec), {})


def saw(definition: Definition, name: str, observed: dict[str, Any], ago: float = 0.0) -> Result:
    """`ago`: seconds before NOW."""
    check = definition.check(name)
    assert check is not None
    text = canonical(observed)
    return Result(name, judge(check, observed), text, sha256(text), NOW - timedelta(seconds=ago), 0.1, 1)


def results(definition: Definition, /, **found: Any) -> dict[str, Result]:
    """Of queue checks: how many dead letters each saw."""
    return {
        name: saw(definition, name, each if isinstance(each, dict) else {"found": True, "value": each})
        for name, each in found.items()
    }


def waiver(check: str, ends: float = 3600, **more: Any) -> Waiver:
    given: dict[str, Any] = {
        "id": 1, "gate": "shop", "check_name": check, "environment": "staging", "reason": "as the test says",
        "ends_at": NOW + timedelta(seconds=ends), "created_at": NOW - timedelta(hours=1), "created_by": "ana",
    }  # fmt: skip
    return Waiver(**given | more)
