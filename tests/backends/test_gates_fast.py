"""Fast mode: only what the trail names since all was looked at, and never less than that without saying so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import yaml

from backends.postgres.home import Home
from controlplane.gates.shipped.texts import text
from tests.backends.gates import apply, begin, ran
from tests.backends.letters import die
from tests.backends.psql import Psql, logins
from tests.backends.silences import fire
from tests.postgres import Database

SUSPENDED = {
    "name": "it",
    "kind": "sql",
    "sql": "SELECT id FROM wf.tenant_list WHERE region = 'nowhere'",
    "fast": "SELECT t.id FROM (SELECT DISTINCT a.tenant_id FROM wf.audit_list a WHERE a.seq > $1) c"
    " JOIN wf.tenant_list t ON t.id = c.tenant_id WHERE t.region = 'nowhere'",
    "freshness": "1d",
}


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('beta', 'Beta')")
        yield connect


@pytest.fixture
async def home(database: Database, psql: Psql) -> AsyncIterator[Home]:
    opened = Home(database.login("admin"))
    await opened.open()
    yield opened
    await opened.close()


@contextmanager
def past_the_trail(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    owner.execute("SET session_replication_role = replica")
    yield owner
    owner.execute("SET session_replication_role = origin")


async def found(home: Home, mode: str) -> tuple[str, float | None, str, dict[str, int]]:
    """The state, how many rows, in words, and what the observation says of what was looked at."""
    whole = await ran(home, await begin(home, mode=mode))
    it = whole.results["it"]
    seen = json.loads(it.observed)
    return it.judged.state, it.judged.value, it.judged.words, {n: seen[n] for n in ("seq", "run") if n in seen}


async def test_fast_looks_at_what_changed_since_all_was_looked_at_and_says_so(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    await apply(home, SUSPENDED)
    state, _, words, looked = await found(home, "fast")
    assert (state, words, list(looked)) == ("pass", "", ["seq"]), "nothing to go on from: it looks at all"
    state, _, _, looked = await found(home, "full")
    assert state == "pass" and looked["seq"] > 0
    with past_the_trail(owner):
        owner.execute("UPDATE wf.tenants SET region = 'nowhere' WHERE id = 'acme'")
    state, _, words, looked = await found(home, "fast")
    assert state == "pass" and looked == {"run": 2}
    assert words.startswith("only what ") and words.endswith(" changes since run 2 touched was looked at")
    owner.execute("UPDATE wf.tenants SET name = 'Acme again' WHERE id = 'acme'")
    state, value, words, looked = await found(home, "fast")
    assert (state, value, looked) == ("fail", 1.0, {"run": 2}) and words.startswith("1 found; only what ")
    assert (await found(home, "full"))[:2] == ("fail", 1.0)


async def test_what_it_would_go_on_from_must_still_hold(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    await apply(home, SUSPENDED)
    await found(home, "full")
    assert (await found(home, "fast"))[3] == {"run": 1}
    with past_the_trail(owner):  # as if whoever ran it had said that it saw more than there is
        owner.execute("""UPDATE wf.gate_checks SET observed = '{"rows": 0, "sample": [], "seq": 999999999999}'""")
    assert "seq" in (await found(home, "fast"))[3]
    with past_the_trail(owner):
        owner.execute("DELETE FROM wf.gate_latest")
        owner.execute("UPDATE wf.gate_checks SET observed_at = now() - interval '2 days'")
    assert "seq" in (await found(home, "fast"))[3], "what was found so long ago is stale"
    await found(home, "full")
    assert "run" in (await found(home, "fast"))[3]
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER USER")
    owner.execute("UPDATE wf.tenants SET region = 'nowhere' WHERE id = 'beta'")
    owner.execute("ALTER TABLE wf.tenants ENABLE TRIGGER USER")
    owner.execute("SELECT wf.note_triggers()")
    state, value, _, looked = await found(home, "fast")
    assert (state, value, list(looked)) == ("fail", 1.0, ["seq"]), "the trail was off for a while"


HOSTILE = [
    "WITH x AS (DELETE FROM wf.tenants WHERE $1 > 0 RETURNING 1) SELECT * FROM x",
    "SELECT owner_email FROM wf.tenants WHERE $1 > 0",
    "SELECT 1) d) s; DROP TABLE wf.tenants; SELECT $1 FROM (SELECT (SELECT 1",
    "SELECT set_config('transaction_read_only', 'off', true), $1",
    "SELECT $1, pg_sleep(60)",
]


async def test_a_fast_statement_can_only_read_what_a_viewer_reads(home: Home, psql: Psql) -> None:
    for fast in HOSTILE:
        await apply(home, SUSPENDED | {"fast": fast, "limit": 1})
        assert (await found(home, "full"))[0] == "pass"
        state, _, words, _ = await found(home, "fast")
        assert state == "inconclusive" or "found; only what" in words, fast
    assert psql("owner").execute("SELECT count(*) FROM wf.tenants").fetchone() == (3,), "nobody is gone"


async def test_what_somebody_recorded_that_cannot_be_believed_is_not_gone_on_from(home: Home, psql: Psql) -> None:
    owner = psql("owner")
    await apply(home, SUSPENDED)
    await found(home, "full")
    for seq in ("-1", '"x"', "1e5", "null", "[7]", '{"a": 1}', "99999999999999999999", "999999999999999999"):
        with past_the_trail(owner):
            owner.execute(
                f"""UPDATE wf.gate_checks SET observed = '{{"rows": 0, "sample": [], "seq": {seq}}}'""".encode()
            )
        state, _, _, looked = await found(home, "fast")
        assert (state, list(looked)) == ("pass", ["seq"]), seq


PLANTED = """
ALTER TABLE wf.tenants DROP CONSTRAINT tenant_home_region_allowed, DROP CONSTRAINT tenant_marks;
INSERT INTO wf.api_keys (id, tenant_id, project_id, env, display, hash, scopes, rotated_from) VALUES
  ('key_00000000000000000000000001', 'acme', 'of-beta', 'live', 'wf_live_1', sha256('1'), '{read}', NULL),
  ('key_00000000000000000000000002', 'gone', NULL, 'live', 'wf_live_2', sha256('2'), '{read}', NULL),
  ('key_00000000000000000000000003', 'beta', NULL, 'live', 'wf_live_3', sha256('3'), '{read}',
   'key_00000000000000000000000001');
