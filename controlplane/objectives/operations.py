"""What an operator can do with objectives, and with the maintenance that their budgets do not count."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from controlplane.audit.model import AuditRow, Record
from controlplane.errors import Usage
from controlplane.formatting import parse_duration
from controlplane.objectives import checks, rules
from controlplane.objectives.model import Kind, Objective, Standing
from controlplane.objectives.ports import ObjectiveStore
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants.operations import Id, Version, Word, readable
from controlplane.tenants.ports import TenantStore
from controlplane.tenants.rules import check_open
from controlplane.zones import a_zone

if TYPE_CHECKING:
    from controlplane.changes import Change


def a_share(value: Any) -> Any:
    """ "99.9%" is 0.999."""
    text = value.strip() if isinstance(value, str) else ""
    if not text.endswith("%"):
        return value
    try:
        return round(float(text[:-1]) / 100, 8)
    except ValueError:
        raise ValueError("not a share: write 99.9% or 0.999") from None


Share = Annotated[float, BeforeValidator(a_share), Field(ge=0, lt=1)]
Target = Annotated[Share, Field(description="99.9% or 0.999; below 1, which would leave no budget")]
Contractual = Annotated[Share | None, Field(description="what was promised: at most the target")]
Threshold = Annotated[float | None, Field(gt=0, le=86_400_000, description="for a latency objective, in milliseconds")]
Events = Annotated[int, Field(ge=1, le=1_000_000_000, description="requests that a window needs before it can fire")]
Route = Annotated[str | None, Field(default=None, min_length=1, max_length=400, description="as it is stored: /orders")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="what is promised: api, checkout …")]
Number = Annotated[int, Field(ge=1, description="its number")]
Tenant = Annotated[Id | None, Field(default=None, description="one tenant; default: all")]
PlanCode = Annotated[Word | None, Field(default=None, description="every tenant on this plan")]


def a_period(value: str) -> str:
    try:
        return checks.check_period(value)
    except Usage as fault:
        raise ValueError(fault.message.rstrip(".") + ": 7d to 90d, week, month or quarter") from None


PeriodText = Annotated[
    str, Field(description="7d to 90d, rolling; or the calendar's week, month, quarter"), AfterValidator(a_period)
]
Zone = Annotated[
    str,
    Field(min_length=1, max_length=64, description="of a calendar window: Europe/Berlin …"),
    AfterValidator(a_zone),
]


class Scope(Request):
    """Whose requests it is about; none given: all requests."""

    tenant_id: Tenant
    plan: PlanCode
    route: Route

    _readable = field_validator("route")(lambda value: value and readable(value))

    @model_validator(mode="after")
    def _one_scope(self) -> Scope:
        if self.plan is not None and (self.tenant_id is not None or self.route is not None):
            raise ValueError("either a plan, or a tenant and a route: not both")
        return self

    def scope(self) -> Record:
        return {"tenant_id": self.tenant_id, "plan": self.plan, "route": self.route}


class ObjectiveCreate(Scope):
    subject = ("name",)
    makes = ("name",)
    name: Name
    target: Target
    kind: Annotated[Kind, Field(description="availability (no 5xx) or latency")] = "availability"
    threshold_ms: Threshold = None
    contractual: Contractual = None
    period: PeriodText = "30d"
    zone: Zone = "UTC"
    min_events: Events = 100


class OneObjective(Request):
    """An objective, at the version that was seen."""

    id: Number
    version: Version


class ObjectiveEdit(OneObjective):
    target: Annotated[Target | None, Field(default=None)]
    threshold_ms: Threshold = None
    contractual: Contractual = None
    no_contractual: Annotated[bool, Field(default=False, description="remove the contractual target")]
    period: Annotated[PeriodText | None, Field(default=None)]
    zone: Annotated[Zone | None, Field(default=None)]
    min_events: Annotated[Events | None, Field(default=None)]

    def columns(self) -> Record:
        given = self.model_dump(exclude={"id", "version", "no_contractual"}, exclude_none=True)
        return given | ({"contractual": None} if self.no_contractual else {})

    @model_validator(mode="after")
    def _something(self) -> ObjectiveEdit:
        if not self.columns():
            raise ValueError("nothing to change was given")
        return self


class MaintenancePlan(Scope):
    subject = ()
    starts: Annotated[
        str, Field(default="now", max_length=60, description="now, 2h (from now), or a time with its zone")
    ]
    lasts: Annotated[str, Field(min_length=1, max_length=60, description="how long: 30m, 4h; at most 7d")]


class OneMaintenance(Request):
    subject = ("number",)
    number: Number


OBJECTIVE = Subject(
    Objective,
    lambda change, request: change.of(ObjectiveStore).lock(request.id),
    {Standing: lambda standing: standing.objective},
)


def was_edited(row: AuditRow) -> Record:
    """A field of its own removes a contractual target that was not there before."""
    return {"no_contractual": True} if row.was.get("contractual", 0) is None else {}


async def with_notes(change: Change, objective: Objective) -> Record:
    """The objective, with the pairs that cannot fire and what it would have fired, for the preview."""
    start, end = rules.period_of(objective.period, objective.zone, change.now)
    slices = await change.of(ObjectiveStore).history(objective, min(start, change.now - timedelta(days=30)))
    episodes = await asyncio.to_thread(rules.replay, objective, slices, end - start)  # slow
    notes = [*checks.warnings(objective, change.now), rules.replay_words(episodes, slices)]
    return {"id": objective.id, "name": objective.name, "scope": objective.scope, "notes": notes} | {
        "target": objective.target,
        "period": objective.period,
        "version": objective.version,
    }


@operation(
    "objectives.create",
    ObjectiveCreate,
    role="operator",
    risk=Risk.CONFIRM,
    key="n",
    undo="objectives.retire",
)
async def create(change: Change, request: ObjectiveCreate) -> Record:
    """Create an objective; the preview shows what it would have fired."""
    checks.check_fields(request.kind, request.threshold_ms, request.target, request.contractual)
    if request.tenant_id is not None:
        check_open(await change.of(TenantStore).get(request.tenant_id), "given objectives")
    fields = request.model_dump(exclude={"tenant_id", "plan", "route"})
    return await with_notes(change, await change.of(ObjectiveStore).create(fields | request.scope()))


@operation(
    "objectives.edit",
    ObjectiveEdit,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    needs_reason=True,
    undo="objectives.edit",
    undo_request=was_edited,
    on=OBJECTIVE,
    check=lambda objective, now: checks.check_open(objective),
)
async def edit(change: Change, request: ObjectiveEdit, objective: Objective) -> Record:
    """Change an objective; the preview shows what it would have fired."""
    columns = request.columns()
    target = columns.get("target", objective.target)
    checks.check_fields(
        objective.kind,
        columns.get("threshold_ms", objective.threshold_ms),
        target,
        columns.get("contractual", objective.contractual),
    )
    return await with_notes(change, await change.of(ObjectiveStore).update(request.id, columns))


@operation(
    "objectives.retire",
    OneObjective,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    undo="objectives.restore",
    on=OBJECTIVE,
    check=lambda objective, now: checks.check_open(objective),
)
async def retire(change: Change, request: OneObjective, objective: Objective) -> Objective:
    """Retire an objective: those that it overrode apply again."""
    return await change.of(ObjectiveStore).update(request.id, {"retired_at": change.now})


@operation(
    "objectives.restore",
    OneObjective,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="objectives.retire",
    on=OBJECTIVE,
    check=lambda objective, now: checks.check_restore(objective),
)
async def restore(change: Change, request: OneObjective, objective: Objective) -> Objective:
    """Bring a retired objective back."""
    return await change.of(ObjectiveStore).update(request.id, {"retired_at": None})


def interval(request: MaintenancePlan, now: datetime) -> tuple[datetime, datetime]:
    """Raises Usage."""
    starts = now
    if request.starts != "now":
        try:
            starts = datetime.fromisoformat(request.starts)
        except ValueError:
            starts = now + timedelta(seconds=parse_duration(request.starts))
        if starts.tzinfo is None:
            raise Usage("time_without_zone", f"starts: {request.starts} has no zone.", "Write 2026-12-01T12:00:00Z.")
    return starts, starts + timedelta(seconds=parse_duration(request.lasts))


@operation(
    "objectives.maintenance",
    MaintenancePlan,
    role="operator",
    risk=Risk.CONFIRM,
    key="m",
    needs_reason=True,
    undo="objectives.end-maintenance",
    writes="maintenance",
)
async def plan_maintenance(change: Change, request: MaintenancePlan) -> Record:
    """Plan maintenance: bad requests in it burn only the raw budget."""
    if request.tenant_id is not None:
        check_open(await change.of(TenantStore).get(request.tenant_id), "maintained")
    starts, ends = interval(request, change.now)
    planned = await change.of(ObjectiveStore).plan_maintenance(
        request.scope() | {"starts_at": starts, "ends_at": ends, "reason": change.reason or ""}
    )
    return {"number": planned.id, "starts_at": planned.starts_at, "ends_at": planned.ends_at}


@operation(
    "objectives.end-maintenance",
    OneMaintenance,
    role="operator",
    risk=Risk.CONFIRM,
    key="z",
    writes="maintenance",
)
async def end_maintenance(change: Change, request: OneMaintenance) -> Record:
    """End a planned maintenance: requests count again."""
    ended = await change.of(ObjectiveStore).end_maintenance(request.number)
    return {"number": ended.id, "ended_at": ended.ended_at}
