"""How the screens look, frozen: rows, times and links are the same at every run and on every machine.

`pytest tests/screens/test_snapshots.py --snapshot-update` takes them anew; look at each before it is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
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
from backends.postgres.overview import Overview
from controlplane.live import LinkState
from controlplane.subscriptions.model import Standing, SubscriptionDirectory
from screens.dialogs.secret import ShowSecret
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

# States that do not change with the real clock: what must be in force still ends in 2099.
KEYS = """
INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, label, owner_email, scopes, addresses,
  expires_at, rotated_from, rotated_at, grace_until, disabled_at, revoked_at, revoked_reason, created_at, updated_at,
  created_by)
SELECT 'key_' || lpad(n::text, 26, '0'), tenant, project, env, display, sha256(display::bytea), label, owner,
  string_to_array(scopes, ' '), networks::cidr[], expires::timestamptz, 'key_' || lpad(old::text, 26, '0'),
  rotated::timestamptz, grace::timestamptz, disabled::timestamptz, revoked::timestamptz, why, made::timestamptz,
  coalesce(rotated, disabled, revoked, made)::timestamptz, 'ana'
FROM (VALUES
  (1, 'acme', 'web', 'live', 'wf_live_8sKq', 'storefront', 'ana@acme.example', 'orders:read orders:write',
   '{198.51.100.0/24}', NULL, NULL::int, '2025-11-18T12:00Z', '2099-01-01', NULL, NULL, NULL, '2025-08-01T09:00Z'),
  (2, 'acme', 'web', 'live', 'wf_live_Zp3x', 'storefront', 'ana@acme.example', 'orders:read orders:write',
   '{198.51.100.0/24}', NULL, 1, NULL, NULL, NULL, NULL, NULL, '2025-11-18T12:00Z'),
  (3, 'globex', NULL, 'live', 'wf_live_T7vA', E'nightly \x1b[31mexport \u202egpj.exe', NULL, 'reports:read',
   '{}', '2099-06-01', NULL, NULL, NULL, NULL, NULL, NULL, '2025-06-02T09:00Z'),
  (4, 'umbrella', NULL, 'test', 'wf_test_kQ0m', 'ci', NULL, 'search:read', '{}', NULL, NULL, NULL, NULL,
   '2025-11-20T16:00Z', NULL, NULL, '2025-11-02T09:00Z'),
  (5, 'umbrella', NULL, 'live', 'wf_live_N4eB', 'partner webhook', NULL, 'events:write', '{}', '2025-11-01', NULL,
   NULL, NULL, NULL, NULL, NULL, '2025-05-01T09:00Z'),
  (6, 'soylent', NULL, 'live', 'wf_live_c9Ru', '株式会社 バックエンド', NULL, 'users:read', '{}', NULL, NULL, NULL,
   NULL, NULL, '2025-11-19T08:00Z', 'the contractor left', '2025-03-01T09:00Z')
) AS k(n, tenant, project, env, display, label, owner, scopes, networks, expires, old, rotated, grace, disabled,
       revoked, why, made);
INSERT INTO wf.requests (tenant_id, route, method, status, key_prefix, key_id, address, at)
SELECT 'acme', CASE n % 3 WHEN 0 THEN '/orders' ELSE '/orders/:id' END, 'GET', 200, 'wf_live_8sKq',
       'key_' || lpad((1 + n % 2)::text, 26, '0'), ('198.51.100.' || 7 + n % 2)::inet,
       '2025-11-21T11:59Z'::timestamptz - make_interval(mins => n)
FROM generate_series(1, 60) n;
UPDATE wf.key_uses SET last_used_at = '2025-11-21T11:58Z', last_address = '198.51.100.7' WHERE tenant_id = 'acme';
UPDATE wf.key_uses SET last_used_at = '2025-11-20T02:10Z', last_address = '203.0.113.9' WHERE tenant_id = 'globex';
UPDATE wf.subscriptions SET period_start = '2023-03-01', billing_zone = 'Europe/Berlin' WHERE tenant_id = 'acme';
INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, starts_at, ends_at, reason, by) VALUES
  ('acme', 'api_calls', '{"hard": 1500000, "soft": 1200000, "period": "month"}', 'override', '2025-11-20T09:00Z',
   '2099-01-01', 'launch week, CRM note 4471', 'chi');
