"""Many keys rotated or revoked as a run: every good secret is in the file, whoever is killed and whoever goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends.postgres.home import Home
from backends.secrets.handed_out import SecretsFile
from controlplane.errors import Conflict, Refusal, Usage
from controlplane.keys import secret
from controlplane.keys.verify import verify
from controlplane.operations import Call, execute
from controlplane.registry import named
from controlplane.runs.engine import RunQuestion, drive, start_run
from controlplane.runs.list import why
from controlplane.runs.model import RunDirectory
from controlplane.runs.operations import RunStart, dead_secrets
from tests.backends.keys import asked, make_keys, make_tenants, rotating
from tests.backends.runs import abandoned, carrying, items, opened, until_over
from tests.controlplane.runs import Ticks
from tests.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def home(database: Database):
    make_tenants(database.owner, "acme")
    async with opened(database.login("operator")) as home:
        yield home


def whole(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def good(owner: str, path: Path) -> dict[str, str]:
    """The old key → the new one, of each line whose secret is good; the home knows it by its hash."""
    successors = dict(asked(owner, "SELECT id, hash FROM wf.api_keys WHERE rotated_from IS NOT NULL"))
    lines = [line for line in whole(path) if line["id"] in successors]
    assert all(successors[line["id"]] == secret.digest(line["secret"]) for line in lines)
    return {line["rotated_from"]: line["id"] for line in lines}


async def test_nothing_starts_without_a_place_for_the_secrets(database: Database, home: Home) -> None:
    make_keys(database.owner, 2)
    with pytest.raises(Usage) as refused:
        await start_run(home, rotating(), None)
    assert refused.value.code == "secrets_to_needed"

    def full(secrets: object) -> None:
        raise Refusal("secrets_unwritable", "No space left on device.")

    with pytest.raises(Refusal) as unwritable:
        await start_run(home, rotating(), None, keep=full)
    assert unwritable.value.code == "secrets_unwritable"
    for table in ("runs", "run_items", "run_keys"):
        assert asked(database.owner, f"SELECT count(*) FROM wf.{table}") == [(0,)]


async def test_the_secrets_are_on_the_disk_before_the_run_is_there(
    database: Database, home: Home, tmp_path: Path
) -> None:
    make_keys(database.owner, 3)
    path = tmp_path / "secrets"
    command = [sys.executable, "-m", "tests.backends.keys", database.login("operator"), str(path), "starting", "0"]
    assert (await asyncio.to_thread(subprocess.run, command)).returncode == -signal.SIGKILL
    assert len(whole(path)) == 3 and path.stat().st_mode & 0o777 == 0o600
    assert asked(database.owner, "SELECT count(*) FROM wf.runs") == [(0,)] and good(database.owner, path) == {}


@pytest.mark.timeout(600)
async def test_a_rotation_that_is_killed_loses_no_secret_and_rotates_each_key_once(
    database: Database, home: Home, tmp_path: Path
) -> None:
    keys = make_keys(database.owner, 300)  # of which a driver takes 50 at a time
    path = tmp_path / "secrets"
    command = [sys.executable, "-m", "tests.backends.keys", database.login("operator"), str(path), "driving", "120"]
    assert (await asyncio.to_thread(subprocess.run, command)).returncode == -signal.SIGKILL
    assert len(whole(path)) == 300 and len(good(database.owner, path)) == 120
    abandoned(database.owner)
    done = await drive(home, 1, clock=Ticks())
    assert (done.state, done.done, done.refused) == ("done", 300, 0)
    assert asked(database.owner, "SELECT count(*) FROM wf.api_keys WHERE rotated_at IS NOT NULL") == [(300,)]
    assert sorted(good(database.owner, path)) == sorted(keys)


async def test_a_worker_ends_a_rotation_whose_console_is_killed_and_every_line_of_a_done_key_is_good(
    database: Database, home: Home, tmp_path: Path
) -> None:
    """A home by URL: the worker has a login of its own, and never sees a secret."""
    keys = make_keys(database.owner, 30)
    path = tmp_path / "secrets"
    command = [sys.executable, "-m", "tests.backends.keys", database.login("operator"), str(path), "driving", "9"]
    assert (await asyncio.to_thread(subprocess.run, command)).returncode == -signal.SIGKILL
    do = named("keys.edit")
    await execute(home, do, do.parse({"id": keys[20], "label": "changed meanwhile"}), Call())
    do = named("keys.revoke")
    await execute(home, do, do.parse({"id": keys[25]}), Call("lost"))
    abandoned(database.owner)
    async with carrying(database):
        run = await until_over(home, await home.of(RunDirectory).get(1))
    assert (run.state, run.done, run.refused) == ("done", 28, 2)
    by = "SELECT settled_by::text, count(*) FROM wf.run_items WHERE state = 'done' GROUP BY 1 ORDER BY 1"
    assert asked(database.owner, by) == [("t_operator", 9), ("t_worker", 19)]
    done = [item.thing for item in await items(home, run, "state:done")]
    assert sorted(good(database.owner, path)) == sorted(done)
    for line in whole(path):
        if line["rotated_from"] in done:
            key = (await verify(home, line["secret"])).key
            assert (key.id, key.rotated_from, key.created_by) == (line["id"], line["rotated_from"], "t_operator")
    # What was refused left a line that never works, and this is said.
    assert len(whole(path)) == 30 and asked(database.owner, "SELECT count(*) FROM wf.run_keys") == [(0,)]
    assert [item.code for item in await items(home, run, "state:refused")] == ["stale_version", "key_not_alive"]
    assert "never work" in dead_secrets(run) and any("never work" in line for line in why(run, NOW))
    trail = "SELECT DISTINCT actor, carried_by, out_of_band FROM wf.audit WHERE operation = 'keys.rotate'"
    assert sorted(asked(database.owner, trail), key=str) == [
        ("t_operator", "t_worker", False),
        ("t_operator", None, False),
    ]


async def test_a_leak_of_many_gives_each_a_successor_but_those_that_have_one(database: Database, home: Home) -> None:
    keys = make_keys(database.owner, 3)
    rotate = named("keys.rotate")
    rotated = await execute(home, rotate, rotate.parse({"id": keys[1]}), Call())
    kept: list[tuple[Any, str]] = []
    request = RunStart.model_validate({"operation": "keys.leak", "subjects": [{"id": key} for key in keys]})
    run = await start_run(home, request, "in a paste", keep=kept.extend)
    assert [told["rotated_from"] for told, _ in kept] == [keys[0], keys[2]]
    run = await drive(home, run.id, clock=Ticks())
    assert (run.done, dead_secrets(run)) == (3, "")
    new = {told["rotated_from"]: told["id"] for told, _ in kept} | {keys[1]: rotated.result["id"]}
    assert dict(asked(database.owner, "SELECT key_id, successor_id FROM wf.key_leaks")) == new


async def test_the_lines_of_a_stopped_run_are_good_for_nothing(database: Database, home: Home, tmp_path: Path) -> None:
    make_keys(database.owner, 3)
    kept: list[tuple[Any, str]] = []
    run = await start_run(home, rotating(), None, keep=kept.extend)
    assert asked(database.owner, "SELECT count(*) FROM wf.run_keys") == [(3,)]
    stop = named("runs.stop")
    await execute(home, stop, stop.parse({"id": run.id}), Call())
    run = await home.of(RunDirectory).get(run.id)
    assert (run.skipped, asked(database.owner, "SELECT count(*) FROM wf.run_keys")) == (3, [(0,)])
    assert "never work" in dead_secrets(run)


async def test_two_of_one_request_start_one_run_and_its_secrets_are_those_of_the_first(
    database: Database, home: Home
) -> None:
    make_keys(database.owner, 2)
    kept: list[tuple[Any, str]] = []
    run = await start_run(home, rotating(), None, "rotate-1", keep=kept.extend)
    assert await start_run(home, rotating(), None, "rotate-1", keep=kept.extend) == run
    assert len(kept) == 2


async def test_what_was_previewed_is_what_is_made(database: Database, home: Home) -> None:
    make_keys(database.owner, 2)
    kept: list[tuple[Any, str]] = []

    async def ask(question: RunQuestion) -> bool:
        assert question.preview.total == 2 and not kept
        return True

    run = await start_run(home, rotating(), None, ask=ask, keep=kept.extend)
    assert (await drive(home, run.id, clock=Ticks())).done == 2
    hashes = {
        value for (value,) in asked(database.owner, "SELECT hash FROM wf.api_keys WHERE rotated_from IS NOT NULL")
    }
    assert hashes == {secret.digest(value) for _, value in kept}


def test_a_file_of_secrets_is_new_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    SecretsFile(path).close()
    assert not path.exists(), "nothing was put into it"
    with SecretsFile(path) as file:
        file.keep([({"id": "key_1"}, "the secret")])
    with pytest.raises(Conflict) as exists:
        SecretsFile(path)
    assert exists.value.code == "secrets_file_exists"
    path.chmod(0o640)
    with pytest.raises(Refusal) as open_to_others:
        SecretsFile(path, append=True)
    assert open_to_others.value.code == "secrets_file_open_to_others"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(Refusal) as unwritable:
        SecretsFile(link, append=True)
    assert unwritable.value.code == "secrets_unwritable"


async def test_many_are_revoked_by_a_filter(database: Database, home: Home) -> None:
    make_keys(database.owner, 12)
    request = RunStart.model_validate(
        {"operation": "keys.revoke", "filter": "tenant:acme created<1d", "per_second": 1000}
    )
    run = await drive(home, (await start_run(home, request, "the tenant left")).id, clock=Ticks())
    assert (run.done, asked(database.owner, "SELECT FROM wf.api_keys WHERE revoked_at IS NULL")) == (12, [])
