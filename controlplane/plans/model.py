"""Plans and the values of their entitlements as they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import Listing

Cycle = Literal["month", "year"]
CYCLES: tuple[Cycle, ...] = ("month", "year")
Billing = Literal["arrears", "advance"]
Kind = Literal["integer", "boolean", "string", "quota", "rate"]
Value = Any
"""An entitlement's value, as JSON has it; `rules.kind_of` says which kind it is."""
MAX_TENANTS_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a plan; it never changes. Prices are in minor units. `tenants`: how many have the plan, in any
    version; MAX_TENANTS_COUNTED + 1 means that many or more.
    """

    code: str
    version: int
    name: str
    currency: str
    month_price: int
    year_price: int
    billing: Billing
    trial_days: int
    entitlements: dict[str, Value]
    created_at: datetime
    created_by: str
    tenants: int | None = None

    @property
    def key(self) -> str:
        return self.code

    @property
    def label(self) -> str:
        return f"{self.code} v{self.version}"

    def price(self, cycle: Cycle) -> int:
        return self.month_price if cycle == "month" else self.year_price


class PlanDirectory(Listing[Plan], Protocol):
    """The capability of a context to show plans."""

    async def versions(self, code: str) -> list[tuple[Plan, int]]:
        """Every version, newest first, and how many tenants have each. Raises NotFound."""
        ...
