"""What people write for a route, policies and escalations, and what is kept of a group, as JSON has it.

Only this imports pydantic; deciding does not.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from controlplane.errors import Usage
from controlplane.routes.escalation import Escalation
from controlplane.routes.model import GroupState
from controlplane.routes.policy import Policy, SeverityThresholds
from controlplane.text import clean

T = TypeVar("T")
_POLICY, _ESCALATION, _STATE = TypeAdapter(Policy), TypeAdapter(Escalation), TypeAdapter(GroupState)
_SHORT = {"unexpected_keyword_argument": "there is no such field", "missing": "is missing"}
_EVENT_TYPES = {field.name for field in fields(SeverityThresholds)}


def read_policy(document: Any) -> Policy:
    """Raises Usage `policy_invalid`, which names every field that is wrong."""
    if isinstance(document, dict) and isinstance(thresholds := document.get("severity_thresholds"), dict):
        # The older system takes an event type without any threshold as if it were not there.
        kept = {name: each for name, each in thresholds.items() if each != {} or name not in _EVENT_TYPES}
        document = document | {"severity_thresholds": kept}
    return _read(_POLICY, document, "policy")


def read_escalation(document: Any) -> Escalation:
    """Raises Usage `escalation_invalid`, which names every field that is wrong."""
    return _read(_ESCALATION, document, "escalation")


def read_state(document: Any) -> GroupState:
    """What `state_document` made. Raises Usage `state_invalid`."""
    return _read(_STATE, document, "state")


def state_document(state: GroupState) -> dict[str, Any]:
    """A group's state as JSON has it."""
    document: dict[str, Any] = _STATE.dump_python(state, mode="json")
    return document


def _read(adapter: TypeAdapter[T], document: Any, what: str) -> T:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        faults = [clean(_words(fault, what), 200).rstrip(".") for fault in error.errors()[:20]]
        raise Usage(f"{what}_invalid", f"The {what} cannot be used: {'; '.join(faults)}.", why=faults) from None


def _words(fault: Any, what: str) -> str:
    place = ".".join(map(str, fault["loc"]))
    if fault["type"] == "value_error":  # our own, which begins with the field
        return ".".join(filter(None, (place, str(fault["ctx"]["error"]))))
    return f"{place or what}: {_SHORT.get(fault['type'], fault['msg'])}"
