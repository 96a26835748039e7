"""Forms and questions, over the declarations of all operations."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from controlplane.asked import EDITS, as_it_is, choices_of, described
from controlplane.carrying import MAX_THINGS_BY_YES, level
from controlplane.operations import Operation, Risk
from controlplane.registry import named, operations

ALL = operations()
HARMLESS = {
    "approvals.extend": "an hour more to look at it",
    "approvals.withdraw": "it can be asked for again",
    "contacts.test": "a message that says it is a test",
    "contexts.write": "it ends by itself",
    "detectors.evaluate": "what a worker does every minute",
    "gates.run": "it only observes",
    "operators.give-back": "the person's own raised role ends",
    "runbooks.do": "the operation of a step asks by itself",
    "runbooks.run": "an execution can be stopped",
    "runbooks.settle": "the verdict on a step that one has claimed; the record keeps it",
    "routes.test": "a message that says it is a test",
    "tenants.end-impersonation": "it only takes rights away",
    "tenants.reveal": "it only reads, and is in the trail",
    "webhooks.test": "a message that says it is a test",
}
"""What asks nothing and has no undo and no other way back; and why that is right."""
NOT_SHOWN = {
    ("keys.edit", "expires"): "typed from now on",
    ("objectives.edit", "no_contractual"): "it removes another field",
    ("routes.edit", "alone"): "it removes another field",
    ("routes.edit", "no_escalation"): "it removes another field",
    ("routes.edit", "no_parent"): "it removes another field",
    ("routes.edit", "form"): "goes with a new address, which is secret",
    ("routes.edit", "policy"): "a document: the preview shows what would change",
    ("routes.edit", "escalation"): "a document: the preview shows what would change",
    ("routes.edit", "matchers"): "kept in another form; left empty it stays",
    ("routes.edit", "repeat"): "kept in another form; left empty it stays",
    ("tenants.edit", "metadata"): "it is merged into what is there",
    ("tenants.edit", "replace_metadata"): "how the metadata is meant",
}
"""Fields of edits that do not begin with what is there, and why. (Personal ones never do.)"""


@pytest.mark.parametrize("name", ALL)
def test_the_question_grows_with_what_is_touched(name: str) -> None:
    operation = ALL[name]
    one, few, many, there = (
        level(operation, production=production, number=number)
        for production, number in ((False, 1), (False, MAX_THINGS_BY_YES), (False, MAX_THINGS_BY_YES + 1), (True, 1))
    )
    undone = operation.undo is not None
    if operation.risk in (Risk.SAFE, Risk.PREVIEW):
        assert undone or operation.way_back or name in HARMLESS, "what asks nothing can be taken back"
    else:
        assert one is not Risk.CONFIRM or undone or operation.way_back, "a yes is for what can be put right"
        assert there is Risk.TYPED, "in production it is typed"
    if not undone and operation.risk is Risk.CONFIRM:
        assert few is Risk.TYPED, "several things that nothing takes back"
    assert many is Risk.TYPED, "many: their number is typed"
    if operation.undo is not None:
        assert operation.undo in ALL


def test_only_what_is_harmless_asks_nothing_and_has_no_way_back() -> None:
    assert all(name in ALL and not ALL[name].undo and not ALL[name].way_back for name in HARMLESS)


@pytest.mark.parametrize("name", ALL)
def test_every_choice_is_said(name: str) -> None:
    for info in ALL[name].request.model_fields.values():
        choices = choices_of(info)
        assert len(choices) < 2 or all(choice in described(info) for choice in choices)


def shown(operation: Operation[Any], name: str) -> bool:
    """Whether its form shows such a value of a row."""
    kept = str(getattr(operation.on and operation.on.row, "__annotations__", {}).get(name, ""))
    texts = [*choices_of(operation.request.model_fields[name])[:1], "text", ["text"], True, 300, 0.5]
    samples: list[Any] = [{"a": "b"}, [{"a": "b"}]] if "dict" in kept else texts
    return any(name in as_it_is(operation, SimpleNamespace(**{name: each})) for each in samples)


@pytest.mark.parametrize("name", [each for each in ALL if ALL[each].verb in EDITS])
def test_a_form_that_edits_begins_with_what_is_there(name: str) -> None:
    operation = ALL[name]
    for field in operation.request.model_fields:
        if field in (*operation.request.subject, *operation.request.personal, "version"):
            continue
        if operation.on is not None and operation.on.row in operation.begins:
            continue  # it fills its form in by itself
        there = hasattr(operation.on.row, field) if operation.on else False
        there = there or field in getattr(operation.on and operation.on.row, "__annotations__", {})
        assert (there and shown(operation, field)) is ((name, field) not in NOT_SHOWN), field


def test_of_a_row_that_holds_the_thing_the_thing_is_shown() -> None:
    operation = named("objectives.edit")
    assert operation.on is not None
    held = dataclasses.replace(operation.on, row=SimpleNamespace, within={_Holder: lambda holder: holder.thing})
    holder = _Holder(SimpleNamespace(zone="Europe/Berlin"))
    assert as_it_is(dataclasses.replace(operation, on=held), holder) == {"zone": "Europe/Berlin"}


@dataclasses.dataclass
class _Holder:
    thing: SimpleNamespace


def test_numbers_are_shown_as_they_are_typed() -> None:
    row = SimpleNamespace(every=300, grace=90, severity="error", means="backups")
    assert as_it_is(named("heartbeats.edit"), row) == {
        "every": "5m", "grace": "90s", "severity": "error", "means": "backups",
    }  # fmt: skip
    objective = SimpleNamespace(target=0.999, threshold_ms=250.0, contractual=None, zone="UTC", min_events=50)
    found = as_it_is(named("objectives.edit"), objective)
    assert found["zone"] == "UTC" and found["threshold_ms"] == "250" and found["min_events"] == "50"
    assert found["target"] == "99.9%"
    assert as_it_is(named("tenants.suspend"), SimpleNamespace(name="x")) == {}
