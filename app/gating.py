"""Runs a gate from this machine: what its checks look at outside of the control plane is reached from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.artefacts import Artefacts
from backends.http.client import Http
from backends.http.guard import Guard
from backends.postgres.gates import begin_scheduled
from backends.postgres.home import Home
from backends.postgres.other_databases import OtherDatabases
from backends.probes import HttpProbe, run_command
from controlplane.errors import NotFound
from controlplane.gates.checks import HttpCheck, SqlCheck
from controlplane.gates.deciding import Result, Verdict
from controlplane.gates.document import read
from controlplane.gates.engine import Engine
from controlplane.gates.model import RunDirectory
from controlplane.gates.observing import Native, Observer, Seen, not_here
from controlplane.jobs.engine import Kind

if TYPE_CHECKING:
    from app.settings import Settings
    from controlplane.jobs.model import Claimed, JobQueue
    from controlplane.sealing import Sealing

Told = Callable[[Result], Awaitable[None] | None]
NO_COMMANDS = "commands run only by watchfloor gates run --commands, on this machine"
NO_FILES = "files are read only by watchfloor gates run, on the machine that has them"
RUN_SECONDS = 3600.0
CONNECTIONS = 4
NO_DATABASES = "other databases are asked only by watchfloor gates run --databases, on this machine"


def conninfo_of(profile: str, settings: Settings) -> str:
    """How to reach the database of a profile. Blocks. Raises NotFound, and what its password's place raises."""
    from app.homes import HomeChoice
    from app.profiles import connect_info, open_vault

    found = settings.profiles.get(profile)
    if found is None:
        known = ", ".join(sorted(settings.profiles)) or "none is set"
        raise NotFound("no_profile", f"There is no profile {profile}.", f"Profiles: {known}.")
    return connect_info(HomeChoice("url", found.url, profile, ""), settings, open_vault(settings)).conninfo


async def look_outside(home: Home, check: HttpCheck) -> Mapping[str, Any]:
    """What one check by HTTP sees. Raises Refusal, for an address that must not be asked too."""
    allowed = home.sealing.allowed
    http = Http(Guard(allowed))
    try:
        return (await HttpProbe(http, allowed)(check)).observed
    except TimeoutError:
        return {"trouble": "time_limit", "words": ""}
    finally:
        await http.close()


def _of_files(folder: Path | None) -> dict[str, Observer]:
    if folder is None:
        kinds = ("junit", "sbom", "vulnerabilities", "signature", "provenance")
        return dict.fromkeys(kinds, not_here(NO_FILES))
    files = Artefacts(folder)
    reports: dict[str, Observer] = dict.fromkeys(("junit", "sbom", "vulnerabilities"), files.report)
    return reports | {"signature": files.signature, "provenance": files.provenance}


async def run_gate(
    home: Home,
    number: int,
    *,
    settings: Settings,
    folder: Path | None,
    commands: bool = False,
    databases: bool = False,
    of_home: int = 2,
    told: Told | None = None,
) -> Verdict:
    """Carry out a run that was begun. Raises Refusal: then it has no verdict, and gets none.

    `commands`, `databases`: whether the gate's programs may run here, and its SQL may ask the databases of this
    machine's profiles, with the logins of whoever runs it. `folder`: where the files of tools are; None: nowhere.
    """
    runs = home.of(RunDirectory)
    whole = await runs.whole(number)
    run, definition = whole.run, read(whole.definition)
    native = Native(home, run.gate, run.gate_version, run.environment, run.mode)
    allowed = home.sealing.allowed
    http = Http(Guard(allowed))
    elsewhere: Observer = not_here(NO_DATABASES)
    if databases:
        elsewhere = OtherDatabases(lambda name: conninfo_of(name, settings), counted=run.mode == "full")

    async def sql(check: SqlCheck) -> Seen:
        return await (elsewhere(check) if check.database else native.sql(check))

    outside: dict[str, Observer] = {
        "sql": sql,
        "http": HttpProbe(http, allowed),
        "command": run_command if commands else not_here(NO_COMMANDS),
        **_of_files(folder),
    }

    async def record(result: Result) -> None:
        await runs.record(number, result)
        if told is not None and (waiting := told(result)) is not None:
            await waiting

    try:
        await Engine(native, outside, of_home=of_home).carry_out(run, definition, record)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        await http.close()
    return await runs.decide(number)


def scheduled(conninfo: str, sealing: Sealing, settings: Settings) -> Kind:
    """The job of a worker that runs a gate by its schedule, with what can be seen from any machine."""

    async def run(queue: JobQueue, job: Claimed) -> bool:
        home = Home(conninfo, connections=CONNECTIONS, conversation="worker")
        await home.open()
        home.sealing = sealing
        try:
            number = await begin_scheduled(home, job.id)
            await run_gate(home, number, settings=settings, folder=None, of_home=CONNECTIONS - 1)
        finally:
            await home.close()
        return False

    return Kind("run_gate", run, seconds=RUN_SECONDS)
