"""The charts in the console, by keys: scope, window, cursor, what happened, top lists, export, the ways in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from app.settings import Settings
from controlplane.errors import HomeUnreachable
from controlplane.telemetry.chartviews import Window
from controlplane.telemetry.model import RequestTelemetry, Scope
from screens.requests import RequestsScreen
from screens.telemetry.screen import TelemetryScreen
from screens.tenants.detail import TenantScreen
from tests.postgres import Database, Server
from tests.screens.console import command, console, quiet, text, until

DAY = datetime(2025, 3, 2, tzinfo=UTC)
"""Long over: the window of every test is in that day, so nothing depends on the clock."""
KEY = "wf_live_ab12"
ROWS = """
INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('globex', 'Globex');
INSERT INTO wf.api_keys (id, tenant_id, env, display, hash, label) VALUES
  ('key_01H455VB4PEX5VSKNK084SN02Q', 'acme', 'live', 'wf_live_ab12', sha256('x'), 'storefront');
SELECT wf.ensure_request_days('2025-02-22', '2025-03-03');
INSERT INTO wf.requests (tenant_id, route, method, status, latency_ms, key_prefix, region, at)
SELECT CASE WHEN n % 4 = 0 THEN 'globex' ELSE 'acme' END, CASE WHEN n % 2 = 0 THEN '/v1/orders' ELSE '/v1/users' END,
       'GET', CASE WHEN n % 10 = 0 THEN 503 WHEN n % 7 = 0 THEN 404 ELSE 200 END, 10 + n % 100,
       CASE WHEN n % 4 = 1 THEN 'wf_live_ab12' END, 'eu-west-1', day + n * interval '10 seconds'
FROM generate_series(0, 8639) n, (VALUES (timestamptz '2025-03-02Z'), ('2025-02-23Z')) d(day)
WHERE n NOT BETWEEN 1140 AND 1320 AND (day > '2025-03-01Z' OR n % 2 = 0);
SELECT wf.roll_up_hours('2025-02-23Z', '2025-02-24Z'), wf.roll_up_hours('2025-03-02Z', '2025-03-03Z');
SELECT wf.begin_change('tenants.suspend', 'three chargebacks', 'r-1');
UPDATE wf.tenants SET status = 'suspended', suspended_at = now(),
  suspension_reason = 'three chargebacks' WHERE id = 'acme';
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET at = '2025-03-02T09:20Z', actor = 'ana' WHERE operation = 'tenants.suspend';
UPDATE wf.audit SET at = '2020-01-01Z' WHERE operation <> 'tenants.suspend';
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""
WINDOW = "window:2025-03-02..2025-03-02"


@pytest.fixture(scope="module")
def template_database(postgres_server: Server, template_database: str) -> Iterator[str]:
    with postgres_server.database(template_database) as estate:
        with psycopg.connect(estate.owner) as owner:
            owner.execute(ROWS)
        yield estate.name


@pytest.fixture
def estate(database: Database) -> Database:
    return database


async def charts(pilot: Pilot[None], view: str = "") -> TelemetryScreen:
    await command(pilot, f"telemetry {view} {WINDOW}")
    screen = pilot.app.screen
    assert isinstance(screen, TelemetryScreen)
    await until(pilot, lambda: screen.measured is not None and screen.ranking is not None)
    return screen


async def test_a_day_of_the_fleet_reads_as_its_rows_say(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot)
        assert screen.measured is not None and screen.measured.series.whole is not None
        assert screen.measured.series.whole.n == 8640 - 181
        shown = text(pilot)
        assert "requests 1/7" in shown and "each 1h" in shown and "total 8,459" in shown
        await pilot.press("tab", "tab")
        assert "error share 3/7" in text(pilot) and "5xx" in text(pilot) and "%┤" in text(pilot)
        await pilot.press("tab")
        assert "latency 4/7" in text(pilot) and "p95" in text(pilot)


