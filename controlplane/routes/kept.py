"""Routes as a context keeps and lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.alerts.model import Severity
from controlplane.errors import Refusal
from controlplane.listing import ById, Listing
from controlplane.routes.model import Decision, Facts
from controlplane.routes.replay import Story
from controlplane.routes.secrets import Channel
from controlplane.routes.stored import route_of

Standing = Literal["on", "endpoint off", "unreadable", "disabled", "retired"]
STANDINGS: tuple[Standing, ...] = ("endpoint off", "unreadable", "on", "disabled", "retired")
"""In the order of the list."""


@dataclass(frozen=True, slots=True)
class RouteRow(ById):
    """A route as it is stored (see `controlplane.routes.model.Route`), and how its endpoint does. Intervals in seconds.

    `target`: as it is shown, since `target_at`. `secret_at`: since when it signs with its newest secret. `failures`:
    attempts in a row that were not delivered; `disabled`: why its endpoint was disabled by that, so that its deliveries
    are held.
    """

    id: int
    name: str
    tenant_id: str | None
    parent: int | None
    position: int
    continues: bool
    matchers: list[dict[str, str]]
    events: list[str]
    min_severity: Severity
    urgency: Literal["high", "low"]
    policy: dict[str, Any]
    group_by: list[str] | None
    group_wait: int
    group_interval: int
    repeat_seconds: int | None
    escalation: dict[str, Any] | None
    channel: Channel
    target: str
    template: str
    target_at: datetime
    secret_at: datetime | None
    enabled: bool
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    retired_at: datetime | None
    failures: int
    disabled: str | None
    disabled_at: datetime | None
    delivered_at: datetime | None

    @property
    def fault(self) -> str:
        """Why it cannot be read, so that it takes no alert; "" when it can."""
        try:
            route_of({name: getattr(self, name) for name in self.__slots__})
        except Refusal as refusal:
            return refusal.message
        except (KeyError, TypeError, ValueError):
            return "it is not written as a route is"
        return ""

    @property
    def standing(self) -> Standing:
        if self.retired_at is not None:
            return "retired"
        if not self.enabled:
            return "disabled"
        if self.fault:
            return "unreadable"
        return "on" if self.disabled is None else "endpoint off"


class RouteDirectory(Listing[RouteRow], Protocol):
    """The capability of a context to show routes, and what they would do."""

    async def named(self, name: str, tenant_id: str | None = None) -> RouteRow:
        """By its name, or its number. Raises NotFound."""
        ...

    async def facts(self) -> tuple[Facts, datetime]:
        """All that a decision needs besides the alert, and as of when; without what is kept of groups."""
        ...

    async def explain(self, alert: int) -> Decision:
        """What the production would decide now about a stored alert, with every stage. Raises NotFound."""
        ...

    async def stories(self, since: datetime) -> tuple[Sequence[Story], bool]:
        """The alerts that were open since a time, as they were, and whether there are more than could be read."""
        ...


class RouteStore(Protocol):
    """What the operations write through."""

    async def lock(self, number: int) -> RouteRow:
        """Raises NotFound."""
        ...

    async def create(self, columns: Mapping[str, Any]) -> RouteRow: ...

    async def update(self, number: int, columns: Mapping[str, Any]) -> RouteRow: ...

    async def explain(self, alert: int) -> Decision:
        """As a directory does, with what this change has written."""
        ...
