"""How the screens look, frozen: rows, times and links are the same at every run and on every machine.

`pytest tests/screens/test_snapshots.py --snapshot-update` takes them anew; look at each before it is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from textual import events
from textual.pilot import Pilot

from app.console import Watchfloor
from app.contexts import Context
from app.settings import Profile, Settings
from backends.postgres.home import Home
from controlplane.live import LinkState
from tests.postgres import Database
from tests.screens.console import quiet, until
from tests.screens.glance import FrozenGlance

NOW = datetime(2025, 11, 21, 12, tzinfo=UTC)  # long over: hours that may still change are read from other rows
NARROW, WIDE = (80, 24), (120, 40)
Steps = Callable[[Pilot[None]], Awaitable[None]]

ROWS = """
INSERT INTO wf.tenants (id, name, plan, region, owner_email, metadata, created_at, updated_at)
SELECT id, name, plan, region, owner, metadata::jsonb, created::timestamptz, created::timestamptz FROM (VALUES
  ('acme', 'Acme GmbH', 'growth', 'eu-west-1', 'ana@acme.example', '{"crm": "C-1042", "seats": 120}',
   '2023-03-01T09:00Z'),
  ('globex', 'Globex Corporation', 'pro', 'us-east-1', 'hank@globex.example', '{}', '2024-01-15T09:00Z'),
  ('initech', 'Initech', 'trial', 'eu-west-1', NULL, '{}', '2025-11-20T09:00Z'),
  ('umbrella', 'Umbrella', 'enterprise', 'ap-south-1', 'spencer@umbrella.example', '{}', '2023-06-30T09:00Z'),
  ('soylent', 'Soylent Green 株式会社', 'growth', 'us-east-1', 'sol@soylent.example', '{}', '2025-05-01T09:00Z')
) AS t(id, name, plan, region, owner, metadata, created);
UPDATE wf.tenants SET created_at = '2023-01-01T00:00Z', updated_at = '2023-01-01T00:00Z' WHERE id = 'default';
UPDATE wf.tenant_activity a SET per_minute = v.rate, error_share = v.errors, p95_ms = v.p95, until = '2025-11-21T11:59Z'
FROM (VALUES ('acme', 1204, 0.0041, 212), ('globex', 87.5, 0.031, 1240), ('umbrella', 4.2, 0.12, 88)
) AS v(id, rate, errors, p95) WHERE v.id = a.tenant_id;
SELECT wf.begin_change('tenants.suspend', 'three chargebacks', 'r-1');
UPDATE wf.tenants SET status = 'suspended', suspended_at = '2025-11-21T09:00Z', suspension_reason = 'three chargebacks'
WHERE id = 'globex';
INSERT INTO wf.projects (tenant_id, id, name, created_at) VALUES
  ('acme', 'web', 'Storefront', '2024-02-01T09:00Z'), ('acme', 'api', 'Partner API', '2025-10-01T09:00Z');
INSERT INTO wf.request_hours (tenant_id, route, hour, n, errors_4xx, errors_5xx, buckets, counts)
SELECT 'acme', '/orders', hour, 40000 + 30000 * abs(extract(hour FROM hour)::int - 12) / 12, 0,
       CASE WHEN extract(hour FROM hour) = 3 THEN 9000 ELSE 200 END, '{}', '{}'
FROM generate_series('2025-11-19T12:00Z'::timestamptz, '2025-11-21T11:00Z', '1 hour') hour;
INSERT INTO wf.runs (operation, reason, actor, state, per_second, breaker_share, created_at) VALUES
  ('tenants.suspend', 'spring clean', 'ana', 'done', 10, 0.2, '2025-11-20T12:00Z'),
  ('tenants.edit', 'new plan names', 'ben', 'paused', 10, 0.2, '2025-11-21T11:00Z');
UPDATE wf.runs SET why = '3 of the canary of 10 refused' WHERE state = 'paused';
INSERT INTO wf.run_items (run_id, ordinal, thing, subject, state, code, words)
SELECT id, n, 'tenant-' || n, '{}', CASE WHEN n < 4 THEN 'refused' WHEN state = 'done' OR n < 9 THEN 'done'
       ELSE 'waiting' END, NULL, NULL FROM wf.runs, generate_series(1, 24) n;