async def test_a_gap_is_named_and_is_no_zero(estate: Database) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        await command(pilot, "telemetry window:2025-03-02T01:00..2025-03-02T06:00")
        screen = app.screen
        assert isinstance(screen, TelemetryScreen)
        await until(pilot, lambda: screen.measured is not None)
        assert "no data 03:10–03:40" in text(pilot)
        await command(pilot, "telemetry window:2025-03-02T03:00..2025-03-02T04:00 at:2025-03-02T03:20")
        await until(pilot, lambda: "03:20  no data" in text(pilot))


@pytest.mark.parametrize(
    ("view", "requests", "label"),
    [
        ("tenant:acme", 8459 * 3 // 4, "acme"),
        ("route:/v1/orders", 8459 // 2, "/v1/orders"),
        ("region:eu-west-1", 8459, "region eu-west-1"),
        (f"key:{KEY}", 8459 // 4, KEY),  # its tenant is found
    ],
)
async def test_scopes(estate: Database, view: str, requests: int, label: str) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot, view)
        assert screen.measured is not None and screen.measured.series.whole is not None
        assert abs(screen.measured.series.whole.n - requests) <= 2
        assert label in text(pilot).splitlines()[0]


async def test_tenants_are_drawn_beside_each_other(estate: Database) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        await command(pilot, f"telemetry tenant:acme,globex compare:week chart:latency {WINDOW}")
        screen = app.screen
        assert isinstance(screen, TelemetryScreen)
        await until(pilot, lambda: screen.measured is not None and screen.ranking is not None)
        assert screen.measured is not None and screen.measured.series.whole is not None
        assert screen.measured.series.whole.n == 8640 - 181
        shown = text(pilot)
        assert "acme + globex" in shown and "acme 6,345" in shown and "· globex 2,114" in shown
        await pilot.press("n")
        assert "03-02 09:00  acme 4.5/m" in text(pilot) and "tenants.suspend acme" in text(pilot)


async def test_m_on_marks_asks_for_those(estate: Database) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        await pilot.press("*", "m")
        screen = app.screen
        assert isinstance(screen, TelemetryScreen) and screen.view.tenants == ("acme", "default", "globex")
        assert screen.view_link().endswith("telemetry?tenant:acme,default,globex window:1d")


async def test_the_cursor_reads_values_and_goes_to_what_happened(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        await charts(pilot, "tenant:acme")
        await until(pilot, lambda: "▲ 1 change in this window" in text(pilot))
        await pilot.press("n")
        assert "03-02 09:00  4.5/m" in text(pilot) and "▲ tenants.suspend acme by ana: three chargebacks" in text(pilot)
        upright = {line.find("│", 12) for line in text(pilot).splitlines()[4:18]} - {-1}
        assert min(upright) < 60, "the cursor's line stands in the plot"
        await pilot.press("l")
        assert "03-02 10:00" in text(pilot)
        await pilot.press("h", "h")
        assert "03-02 08:00" in text(pilot)
        await pilot.press("w")
        assert "tenants.suspend acme by ana" in text(pilot) and "chargebacks" in text(pilot)
        await pilot.press("escape", "escape")
        assert "total" in text(pilot)


async def test_a_range_is_selected_shown_and_left_again(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot, "tenant:acme")
        whole = screen.view.window
        await pilot.press("n", "space")
        assert "03-02 09:00 to 03-02 10:00, 1h: space shows only this" in text(pilot)
        await pilot.press("l", "l", "escape")
        assert screen.range_begin is None and screen.view.at == DAY + timedelta(hours=11)
        await pilot.press("space", "h", "h", "space")
        await quiet(pilot)
        assert screen.view.window == Window(timedelta(hours=3), DAY + timedelta(hours=12)) and screen.view.at is None
        await until(pilot, lambda: screen.current_reading and "2025-03-02 09:00 – 03-02 12:00" in text(pilot))
        await pilot.press("z")
        await quiet(pilot)
        assert screen.view.window == whole
        await pilot.press("z")
        assert "you have not zoomed in" in text(pilot)


async def test_the_axis_of_latencies_says_when_it_is_logarithmic(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot, "chart:latency")
        assert " log┌" in text(pilot).replace("log ┌", "log┌")
        await pilot.press("L")
        assert "log┌" not in text(pilot).replace("log ┌", "log┌") and "scale:linear" in screen.view_link()
        await pilot.press("L")
        assert " log┌" in text(pilot).replace("log ┌", "log┌") and "scale" not in screen.view_link()


async def test_since_when_errors_rose_is_marked_and_said(estate: Database) -> None:
    with psycopg.connect(estate.owner) as owner:
        owner.execute(
            "UPDATE wf.request_hours SET errors_5xx = n / 2 WHERE tenant_id = 'globex' AND hour >= '2025-03-02T17:00Z'"
        )
    async with console(estate, role="viewer") as (_, pilot):
        await charts(pilot, "tenant:globex chart:error_share")
        await until(pilot, lambda: "◢ errors 19.9% → 50.0% since 03-02 17:00" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "03-02 17:00  " in text(pilot) and "5xx 50%" in text(pilot))


async def test_comparing_reads_the_week_before(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot)
        await pilot.press("c")
        await until(pilot, lambda: "week before: " in text(pilot))
        assert screen.measured is not None and screen.measured.before is not None
        assert screen.measured.before.whole is not None and screen.measured.before.whole.n == 4320 - 91
        assert "requests a week before" in text(pilot) and "compare:week" in screen.view_link()


async def test_windows_by_keys_and_by_command(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot)
        await pilot.press("minus")
        await quiet(pilot)
        assert screen.view.window == Window(timedelta(hours=6), DAY + timedelta(days=1))
        await pilot.press("left_square_bracket")
        await quiet(pilot)
        assert screen.view.window.end == DAY + timedelta(hours=21)
        await pilot.press("plus", "full_stop")
        await quiet(pilot)
        assert screen.view.window == Window(timedelta(days=1))
        await until(pilot, lambda: "the newest of all is of 2025-03-02 23:59 UTC: press N to go there" in text(pilot))
        await pilot.press("N")
        await until(pilot, lambda: screen.view.window.end == DAY + timedelta(days=1))
        await command(pilot, "window 2025-03-01..2025-03-02")
        assert screen.view.window == Window(timedelta(days=2), DAY + timedelta(days=1))
        await command(pilot, "window soon")
        assert '"soon" is not a duration' in text(pilot) and screen.view.window.span == timedelta(days=2)


async def test_a_scope_that_cannot_be_read_leaves_the_charts(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot, "tenant:acme")
        await command(pilot, "telemetry colour:red")
        assert "A chart cannot show colour:red" in text(pilot) and screen.view.scope == Scope("acme")
        await pilot.press("slash")
        assert "tenant:acme" in text(pilot).splitlines()[-1] or "tenant:acme" in text(pilot)
        await pilot.press("escape")
        await quiet(pilot)
        assert screen.view.scope == Scope("acme")
        await command(pilot, "telemetry tenant:nosuch")
        await until(pilot, lambda: "There is no tenant nosuch." in text(pilot))
        assert "no data" not in text(pilot) and screen.measured is None
        await command(pilot, "telemetry tenant:acme,nosuch")
        await until(pilot, lambda: "There is no tenant nosuch." in text(pilot) and "acme + nosuch" in text(pilot))
        await command(pilot, "telemetry key:wf_live_nobody")
        await until(pilot, lambda: "No key begins with wf_live_nobody." in text(pilot))


async def test_the_top_list_goes_by_another_number_and_narrows(estate: Database) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        screen = await charts(pilot, "chart:top")
        await until(pilot, lambda: "acme" in text(pilot) and "REQUESTS↓" in text(pilot))
        acme = next(line for line in text(pilot).splitlines() if line.startswith("› "))
        assert "acme" in acme and "6,3" in acme
        await pilot.press("o")
        await until(pilot, lambda: "5XX↓" in text(pilot))
        await pilot.press("v")
        await until(pilot, lambda: "/v1/orders" in text(pilot) and "routes by errors" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: screen.view.scope == Scope(route="/v1/orders"))
        await charts(pilot, "route:/v1/orders chart:top")  # the list is of that route as well
        await until(pilot, lambda: "tenants by errors of /v1/orders; o: by what" in text(pilot))
        await until(
            pilot, lambda: {r.tenant_id: r.n for r in screen.ranking.top.rows} == {"acme": 2115, "globex": 2114}
        )
        await pilot.press("v")
        await until(pilot, lambda: KEY in text(pilot) or "Nothing was rolled up" in text(pilot))
        await charts(pilot, "chart:top")
        await until(pilot, lambda: screen.by == "tenant" and "TENANT" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen))


async def test_enter_opens_nothing_from_a_pane_that_is_not_seen(estate: Database) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        await charts(pilot, "tenant:acme chart:top")
        await until(pilot, lambda: "/v1/orders" in text(pilot))
        link = f"test/telemetry?tenant:acme {WINDOW}"
        await command(pilot, link)
        for keys in (("tab",), ("tab",), ("shift+tab", "shift+tab")):
            await pilot.press(*keys, "question_mark")
            await until(pilot, lambda: "help: telemetry" in text(pilot))
            await pilot.press("escape", "enter")
            await quiet(pilot)
            assert isinstance(app.screen, RequestsScreen), "those of the chart, not of the hidden list's row"
            assert app.screen.filter_text == "tenant:acme"
            await pilot.press("left_square_bracket")
            await quiet(pilot)
            screen = app.screen
            assert isinstance(screen, TelemetryScreen) and screen.view.scope == Scope("acme")
        await command(pilot, "test/tenants/acme")
        tenant = app.screen
        assert isinstance(tenant, TenantScreen)
        while tenant.chosen != "timeline":
            await pilot.press("tab")
        while tenant.query_one(f"#{tenant.chosen}").focusable:
            await pilot.press("tab")
        await pilot.press("question_mark", "escape", "enter")
        await quiet(pilot)
        assert app.screen is tenant


async def test_esc_after_a_number_goes_back_to_where_one_was(estate: Database) -> None:
    async with console(estate, role="viewer", link="test/tenants/acme") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, TenantScreen))
        await command(pilot, f"telemetry route:/v1/orders {WINDOW}")
        await until(pilot, lambda: "/v1/orders" in text(pilot).splitlines()[0])
        await command(pilot, "test/tenants/globex")
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, TelemetryScreen) and app.screen.view.scope == Scope("globex"))
        await pilot.press("minus", "tab", "9")
        await until(pilot, lambda: "audit" in text(pilot).splitlines()[0])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TelemetryScreen) and app.screen.view.scope == Scope("globex"))
        assert app.screen.view.chart == "errors" and app.screen.view.window.span == timedelta(hours=6)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen) and app.screen.thing_id == "globex")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "/v1/orders" in text(pilot).splitlines()[0])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen) and app.screen.thing_id == "acme")
        await pilot.press("1", "1", "0", "escape")
        await until(pilot, lambda: text(pilot).splitlines()[1].startswith(" tenants"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen) and app.screen.thing_id == "acme")


