"""Alerts in the console, by keys."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from screens.alerts.detail import AlertScreen
from screens.alerts.detector import DetectorScreen
from tests.backends.alerts import dead, evaluate, events, key, settle
from tests.backends.notices import fire
from tests.backends.traffic import roll_up, send
from tests.postgres import Database
from tests.screens.console import command, console, quiet, shown, text, type_in, until


@pytest.fixture
def owner(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """Two alerts fire, and one is over."""
    monkeypatch.setattr("screens.dialogs.confirm.DEAD_SECONDS", 0.0)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
        dead(owner, "gone")
        evaluate(owner)
        settle(owner, "gone")
        dead(owner, "deliver", 120, tenant="acme")
        dead(owner, "publish")
        evaluate(owner)
        yield owner


async def test_the_list_is_on_its_digit_and_the_header_counts(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="viewer") as (_, pilot):
        await pilot.press("3")
        await until(pilot, lambda: "120 dead deliver jobs" in text(pilot))
        assert "✕ critical" in shown(pilot)[3] and "acme" in shown(pilot)[3]
        assert "● resolved" in shown(pilot)[5]
        await until(pilot, lambda: "2 firing" in shown(pilot)[0])


async def test_an_alert_is_taken_by_keys_and_given_back_by_undo(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="operator", link="test/alerts") as (_, pilot):
        await until(pilot, lambda: "✕ critical" in text(pilot))
        await pilot.press("a", "a")
        await until(pilot, lambda: "what you do about it" in text(pilot))
        await type_in(pilot, "looking")
        await pilot.press("enter")
        await until(pilot, lambda: "◐ acked" in text(pilot) and "ack alert 2 · audit" in text(pilot))
        await until(pilot, lambda: "1 firing, 1 acked" in shown(pilot)[0])
        await pilot.press("u")
        await until(pilot, lambda: "undo: unack" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "y" in text(pilot) and "acked → firing" in text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "2 firing" in shown(pilot)[0])
        assert events(owner, 2) == ["fired", "acked", "unacked"]


async def test_one_alert_shows_its_events_and_leads_to_its_tenant(
    database: Database, owner: psycopg.Connection
) -> None:
    async with console(database, role="operator", link="test/alerts", size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "✕ critical" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AlertScreen) and "fired, critical" in text(pilot))
        assert "1 job, from: default" in text(pilot) and "no earlier alert of this kind" in text(pilot)
        owner.execute("SELECT wf.evaluate('jobs_dead', NULL, NULL, 'the disk is full')")
        await until(pilot, lambda: "? unknown" in text(pilot) and "the disk is full" in text(pilot))
        assert "became unknown" in text(pilot)
        await pilot.press("O")
        await until(pilot, lambda: "tenants › acme" in shown(pilot)[0])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, AlertScreen))


async def test_its_value_is_drawn_and_d_leads_to_the_dead_jobs(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="operator", link="test/alerts/2", size=(120, 40)) as (_, pilot):
        await until(pilot, lambda: "threshold 1" in text(pilot) and "◆ fired" in text(pilot))
        await pilot.press("D")
        await until(pilot, lambda: "jobs" in shown(pilot)[0] and "120 of" in text(pilot))
        assert "/state:dead kind:deliver tenant:acme" in text(pilot)
        await command(pilot, "test/alerts/3")
        await until(pilot, lambda: "dead publish job" in text(pilot))
        await pilot.press("D")
        await until(pilot, lambda: "/state:dead kind:publish" in text(pilot))


async def test_w_says_by_which_thresholds_it_is_judged(database: Database, owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO wf.thresholds (detector, name, tenant_id, value) VALUES ('jobs_dead', 'number', 'acme', 9)"
    )
    async with console(database, role="viewer", link="test/alerts/2", size=(120, 50)) as (_, pilot):
        await until(pilot, lambda: "threshold 1" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "jobs_dead.number" in text(pilot))
        assert "applies     tenant:acme: 9 jobs, set by wf_owner at" in text(pilot)
        assert "overridden  default: 1 job" in text(pilot) and "who was told" in text(pilot)


async def test_one_key_each_to_its_key_and_its_objective(database: Database, owner: psycopg.Connection) -> None:
    key(owner, 1, "acme", 5)
    owner.execute("INSERT INTO wf.objectives (name, tenant_id, target) VALUES ('api', 'acme', 0.9)")
    made = owner.execute(
        "INSERT INTO wf.alerts (kind, tenant_id, severity, summary, details, events)"
        " SELECT 'burn_rate', 'acme', 'error', 'both', jsonb_build_object('objective', o.id, 'key_id', k.id), 1"
        " FROM wf.objectives o, wf.api_keys k RETURNING id"
    )
    [number] = made.fetchone() or ()
    async with console(database, role="operator", link=f"test/alerts/{number}", size=(120, 40)) as (app, pilot):
        for pressed, noun in (("K", "keys"), ("B", "objectives"), ("O", "tenants")):
            await until(pilot, lambda: isinstance(app.screen, AlertScreen) and app.screen.row is not None)
            await pilot.press(pressed)
            await until(pilot, lambda noun=noun: f" {noun} › " in shown(pilot)[0])
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, AlertScreen))
        await pilot.press("D")
        await quiet(pilot)
        assert isinstance(app.screen, AlertScreen), "it is about no dead jobs"


EARLIER = """
SET session_replication_role = replica;
UPDATE wf.alerts SET fired_at = fired_at - interval '70 minutes';
UPDATE wf.alert_events SET at = at - interval '70 minutes';
SET session_replication_role = origin;
"""
"""The hour that has just begun is on no chart yet."""


async def test_alerts_are_marked_on_charts(database: Database, owner: psycopg.Connection) -> None:
    owner.execute(EARLIER)
    send(owner, "acme", "/orders", "3 hours", "0", step="1 minute")
    roll_up(owner)
    async with console(database, role="viewer", link="test/tenants/acme", size=(120, 40)) as (_, pilot):
        await until(pilot, lambda: "◆ 1 alert" in text(pilot))
        await command(pilot, "telemetry tenant:acme window:6h")
        await until(pilot, lambda: "◆ 1 alert in this window: press n to go there" in text(pilot))
        assert any("◆" in line and "└" in line for line in shown(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "◆ alert 2 fired, critical: 120 dead deliver jobs" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: "alert 2  alert 2 fired" in text(pilot))


async def test_an_alert_that_is_not_there_says_so(database: Database) -> None:
    async with console(database, link="test/alerts/77") as (_, pilot):
        await until(pilot, lambda: "There is no alert 77." in text(pilot))
    async with console(database, link="test/alerts/x") as (_, pilot):
        await until(pilot, lambda: "There is no alert x." in text(pilot))


async def test_hostile_text_is_inert(database: Database, owner: psycopg.Connection) -> None:
    hostile = "\x1b[31m[red]\u202e"
    owner.execute(
        "INSERT INTO wf.alerts (kind, tenant_id, labels, severity, unit, summary, details, events)"
        " VALUES ('jobs_dead', %s, jsonb_build_object('job', %s::text), 'critical', %s, %s,"
        " jsonb_build_object(%s::text, %s::text), 1)",
        [hostile, hostile, hostile, hostile, hostile, hostile],
    )
    async with console(database, link="test/alerts", size=(160, 40)) as (_, pilot):
        await until(pilot, lambda: "[red]" in text(pilot))
        for keys in ((), ("w",), ("escape", "d"), ("escape", "enter")):
            await pilot.press(*keys)
            await quiet(pilot)
            assert "\x1b" not in text(pilot) and "\u202e" not in text(pilot)


async def test_a_detector_shows_what_it_would_do_and_is_evaluated_soon(
    database: Database, owner: psycopg.Connection
) -> None:
    settle(owner, "publish")
    dead(owner, "index", tenant="acme")
    async with console(database, role="operator", link="test/detectors", size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "jobs_dead" in text(pilot))
        await command(pilot, "detectors jobs_dead")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetectorScreen) and "1 would fire" in text(pilot))
        assert "fire: a new alert, error, acme" in text(pilot)
        assert "critical_age" in text(pilot) and "24 hours" in text(pilot)
        owner.execute("UPDATE wf.detectors SET next_at = now() + interval '1 hour'")
        await pilot.press("a", "e")
        await until(pilot, lambda: "evaluate" in text(pilot) and "audit" in shown(pilot)[-1])
    [due] = owner.execute("SELECT next_at <= now() FROM wf.detectors WHERE name = 'jobs_dead'").fetchone() or ()
    assert due


async def test_a_viewer_is_told_that_a_dry_run_is_for_operators(database: Database) -> None:
    async with console(database, role="viewer", link="test/detectors/jobs_dead", size=(120, 40)) as (_, pilot):
        await until(pilot, lambda: "needs the role operator" in text(pilot))


async def test_a_threshold_is_set_from_its_row(database: Database, owner: psycopg.Connection) -> None:
    async with console(database, role="operator", link="test/thresholds?quota_near") as (_, pilot):
        await until(pilot, lambda: "80 %" in text(pilot))
        await pilot.press("a", "s")
        await until(pilot, lambda: "default: clear it" in text(pilot))
        await type_in(pilot, "0.9")
        await pilot.press("tab")
        await type_in(pilot, "noise")
        await pilot.press("enter")
        await until(pilot, lambda: "value: 0.9" in text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "90 %" in text(pilot))
    assert owner.execute("SELECT scope, value FROM wf.thresholds").fetchall() == [("all", 0.9)]


async def test_all_that_match_are_marked_with_one_key_and_acked_as_a_run(
    database: Database, owner: psycopg.Connection
) -> None:
    fire(owner, 2_000, tenant="acme")
    async with console(database, role="operator", link="test/alerts?alert state:firing", size=(120, 40)) as (
        _,
        pilot,
    ):
        await until(pilot, lambda: "2,000" in shown(pilot)[1])
        await pilot.press("asterisk")
        await until(pilot, lambda: "2,000 marked" in text(pilot))
        owner.execute("SELECT wf.resolve_alert(max(id), 'over') FROM wf.alerts")
        await pilot.press("a", "a")
        await until(pilot, lambda: "what you do about it" in text(pilot))
        await type_in(pilot, "looking")
        await pilot.press("enter")
        await until(pilot, lambda: "2,000 things, 1 would be refused" in text(pilot), 60.0)
        assert "is resolved" in text(pilot) and "runs undo" not in text(pilot)


async def test_marked_silences_are_ended_as_a_run(database: Database, owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO wf.silences (matchers, ends_at, comment) SELECT jsonb_build_array(jsonb_build_object("
        "'label', 'job', 'op', '=', 'value', n::text)), now() + interval '1 hour', 'x' FROM generate_series(1, 3) n"
    )
    async with console(database, role="operator", link="test/silences", size=(120, 40)) as (_, pilot):
        await until(pilot, lambda: text(pilot).count("active") == 3)
        await pilot.press("asterisk")
        await until(pilot, lambda: "3 marked" in text(pilot))
        await pilot.press("a", "x")
        await until(pilot, lambda: "3 things, 0 would be refused" in text(pilot))
        await type_in(pilot, "3")
        await pilot.press("enter")
        await until(pilot, lambda: text(pilot).count("expired") == 3, 60.0)
    ended = owner.execute("SELECT count(*), min(ended_by) FROM wf.silences WHERE ended_at IS NOT NULL").fetchone()
    assert ended == (3, "t_operator")
