"""`watchfloor work`: do the jobs of a home, until told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.cli.asked import READING, Reading, chosen
from app.cli.output import tell
from controlplane.errors import NotPermitted
from controlplane.text import clean

if TYPE_CHECKING:
    import psycopg

    from app.carrier import Carrier
    from app.homes import HomeChoice
    from app.settings import Settings


async def work(*, asked: Reading = READING) -> None:
    """Do background jobs until SIGTERM or ctrl+c: what is in hand is finished first, for 20 seconds at most.

    A home by URL needs a login with the role worker: watchfloor operators add NAME --role worker.
    """
    from app.notary import notary_of
    from app.worker import Work, until_told
    from backends.postgres.notary import signing
    from backends.postgres.upkeep import KINDS

    choice, settings = chosen(asked)
    conninfo = await asyncio.to_thread(reached, choice, settings)
    sign = signing(await asyncio.to_thread(notary_of, conninfo, choice, settings))
    work = Work(conninfo, {**KINDS, sign.name: sign}, _tell)
    await until_told(work, await asyncio.to_thread(carrier_of, choice))
    tell("stopped")


def _tell(words: str) -> None:
    tell(clean(words))


def carrier_of(choice: HomeChoice) -> Carrier | None:
    """Carries the runs of the account that an embedded home belongs to; nobody's login can be lent elsewhere."""
    from app.carrier import Carrier
    from app.contexts import folder_of
    from backends.embedded.server import EmbeddedHome

    if choice.kind != "folder" or (known := EmbeddedHome(folder_of(choice)).known()) is None:
        return None
    return Carrier(known.login_conninfo(), _tell)


def reached(choice: HomeChoice, settings: Settings) -> str:
    """How a worker reaches the home, once that is sure to work. Blocks. Raises Refusal."""
    import psycopg

    from app.contexts import conninfo_of, folder_of
    from app.profiles import open_vault
    from backends.embedded.server import EmbeddedHome
    from backends.postgres.job_queue import dressed
    from backends.postgres.migrate import migrate
    from backends.postgres.refusals import refusal_of

    if choice.kind == "folder":
        credentials = EmbeddedHome(folder_of(choice)).ensure()
        migrate(credentials.owner_conninfo(), admin=credentials.login_user)
        # The home is this account's own: no login is needed, but no more rights than a worker's are taken along.
        return dressed(credentials.owner_conninfo(), "worker", "-c role=wf_worker")
    conninfo = conninfo_of(choice, settings, open_vault(settings, before_the_screen=True))
    try:
        with psycopg.connect(conninfo, connect_timeout=5) as connection:
            _check(connection)
    except psycopg.Error as error:
        raise refusal_of(error) from None
    return conninfo


def _check(connection: psycopg.Connection) -> None:
    from app.contexts import usable

    usable(connection)
    row = connection.execute("SELECT pg_has_role(session_user, 'wf_worker', 'MEMBER')").fetchone()
    if row != (True,):
        raise NotPermitted(
            "not_a_worker",
            f"The login {connection.info.user} has not the role worker.",
            "Ask an admin: watchfloor operators add NAME --role worker",
        )
