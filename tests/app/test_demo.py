"""The demonstration: the same from the same seed, filled at once, alive, and gone without a trace when it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest

from app.demo import (
    audit,
    estate,
    evidence,
    folders,
    hours,
    keys,
    loading,
    month,
    present,
    requests,
    shape,
    subscriptions,
    tenants,
    traffic,
)
from app.demo.site import WORKER, Site, open_site
from app.worker import Work
from backends.embedded import worker
from backends.embedded.server import EmbeddedHome
from controlplane.errors import Conflict, NotPermitted
from controlplane.jobs.kinds import kinds
from controlplane.text import clean
from tests.backends.notices import sealing
from tests.postgres import Database
from tests.terminal.driver import Terminal

NOW = datetime(2026, 3, 4, 10, 20, 30, tzinfo=UTC)
DEMO = [sys.executable, "-m", "app", "demo"]
pytestmark = pytest.mark.timeout(600)
PATIENCE = 300.0  # seconds, after which something hangs: the machine may be busy


def digest(seed: int) -> str:
    made = estate.make(seed, NOW)
    end = int(NOW.timestamp())
    weather, shapes = hours.Weather(made), hours.Shapes()
    fleet = hours.Fleet(weather.hours)
    calls = requests.rows(made, end - 60, end, keys.callers(made))
    parts: list[object] = [
        made,
        *calls,
        *audit.steps(made),
        *month.work(made),
        *keys.make(made),
        *subscriptions.make(made),
    ]
    parts += [cell for firm in made.firms[:10] for cell in hours.cells_of(weather, firm, shapes, fleet)]
    parts += fleet.cells(shapes)
    return hashlib.sha256(repr([*parts, shapes.take_new()]).encode()).hexdigest()


def test_a_seed_is_an_estate() -> None:
    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_the_estate_is_believable() -> None:
    made = estate.make(7, NOW)
    assert made.noisy == "juniper-textiles"  # the README leads there
    assert len({firm.id for firm in made.firms}) == len(made.firms) == 300
    assert all(re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", firm.id) for firm in made.firms)
    plans = Counter(firm.plan for firm in made.firms)
    assert set(plans) == {"trial", "starter", "growth", "pro", "enterprise"} and min(plans.values()) >= 20
    assert set(Counter(firm.region for firm in made.firms)) == set(estate.REGIONS)
    assert sum(firm.suspended_at is not None for firm in made.firms) == 5
    assert sorted(firm.id for firm in made.firms if firm.protected)[0] == "default"
    assert sum(firm.protected for firm in made.firms) == 2
    assert all(re.search(r"@[^@]+\.example\.(com|org|net)$", firm.owner_email) for firm in made.firms)
    assert all(1 <= len(firm.projects) <= 4 for firm in made.firms)
    assert NOW - min(firm.created_at for firm in made.firms) > timedelta(days=600)
    hostile = [firm.name for firm in made.firms if clean(firm.name) != firm.name]
    assert any("\x1b" in name for name in hostile) and any("\u202e" in name for name in hostile)


def test_an_old_key_is_called_until_all_have_moved() -> None:
    def caller(name: str, tenant: str, old: str | None, rotated: datetime | None) -> keys.Caller:
        return keys.Caller(name, f"wf_live_{name}", tenant, [], old, rotated)

    pairs = [(caller(f"{t}0", t, None, NOW), caller(f"{t}1", t, f"{t}0", None)) for t in ("calm", "loud")]
    callers = keys.Callers("loud", [key for pair in pairs for key in pair])
    chances = [n / 1000 for n in range(1000)]

    def share(tenant: str, seconds: float) -> float:
        at = NOW.timestamp() + seconds
        return sum(callers.pick(tenant, at, chance)[1] == f"{tenant}0" for chance in chances) / 1000

    assert share("calm", 0) == 1
    assert 0.4 < share("calm", keys.MOVING / 2) < 0.6
    assert share("calm", keys.MOVING) == 0
    assert 0.3 < share("loud", 90_000) < 0.5
    assert callers.pick("nobody", 0, 0.5) == (None, None, None, False)


def test_regions_and_tenants_have_their_troubles() -> None:
    made = estate.make(7, NOW)
    for region in estate.REGIONS:
        day = [shape.daily(region, NOW.timestamp() + 3600 * n) for n in range(24)]
        assert max(day) > 2.5 * min(day)
        busy, calm = (sorted(range(24), key=lambda n: day[n])[n] for n in (-1, 0))
        slow = [shape.slowness(made, region, NOW.timestamp() + 3600 * n + 1800) for n in (busy, calm)]
        assert slow[0] > 1.3 * slow[1], "latency moves with load"
        week = [sum(shape.daily(region, NOW.timestamp() + 3600 * (24 * d + n)) for n in range(24)) for d in range(7)]
        assert max(week) > 1.4 * min(week), "a weekend is calm"
    noisy, failing = made.firm(made.noisy), made.firm(made.failing)
    burst = [shape.demand(made, noisy, 60.0 * minute) for minute in (1_000_000, 1_000_010)]
    assert burst[0] > 5 * burst[1]
    for began in (made.outage.began, made.onset):
        later = began + shape.ONSET_SECONDS
        assert shape.failing(made, failing, later) > 0.15 > 0.04 > shape.failing(made, failing, began - 1)
    assert shape.failing(made, failing, made.outage.mended) < 0.04
    region, began = made.outage.region, made.outage.began
    assert shape.slowness(made, region, began + 600) > 1.5 * shape.slowness(made, region, began - 600)
    mended = replace(made, mended=made.onset + 900)
    assert shape.failing(mended, failing, made.onset + 1000) < 0.04, "what was granted was taken back"


def test_a_key_that_was_ended_is_refused_until_its_caller_notices() -> None:
    ended = keys.Caller("k", "wf_live_k", "calm", [], None, None, refused=True)
    made = estate.make(7, NOW)
    firm = replace(made.firms[1], id="calm")
    few = replace(made, firms=(firm,))
    second = int(NOW.timestamp())
    rows = list(requests.rows(few, second, second + 600, keys.Callers("loud", [ended])))
    assert rows and {(row.status, row.key_id) for row in rows} == {(401, "k")}


@pytest.fixture
def site(database: Database) -> Site:
    return open_site(database.owner, lambda words: None, sealing())


def test_loading_fills_an_empty_home(database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    now, began, said = datetime.now(UTC), time.monotonic(), list[tuple[float, str]]()

    def report(words: str) -> None:
        said.append((time.monotonic() - began, words))

    made = estate.make(7, now - estate.LATELY)
    loading.check(database.owner)
    site = open_site(database.owner, report, sealing(), tmp_path, now)
    loading.load(made, site, partial(hours.batches, made), trail=True)
    present.catch_up(made, site, now, trail=True)
    present.look(site)
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\ndemonstration: all {took:.1f} s")
    with psycopg.connect(database.owner) as connection:

        def one(query: str) -> tuple[object, ...]:
            return connection.execute(query.encode()).fetchone() or ()

        assert one("SELECT count(*), count(DISTINCT plan), count(DISTINCT region) FROM wf.tenants") == (300, 5, 4)
        assert one("SELECT count(*) FROM wf.tenants WHERE status = 'pending_deletion'") == (2,)
        assert one("SELECT count(*), count(*) FILTER (WHERE state = 'off') FROM wf.webhook_list") == (2, 1)
        assert one("SELECT count(*), count(*) FILTER (WHERE signature = 'good') FROM wf.evidence") == (6, 1)
        [bundle] = (tmp_path / "evidence").iterdir()
        assert one("SELECT sha256 FROM wf.evidence WHERE signature = 'good'") == (bundle.name,)
        assert '"hour":' in (bundle / "telemetry.ndjson").read_text() and (bundle / "alerts.ndjson").exists()
        told = "SELECT count(DISTINCT state), count(DISTINCT webhook_id) FROM wf.deliveries"
        told += " WHERE attempts > 0 AND webhook_id > 0"
        assert one(told) == (2, 2)
        assert one("SELECT count(*) FROM wf.tenants WHERE status = 'suspended'") == (7,)
        lately = now - timedelta(minutes=2)
        fresh = f"SELECT count(*) > 250, max(until) > '{lately}' FROM wf.tenant_list WHERE p95_ms > 0"
        assert one(fresh) == (True, True)
        first, last = connection.execute("SELECT min(hour), max(hour) FROM wf.hour_cells").fetchone() or (now, now)
        assert last == now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1), "of this one are minutes"
        assert now - first > timedelta(days=30) - timedelta(hours=1)
        sound = (
            "SELECT bool_and(n = (SELECT sum(c) FROM unnest(counts) c) AND errors_4xx + errors_5xx <= n"
            " AND cardinality(buckets) = cardinality(counts)) FROM wf.hour_cells WHERE tenant_id < 'f'"
        )
        assert one(sound) == (True,)
        of_all = "SELECT count(*) FILTER (WHERE tenant_id = ''), sum(n) FILTER (WHERE tenant_id = '' AND route = '')"
        whole = f"{of_all} = sum(n) FILTER (WHERE tenant_id <> '') FROM wf.hour_cells WHERE dim = 'route'"
        cells, adds_up = one(whole)
        assert isinstance(cells, int) and cells > 24 * 30 and adds_up, "the fleet has its month, and it is its tenants'"
        known = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_stats WHERE inherited"
        assert one(f"{known} AND tablename = 'request_hours'") == ("dim hour route tenant_id value",)
        assert one("SELECT count(DISTINCT minute) FROM wf.request_minutes") == (60,)
        assert one("SELECT count(*) FROM wf.requests_default") == (0,)
        states = {row[0] for row in connection.execute("SELECT DISTINCT state FROM wf.key_list").fetchall()}
        assert states == {"active", "rotating", "disabled", "expired", "revoked"}
        assert one(
            "SELECT min(n), max(n) BETWEEN 4 AND 5 FROM (SELECT count(*) AS n FROM wf.key_list GROUP BY tenant_id) c"
        ) == (1, True)
        noisy = f"SELECT old_calls > 20, new_calls > 20 FROM wf.key_rotations WHERE tenant_id = '{made.noisy}'"
        assert one(noisy) == (True, True)
        quiet = f"SELECT old_calls, new_calls > 20 FROM wf.key_rotations WHERE tenant_id = '{made.failing}'"
        assert one(quiet) == (0, True)
        called = (
            # How many an hour has depends on the hour of the week: all of them name their key.
            "SELECT count(*) > 10000 AND count(*) = (SELECT count(*) FROM wf.requests),"
            " bool_and(k.id IS NOT NULL AND k.tenant_id = r.tenant_id"
            " AND k.display = r.key_prefix AND (k.addresses = '{}' OR r.address <<= ANY (k.addresses::cidr[]))"
            " AND r.address <<= ANY ('{192.0.2.0/24,198.51.100.0/24,203.0.113.0/24}'::cidr[]))"
            " FROM wf.requests r LEFT JOIN wf.key_list k ON k.id = r.key_id WHERE r.key_id IS NOT NULL"
        )
        assert one(called) == (True, True)
        used = "SELECT count(*) > 250 FROM wf.key_list WHERE last_used_at > now() - interval '1 hour'"
        assert one(used) == (True,)
        plans_now = {row[0] for row in connection.execute("SELECT DISTINCT state FROM wf.subscriptions").fetchall()}
        assert plans_now == {"trial", "active", "past_due", "grace", "suspended", "expired", "canceled"}
        assert one("SELECT count(*) FROM wf.plan_changes WHERE applied_at IS NULL AND canceled_at IS NULL") == (1,)
        sources = f"SELECT string_agg(source, ' ' ORDER BY place) FROM wf.entitlement_sources('{made.noisy}', now())"
        assert one(f"{sources} WHERE name = 'api_calls'") == ("override incident plan",)
        usage = (
            "SELECT count(*) FILTER (WHERE admitted > (value ->> 'soft')::bigint) > 10"
            " AND count(*) FILTER (WHERE admitted IS NULL) > 2"
            " FROM wf.tenants t, wf.usage_of(t.id, now()) WHERE t.plan <> 'enterprise'"
        )
        assert one(usage) == (True,)
        assert one("SELECT count(*), sum(dead), sum(quarantined) FROM wf.cause_list") == (3, 220, 4)
        verdicts = "SELECT string_agg(verdict, ' ' ORDER BY id) FROM wf.gate_runs WHERE environment = 'production'"
        assert one(verdicts) == ("GO_WITH_CONDITIONS INCONCLUSIVE NO_GO",)
        assert one("SELECT count(*), bool_and(ends_at < now() + interval '25 hours') FROM wf.gate_waivers") == (2, True)
        actors = connection.execute("SELECT actor, count(*) FROM wf.audit WHERE NOT out_of_band GROUP BY 1").fetchall()
        assert {"ana", "ben", "chi"} < {actor for actor, _ in actors}
        assert one("SELECT count(*) FROM wf.audit WHERE out_of_band AND thing <> 'default'") == (0,)
        done = {row[0] for row in connection.execute("SELECT DISTINCT operation FROM wf.audit").fetchall()}
        assert done > {"keys.rotate", "subscriptions.change", "tenants.impersonate", "tenants.end-impersonation"}
        days = "SELECT count(DISTINCT at::date), max(at) - min(at) > interval '30 days' FROM wf.audit"
        assert one(f"{days} WHERE operation <> 'demo.load'")[1] is True and one(days)[0] >= 29  # type: ignore[operator]
        order = (
            "SELECT count(*) FROM (SELECT at, lag(at) OVER (ORDER BY seq) AS before FROM wf.audit) a WHERE at < before"
        )
        assert one(order) == (0,), "the trail is in the order of its times"
        assert one("SELECT count(*) = max(seq) AND min(seq) = 1 FROM wf.audit") == (True,)
        assert one("SELECT max(at) < now() - interval '40 minutes' FROM wf.audit") == (True,)
        assert one("SELECT wf.chain_audit() > 2000") == (True,)
        assert one("SELECT wf.note_triggers()") == (0,)
    with pytest.raises(Conflict, match="has tenants already"):
        loading.check(database.owner)
    for _ in range(2):  # the second time it is published already
        asyncio.run(_publish(site))
    with psycopg.connect(database.owner) as connection:
        assert one("SELECT state, target FROM wf.publication_list") == ("published", f"file://{tmp_path}/published")
        assert one("SELECT creates FROM wf.target_list") == (True,)


async def _publish(site: Site) -> None:
    async with audit.people(site) as homes:
        await evidence.publish(homes, site)


async def test_only_the_owner_of_an_empty_home_may_load(database: Database) -> None:
    with pytest.raises(NotPermitted):
        await loading.load_demonstration(database.login("admin"), lambda words: None, sealing())


async def test_traffic_goes_on_after_its_link_was_cut(database: Database, site: Site) -> None:
    made = estate.make(7, datetime.now(UTC) - timedelta(seconds=60))
    tenants.seed(made, site)
    keys.seed(made, site)
    with psycopg.connect(database.owner) as connection:  # as the demonstration's last hour does, before anybody writes
        connection.execute("SELECT wf.make_request_partitions()")
    running = asyncio.create_task(traffic.run(made, site, lambda: False))
    work = Work(database.login("worker"), kinds())
    working = asyncio.create_task(work.run())
    await traffic_goes_on(database, running)
    work.stop()
    await working
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def traffic_goes_on(database: Database, running: asyncio.Task[None]) -> None:
    async with await psycopg.AsyncConnection.connect(database.owner, autocommit=True) as connection:

        async def until_true(query: str) -> None:
            async with asyncio.timeout(PATIENCE):
                while await (await connection.execute(query.encode())).fetchone() != (True,):
                    assert not running.done()
                    await asyncio.sleep(0.05)

        await until_true("SELECT count(*) > 200 FROM wf.requests")
        await until_true("SELECT count(*) > 0 FROM wf.tenant_activity WHERE per_minute > 0")
        await until_true("SELECT rolled_at IS NOT NULL FROM wf.request_marks")
        await until_true("SELECT count(*) > 20 FROM wf.key_uses WHERE last_used_at > now() - interval '5 min'")
        await until_true("SELECT count(*) > 20 FROM wf.quota_counters")
        cut = "SELECT count(pg_terminate_backend(pid)) = 1 FROM pg_stat_activity WHERE usename = %s"
        assert await (await connection.execute(cut, [WORKER])).fetchone() == (True,)
        await connection.execute("CREATE TABLE cut AS SELECT max(at) AS at FROM wf.requests")
        await until_true("SELECT max(r.at) > max(cut.at) FROM wf.requests r, cut")


async def test_people_work_and_refusals_disturb_nobody(database: Database, site: Site) -> None:
    made = estate.make(7, datetime.now(UTC))
    tenants.seed(made, site)
    keys.seed(made, site)
    shift = audit.Shift(made)
    async with audit.people(site) as homes:
        for _ in range(60):
            await shift.act(homes)
    with psycopg.connect(database.owner) as connection:
        done = connection.execute(
            "SELECT operation, count(*) FROM wf.audit WHERE actor IN ('ana', 'ben') AND reason <> '' GROUP BY 1"
        ).fetchall()
        worked = {f"tenants.{verb}" for verb in ("edit", "rename", "suspend", "resume")}
        assert {name for name, _ in done} == worked | {"keys.rotate", "keys.disable", "keys.enable"}
        away = connection.execute("SELECT count(*) FROM wf.tenants WHERE status = 'suspended'").fetchone()
        assert away is not None and away[0] <= 5 + audit.AWAY_AT_MOST


@pytest.fixture
def demo(prepared_demonstration: Path) -> Iterator[Terminal]:
    """The real program in a real terminal, its tenants on the screen. What a failure leaves is swept."""
    with Terminal(DEMO, env={"XDG_CACHE_HOME": str(prepared_demonstration)}) as terminal:
        terminal.see(re.compile(r"in the last hour +[1-9]"), PATIENCE)
        terminal.press("1")
        terminal.see(re.compile(r"tenants +300"), PATIENCE)
        yield terminal
    folders.sweep()


def caretaker(pid: int) -> tuple[psutil.Process, Path]:
    """The process behind the program, and the folder that it holds."""
    (found,) = [child for child in psutil.Process(pid).children() if "app.demo.caretaker" in child.cmdline()]
    (lock,) = [Path(file.path) for file in found.open_files() if Path(file.path).name == folders.LOCK]
    return found, lock.parent


def servers(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if str(folder) in " ".join(_words(process))]


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)])
def test_nothing_is_left_however_it_ends(demo: Terminal, number: int, code: int) -> None:
    behind, folder = caretaker(demo.pid)
    assert servers(folder)
    if number == signal.SIGTERM:
        demo.press("q", "q")
        demo.see("The demonstration ends with this console", PATIENCE)
    demo.signal(number)
    assert demo.wait(PATIENCE) == code
    behind.wait(PATIENCE)
    assert not folder.exists()
    assert servers(folder) == []
    if number != signal.SIGKILL:
        assert demo.not_restored() == []


@pytest.mark.usefixtures("prepared_demonstration")
def test_its_worker_comes_when_the_estate_is_whole_and_goes_with_it() -> None:
    words = [sys.executable, "-m", "app.demo.caretaker", "7"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        ready = next(json.loads(line)["ready"] for line in process.stdout if "ready" in line)
        home, deadline = EmbeddedHome(Path(ready)), time.monotonic() + PATIENCE
        while worker.pid(home.folder) is None:  # not by `status`, which measures the growing home each time
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        assert len([each for each in servers(home.folder) if "app.home_worker" in each.cmdline()]) == 2
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert servers(home.folder.parent) == [] and not home.folder.parent.exists()


def test_the_next_one_sweeps_what_was_killed() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.demo.caretaker", "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    with process.stdin, process.stdout:
        assert any("its tables" in line for line in process.stdout)
        (lock,) = [Path(file.path) for file in psutil.Process(process.pid).open_files() if file.path.endswith("/lock")]
        folders.sweep()
        assert lock.exists()  # somebody lives in it
        process.kill()
        process.wait()
    assert servers(lock.parent)
    folders.sweep()
    assert not lock.parent.exists()
    assert servers(lock.parent) == []


def test_a_kept_home_stays_and_is_taken_up_again() -> None:
    folder = folders.make()[0] / "kept"  # where the server's account can come
    try:
        assert any("people" in line for line in until_ready(folder, "ready"))
        assert EmbeddedHome(folder).status().state == "stopped"
        assert not any("people" in line for line in until_ready(folder, "ready"))
        assert EmbeddedHome(folder).status().state == "stopped"
    finally:
        EmbeddedHome(folder).destroy()
        shutil.rmtree(folder.parent)


def until_ready(folder: Path, word: str) -> list[str]:
    """What the caretaker of a kept home says until a word falls; then it is let go."""
    command = [sys.executable, "-m", "app.demo.caretaker", "7", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if word in line:
                break
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    return said


def test_without_a_terminal_it_says_what_it_needs() -> None:
    done = subprocess.run(DEMO, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert done.stdout == ""
