"""What every operation has in common: the row that it is done on, what is refused first, and the way back."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from controlplane.audit.model import AuditRow, Record
from controlplane.errors import Conflict, Refusal
from controlplane.impersonations.model import Impersonation
from controlplane.keys.model import Key, Rotation
from controlplane.objectives.model import Objective, Standing
from controlplane.operations import Operation, Outcome, Request, Risk, Subject, reveals, undo_step
from controlplane.registry import done_on, named, offered, operations
from controlplane.tenants.model import Project, Tenant
from tests.controlplane.keys import a_key

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@dataclasses.dataclass(frozen=True)
class Lamp:
    id: int
    lit: bool = False
    version: int = 3


@dataclasses.dataclass(frozen=True)
class Room:
    lamp: Lamp


class OneLamp(Request):
    id: int
    version: int | None = None


def check_dark(lamp: Lamp, now: datetime) -> None:
    if lamp.lit:
        raise Refusal("lamp_lit", f"{lamp.id} is lit since {now:%H:%M}.")


def lighting(lamp: Lamp) -> Operation[OneLamp]:
    async def lock(change: Any, request: OneLamp) -> Lamp:
        change.held.append(request.id)
        return lamp

    async def light(change: Any, request: OneLamp, lamp: Lamp) -> Lamp:
        return dataclasses.replace(lamp, lit=True)

    on = Subject(Lamp, lock, {Room: lambda room: room.lamp})
    return Operation(
        "lamps.light", "Light", OneLamp, light, role="operator", risk=Risk.SAFE, key="l", on=on, check=check_dark
    )


def perform(lamp: Lamp, version: int | None) -> Lamp:
    operation, change = lighting(lamp), SimpleNamespace(now=NOW, held=[])
    try:
        made: Lamp = asyncio.run(operation.perform(change, OneLamp(id=lamp.id, version=version)))  # type: ignore[arg-type]
        return made
    finally:
        assert change.held == [lamp.id]


def test_an_operation_is_handed_the_row_that_it_locked() -> None:
    assert perform(Lamp(1), None) == perform(Lamp(1), 3) == Lamp(1, True)


@pytest.mark.parametrize("seen", [2, 4])
def test_what_another_changed_is_refused_with_both_versions(seen: int) -> None:
    with pytest.raises(Conflict) as refused:
        perform(Lamp(1), seen)
    assert refused.value.code == "stale_version"
    assert refused.value.why == (f"version expected: {seen}", "version now: 3")


def test_why_it_cannot_be_done_is_said_before_that_it_was_changed() -> None:
    with pytest.raises(Refusal) as refused:
        perform(Lamp(1, lit=True), 2)
    assert refused.value.code == "lamp_lit"


def test_a_menu_asks_what_the_operation_asks_of_its_own_rows_only() -> None:
    operation = lighting(Lamp(1))
    for shown in (Lamp(1, lit=True), Room(Lamp(1, lit=True))):
        refusal = operation.refusal(shown, NOW)
        assert refusal is not None and refusal.message == "1 is lit since 12:00."
    for shown in (Lamp(1), Room(Lamp(1)), None, a_key(NOW)):
        assert operation.refusal(shown, NOW) is None


def names(found: list[Operation[Any]]) -> set[str]:
    return {operation.name for operation in found}


def test_what_is_done_on_a_row_is_offered_where_it_is_listed() -> None:
    assert names(done_on(Impersonation)) == {"tenants.end-impersonation", "tenants.approve-writing"}
    assert offered("impersonations", Impersonation) == done_on(Impersonation)
    of_tenants = names(done_on(Tenant))
    assert {"tenants.suspend", "tenants.impersonate", "tenants.reveal"} <= of_tenants
    assert not of_tenants & {"tenants.create", "tenants.apply", "projects.create", "tenants.approve-writing"}
    assert names(offered("tenants", Tenant)) - of_tenants == {
        *("tenants.create", "tenants.apply", "tenants.provision", "incidents.open"),
    }
    assert names(offered("projects", Project)) == {name for name in operations() if name.startswith("projects.")}
    assert names(done_on(Standing)) == names(done_on(Objective)) >= {"objectives.edit", "objectives.retire"}
    assert done_on(Rotation) == [] and "keys.rotate" in names(done_on(Key))


def test_a_version_can_be_named_where_there_is_a_row_that_has_one() -> None:
    for operation in operations().values():
        if "version" in operation.request.model_fields:
            assert operation.on is not None, operation.name
            assert "version" in {each.name for each in dataclasses.fields(operation.on.row)}, operation.name
        assert operation.check is None or operation.on is not None, operation.name


def changed(noun: str, before: Record | None, after: Record, **personal: tuple[str | None, str | None]) -> AuditRow:
    version = {"version": 1 if before is None else 2}
    return AuditRow(
        *(7, NOW, "ana", "x.y", noun, "x", None, None, None, False),
        before=before and {"version": 1} | before,
        after=version | after,
        personal=dict(personal),
    )


ADDRESS = ("ada@acme.example", "ben@acme.example")


@pytest.mark.parametrize(
    ("name", "row", "asks"),
    [
        (
            "tenants.rename",
            changed("tenants", {"id": "acme", "name": "A", "plan": "pro"}, {"id": "acme", "name": "B", "plan": "pro"}),
            {"id": "acme", "version": 2, "name": "A"},
        ),
        (  # of what is new, nothing is as it was
            "tenants.create",
            changed("tenants", None, {"id": "acme", "name": "B"}),
            {"id": "acme", "version": 1, "retention_days": 1},
        ),
        (
            "tenants.edit",
            changed("tenants", {"id": "acme", "plan": "pro"}, {"id": "acme", "plan": "trial"}, owner_email=ADDRESS),
            {"id": "acme", "version": 2, "plan": "pro"},
        ),
        (  # metadata as a whole, not merged
            "tenants.edit",
            changed("tenants", {"id": "acme", "metadata": {"a": 1}}, {"id": "acme", "metadata": {}}),
            {"id": "acme", "version": 2, "metadata": {"a": 1}, "replace_metadata": True},
        ),
        (
            "tenants.edit",
            changed("tenants", {"id": "x", "owner_email": "a•"}, {"id": "x", "owner_email": "b•"}, owner_email=ADDRESS),
            {"id": "x", "version": 2, "owner_email": "ada@acme.example"},
        ),
        (  # none was there
            "tenants.edit",
            changed("tenants", {"id": "x"}, {"id": "x", "owner_email": "b•"}, owner_email=(None, "ben@acme.example")),
            {"id": "x", "version": 2, "owner_email": ""},
        ),
        (  # a masked address is none
            "tenants.edit",
            changed("tenants", {"id": "acme", "owner_email": "a•"}, {"id": "acme", "owner_email": "b•"}),
            {"id": "acme", "version": 2},
        ),
        (
            "tenants.restore",
            changed("tenants", {"id": "acme", "purge_after": "2026-04-02T13:00:00+00:00"}, {"id": "acme"}),
            {"id": "acme", "version": 2, "retention_days": 3},
        ),
        (
            "projects.archive",
            changed("projects", {"tenant_id": "acme", "id": "web"}, {"tenant_id": "acme", "id": "web", "status": "x"}),
            {"tenant_id": "acme", "id": "web", "version": 2},
        ),
        (
            "keys.edit",
            changed(
                "keys",
                {"id": "k", "spend_cap": None, "expires_at": None},
                {"id": "k", "spend_cap": 5, "expires_at": "2"},
            ),
            {"id": "k", "version": 2, "spend_cap": "none", "expires": "never"},
        ),
        (
            "keys.edit",
            changed(
                "keys", {"id": "k", "spend_cap": 5, "expires_at": "2"}, {"id": "k", "spend_cap": 6, "expires_at": "1"}
            ),
            {"id": "k", "version": 2, "spend_cap": 5, "expires": "2"},
        ),
        (
            "keys.edit",
            changed("keys", {"id": "k", "label": "a", "scopes": []}, {"id": "k", "label": "b", "scopes": []}),
            {"id": "k", "version": 2, "label": "a"},
        ),
        (
            "keys.grace",
            changed("keys", {"id": "k", "grace_until": "2"}, {"id": "k", "grace_until": "1"}),
            {"id": "k", "version": 2, "grace": "2"},
        ),
        (
            "objectives.edit",
            changed("objectives", {"id": 5, "contractual": None}, {"id": 5, "contractual": 0.9}),
            {"id": 5, "version": 2, "contractual": None, "no_contractual": True},
        ),
        (
            "objectives.edit",
            changed("objectives", {"id": 5, "contractual": 0.8}, {"id": 5, "contractual": 0.9}),
            {"id": 5, "version": 2, "contractual": 0.8},
        ),
        (  # what is called a number is the id of its row
            "tenants.impersonate",
            changed("impersonations", None, {"id": 4, "tenant_id": "acme"}),
            {"number": 4},
        ),
        (  # the same version of the plan, which may be another than its latest
            "subscriptions.change",
            changed(
                "subscriptions",
                {"tenant_id": "acme", "plan_version": 1, "cycle": "month", "previous_plan": "x"},
                {"tenant_id": "acme", "plan_version": 1, "cycle": "year", "previous_plan": "pro"},
            ),
            {"tenant_id": "acme", "version": 2, "cycle": "month", "plan_version": 1, "plan": "pro", "at_once": True},
        ),
        (
            "subscriptions.change",
            changed(
                "subscriptions",
                {"tenant_id": "acme", "plan_version": 1, "previous_plan": "x"},
                {"tenant_id": "acme", "plan_version": 2, "previous_plan": "x"},
            ),
            {"tenant_id": "acme", "version": 2, "plan_version": 1, "at_once": True},
        ),
        (
            "subscriptions.state",
            changed(
                "subscriptions",
                {"tenant_id": "acme", "state": "grace", "grace_until": "2"},
                {"tenant_id": "acme", "state": "active", "grace_until": None},
            ),
            {"tenant_id": "acme", "version": 2, "state": "grace", "until": "2"},
        ),
        (
            "subscriptions.start-trial",
            changed("subscriptions", {"tenant_id": "acme", "state": "active"}, {"tenant_id": "acme", "state": "trial"}),
            {"tenant_id": "acme", "version": 2, "state": "active"},
        ),
        (
            "subscriptions.grant",
            changed("subscriptions", None, {"id": 9, "tenant_id": "acme", "name": "seats", "value": 5}),
            {"tenant_id": "acme", "grant": 9},
        ),
        (
            "telemetry.retention",
            changed("telemetry", {"data": "raw", "days": 14}, {"data": "raw", "days": 30}),
            {"data": "raw", "days": 14},
        ),
    ],
)
def test_the_way_back_follows_from_the_trail(name: str, row: AuditRow, asks: Record) -> None:
    step = undo_step(named(name), [row])
    assert step is not None and (step.operation, step.request) == (named(name).undo, asks)
    assert step.reason == f"undo of {name} (audit 7)"


def test_nothing_takes_back_what_changed_several_things_or_none() -> None:
    row = changed("tenants", {"id": "acme", "name": "A"}, {"id": "acme", "name": "B"})
    assert undo_step(named("tenants.rename"), [row, row]) is None
    assert undo_step(named("tenants.rename"), []) is None
    assert undo_step(named("tenants.purge"), [row]) is None
    assert undo_step(named("tenants.rename"), [row, dataclasses.replace(row, noun="reveals")]) is not None


def test_a_result_with_a_value_is_revealed_only_by_an_operation_that_reveals() -> None:
    """An alert has a value too: it is no secret to be kept on the last line for a minute."""
    operations()  # fills the registry
    assert reveals(Outcome("tenants.reveal", "r-1", {"value": "ada@lovelace.example"}, ()))
    assert not reveals(Outcome("tenants.reveal", "r-1", {"field": "owner_email"}, ()))
    assert not reveals(Outcome("alerts.ack", "r-1", {"value": 120.0}, ()))
