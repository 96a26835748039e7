"""Routes and deliveries on the command line: one of each with all that is known of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from app.cli.lists import Told, text_lines
from controlplane.deliveries.kept import Delivery, DeliveryDirectory
from controlplane.deliveries.reports import attempt_lines, fact_lines
from controlplane.routes import words
from controlplane.routes.kept import RouteRow

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_route(plane: ControlPlane, route: RouteRow) -> Told:
    """Show a route, by its name or number."""
    return Told(lines=text_lines(words.fact_lines(route, plane.clock.now())))


async def show_delivery(plane: ControlPlane, delivery: Delivery) -> Told:
    """Show a delivery, with every attempt and what the receiver answered."""
    attempts = await plane.of(DeliveryDirectory).attempts(delivery.id)
    lines = text_lines([*fact_lines(delivery, plane.clock.now()), *attempt_lines(attempts)])
    return Told({"attempts_made": [dataclasses.asdict(each) for each in attempts]}, lines)