async def test_one_key_leads_from_a_tenant_and_from_its_trail_to_its_charts(estate: Database) -> None:
    async with console(estate, role="viewer", link="test/tenants#acme") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, TenantScreen))
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, TelemetryScreen) and app.screen.view.scope == Scope("acme"))
        await pilot.press("escape")
        assert isinstance(app.screen, TenantScreen)
        await command(pilot, "audit operation:tenants.suspend")
        await until(pilot, lambda: "1 of" in text(pilot))
        await pilot.press("m")
        await until(pilot, lambda: "three chargebacks" in text(pilot) and "2025-03-02" in text(pilot))
        assert isinstance(app.screen, TelemetryScreen) and app.screen.view.at is not None
        await command(pilot, "keys")
        await until(pilot, lambda: "storefront" in text(pilot))
        await pilot.press("m")
        await until(
            pilot, lambda: isinstance(app.screen, TelemetryScreen) and app.screen.view.scope == Scope("acme", None, KEY)
        )


STRANGE = """
INSERT INTO wf.request_hours
  (tenant_id, dim, value, route, hour, n, errors_4xx, errors_5xx, latency_sum, buckets, counts)
SELECT 'acme', dim, CASE dim WHEN 'key' THEN 'wf_live_ab12' ELSE '' END, '/v1/orders', date_trunc('hour', now())
       - h * interval '1 hour', CASE WHEN h <= 20 THEN 300 ELSE 100 END, 1, 0, 5000, ARRAY[158], ARRAY[100]
FROM generate_series(1, 190) h, (VALUES ('key'), ('route')) d(dim)
"""


