"""Tenants' webhooks and events on the command line: one of each with all that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.lists import Told, text_lines
from controlplane.webhooks.model import TenantEvent, Webhook
from controlplane.webhooks.words import event_lines, fact_lines

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane


async def show_webhook(plane: ControlPlane, webhook: Webhook) -> Told:
    """Show a webhook: its address, its events, and the health of its endpoint."""
    return Told({}, text_lines(fact_lines(webhook, plane.clock.now())))


async def show_event(plane: ControlPlane, event: TenantEvent) -> Told:
    """Show an event: what happened, and what webhooks are told of it."""
    return Told({}, text_lines(event_lines(event, plane.clock.now())))