INSERT INTO wf.projects (tenant_id, id, name) VALUES ('gone', 'p', 'P');
UPDATE wf.tenants SET region = 'nowhere', allowed_regions = '{eu-west-1}', status = 'suspended' WHERE id = 'acme';
UPDATE wf.tenants SET status = 'active' WHERE id = 'beta';
DELETE FROM wf.subscriptions WHERE tenant_id = 'beta';
INSERT INTO wf.audit (seq, out_of_band, actor, operation, noun, thing, tenant_id)
VALUES (1000, true, 'x', 'sql.update', 'tenants', 'gone', 'gone');
INSERT INTO wf.subscriptions SELECT (s).* FROM (
  SELECT jsonb_populate_record(s, '{"tenant_id": "gone"}') AS s FROM wf.subscriptions s WHERE tenant_id = 'acme') x;
ALTER TABLE wf.subscriptions DISABLE TRIGGER USER;
UPDATE wf.subscriptions SET plan_version = 99 WHERE tenant_id = 'acme';
UPDATE wf.dead_letters SET tenant_id = 'gone';
UPDATE wf.tenants SET purge_after = now() - interval '2 days' WHERE id = 'beta';
INSERT INTO wf.quota_counters VALUES ('acme', 'api_calls', 'month', now(), -1, now(), 0);
"""


async def test_each_check_of_consistency_finds_what_is_wrong_and_its_fast_statement_the_same(psql: Psql) -> None:
    owner = psql("owner")
    fire(owner, tenant="gone")
    die(owner)
    owner.execute("UPDATE wf.tenants SET name = 'Past its operations' WHERE id = 'acme'")
    with past_the_trail(owner):
        owner.execute(PLANTED.encode())
    [gate] = yaml.safe_load(text(["consistency"]))
    for each in gate["checks"]:
        whole = owner.execute(each["sql"].encode()).fetchall()
        assert whole, f"{each['name']} finds nothing"
        if "fast" in each:
            changed = owner.execute(each["fast"].replace("$1", "0").encode()).fetchall()
            assert {*changed} == {*whole}, each["name"]
    assert sum("fast" in each for each in gate["checks"]) == 8