async def test_what_is_strange_of_a_key_is_said_with_its_numbers(estate: Database) -> None:
    with psycopg.connect(estate.owner) as owner:
        owner.execute(STRANGE)
        owner.execute("UPDATE wf.request_marks SET hours_until = date_trunc('hour', now())")
    async with console(estate, role="viewer") as (_, pilot):
        await command(pilot, "telemetry tenant:acme")
        await pilot.press("i")
        await until(pilot, lambda: "keys of acme" in text(pilot) and "spike: " in text(pilot))
        assert "standard_errors" in text(pilot) and KEY in text(pilot)
        await pilot.press("escape")
        await command(pilot, "telemetry region:eu-west-1")
        await until(pilot, lambda: "region eu-west-1" in text(pilot))
        await pilot.press("i")
        await until(pilot, lambda: "choose a tenant first" in text(pilot))
        await command(pilot, f"keys {KEY}")
        await until(pilot, lambda: "storefront" in text(pilot))
        await pilot.press("enter", "tab")
        await until(pilot, lambda: "spike: " in text(pilot) and "against the 7 days before" in text(pilot))
        await pilot.press("w", "G")
        await until(pilot, lambda: "ratio" in text(pilot))


async def test_the_tenant_of_what_is_shown_is_a_key_away(estate: Database) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        await charts(pilot, "tenant:globex chart:top")
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, TenantScreen) and app.screen.thing_id == "globex")
        await charts(pilot)
        await pilot.press("O")
        await until(pilot, lambda: "what is shown is of all tenants" in text(pilot))


