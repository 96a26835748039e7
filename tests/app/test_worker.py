"""Real workers under load: killed, stopped, starved; and what the command says."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest

from controlplane.runs.engine import start_run
from tests.app.commands import Cli
from tests.backends.jobs import COUNTED, queue_jobs, until, workers
from tests.backends.runs import abandoned, make_tenants, opened, suspending
from tests.postgres import Database

KILLS = 20


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        connection.execute(COUNTED.encode())
        yield connection


def one(owner: psycopg.Connection, query: str) -> object:
    row = owner.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def counted(owner: psycopg.Connection) -> int:
    return int(str(one(owner, "SELECT count(*) FROM public.counted")))


def give_up(owner: psycopg.Connection, pid: int | None) -> None:
    """As if the seconds were over after which a heart that does not beat is given up."""
    owner.execute("UPDATE wf.workers SET lease_until = now() - interval '1 second' WHERE pid = %s", [pid])


def test_twenty_kills_lose_no_job_and_count_none_twice(database: Database, owner: psycopg.Connection) -> None:
    jobs, chance = 2000, random.Random(7)
    queue_jobs(database.owner, "count", jobs)
    owner.execute("UPDATE wf.jobs SET max_tries = 100")
    conninfo = database.login("worker")
    with workers(conninfo, 2, ["count"]) as crowd:
        for kill in range(KILLS):
            floor = jobs * kill // (KILLS + 5)  # each at another point of the work
            until(lambda floor=floor: _hurried(owner) and counted(owner) >= floor)  # type: ignore[misc]
            living = [process for process in crowd.running if process.is_alive()]
            victim = chance.choice(living)
            until(
                lambda pid=victim.pid: one(  # type: ignore[misc]
                    owner, f"SELECT sum(done) > 0 OR count(*) > 0 FROM wf.workers WHERE pid = {pid}"
                )
            )
            time.sleep(chance.uniform(0, 0.02))
            victim.kill()
            victim.join()
            give_up(owner, victim.pid)
            crowd.start()
        # What was in hand waits for its pause: not for the test.
        until(lambda: _hurried(owner) and one(owner, "SELECT count(*) FROM wf.jobs WHERE state <> 'done'") == 0)
    assert owner.execute("SELECT count(*), count(DISTINCT job) FROM public.counted").fetchone() == (jobs, jobs)
    assert one(owner, "SELECT count(*) FROM wf.job_attempt_list WHERE outcome = 'done'") == jobs
    assert one(owner, "SELECT count(*) FROM wf.job_attempt_list WHERE outcome = 'lost'") > 0  # type: ignore[operator]
    assert one(owner, "SELECT count(*) FROM wf.workers WHERE ended = 'gone'") == KILLS


def _hurried(owner: psycopg.Connection) -> bool:
    owner.execute("UPDATE wf.jobs SET run_at = now() WHERE state = 'waiting' AND run_at > now()")
    owner.execute("UPDATE wf.job_lanes SET wake_at = now() WHERE wake_at > now()")
    return True


def test_a_job_that_kills_its_worker_ends_dead(database: Database, owner: psycopg.Connection) -> None:
    queue_jobs(database.owner, "kill")
    owner.execute("UPDATE wf.jobs SET max_tries = 2")
    with workers(database.login("worker"), 0, ["kill", "nothing"]) as crowd:
        for attempt in range(1, 3):
            process = crowd.start()
            until(lambda: _hurried(owner) and not process.is_alive())  # noqa: B023
            assert process.exitcode == -signal.SIGKILL
            assert one(owner, "SELECT attempts FROM wf.jobs") == attempt
            give_up(owner, process.pid)
        crowd.start()
        until(lambda: one(owner, "SELECT state FROM wf.jobs") == "dead")
        queue_jobs(database.owner, "nothing")
        until(lambda: one(owner, "SELECT state FROM wf.jobs WHERE kind = 'nothing'") == "done")
    assert "was lost" in str(one(owner, "SELECT error FROM wf.jobs WHERE kind = 'kill'"))
    assert owner.execute("SELECT outcome FROM wf.job_attempt_list WHERE job_id = 1").fetchall() == [("lost",)] * 2


def test_stopping_finishes_what_it_can_and_gives_back_the_rest(database: Database, owner: psycopg.Connection) -> None:
    """The grace of the tests' workers is two seconds."""
    with workers(database.login("worker"), 1, ["wait"]) as crowd:
        queue_jobs(database.owner, "wait", payload='{"seconds": 0.8}')
        queue_jobs(database.owner, "wait", payload='{"seconds": 60}')
        until(lambda: one(owner, "SELECT count(*) FROM wf.jobs WHERE state <> 'waiting'") == 2)
        queue_jobs(database.owner, "wait", payload='{"seconds": 0}')
        until(lambda: one(owner, "SELECT state FROM wf.jobs WHERE id = 3") == "done")
        crowd.running[0].terminate()
        began = time.monotonic()
        crowd.running[0].join(20)
        assert crowd.running[0].exitcode == 0
        assert time.monotonic() - began > 1, "the grace"
        # and it did not wait for the job of a minute: that one is given back, below
    assert owner.execute("SELECT state, tries, attempts, error FROM wf.jobs ORDER BY id").fetchall() == [
        ("done", 1, 1, None),
        ("waiting", 0, 1, "its worker was stopped"),
        ("done", 1, 1, None),
    ]
    assert one(owner, "SELECT ended FROM wf.workers") == "stopped"


