"""Webhooks in the console: from the tenant to its webhooks, and a replay whose number is said while it is typed."""

from __future__ import annotations

import psycopg

from screens.webhooks import WebhookScreen
from tests.backends.webhooks import change_plan
from tests.postgres import Database
from tests.screens.console import command, confirm, console, shown, text, type_in, until


async def test_from_the_tenant_to_its_webhook_and_a_replay_whose_number_is_said_while_typing(
    database: Database,
) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name, plan) VALUES ('acme', 'Acme', 'growth'), ('beta', 'B', 'x')")
        owner.execute("INSERT INTO wf.webhooks (tenant_id, target) VALUES ('beta', 'https://b'), ('acme', 'https://a')")
        owner.execute("UPDATE wf.webhooks SET enabled = false WHERE tenant_id = 'acme'")
        for plan in ("pro", "starter"):
            change_plan(owner, plan)
        owner.execute("UPDATE wf.webhooks SET enabled = true WHERE tenant_id = 'acme'")
    async with console(database, role="operator", size=(120, 40)) as (app, pilot):
        await command(pilot, "tenants acme")
        await until(pilot, lambda: "Acme" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "facts" in text(pilot))
        await pilot.press("W")
        await until(pilot, lambda: "/tenant:acme" in text(pilot) and "https://a" in text(pilot))
        assert "https://b" not in text(pilot)
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(app.screen, WebhookScreen) and "plan.changed: pro → starter" in text(pilot)
        )
        assert "held" in text(pilot) and "everything that happens to the tenant" in text(pilot)
        await pilot.press("a", "p")
        await until(pilot, lambda: "replay" in text(pilot))
        await type_in(pilot, "1h")
        await until(pilot, lambda: "2 deliveries are sent again" in text(pilot))
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, lambda: "replay webhook" in shown(pilot)[-1])
        await until(pilot, lambda: "waiting" in text(pilot))
        await pilot.press("N")
        await until(pilot, lambda: "starter" in text(pilot) and "/tenant:acme" in text(pilot))
