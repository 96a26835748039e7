"""What an operator can do with deliveries: send one again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.deliveries.kept import Delivery, DeliveryStore
from controlplane.deliveries.refusals import DELIVERY_TEST, DELIVERY_UNDER_WAY
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.changes import Change


class OneDelivery(Request):
    id: Annotated[int, Field(ge=1, description="the delivery's number")]
    version: Version


DELIVERY = Subject(Delivery, lambda change, request: change.of(DeliveryStore).lock(request.id))


def check_replay(delivery: Delivery, now: datetime) -> None:
    """Raises Refusal `delivery_test`, `delivery_under_way`."""
    if delivery.test:
        raise DELIVERY_TEST()
    if delivery.state in ("waiting", "sending"):
        raise DELIVERY_UNDER_WAY(f"Delivery {delivery.id} is under way: {delivery.state}.")


@operation(
    "deliveries.replay",
    OneDelivery,
    role="operator",
    risk=Risk.CONFIRM,
    key="p",
    on=DELIVERY,
    check=check_replay,
    way_back="What was sent cannot be called back.",
)
async def replay(change: Change, request: OneDelivery, delivery: Delivery) -> Record:
    """Send a delivery again; it keeps its key, is signed with the current secrets, and its attempts stay on record."""
    made = await change.of(DeliveryStore).replay(delivery.id)
    return {"id": made.id, "route": made.route, "state": made.state, "version": made.version}
