"""Make the catalogue match a file: a new version of each plan that differs, all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator

from controlplane.audit.model import Record
from controlplane.errors import Usage
from controlplane.operations import Request, Risk, operation
from controlplane.plans import rules
from controlplane.plans.currencies import amount_of, check_currency
from controlplane.plans.model import Billing
from controlplane.plans.ports import PlanStore
from controlplane.tenants.operations import Name, Word, readable

if TYPE_CHECKING:
    from controlplane.changes import Change

MAX_PLANS_APPLIED = 1_000
Price = Annotated[int, Field(ge=0, le=10**12, description="9900, in minor units, or 99.00 EUR")]


class PlanSpec(Request):
    """All that a plan should be."""

    code: Word
    name: Name
    currency: Annotated[str, Field(min_length=3, max_length=3)]
    month_price: Price
    year_price: Price
    billing: Billing
    trial_days: Annotated[int, Field(default=0, ge=0, le=rules.MAX_TRIAL_DAYS)]
    entitlements: dict[str, JsonValue]

    _readable = field_validator("code", "name")(readable)

    @field_validator("currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        try:
            return check_currency(value)
        except Usage as fault:
            raise ValueError(f"{fault.message} {fault.hint}") from None

    @field_validator("month_price", "year_price", mode="before")
    @classmethod
    def _price(cls, value: object, info: ValidationInfo) -> int:
        try:
            return amount_of(value, info.data.get("currency"))
        except Usage as fault:
            raise ValueError(f"{fault.message} {fault.hint}".rstrip()) from None

    @field_validator("entitlements")
    @classmethod
    def _kinds(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name, each in value.items():
            if not rules.NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a name: lower-case letters, digits, '.', '_' and '-'")
            if rules.kind_of(each) is None:
                raise ValueError(
                    f"{name} is neither a limit (-1 is unlimited, 0 is none), nor true or false, a text, "
                    "{hard, soft, burst, period} or {rps, burst, max_wait_ms}"
                )
        return value


class PlansApply(Request):
    subject = ()
    plans: Annotated[list[PlanSpec], Field(min_length=1, max_length=MAX_PLANS_APPLIED)]

    @model_validator(mode="after")
    def _once(self) -> PlansApply:
        seen: set[str] = set()
        for spec in self.plans:
            if spec.code in seen:
                raise ValueError(f"{spec.code} is in the list twice")
            seen.add(spec.code)
        return self


@operation("plans.apply", PlansApply, role="admin", risk=Risk.CONFIRM, key="f")
async def apply(change: Change, request: PlansApply) -> Record:
    """Apply a list of plans, all or nothing: each that differs gets a new version; tenants keep theirs."""
    counts = {"created": 0, "new_versions": 0, "unchanged": 0}
    for spec in sorted(request.plans, key=lambda spec: spec.code):
        wanted = spec.model_dump()
        latest = await change.of(PlanStore).latest(spec.code)
        if latest is not None and all(getattr(latest, name) == value for name, value in wanted.items()):
            counts["unchanged"] += 1
            continue
        await change.of(PlanStore).add(wanted | {"version": latest.version + 1 if latest else 1})
        counts["new_versions" if latest else "created"] += 1
    return counts
