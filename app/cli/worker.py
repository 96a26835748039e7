"""`watchfloor worker`: do the jobs of a home, until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.cli.asked import READING, Reading, chosen
from app.cli.output import tell
from controlplane.errors import Conflict, NotPermitted
from controlplane.text import clean

if TYPE_CHECKING:
    import psycopg

    from app.homes import HomeChoice
    from app.settings import Settings
    from controlplane.jobs.engine import Kind


async def worker(*, asked: Reading = READING) -> None:
    """Do background jobs and carry runs until SIGTERM or ctrl+c; jobs under way may take another 20 seconds to finish.

    A home by URL needs a login with the role worker: watchfloor operators add NAME --role worker. An embedded home
    has its worker by itself.
    """
    from app.carrier import Carrier
    from app.contexts import worker_sources
    from app.worker import Work, until_told

    choice, settings = chosen(asked)
    if choice.kind == "folder":
        await _work_embedded(choice, settings)
    else:
        conninfo = await asyncio.to_thread(reached, choice, settings)
        kinds = await asyncio.to_thread(kinds_of, conninfo, choice, settings)
        await until_told(Work(conninfo, kinds, _tell), Carrier(conninfo, _tell, worker_sources(choice, settings)))
    tell("stopped")


async def _work_embedded(choice: HomeChoice, settings: Settings) -> None:
    """Work in place of the worker that the home starts by itself. Raises Conflict when that one runs."""
    from app.carrier import carrier_of
    from app.contexts import worker_sources
    from app.embedded import bring_back, bring_up, embedded_of, worker_conninfo
    from app.worker import Work, until_told
    from backends.embedded.worker import sign_in

    home = embedded_of(choice)
    await asyncio.to_thread(bring_up, home)
    with home.as_worker() as lock:
        if lock is None:
            raise Conflict(
                "home_has_worker",
                f"The embedded home in {home.folder} has a worker of its own already, which starts by itself.",
                "watchfloor home status shows it; watchfloor home stop ends it with the home.",
            )
        sign_in(lock)
        conninfo = await asyncio.to_thread(worker_conninfo, home)
        kinds = await asyncio.to_thread(kinds_of, conninfo, choice, settings)
        work = Work(conninfo, kinds, _tell, revive=lambda: bring_back(home))
        await until_told(work, carrier_of(home, _tell, worker_sources(choice, settings)))


def _tell(words: str) -> None:
    tell(clean(words))


def kinds_of(conninfo: str, choice: HomeChoice, settings: Settings) -> Mapping[str, Kind]:
    """What a worker can do here: the jobs of every worker, signing with this account's key, sending, asking the
    context's Prometheus, publishing, running gates, and
    making reports. Raises Refusal.
    """
    from app.contexts import metrics_of
    from app.controls import controls_of
    from app.evidence import publisher_of
    from app.gating import scheduled
    from app.notary import notary_of
    from app.sealing import post_of, sealing_of
    from backends.postgres.detectors import evaluating
    from backends.postgres.notary import signing
    from backends.postgres.publishing import publishing
    from backends.postgres.reports import reporting
    from backends.postgres.sending import delivering
    from controlplane.jobs.kinds import kinds

    sign, deliver = signing(notary_of(conninfo, choice, settings)), delivering(post_of(choice, settings))
    evaluate = evaluating(metrics_of(choice, settings))
    publish = publishing(publisher_of(choice, settings))
    run_gates = scheduled(conninfo, sealing_of(choice, settings), settings)
    report = reporting(controls_of(settings))
    return {**kinds(), **{each.name: each for each in (sign, deliver, evaluate, *publish, run_gates, report)}}


def reached(choice: HomeChoice, settings: Settings) -> str:
    """The conninfo of a home, after a connection with it worked. Blocks. Raises Refusal."""
    if choice.kind == "folder":
        from app.embedded import bring_up, embedded_of, worker_conninfo

        bring_up(home := embedded_of(choice))
        return worker_conninfo(home)
    from app.contexts import conninfo_of
    from app.profiles import open_vault
    from backends.postgres.link import connect
    from backends.postgres.refusals import as_refusals

    conninfo = conninfo_of(choice, settings, open_vault(settings, before_the_screen=True))
    with as_refusals(), connect(conninfo, "worker") as connection:
        _check(connection)
    return conninfo


def _check(connection: psycopg.Connection) -> None:
    from app.contexts import usable

    usable(connection)
    row = connection.execute("SELECT pg_has_role(session_user, 'wf_worker', 'MEMBER')").fetchone()
    if row != (True,):
        raise NotPermitted(
            "not_a_worker",
            f"The login {connection.info.user} does not have the role worker.",
            "Ask an admin: watchfloor operators add NAME --role worker",
        )
