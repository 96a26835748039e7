"""A throw-away home full of tenants, and the console on it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from backends.embedded.server import EmbeddedHome
from backends.postgres.migrate import migrate
from tests.terminal.driver import Terminal

CHECKOUT = Path(__file__).parents[1]
COLUMNS, LINES = 120, 40
FIRST = "tenant-0"
"""The prefix of the tenants' ids: it shows that a row is painted."""
LIST = "home/tenants"

# All are old enough that the age shown does not change while the benchmarks run.
_TENANTS = """
INSERT INTO wf.tenants (id, name, status, plan, region, owner_email, created_at, updated_at,
                        suspended_at, suspension_reason)
SELECT 'tenant-' || lpad(n::text, 7, '0'),
       (ARRAY['Acme', 'Globex', 'Initech', 'Hooli', 'Wonka', 'Tyrell', 'Stark'])[1 + n %% 7]
         || ' ' || substr(md5(n::text), 1, 8),
       CASE n %% 50 WHEN 0 THEN 'suspended' ELSE 'active' END,
       (ARRAY['trial', 'starter', 'growth', 'pro', 'enterprise'])[1 + n %% 5],
       (ARRAY['eu-west-1', 'eu-central-1', 'us-east-1', 'ap-southeast-1'])[1 + n %% 4],
       'owner@tenant-' || n || '.example',
       now() - n %% 700 * interval '1 day' - interval '36 h', now() - n %% 700 * interval '1 day' - interval '12 h',
       CASE n %% 50 WHEN 0 THEN now() END, CASE n %% 50 WHEN 0 THEN 'unpaid' END
FROM generate_series(%s::integer, %s::integer) AS n
"""
# One tenant in ten has no requests, so its figures are unknown. Few have errors, as in real life.
_ACTIVITY = """
INSERT INTO wf.tenant_activity (tenant_id, per_minute, error_share, p95_ms, until)
SELECT 'tenant-' || lpad(n::text, 7, '0'), n * 7919::bigint %% 100003 / 50.0,
       greatest(n * 104729::bigint %% 1009 - 900, 0) / 5000.0, 20 + n * 15485863::bigint %% 1800 / 2.0, now()
FROM generate_series(%s::integer, %s::integer) AS n WHERE n %% 10 <> 0
UNION ALL
SELECT 'tenant-' || lpad(n::text, 7, '0'), NULL, NULL, NULL, NULL
FROM generate_series(%s::integer, %s::integer) AS n WHERE n %% 10 = 0
"""
_INDEXES = """
SELECT format('%I.%I', n.nspname, c.relname), pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid IN ('wf.tenants'::regclass, 'wf.tenant_activity'::regclass) AND NOT i.indisprimary
"""


class Estate:
    """One embedded home. `owner` is a conninfo with all rights."""

    def __init__(self, folder: Path) -> None:
        self.home = EmbeddedHome(folder / "home")
        credentials = self.home.ensure()
        self.owner = credentials.owner_conninfo()
        migrate(self.owner, admin=credentials.login_user)
        self.tenants = 0

    def fill(self, tenants: int) -> None:
        """Have that many tenants, besides the one that every new home has."""
        if tenants > self.tenants:
            with psycopg.connect(self.owner, autocommit=True) as connection:
                fill(connection, self.tenants + 1, tenants)
            self.tenants = tenants

    def console(self, env: Mapping[str, str | None] | None = None, words: Sequence[str] = (LIST,)) -> Terminal:
        """The console in a terminal of its own; use it in a `with`. It shows the list, unless `words` say otherwise."""
        argv = [sys.executable, "-m", "app", "--home", str(self.home.folder), *words]
        return Terminal(argv, COLUMNS, LINES, {**self.env, **(env or {})}, str(CHECKOUT))

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """The home's own worker would roll up and so change what is measured."""
        self.home.ensure()
        self.home.stop_worker()
        with self.home.as_worker():
            yield

    @property
    def env(self) -> dict[str, str]:
        """Settings of its own: those of the person who measures would restore their last view."""
        person = str(self.home.folder.parent / "person")
        return {"PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": person, "XDG_CONFIG_HOME": person}


def fill(connection: psycopg.Connection, first: int, last: int) -> None:
    """Tenants by number, without audit rows. Many are loaded without indexes, which are built afterwards."""
    indexes = connection.execute(_INDEXES).fetchall() if last - first > 20_000 else []
    connection.execute("SET session_replication_role = replica")  # no triggers
    connection.execute("SET maintenance_work_mem = '512MB'")
    connection.execute("SET synchronous_commit = off")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    connection.execute(_TENANTS, [first, last])
    connection.execute(_ACTIVITY, [first, last, first, last])
    for _, definition in indexes:
        connection.execute(definition)
    connection.execute("SET session_replication_role = origin")
    connection.execute("VACUUM ANALYZE wf.tenants")
    connection.execute("VACUUM ANALYZE wf.tenant_activity")


@contextmanager
def estate() -> Iterator[Estate]:
    folder = Path(tempfile.mkdtemp(prefix="watchfloor-bench-"))
    folder.chmod(0o711)  # root's PostgreSQL runs as another account, which must be able to enter
    made = EmbeddedHome(folder / "home")
    try:
        yield Estate(folder)
    finally:
        made.destroy()
        shutil.rmtree(folder, ignore_errors=True)