UPDATE wf.run_progress p SET (done, refused, waiting) = (
  SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state = 'refused'),
         count(*) FILTER (WHERE state = 'waiting') FROM wf.run_items i WHERE i.run_id = p.run_id);
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET actor = CASE WHEN out_of_band THEN 'wf_owner' ELSE 'ana' END,
  at = timestamptz '2025-11-21T11:59:30Z' - make_interval(mins => (7 * (30 - seq))::int);
ALTER TABLE wf.audit ENABLE TRIGGER append_only;
"""


class Frozen(Watchfloor):
    """The console with its clock held and nothing read but what was asked for."""

    def __init__(self, settings: Settings, open_context: Any, link: str) -> None:
        super().__init__(settings, open_context, link)
        self.session.clock = lambda: NOW

    def _tick(self) -> None:
        """Nothing comes by itself."""

    async def on_unmount(self) -> None:
        if self.context is not None:
            await self.context.close()


@pytest.fixture
def estate(database: Database) -> Database:
    with psycopg.connect(database.owner) as connection:
        connection.execute(ROWS)
    return database


def frozen(
    database: Database,
    *,
    theme: str = "night",
    role: str = "admin",
    environment: str = "staging",
    read_only: bool = False,
    link: str = "here/tenants",
) -> Frozen:
    async def open_context(report: Callable[[str], None]) -> Context:
        home = Home(database.login("admin"))
        await home.open()
        home.overview = FrozenGlance(NOW)  # type: ignore[assignment]
        name = "acme-prod" if read_only else "acme-stage"
        return Context(home, name, environment, read_only, "the test", embedded=False)

    profiles = {
        "acme-prod": Profile("acme-prod", "postgresql://ana@db.acme.example/watchfloor", "production", True),
        "acme-stage": Profile("acme-stage", "postgresql://ana@stage.acme.example:6432/watchfloor", "staging", False),
    }
    return Frozen(Settings(Path("/nowhere/settings.toml"), theme=theme, profiles=profiles), open_context, link)


def steps(*words: str) -> Steps:
    """Keys, `:commands`, and what is pasted ("=words"), each done before the next, once the list was read."""

    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Watchfloor)
        await until(pilot, lambda: app.session.plane is not None)
        await quiet(pilot)
        for word in words:
            if word.startswith(":") and len(word) > 1:
                app.run_command(word[1:])
            elif word.startswith("="):
                app.post_message(events.Paste(word[1:]))
            else:
                await pilot.press(word)
            await quiet(pilot)
        await pilot.pause()

    return run


SHOTS: dict[str, tuple[str, ...]] = {
    "list": (),
    "filter_error": ("/", "=status:sleepy"),
    "act_menu": ("a",),
    "suspend_form": ("a", "s"),
    "confirm": ("a", "r", "=Acme", "enter"),
    "facts": ("enter",),
    "timeline": ("enter", "tab"),
    "traffic": ("enter", "tab", "tab"),
    "projects": ("enter", "tab", "tab", "tab"),
    "audit": ("3",),
    "runs": ("4",),
    "help": ("question_mark",),
    "contexts": (":context",),
}


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(estate: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["list", "facts", "audit", "confirm"])
def test_wide(estate: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(estate), terminal_size=WIDE, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_overview(estate: Database, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(frozen(estate, link=""), terminal_size=size, run_before=steps("j", "j", "j", "j"))


@pytest.mark.parametrize("theme", ["day", "contrast", "sixteen"])
def test_themes(estate: Database, snap_compare: Any, theme: str) -> None:
    assert snap_compare(frozen(estate, theme=theme), terminal_size=NARROW, run_before=steps("space"))


def test_production_read_only(estate: Database, snap_compare: Any) -> None:
    app = frozen(estate, environment="production", read_only=True)
    assert snap_compare(app, terminal_size=NARROW, run_before=steps("a"))


def test_offline(estate: Database, snap_compare: Any) -> None:
    async def lose(pilot: Pilot[None]) -> None:
        await steps()(pilot)
        assert isinstance(pilot.app, Watchfloor)
        pilot.app.workers.cancel_group(pilot.app, "link")
        pilot.app._link_changed(LinkState("offline", retry_in=8))
        await steps("a")(pilot)

    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=lose)


def test_welcome(database: Database, snap_compare: Any) -> None:
    assert snap_compare(frozen(database, link=""), terminal_size=NARROW, run_before=steps())