async def test_limits_are_drawn_where_the_tenant_has_some(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        screen = await charts(pilot, "tenant:acme chart:saturation")
        await until(pilot, lambda: "api_calls 1,000/day" in text(pilot) and "soft 80%" in text(pilot))
        assert "saturation 5/7" in text(pilot) and "last known: api_calls 634.5" in text(pilot)
        await pilot.press("w")
        assert "api_calls: 1,000/day, from " in text(pilot) and "requests since the day began" in text(pilot)
        await pilot.press("escape")
        await command(pilot, f"telemetry chart:saturation {WINDOW}")
        await until(pilot, lambda: "a limit belongs to a tenant: name one, as in tenant:acme" in text(pilot))
        assert screen.measured is not None


async def test_many_changes_are_counted_though_only_the_newest_are_marked(estate: Database) -> None:
    with psycopg.connect(estate.owner) as owner:
        owner.execute(
            "INSERT INTO wf.audit (seq, out_of_band, actor, operation, noun, thing, tenant_id, at)"
            " SELECT 10000 + n, false, 'ana', 'tenants.edit', 'tenants', 'acme', 'acme',"
            " timestamptz '2025-03-02T04:00Z' + n * interval '1 minute' FROM generate_series(1, 250) n"
        )
    async with console(estate, role="viewer") as (_, pilot):
        await charts(pilot, "tenant:acme")
        await until(pilot, lambda: "▲ the newest of 251 changes in this window only" in text(pilot))


async def test_a_link_opens_exactly_this_view(estate: Database) -> None:
    link = f"test/telemetry?tenant:acme p95>250ms compare:week chart:latency {WINDOW}"
    async with console(estate, role="viewer", link=link) as (app, pilot):
        await until(pilot, lambda: "latency 4/7" in text(pilot) and "week before: " in text(pilot))
        assert isinstance(app.screen, TelemetryScreen)
        assert app.screen.view_link().replace("T00:00", "") == link.replace("..2025-03-02", "..2025-03-03")
        assert "p95 250ms" in text(pilot)


@pytest.mark.parametrize("form", ["json", "svg"])
async def test_what_is_shown_is_exported(estate: Database, tmp_path: Path, form: str) -> None:
    async with console(estate, role="viewer") as (app, pilot):
        await charts(pilot, "tenant:acme")
        await pilot.press("e")
        await until(pilot, lambda: "24 steps of acme" in text(pilot))
        await pilot.press(form[0], "enter")
        app.screen.query_one("#ask-path", Input).value = str(tmp_path / "acme")
        await pilot.press("enter")
        path = tmp_path / f"acme.{form}"
        await until(pilot, lambda: path.exists() and "written" in text(pilot))
        written = path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        if form == "svg":
            assert written.startswith("<svg") and "requests: acme" in written and "<polyline" in written
        else:
            items = json.loads(written)["items"]
            assert len(items) == 24 and abs(sum(item["requests"] for item in items) - 8459 * 3 / 4) < 2


async def test_a_hostile_scope_is_inert(estate: Database) -> None:
    async with console(estate, role="viewer") as (_, pilot):
        await command(pilot, f'telemetry route:"\\u001b]52;c;eA==\\u0007[@click=app.quit]x" {WINDOW}')
        await until(pilot, lambda: "is stored" in text(pilot))
        assert "\x1b" not in text(pilot) and "[@click" in text(pilot)


async def test_a_terminal_of_letters_gets_charts_of_letters(estate: Database) -> None:
    settings = Settings(Path("/nowhere/settings.toml"), glyphs="ascii")
    async with console(estate, role="viewer", settings=settings) as (_, pilot):
        screen = await charts(pilot, "tenant:acme")
        shown = [strip.text for strip in (screen.query_one("#requests").render_line(y) for y in range(18))]
        assert any("*" in line for line in shown) and all(line.isascii() for line in shown)


async def test_without_eyes_charts_are_words(estate: Database) -> None:
    async with console(estate, role="viewer", accessible=True) as (_, pilot):
        await charts(pilot, "tenant:acme")
        await until(pilot, lambda: "requests: now 4.5/m at 03-02 23:00, least " in text(pilot))
        assert "something happened at 03-02 09:20" in text(pilot)
        await pilot.press(*("tab",) * 5)
        await until(pilot, lambda: "latencies: now half within " in text(pilot))


async def test_without_eyes_the_cursor_is_read_out(estate: Database) -> None:
    async with console(estate, role="viewer", accessible=True) as (_, pilot):
        screen = await charts(pilot, "tenant:acme")
        await pilot.press("h")
        assert "03-02 23:00" in screen.said.words and "p95" in screen.said.words


async def test_what_was_read_stays_while_the_link_is_down(estate: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise HomeUnreachable("home_unreachable", "The home does not answer.", "R tries again now.")

    async with console(estate, role="viewer") as (app, pilot):
        screen = await charts(pilot, "tenant:acme")
        before = text(pilot)
        assert app.session.plane is not None
        monkeypatch.setattr(app.session.plane.of(RequestTelemetry), "series", gone)
        await pilot.press("r")
        await quiet(pilot)
        assert screen.measured is not None and text(pilot) == before
        await pilot.press("minus")  # of another window nothing is known: no old curve may stand for it
        await until(pilot, lambda: "The home does not answer." in text(pilot))