def test_a_busy_job_starves_no_heart(database: Database, owner: psycopg.Connection) -> None:
    """The hearts of the tests' workers beat twice a second."""
    with workers(database.login("worker"), 1, ["hold_up"]):
        queue_jobs(database.owner, "hold_up", payload='{"seconds": 1.9}')
        until(lambda: one(owner, "SELECT state FROM wf.jobs") == "running")
        until(
            lambda: one(owner, "SELECT seen_at > (SELECT started_at FROM wf.jobs) + interval '0.8 s' FROM wf.workers")
        )
        assert one(owner, "SELECT state FROM wf.jobs") == "running"
        until(lambda: one(owner, "SELECT state FROM wf.jobs") == "done")


def test_a_worker_that_slept_through_its_lease_begins_anew(database: Database, owner: psycopg.Connection) -> None:
    with workers(database.login("worker"), 1, ["wait"]) as crowd:
        queue_jobs(database.owner, "wait", payload='{"seconds": 0.5}')
        until(lambda: one(owner, "SELECT state FROM wf.jobs") == "running")
        crowd.send(crowd.running[0], signal.SIGSTOP)
        give_up(owner, crowd.running[0].pid)
        other = crowd.start()
        until(lambda: one(owner, "SELECT count(*) FROM wf.workers WHERE ended = 'gone'") == 1)
        crowd.send(crowd.running[0], signal.SIGCONT)
        until(lambda: one(owner, "SELECT count(DISTINCT pid) = 2 AND count(*) = 3 FROM wf.workers"))
        until(lambda: _hurried(owner) and one(owner, "SELECT state FROM wf.jobs") == "done")
        assert other.is_alive()
    assert owner.execute("SELECT outcome FROM wf.job_attempt_list ORDER BY attempt").fetchall() == [
        ("lost",),
        ("done",),
    ]


def test_two_workers_do_each_period_once(database: Database, owner: psycopg.Connection) -> None:
    with workers(database.login("worker"), 2, ["often"]):
        until(lambda: one(owner, "SELECT count(*) FROM public.counted") >= 3)  # type: ignore[operator]
    assert owner.execute("SELECT max(n) FROM (SELECT count(*) AS n FROM public.counted GROUP BY job) x").fetchone() == (
        1,
    )
    times = [at for (at,) in owner.execute("SELECT at FROM public.counted ORDER BY at").fetchall()]
    assert (times[-1] - times[0]).total_seconds() > len(times) - 2.9  # at most one more than seconds passed


def test_work_needs_a_workers_login(cli: Cli) -> None:
    cli.log_in("admin")
    refused = cli("worker")
    assert refused.code == 3 and "not_a_worker" in refused.err and "--role worker" in refused.err


def test_work_works_until_told(cli: Cli, database: Database) -> None:
    cli.log_in("worker")
    process = subprocess.Popen([sys.executable, "-m", "app", "worker"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        assert "takes jobs" in process.stderr.readline()
        until(lambda: cli.sql("SELECT count(*) >= 5 FROM wf.jobs WHERE state = 'done'") == [(True,)])
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "stopped" in process.stderr.read()
    cli.log_in("viewer")
    [worker] = cli.done("workers", "list", "state:stopped")["items"]
    assert worker["pid"] == process.pid and worker["failed"] == 0
    done, *_ = cli.done("jobs", "list", "kind:roll_up_usage")["items"]  # a second minute may have begun
    shown = cli.done("jobs", "show", str(done["id"]))["item"]
    assert shown["payload"] is None and [a["outcome"] for a in shown["attempt_list"]] == ["done"]
    assert "roll_up_usage" in cli("jobs", "list").out and "OUTCOME" in cli("jobs", "show", str(done["id"])).out
    assert cli("jobs", "show", "999").code == 4


def test_a_run_whose_program_was_killed_goes_on_in_a_worker(cli: Cli, database: Database) -> None:
    make_tenants(database.owner, 6)
    run = asyncio.run(_start(database))
    driver = [sys.executable, "-m", "tests.backends.runs", database.login("admin"), str(run), "after commit", "2"]
    assert subprocess.run(driver).returncode == -signal.SIGKILL
    abandoned(database.owner)
    cli.log_in("worker")
    process = subprocess.Popen([sys.executable, "-m", "app", "worker"], stderr=subprocess.PIPE, text=True)
    with process:
        try:
            until(lambda: cli.sql("SELECT state FROM wf.runs") == [("done",)])
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert f"run {run} (tenants.suspend): done, 6 done, 0 refused" in process.stderr.read()
    cli.log_in("admin")
    rows = cli.done("audit", "list", "operation:tenants.suspend")["items"]
    assert {row["actor"] for row in rows} == {"t_admin"}
    assert [row["carried_by"] for row in rows].count("t_worker") == 4


async def _start(database: Database) -> int:
    async with opened(database.login("admin")) as home:
        return (await start_run(home, suspending(per_second=10), "unpaid")).id  # one by one


def test_jobs_are_replayed_and_canceled_by_command(cli: Cli, database: Database) -> None:
    queue_jobs(database.owner, "deliver")
    canceled = cli.done("jobs", "cancel", "1", "--yes")
    assert canceled["result"]["state"] == "canceled" and canceled["undo"]["operation"] == "jobs.replay"
    assert cli("jobs", "cancel", "1", "--yes").code == 1
    assert cli.done("jobs", "replay", "1", "--yes")["result"]["state"] == "waiting"
