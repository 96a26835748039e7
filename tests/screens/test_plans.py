"""The catalogue of plans in the console."""

from __future__ import annotations

from screens.plans.list import PlansScreen
from tests.postgres import Database
from tests.screens.console import command, console, text, until


async def test_the_catalogue_and_one_plan_of_it(database: Database) -> None:
    async with console(database) as (app, pilot):
        await command(pilot, "plans")
        await until(pilot, lambda: "enterprise" in text(pilot))
        assert "299.00 EUR" in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "Enterprise (enterprise v1)" in text(pilot))
        assert "unlimited a month" in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PlansScreen))
