"""Opening a context: the chosen home is checked, and an embedded one is started when it has to be.

The console opens its context before its first data, so heavy imports are made only where they are needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from app.controls import controls_of
from app.embedded import bring_back, bring_up, embedded_of, start_worker
from app.environment import show_libpq
from app.homes import EMBEDDED_NAME, HomeChoice, home_name
from app.sealing import sealing_of
from backends.embedded.server import Credentials, EmbeddedHome
from backends.postgres.home import Home
from backends.postgres.migrate import schema_state
from backends.runbook_folder import RunbookFolder
from controlplane.errors import HomeUnreachable, Refusal

if TYPE_CHECKING:
    import psycopg

    from app.settings import Settings
    from backends.postgres.live import Revive
    from backends.prometheus.telemetry import PrometheusSeries
    from controlplane.clock import HomeClock
    from controlplane.queues.held import SourceBook
    from controlplane.queues.source import Source
    from controlplane.secrets import Reference, Secret, Secrets

EMBEDDED = "development"
UNNAMED = "unknown"
"""The environment of a URL that no profile names."""

CONSOLE_PATIENCE, COMMAND_PATIENCE = 0.3, 25.0
"""Seconds that the first look at sources outside the home waits for them."""
MENDED_BY_STARTING = frozenset(
    {
        "home_unreachable",
        "home_starting",
        "home_stopping",
        "home_login_refused",
        "home_database_missing",
        "home_not_ours",
        "home_older",
    }
    | {"not_an_operator"}
)
"""Refusals of an embedded home that starting it, or migrating its schema, puts right."""


class Context(NamedTuple):
    """One control plane, opened. `source` says in words why this one; `environment` is the word in the header; `ends`
    says that all of it ends with this console, where that is so.
    """

    home: Home
    name: str
    environment: str
    read_only: bool
    source: str
    embedded: bool
    prometheus: PrometheusSeries | None = None
    ends: str = ""

    @property
    def production(self) -> bool:
        return self.environment == "production"

    async def close(self) -> None:
        if self.home.sources is not None:
            await self.home.sources.close()
        await self.home.close()
        if self.prometheus is not None:
            await self.prometheus.close()


async def connect(
    choice: HomeChoice,
    *,
    settings: Settings,
    secrets: Secrets | None = None,
    conversation: str = "command",
    start: bool = True,
    report: Callable[[str], None] = lambda words: None,
    connections: int = 3,
) -> Context:
    """Open what was chosen. An embedded home is started and brought to this program's schema; any other never is.

    `secrets` is the program's vault, when it has one already; only a home by URL needs it. Without `start` an
    embedded home is only used when it runs. `report` hears what takes long, from a thread.

    Raises Refusal: HomeUnreachable, NotPermitted, and whatever `schema_state` or the embedded home find wrong.
    """
    if choice.kind == "folder":
        home = await _open_embedded(embedded_of(choice), conversation, start, settings.key_prefix, report, connections)
        prometheus = home.prometheus = home.metrics = prometheus_of(
            settings.prometheus, EMBEDDED_NAME, settings, secrets, home.clock
        )
        home.sealing, home.controls = sealing_of(choice, settings), controls_of(settings)
        home.runbooks = runbooks_of(settings)
        home.sources = sources_of(settings.sources, EMBEDDED_NAME, settings, secrets, home.clock, conversation)
        return Context(home, home_name(choice), EMBEDDED, False, choice.source, True, prometheus)
    conninfo = await asyncio.to_thread(conninfo_of, choice, settings, secrets)
    home = await _opened(conninfo, conversation, settings.key_prefix, connections=connections)
    home.sealing, home.controls = sealing_of(choice, settings, secrets), controls_of(settings)
    home.runbooks = runbooks_of(settings)
    profile = settings.profiles.get(choice.profile or "")
    if profile is None:
        return Context(home, home_name(choice), UNNAMED, False, choice.source, embedded=False)
    prometheus = home.prometheus = home.metrics = prometheus_of(
        profile.prometheus, profile.name, settings, secrets, home.clock
    )
    home.sources = sources_of(profile.sources, profile.name, settings, secrets, home.clock, conversation)
    return Context(home, profile.name, profile.environment, profile.read_only, choice.source, False, prometheus)


def runbooks_of(settings: Settings) -> RunbookFolder:
    """Those that come with the program, and those of the folder that the settings name."""
    named = settings.path.parent / Path(settings.runbooks).expanduser() if settings.runbooks else None
    return RunbookFolder(named)


def prometheus_of(
    file: str, profile: str, settings: Settings, secrets: Secrets | None, clock: HomeClock
) -> PrometheusSeries | None:
    """The Prometheus of a mapping file, which is read when it is first asked; None without one."""
    if not file:
        return None
    from app.profiles import open_vault
    from backends.prometheus.telemetry import PrometheusSeries

    def secret(reference: Reference) -> Secret:
        return (secrets or open_vault(settings)).resolve(profile, reference)

    return PrometheusSeries(settings.path.parent / Path(file).expanduser(), secret, clock.now)


def sources_of(
    file: str, profile: str, settings: Settings, secrets: Secrets | None, clock: HomeClock, conversation: str
) -> SourceBook | None:
    """Where messages are dead outside the home, by the file that names those places; None without one. A console
    shows what it has at once; a command waits for each.
    """
    if not file:
        return None
    from controlplane.queues.held import Sources

    path = settings.path.parent / Path(file).expanduser()

    def secret(reference: Reference) -> Secret:
        from app.profiles import open_vault

        return (secrets or open_vault(settings)).resolve(profile, reference)

    def opened() -> Sequence[Source]:
        from backends.sources.opening import open_sources

        return open_sources(path, secret, clock.now)

    return Sources(opened, clock.now, COMMAND_PATIENCE if conversation == "command" else CONSOLE_PATIENCE)


def worker_sources(choice: HomeChoice, settings: Settings) -> Callable[[HomeClock], SourceBook | None]:
    """Opens, for a worker of this home, the sources whose credentials its own settings name."""
    named = settings if choice.kind == "folder" else settings.profiles.get(choice.profile or "")
    file, name = (named.sources if named else ""), (EMBEDDED_NAME if choice.kind == "folder" else choice.profile or "")
    return lambda clock: sources_of(file, name, settings, None, clock, "worker")


def metrics_of(choice: HomeChoice, settings: Settings) -> PrometheusSeries | None:
    """The Prometheus that a worker of this home asks."""
    from controlplane.clock import HomeClock

    if choice.kind == "folder":
        return prometheus_of(settings.prometheus, EMBEDDED_NAME, settings, None, HomeClock())
    profile = settings.profiles.get(choice.profile or "")
    return None if profile is None else prometheus_of(profile.prometheus, profile.name, settings, None, HomeClock())


def conninfo_of(choice: HomeChoice, settings: Settings, secrets: Secrets | None = None) -> str:
    """How to reach a home by URL, with its password. Blocks while a keyring or a command is asked."""
    from app.profiles import connect_info, open_vault

    show_libpq()
    return connect_info(choice, settings, secrets or open_vault(settings)).conninfo


async def _open_embedded(
    embedded: EmbeddedHome,
    conversation: str,
    start: bool,
    key_prefix: str,
    report: Callable[[str], None],
    connections: int,
) -> Home:
    def revive() -> bool:
        return bring_back(embedded)

    async def opened(credentials: Credentials) -> Home:
        can_revive = revive if start else None
        conninfo = credentials.login_conninfo()
        return await _opened(conninfo, conversation, key_prefix, can_revive, embedded.out_of_room, connections)

    # When the server runs and its credentials are known, one connection is enough.
    if (known := await asyncio.to_thread(embedded.known)) is not None:
        try:
            home = await opened(known)
        except Refusal as problem:
            if not start or problem.code not in MENDED_BY_STARTING:
                raise
        else:
            if start:
                await asyncio.to_thread(start_worker, embedded)
            return home
    elif not start:
        raise HomeUnreachable("home_absent", f"There is no home in {embedded.folder}.", "It is made when it is needed.")
    home = await opened(await asyncio.to_thread(bring_up, embedded, report))
    await asyncio.to_thread(start_worker, embedded)
    return home


async def _opened(
    conninfo: str,
    conversation: str,
    key_prefix: str,
    revive: Revive | None = None,
    out_of_room: Callable[[], HomeUnreachable | None] = lambda: None,
    connections: int = 3,
) -> Home:
    home = Home(
        conninfo,
        connections=connections,
        conversation=conversation,
        key_prefix=key_prefix,
        revive=revive,
        out_of_room=out_of_room,
    )
    await home.open(look=usable)
    return home


def usable(connection: psycopg.Connection) -> None:
    """Raises the Refusal that keeps this program from using the home as it is."""
    if (problem := schema_state(connection).problem) is not None:
        raise problem
