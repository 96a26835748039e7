"""The screen of single requests: what comes is shown, `p` holds it, and a time in the filter makes it a list."""

from __future__ import annotations

import psycopg

from screens.requests import RequestsScreen
from screens.telemetry.screen import TelemetryScreen
from tests.postgres import Database
from tests.screens.console import command, console, quiet, shown, text, until

SEND = "INSERT INTO wf.requests (tenant_id, route, method, status, at) SELECT %s, %s, 'GET', %s, now() - %s::interval"


async def test_what_comes_is_shown_once_and_p_holds_it(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        owner.execute(SEND, ["acme", "/old", 200, "1 hour"])
        async with console(database, link="test/requests", size=(120, 40)) as (app, pilot):
            screen = app.screen
            assert isinstance(screen, RequestsScreen)
            assert "requests  1 newest" in shown(pilot)[1] and "live" in shown(pilot)[1]
            owner.execute(SEND, ["beta", "/new", 503, "0"])
            screen.action_reload()
            await until(pilot, lambda: "2 newest" in shown(pilot)[1])
            assert text(pilot).count("/new") == 1 and "503" in text(pilot)

            await pilot.press("p")
            owner.execute(SEND, ["beta", "/held", 200, "0"])
            screen.action_reload()
            await quiet(pilot)
            assert "/held" not in text(pilot) and "held ·" in shown(pilot)[1]
            await pilot.press("p")
            screen.action_reload()
            await until(pilot, lambda: "/held" in text(pilot))

            await command(pilot, "requests tenant:beta status>499")
            await until(pilot, lambda: "1 newest" in shown(pilot)[1])
            assert "/new" in text(pilot) and "/held" not in text(pilot)
            await command(pilot, "requests tenant:acme at<2h")
            await until(pilot, lambda: "1 of 3" in shown(pilot)[1])
            assert "live" not in shown(pilot)[1] and "/old" in text(pilot)
            await pilot.press("O")
            await until(pilot, lambda: app.screen.noun == "tenants")  # type: ignore[attr-defined]
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
            assert screen.filter_text == "tenant:acme at<2h", "back is back, with the filter"


async def test_enter_on_a_moment_of_a_chart_begins_there(database: Database) -> None:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        for ago in ("30 min", "20 min", "1 min"):
            owner.execute(SEND, ["acme", f"/{ago.partition(' ')[0]}", 200, ago])
        (at,) = owner.execute("SELECT to_char(now() - interval '25 min', 'YYYY-MM-DD\"T\"HH24:MI:SS')").fetchone() or (
            "",
        )
        async with console(database, link=f"test/telemetry?tenant:acme at:{at} window:1h") as (app, pilot):
            assert isinstance(app.screen, TelemetryScreen)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, RequestsScreen))
            await until(pilot, lambda: "/20" in text(pilot))
            rows = [line for line in shown(pilot) if "acme" in line and " GET " in line]
            assert ["/20" in rows[0], "/1" in rows[1], len(rows)] == [True, True, 2], rows
            await pilot.press("escape", "escape")
            await until(pilot, lambda: isinstance(app.screen, TelemetryScreen))
