"""Finding and acting for a tenant in the console, by keys."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from screens.find import FindScreen
from screens.tenants.detail import TenantScreen
from screens.widgets.prompt import Prompt
from tests.postgres import Database
from tests.screens.console import command, console, quiet, shown, text, type_in, until

SECRET = "wf_live_8sKq2LmVx0TzR4bNc7Yd"
ESTATE = """
SELECT wf.begin_change('tenants.create', 'before', 'first-request');
INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'ada@lovelace.example'), ('zed', 'Zed', NULL);
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES
  ('key_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'acme', 'live', 'wf_live_8sKq', sha256('wf_live_8sKq2LmVx0TzR4bNc7Yd'::bytea));
"""


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as owner:
        owner.execute(ESTATE)
    return database


async def test_f_finds_and_enter_opens(estate: Database) -> None:
    async with console(estate) as (app, pilot):
        await pilot.press("f")
        await type_in(pilot, "zed")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FindScreen) and "tenant    zed" in text(pilot))
        await until(pilot, lambda: shown(pilot)[1].split() == ["find", "1"])
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen) and app.screen.tenant_id == "zed")
        await pilot.press("escape")
        await command(pilot, "find first-request")
        await until(pilot, lambda: "tenants.create by" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "/request:first-request" in text(pilot))
        await command(pilot, "find 100%nothing")
        await until(pilot, lambda: "Nothing was found" in text(pilot))
        await command(pilot, "find")
        await until(pilot, lambda: "Say what to look for" in text(pilot))


async def test_a_pasted_secret_is_found_and_nowhere_to_be_seen(estate: Database) -> None:
    async with console(estate, role="support") as (app, pilot):
        for line in (f"find {SECRET}", SECRET):  # the second one in haste
            await pilot.press("colon")
            area = app.area
            assert area is not None
            prompt = area.query_one(Prompt)
            prompt.value = line
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, FindScreen) and "wf_live_8sKq" in text(pilot))
            assert prompt.histories["command"] == [] and SECRET not in prompt.value
            assert SECRET not in text(pilot) and app.area is not None and SECRET not in app.area.view_link()
            await pilot.press("w")
            await until(pilot, lambda: "a secret, by its hash" in text(pilot))
            assert SECRET not in text(pilot)
            await pilot.press("escape", "escape")
            await until(pilot, lambda: not isinstance(app.screen, FindScreen))


async def test_a_link_leads_to_what_was_found(estate: Database) -> None:
    async with console(estate, link="test/find?acm") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, FindScreen) and "Acme" in text(pilot))
        assert app.screen.view_link() == "test/find?acm"


async def test_acting_for_a_tenant_stands_in_the_header_until_it_ends(
    estate: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 0.0)
    async with console(estate, role="support") as (app, pilot):
        app.open_thing("tenants", "acme")
        await quiet(pilot)
        await pilot.press("a")
        await until(pilot, lambda: "Impersonate a tenant" in text(pilot))
        assert "End an impersonation" not in text(pilot)
        await pilot.press("i")
        await until(pilot, lambda: "the case that it is for" in text(pilot))
        await type_in(pilot, "T-1")
        await pilot.press("down", "down")
        await type_in(pilot, "phone")
        await pilot.press("enter")
        await until(pilot, lambda: "Do it?" in text(pilot) and "ticket: T-1" in text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "as acme 30m" in text(pilot))
        for noun in ("projects", "impersonations"):
            app.go(noun)
            await until(pilot, lambda: "as acme 30m" in text(pilot))
        await until(pilot, lambda: "open 30m" in text(pilot) and "T-1" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "hard stop at" in text(pilot))
        await pilot.press("escape")
        real = app.session.clock
        app.session.clock = lambda: real() + timedelta(minutes=30)
        await pilot.press("r")
        await until(pilot, lambda: "as acme" not in text(pilot) and "over" in text(pilot))
        app.session.clock = real
        await pilot.press("r")
        await until(pilot, lambda: "as acme 30m" in text(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "End an impersonation" in text(pilot))
        assert "write" not in text(pilot).split("End an")[1], "that needs another role"
        await pilot.press("x")
        await until(pilot, lambda: "as acme" not in text(pilot) and "ended" in text(pilot))


async def test_another_person_lets_it_write_and_both_see_it(estate: Database) -> None:
    with psycopg.connect(estate.login("support")) as support:
        support.execute(
            "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)"
            " VALUES ('acme', 'phone', 'T-1', now() + interval '20 minutes')"
        )
    async with console(estate, role="operator", link="test/impersonations", size=(120, 30)) as (app, pilot):
        await until(pilot, lambda: app.screen.noun == "impersonations" and "T-1" in text(pilot))
        assert "as acme" not in text(pilot), "it is not one's own"
        with psycopg.connect(estate.owner) as owner:
            owner.execute("UPDATE wf.impersonations SET mode = 'write'")
        await until(pilot, lambda: "write, by" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen))
    async with console(estate, role="support", accessible=True) as (_app, pilot):  # where nothing moves by itself
        await until(pilot, lambda: "as acme writing 20m" in text(pilot))


async def test_the_trail_says_for_whom_somebody_acted(estate: Database) -> None:
    with psycopg.connect(estate.login("operator")) as operator:
        operator.execute(
            "INSERT INTO wf.impersonations (tenant_id, reason, ticket, ends_at)"
            " VALUES ('acme', 'phone', 'T-1', now() + interval '20 minutes')"
        )
        operator.commit()
        with psycopg.connect(estate.login("admin")) as admin:
            admin.execute("UPDATE wf.impersonations SET mode = 'write'")
        operator.execute("UPDATE wf.tenants SET plan = 'growth' WHERE id = 'acme'")
    async with console(estate, link="test/audit?noun:tenants") as (_app, pilot):
        await until(pilot, lambda: "growth" in text(pilot) or "sql.update" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "acting for acme: impersonation 1" in text(pilot))