INSERT INTO wf.quota_counters VALUES
  ('acme', 'api_calls', 'month', '2099-01-01', 1260000, '2025-11-21T11:59Z', 12);
ALTER TABLE wf.audit DISABLE TRIGGER append_only;
UPDATE wf.audit SET actor = CASE WHEN out_of_band THEN 'wf_owner' ELSE 'ana' END,
  at = timestamptz '2025-11-21T11:59:30Z' - make_interval(mins => (7 * ((SELECT max(seq) FROM wf.audit) - seq))::int);
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


@pytest.fixture
def keys(estate: Database) -> Database:
    with psycopg.connect(estate.owner) as connection:
        connection.execute(KEYS)
    return estate


def frozen(
    database: Database,
    *,
    theme: str = "night",
    role: str = "admin",
    environment: str = "staging",
    read_only: bool = False,
    link: str | None = None,
) -> Frozen:
    async def open_context(report: Callable[[str], None]) -> Context:
        home = Home(database.login("admin"))
        await home.open()
        standing = home.of(SubscriptionDirectory).standing

        async def stood(tenant_id: str) -> Standing:
            """As of now, but for the days that the home knows better."""
            found = await standing(tenant_id)
            usage = tuple(dataclasses.replace(each, resets_at=NOW + timedelta(days=9)) for each in found.usage)
            return dataclasses.replace(found, as_of=NOW, usage=usage)

        home.of(SubscriptionDirectory).standing = stood  # type: ignore[method-assign]
        home.readers[Overview] = FrozenGlance(NOW, Overview(home))
        name = "acme-prod" if read_only else "acme-stage"
        return Context(home, name, environment, read_only, "the test", embedded=False)

    profiles = {
        "acme-prod": Profile("acme-prod", "postgresql://ana@db.acme.example/watchfloor", "production", True),
        "acme-stage": Profile("acme-stage", "postgresql://ana@stage.acme.example:6432/watchfloor", "staging", False),
    }
    link = f"{'acme-prod' if read_only else 'acme-stage'}/tenants" if link is None else link
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
    "audit": ("9",),
    "runs": (":runs",),
    "help": ("question_mark",),
    "contexts": (":context",),
}


@pytest.mark.parametrize("name", SHOTS)
def test_narrow(estate: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=steps(*SHOTS[name]))


@pytest.mark.parametrize("name", ["list", "facts", "audit", "confirm"])
def test_wide(estate: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(estate), terminal_size=WIDE, run_before=steps(*SHOTS[name]))


KEY_SHOTS: dict[str, tuple[str, ...]] = {
    "keys": (":keys",),
    "key": (":acme-stage/keys/key_00000000000000000000000001",),
    "key_uses": (":acme-stage/keys/key_00000000000000000000000001", "tab"),
    "rotations": (":rotations",),
    "stale": (":stale tenant:globex",),
    "plans": (":plans",),
    "plan": (":plan acme",),
    "entitlements": (":plan acme", "tab"),
    "find": (":find acme",),
    "impersonate": ("a", "i"),
}


@pytest.mark.parametrize("name", KEY_SHOTS)
def test_keys_and_plans(keys: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(keys), terminal_size=NARROW, run_before=steps(*KEY_SHOTS[name]))


@pytest.mark.parametrize("name", ["keys", "key", "plan"])
def test_keys_and_plans_wide(keys: Database, snap_compare: Any, name: str) -> None:
    assert snap_compare(frozen(keys), terminal_size=WIDE, run_before=steps(*KEY_SHOTS[name]))


def test_a_secret_that_nobody_has_asked_to_see(estate: Database, snap_compare: Any) -> None:
    async def made(pilot: Pilot[None]) -> None:
        await steps()(pilot)
        assert isinstance(pilot.app, Watchfloor)
        pilot.app.push_screen(ShowSecret(pilot.app.session, "the secret of wf_live_8sKq", "wf_live_8sKqNotToBeSeen"))
        await steps("escape")(pilot)  # once: it asks again

    assert snap_compare(frozen(estate), terminal_size=NARROW, run_before=made)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_overview(estate: Database, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(frozen(estate, link=""), terminal_size=size, run_before=steps("j", "j", "j", "j"))


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_overview_in_sixteen_colours(estate: Database, snap_compare: Any, size: tuple[int, int]) -> None:
    app = frozen(estate, theme="sixteen", link="")
    assert snap_compare(app, terminal_size=size, run_before=steps("j", "j", "j", "j"))


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
