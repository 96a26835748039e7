"""The job table itself: fair, fenced, nothing lost, nothing twice; what people may do to jobs; what upkeep does."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.worker import Work
from backends.postgres import heartbeat
from backends.postgres.home import Home
from backends.postgres.job_queue import Self, queue
from controlplane.errors import Refusal
from controlplane.jobs.engine import Crew
from controlplane.jobs.kinds import kinds
from controlplane.jobs.model import JobDirectory, WorkerDirectory
from controlplane.jobs.operations import cancel, replay
from controlplane.operations import Call, execute
from tests.backends.jobs import KINDS, queue_jobs
from tests.backends.runs import make_tenants, opened
from tests.controlplane.fairness import Lane, backoff, fair_batch, returning
from tests.postgres import Database, Server

ASKED_FOR = {"drill", "make_report"}
"""Jobs that upkeep does not do in a new home."""
LONG_AGO = "UPDATE wf.workers SET lease_until = now() - interval '1 second' WHERE id = %s"


class Hand:
    """One worker at the table, by hand."""

    def __init__(self, database: Database, kinds: str = "{}") -> None:
        self.link = psycopg.connect(database.login("worker"), autocommit=True)
        [(self.id,)] = self.ask("SELECT wf.start_worker('hand', 'here', 1, '0', %s)", kinds)

    def ask(self, statement: str, *parameters: Any) -> list[Any]:
        return self.link.execute(statement.encode(), parameters or None).fetchall()

    def claim(self, most: int = 100) -> list[tuple[int, str | None, int]]:
        """(job, tenant, lease)"""
        return self.ask("SELECT id, tenant_id, lease FROM wf.claim_jobs(%s, %s, '{}', '{}') ORDER BY id", self.id, most)

    def finish(self, *held: tuple[int, str | None, int]) -> list[int]:
        ids, leases = [job[0] for job in held], [job[2] for job in held]
        [(settled,)] = self.ask("SELECT wf.finish_jobs(%s, %s, %s)", self.id, ids, leases)
        return sorted(settled)

    def fail(self, held: tuple[int, str | None, int], *, give_up: bool = False) -> list[int]:
        [(settled,)] = self.ask("SELECT wf.fail_job(%s, %s, %s, 'broke', %s)", self.id, held[0], held[2], give_up)
        return list(settled)


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def fair(postgres_server: Server, template_database: str) -> Iterator[tuple[psycopg.Connection, Hand]]:
    database = postgres_server.create(template=template_database)
    make_tenants(database.owner, 6)
    hand = Hand(database)
    with psycopg.connect(database.owner, autocommit=True) as connection, hand.link:
        yield connection, hand
    postgres_server.drop(database)


LANES = st.dictionaries(
    st.sampled_from([f"t{n:03}" for n in range(1, 7)]),
    st.builds(
        Lane,
        st.integers(0, 5).map(float),
        st.sampled_from((1.0, 2.0, 4.0)),
        st.lists(st.sampled_from((0.5, 1.0, 2.0)), max_size=12),
    ),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LANES, st.integers(1, 12), st.integers(0, 6).map(float))
def test_the_home_takes_jobs_in_the_order_of_the_rule(
    fair: tuple[psycopg.Connection, Hand], lanes: dict[str, Lane], most: int, last: float
) -> None:
    owner, hand = fair
    owner.execute("TRUNCATE wf.jobs, wf.job_lanes")
    owner.execute("UPDATE wf.job_clock SET v = %s", [last])
    for name, lane in lanes.items():
        owner.execute(
            "INSERT INTO wf.job_lanes (lane, tenant_id, v, weight) VALUES (%s, %s, %s, %s)",
            [name, name, lane.v, lane.weight],
        )
        for cost in lane.costs:
            owner.execute("INSERT INTO wf.jobs (kind, tenant_id, cost) VALUES ('x', %s, %s)", [name, cost])
    awake = {name: Lane(returning(lane.v, [], last), lane.weight, lane.costs) for name, lane in lanes.items()}
    waiting = {name: list(lane.costs) for name, lane in awake.items()}
    v = {name: lane.v for name, lane in awake.items()}
    while any(waiting.values()):
        expected = fair_batch({name: Lane(v[name], awake[name].weight, waiting[name]) for name in awake}, most)
        taken = hand.claim(most)
        assert Counter(tenant for _, tenant, _ in taken) == Counter(expected)
        for name in expected:
            v[name] += waiting[name].pop(0) / awake[name].weight
        assert hand.finish(*taken) == [job for job, _, _ in taken]
    assert hand.claim(most) == []


def test_a_flood_delays_nobody_else(database: Database, owner: psycopg.Connection) -> None:
    make_tenants(database.owner, 30)
    queue_jobs(database.owner, "x", 5000, tenant="default")
    hand = Hand(database)
    hand.finish(*hand.claim(50))
    for n in range(1, 31):
        queue_jobs(database.owner, "x", tenant=f"t{n:03}")
    queue_jobs(database.owner, "x")  # of no tenant
    tenants = [tenant for _, tenant, _ in hand.claim(40)]
    assert len({*tenants} - {"default"}) == 31
    assert {tenant for _, tenant, _ in hand.claim(40)} == {"default"}


def test_a_claim_reads_what_it_takes_however_many_wait(database: Database, owner: psycopg.Connection) -> None:
    """Also by a plan that was made when hardly any did."""
    owner.execute("ALTER TABLE wf.jobs SET (autovacuum_enabled = off)")
    hand = Hand(database)
    queue_jobs(database.owner, "x", 20)
    owner.execute("ANALYZE wf.jobs")
    hand.finish(*hand.claim())
    queue_jobs(database.owner, "x", 20_000)
    hand.link.autocommit = False
    for _ in range(3):
        taken = hand.claim(100)
        assert len(taken) == 100 and len(hand.finish(*taken)) == 100
    read = "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'wf.jobs'::regclass"
    [(by_reading_all, by_index)] = hand.ask(read)
    assert by_reading_all == 0 and by_index < 3000
    hand.link.commit()


def test_what_a_job_is_told_is_an_object_of_some_size(database: Database, owner: psycopg.Connection) -> None:
    for payload in ("[]", '{"a": "' + "x" * 70_000 + '"}'):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            queue_jobs(database.owner, "x", payload=payload)
        assert refused.value.diag.constraint_name == "job_payload"


def test_a_kind_is_a_name_and_stays(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "x.1-a_b")
    told = "INSERT INTO wf.jobs (kind) VALUES ('fine'), (%s)"
    for statement, kind in [
        (told, ""),
        (told, "X"),
        (told, "x" * 65),
        (told, "x y"),
        ("UPDATE wf.jobs SET kind = %s", "y"),
    ]:
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            owner.execute(statement.encode(), [kind])
        assert refused.value.diag.constraint_name == "job_kind"
    assert owner.execute("SELECT kind FROM wf.jobs").fetchall() == [("x.1-a_b",)]


def test_a_plan_with_more_weight_gets_more(database: Database, owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO wf.tenants (id, name, plan) VALUES ('heavy', 'H', 'enterprise'), ('light', 'L', 'trial')"
    )
    for name in ("heavy", "light"):
        queue_jobs(database.owner, "x", 500, tenant=name)
    assert dict(owner.execute("SELECT lane, weight FROM wf.job_lanes").fetchall()) == {"heavy": 10, "light": 1}
    hand = Hand(database)
    taken = Counter(tenant for _ in range(5) for _, tenant, _ in hand.claim(44))
    assert taken == {"heavy": 200, "light": 20}
    owner.execute("UPDATE wf.tenants SET plan = 'enterprise' WHERE id = 'light'")
    assert hand.ask("SELECT wf.refresh_job_weights()") == [(1,)]


def test_what_a_worker_does_not_hold_any_more_it_cannot_settle(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "x", 3)
    slow, quick = Hand(database), Hand(database)
    held = slow.claim()
    assert len(held) == 3 and quick.claim() == []
    assert slow.finish((held[0][0], None, held[0][2] + 1)) == []  # of another claim
    assert quick.finish(held[0]) == []  # somebody else's
    owner.execute(LONG_AGO, [slow.id])
    quick.ask("SELECT wf.tick_jobs()")
    owner.execute("UPDATE wf.jobs SET run_at = now() WHERE state = 'waiting'")  # as if the pause were over
    owner.execute("UPDATE wf.job_lanes SET wake_at = now()")
    taken = quick.claim()
    assert [job[0] for job in taken] == [job[0] for job in held] and taken[0][2] > held[0][2]
    assert slow.finish(*held) == [] and slow.fail(held[0]) == []
    assert slow.ask("SELECT wf.beat(%s)", slow.id) == [(False,)]
    with pytest.raises(psycopg.errors.CheckViolation, match="was given up"):
        slow.claim()
    assert quick.finish(*taken) == [job[0] for job in taken] and quick.finish(*taken) == []
    outcomes = owner.execute("SELECT outcome, count(*) FROM wf.job_attempt_list GROUP BY 1 ORDER BY 1").fetchall()
    assert outcomes == [("done", 3), ("lost", 3)]
    assert owner.execute("SELECT name, state, done, failed FROM wf.worker_list ORDER BY id").fetchall() == [
        ("hand", "gone", 0, 3),
        ("hand", "alive", 3, 0),
    ]


def test_nobody_beats_for_another(database: Database, owner: psycopg.Connection) -> None:
    hand = Hand(database)
    owner.execute("UPDATE wf.workers SET login = 'somebody_else'")
    assert hand.ask("SELECT wf.beat(%s)", hand.id) == [(False,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        hand.ask("UPDATE wf.jobs SET state = 'done' RETURNING id")
    with psycopg.connect(database.login("support")) as link, pytest.raises(psycopg.errors.InsufficientPrivilege):
        link.execute("SELECT payload FROM wf.jobs")


def test_tries_end_and_all_are_kept(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "x")
    hand = Hand(database)
    for attempt in range(1, 6):
        [held] = hand.claim()
        assert hand.fail(held) == [held[0]]
        [(state, pause)] = owner.execute("SELECT state, extract(epoch FROM run_at - now()) FROM wf.jobs").fetchall()
        assert state == ("waiting" if attempt < 5 else "dead")
        assert attempt == 5 or pause <= 2**attempt
        owner.execute("UPDATE wf.jobs SET run_at = now()")
        owner.execute("UPDATE wf.job_lanes SET wake_at = now() WHERE NOT ready")
    assert hand.claim() == []
    kept = owner.execute("SELECT attempt, outcome, error FROM wf.job_attempts ORDER BY 1").fetchall()
    assert kept == [(n, "failed", "broke") for n in range(1, 6)]


def test_the_home_pauses_as_the_rule_does(owner: psycopg.Connection) -> None:
    for tries in (0, 1, 2, 5, 9, 10, 50):
        [(pause,)] = owner.execute("SELECT extract(epoch FROM wf.job_backoff(%s, 0.75))::float8", [tries]).fetchall()
        assert pause == pytest.approx(backoff(tries, 0.75))
    assert owner.execute("SELECT extract(epoch FROM wf.worker_lease())::float8").fetchone() == (
        heartbeat.LEASE_SECONDS,
    )


def test_a_clock_that_jumps_stops_nothing(database: Database, owner: psycopg.Connection) -> None:
    """Put forward, leases are over at once; put back, they and the schedules lie too far ahead to be believed."""
    hand = Hand(database, "{often}")
    hand.ask("SELECT wf.put_schedules('{often}', '{1 minute}'::interval[])")
    hand.ask("SELECT wf.tick_jobs()")
    [held] = hand.claim()
    hand.finish(held)
    owner.execute("UPDATE wf.job_schedules SET next_at = now() + interval '1 day'")
    hand.ask("SELECT wf.tick_jobs()")
    assert owner.execute("SELECT count(*) FROM wf.jobs").fetchone() == (2,)
    [held] = hand.claim()
    owner.execute("UPDATE wf.workers SET lease_until = now() + interval '1 day'")
    other = Hand(database)
    other.ask("SELECT wf.tick_jobs()")
    assert owner.execute("SELECT state, error IS NOT NULL FROM wf.jobs WHERE id = %s", [held[0]]).fetchall() == [
        ("waiting", True)
    ]


def test_a_period_comes_once_and_never_two_at_a_time(database: Database, owner: psycopg.Connection) -> None:
    hands = [Hand(database, "{often}") for _ in range(4)]
    hands[0].ask("SELECT wf.put_schedules('{often}', '{1 minute}'::interval[])")

    def due() -> None:
        """Many periods ago."""
        owner.execute("UPDATE wf.job_schedules SET next_at = now() - interval '1 hour'")
        threads = [threading.Thread(target=hand.ask, args=("SELECT wf.tick_jobs()",)) for hand in hands for _ in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    due()
    assert owner.execute("SELECT count(*) FROM wf.jobs").fetchone() == (1,)
    [held] = [job for hand in hands for job in hand.claim()]
    due()
    assert owner.execute("SELECT count(*) FROM wf.jobs").fetchone() == (1,)  # the first is still at work
    assert sum(len(hand.finish(held)) for hand in hands) == 1
    hands[0].ask("SELECT wf.tick_jobs()")
    assert owner.execute("SELECT state, count(*) FROM wf.jobs GROUP BY 1 ORDER BY 1").fetchall() == [
        ("done", 1),
        ("waiting", 1),
    ]
    [(ahead,)] = owner.execute("SELECT next_at > now() FROM wf.job_schedules").fetchall()
    assert ahead


def test_no_job_is_left_asleep(database: Database, owner: psycopg.Connection) -> None:
    """Queued by transactions of every length, while claims put lanes to sleep: each job is taken."""
    make_tenants(database.owner, 4)
    hand, stop = Hand(database), threading.Event()

    def enqueue(n: int) -> None:
        with psycopg.connect(database.owner) as link:
            for i in range(60):
                link.execute("INSERT INTO wf.jobs (kind, tenant_id) VALUES ('x', %s)", [f"t00{1 + (n + i) % 4}"])
                if i % (n + 1) == n:
                    link.commit()
                elif (n + i) % 4 == 3:
                    link.commit()  # so that no two ever hold two lanes each

    def claim() -> None:
        while not stop.is_set():
            hand.finish(*hand.claim(3))

    claiming = threading.Thread(target=claim)
    threads = [threading.Thread(target=enqueue, args=(n,)) for n in range(2)]
    for thread in (claiming, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    claiming.join()
    while taken := hand.claim():
        hand.finish(*taken)
    assert owner.execute("SELECT state, count(*) FROM wf.jobs GROUP BY 1").fetchall() == [("done", 120)]
    assert owner.execute("SELECT count(*) FROM wf.job_lanes WHERE ready OR wake_at IS NOT NULL").fetchone() == (0,)


def test_a_claim_waits_for_no_transaction_of_others(database: Database, owner: psycopg.Connection) -> None:
    make_tenants(database.owner, 2)
    for name in ("t001", "t002"):
        queue_jobs(database.owner, "x", 2, tenant=name)
    hand = Hand(database)
    with psycopg.connect(database.owner) as link:
        link.execute("INSERT INTO wf.jobs (kind, tenant_id) VALUES ('x', 't001')")
        link.execute("SELECT FROM wf.jobs WHERE tenant_id = 't001' ORDER BY id LIMIT 1 FOR UPDATE")
        link.execute("SELECT FROM wf.job_lanes WHERE lane = 't002' FOR UPDATE")  # as an erasure does
        hand.link.execute("SET statement_timeout = '5s'")
        assert [tenant for _, tenant, _ in hand.claim()] == ["t001"]
        link.rollback()
    assert [tenant for _, tenant, _ in hand.claim()] == ["t001", "t002", "t002"]


async def run_until_idle(database: Database, kinds: Any = KINDS) -> None:
    """A worker in this process, until nothing waits that is due."""
    async with queue(database.login("worker"), Self("test", "here", 1, "0"), kinds) as jobs:
        crew = Crew(jobs, kinds)
        await jobs.tick()
        claim = jobs.claim

        async def claim_or_stop(most: int, done: Any) -> Any:
            taken = await claim(most, done)
            if not taken and not crew._running:
                crew.stop()
            return taken

        jobs.claim = claim_or_stop  # type: ignore[method-assign]
        await crew.work()


async def test_errors_are_kept_without_what_they_may_hold(database: Database, owner: psycopg.Connection) -> None:
    owner.execute(  # no second try within the test
        "CREATE OR REPLACE FUNCTION wf.job_backoff(tries integer, jitter double precision) RETURNS interval"
        " LANGUAGE sql AS $$ SELECT interval '1 hour' $$"
    )
    for how in ("refusal", "give up", "bug"):
        queue_jobs(database.owner, "fail", payload=f'{{"how": "{how}"}}')
    queue_jobs(database.owner, "late")
    queue_jobs(database.owner, "of_a_newer_version")
    await run_until_idle(database, {name: kind for name, kind in KINDS.items() if kind.every is None})
    assert owner.execute("SELECT state, tries, error FROM wf.jobs ORDER BY id").fetchall() == [
        ("waiting", 1, "Not now. [not_now]"),
        ("dead", 1, "for good"),
        ("waiting", 1, "ValueError; the log of its worker has more"),
        ("waiting", 1, "it took longer than 0.05 s"),
        ("waiting", 0, "this worker does not know of_a_newer_version"),
    ]
    assert owner.execute("SELECT ended FROM wf.workers").fetchall() == [("stopped",)]


async def test_what_upkeep_does_runs_with_a_workers_rights(database: Database, owner: psycopg.Connection) -> None:
    await run_until_idle(database, kinds())
    # A period may begin meanwhile: then its job was done twice.
    found = owner.execute("SELECT DISTINCT kind, state, error FROM wf.jobs ORDER BY kind").fetchall()
    assert found == [(name, "done", None) for name in sorted({*kinds()} - ASKED_FOR)]


async def test_a_lost_link_leaves_no_job_in_a_hand_that_is_gone(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "wait", payload='{"seconds": 30}')
    work = Work(database.login("worker"), {"wait": KINDS["wait"]})
    running = asyncio.create_task(work.run())

    async def until(query: str) -> None:
        async with asyncio.timeout(20):
            while owner.execute(query.encode()).fetchone() != (True,):  # noqa: ASYNC110 - another program's doing
                await asyncio.sleep(0.02)

    await until("SELECT count(*) = 1 FROM wf.jobs WHERE state = 'running'")
    cut = (
        "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE application_name = 'watchfloor worker'"
    )
    assert owner.execute(cut.encode()).fetchone() == (True,)
    await until("SELECT count(*) = 2 FROM wf.workers")
    owner.execute("UPDATE wf.workers SET lease_until = now() - interval '1 second' WHERE id = 1")
    await until("SELECT count(*) = 1 FROM wf.job_attempts WHERE outcome = 'lost'")
    work.stop()
    await running


async def test_people_replay_and_cancel(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "x", 2)
    hand = Hand(database)
    hand.fail(hand.claim(1)[0], give_up=True)
    async with opened(database.login("operator")) as home:
        outcome = await execute(home, replay, replay.parse({"id": 1}), Call("fixed"))
        assert outcome.result["state"] == "waiting" and outcome.result["tries"] == 0 and outcome.result["attempts"] == 1
        assert outcome.undo is not None and (outcome.undo.operation, outcome.undo.request) == ("jobs.cancel", {"id": 1})
        canceled = await execute(home, cancel, cancel.parse({"id": 2}), Call())
        assert canceled.result["state"] == "canceled"
        assert [job[0] for job in hand.claim()] == [1]
        for operation in (replay, cancel):
            with pytest.raises(Refusal) as refused:
                await execute(home, operation, operation.parse({"id": 1}), Call())
            assert refused.value.code == "job_transition"
        with pytest.raises(Refusal) as refused:
            async with home.connection() as connection:
                await connection.execute("SELECT wf.replay_job(99)")
        assert refused.value.code == "job_transition"
        assert await home.of(JobDirectory).payload(1) == {}
        assert [a.outcome for a in (await home.of(JobDirectory).attempts(1).page(_all())).rows] == ["failed"]
    trail = owner.execute(
        "SELECT operation, thing, before ->> 'state', after ->> 'state' FROM wf.audit WHERE noun = 'jobs'"
    )
    assert trail.fetchall() == [("jobs.replay", "1", "dead", "waiting"), ("jobs.cancel", "2", "waiting", "canceled")]


def _all() -> Any:
    from controlplane.listing import Query

    return Query()


def test_the_dead_of_a_schedule_make_room_and_are_not_replayed_beside_its_next(
    database: Database, owner: psycopg.Connection
) -> None:
    hand = Hand(database, "{often}")
    hand.ask("SELECT wf.put_schedules('{often}', '{1 minute}'::interval[])")
    hand.ask("SELECT wf.tick_jobs()")
    hand.fail(hand.claim()[0], give_up=True)
    owner.execute("UPDATE wf.job_schedules SET next_at = now()")
    hand.ask("SELECT wf.tick_jobs()")
    assert owner.execute("SELECT state, error FROM wf.jobs ORDER BY id").fetchall() == [
        ("canceled", "broke"),
        ("waiting", None),
    ]
    with psycopg.connect(database.login("operator")) as link, pytest.raises(psycopg.errors.UniqueViolation) as refused:
        link.execute("SELECT wf.replay_job(1)")
    assert refused.value.diag.constraint_name == "job_of_schedule"


def test_old_jobs_go_and_the_dead_stay(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "x", 3)
    hand = Hand(database)
    done, dead, recent = hand.claim()
    hand.finish(done)
    hand.fail(dead, give_up=True)
    hand.finish(recent)
    owner.execute("UPDATE wf.jobs SET ended_at = now() - interval '2 days' WHERE id IN (1, 2)")
    assert hand.ask("SELECT wf.prune_jobs()") == [(1,)]
    assert owner.execute("SELECT id FROM wf.jobs ORDER BY id").fetchall() == [(2,), (3,)]
    assert owner.execute("SELECT job_id FROM wf.job_attempt_list ORDER BY 1").fetchall() == [(2,), (3,)]


def test_old_news_go_and_services_still_hear_all_they_must(database: Database, owner: psycopg.Connection) -> None:
    owner.execute("UPDATE wf.counters SET value = 1500 WHERE name = 'keys'")
    owner.execute(
        "INSERT INTO wf.key_news (version, at, tenant_id)"
        " SELECT n, now() - interval '1 hour' * (CASE WHEN n = 400 THEN 0 ELSE 2 END), 'default'"
        " FROM generate_series(1, 1500) n"
    )
    hand, news = Hand(database), "SELECT version FROM wf_data.news(%s)"
    before = {after: owner.execute(news, [after]).fetchall() for after in (1, 499, 500, 1200, 1499, 1500)}
    assert hand.ask("SELECT wf.prune_key_news()") == [(499,)]  # 400 is not an hour old
    assert {after: owner.execute(news, [after]).fetchall() for after in before} == before
    assert len(before[500]) == 1000 and before[499] == [(1500,)]


def test_attempts_to_sign_up_are_forgotten_after_an_hour(database: Database, owner: psycopg.Connection) -> None:
    owner.execute(
        "INSERT INTO wf.sign_up_attempts (address, at)"
        " SELECT '192.0.2.1', now() - n * interval '1 minute' FROM unnest('{0,61}'::int[]) n"
    )
    assert Hand(database).ask("SELECT wf.prune_sign_up_attempts()") == [(1,)]
    assert owner.execute("SELECT count(*) FROM wf.sign_up_attempts").fetchone() == (1,)


def test_hours_that_were_missed_are_rolled_up(database: Database, owner: psycopg.Connection) -> None:
    hand = Hand(database)
    owner.execute("SELECT wf.ensure_request_days((now() - interval '1 day')::date, now()::date)")
    add = (
        "INSERT INTO wf.requests (tenant_id, route, method, status, at)"
        " SELECT 'default', '/a', 'GET', 200, now() - n * interval '1 hour' FROM unnest(%s::int[]) n"
    )
    owner.execute(add, [[9]])
    owner.execute("SELECT wf.roll_up_hours(now() - interval '9 hours', now() - interval '9 hours')")
    owner.execute(add, [[7, 4, 0]])
    hand.ask("SELECT wf.roll_up_requests()")
    found = owner.execute("SELECT count(*), sum(n) FROM wf.hour_cells WHERE dim = 'tenant'").fetchone()
    assert found == (3, 3), "an hour that is not over comes later"


async def test_an_erasure_takes_the_jobs_too(database: Database, owner: psycopg.Connection) -> None:
    make_tenants(database.owner, 1)
    queue_jobs(database.owner, "x", 2, tenant="t001")
    hand = Hand(database)
    hand.finish(hand.claim(1)[0])
    owner.execute(
        "UPDATE wf.tenants SET status = 'pending_deletion', deleted_at = now(), deleted_from = 'active',"
        " purge_after = now() + interval '2 days' WHERE id = 't001'"
    )
    owner.execute("ALTER TABLE wf.tenants DISABLE TRIGGER guard")
    owner.execute("SELECT wf.purge_tenant('t001')")
    for table in ("jobs", "job_attempts", "job_lanes"):
        assert owner.execute(f"SELECT count(*) FROM wf.{table} WHERE tenant_id = 't001'").fetchone() == (0,)
    assert hand.claim() == []


async def test_workers_and_jobs_are_lists(database: Database) -> None:
    from controlplane.filters.grammar import parse
    from controlplane.jobs.list import JOBS, WORKERS
    from controlplane.listing import Query

    queue_jobs(database.owner, "x", 3)
    Hand(database).claim(1)
    async with opened(database.login("viewer")) as home:
        assert isinstance(home, Home)
        for text, number in (("state:waiting", 2), ("worker:hand", 1), ("periodic:yes", 0), ("x", 3), ("tries<1", 2)):
            assert (await home.of(JobDirectory).count(Query(parse(text, JOBS.fields)))).number == number, text
        [worker] = (
            await home.of(WorkerDirectory).page(Query(parse("state:alive name:hand failed<1", WORKERS.fields)))
        ).rows
        assert worker.running == 1 and worker.per_minute is None
        assert await home.of(JobDirectory).payload(1) is None
