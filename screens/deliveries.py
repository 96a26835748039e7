"""One delivery: what was sent to whom and why, and every attempt with the receiver's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.deliveries.kept import Attempt, Delivery, DeliveryDirectory
from controlplane.deliveries.reports import attempt_lines, fact_lines, why_of
from controlplane.lists import Line
from screens.detail import TENANT, DetailScreen, Related
from screens.panes import Facts, Seen

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


@dataclass(frozen=True)
class DeliveryRead:
    """A delivery with its attempts."""

    delivery: Delivery
    attempts: Sequence[Attempt]


ROUTE = Related("route", "E", "its route", "route", "routes", of=lambda screen: screen.route)
WEBHOOK = Related("webhook", "H", "its webhook", "webhook", "webhooks", of=lambda screen: screen.webhook)
ALERT = Related("alert", "L", "its alert", "alert", "alerts", of=lambda screen: screen.alert)


class DeliveryScreen(DetailScreen[DeliveryRead]):
    noun = "deliveries"
    numbered = True
    rows = Delivery
    means = "One delivery: what was sent to whom and why, and every attempt with the receiver's answer."
    panes = (
        Facts("facts", lambda seen: fact_lines(seen.thing.delivery, seen.now)),
        Facts("attempts", lambda seen: attempt_lines(seen.thing.attempts)),
    )
    grid, widths = ("facts attempts",), "1fr 1fr"
    related = (TENANT, ROUTE, WEBHOOK, ALERT)

    async def read(self, plane: ControlPlane) -> DeliveryRead:
        deliveries = plane.of(DeliveryDirectory)
        return DeliveryRead(await deliveries.get(int(self.thing_id)), await deliveries.attempts(int(self.thing_id)))

    def row_of(self, thing: DeliveryRead) -> Delivery:
        return thing.delivery

    @property
    def label(self) -> str:
        return f"delivery {self.thing_id}"

    @property
    def route(self) -> str | None:
        return None if self.row is None or self.row.route_id is None else str(self.row.route_id)

    @property
    def webhook(self) -> str | None:
        return None if self.row is None or self.row.webhook_id is None else str(self.row.webhook_id)

    @property
    def alert(self) -> str | None:
        """The one that it tells of."""
        named = [] if self.row is None else [*self.row.alerts, *self.row.resolved]
        return str(named[0]) if named else None

    def why(self, seen: Seen[DeliveryRead]) -> list[Line]:
        return why_of(seen.thing.delivery, seen.now)
