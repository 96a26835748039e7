"""Many keys rotated or revoked as a run: every good secret is in the file, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backends.postgres.home import Home
from backends.secrets.handed_out import SecretsFile
from controlplane.errors import Conflict, Refusal, Usage
from controlplane.keys import secret
from controlplane.runs.engine import drive, start_run
from controlplane.runs.model import RunDirectory
from controlplane.runs.operations import RunStart
from tests.backends.keys import asked, make_keys, make_tenants
from tests.backends.runs import abandoned, opened
from tests.controlplane.runs import Ticks
from tests.postgres import Database


@pytest.fixture
async def home(database: Database):
    make_tenants(database.owner, "acme")
    async with opened(database.login("operator")) as home:
        yield home


def rotating(**more: object) -> RunStart:
    return RunStart.model_validate(
        {"operation": "keys.rotate", "filter": "tenant:acme state:active", "per_second": 1000, **more}
    )


async def test_many_secrets_need_a_place(database: Database, home: Home) -> None:
    make_keys(database.owner, 2)
    run = await start_run(home, rotating(), None)
    with pytest.raises(Usage) as refused:
        await drive(home, run.id, clock=Ticks())
    assert refused.value.code == "secrets_to_needed"
    assert (await home.of(RunDirectory).get(run.id)).waiting == 2


async def test_a_place_that_is_full_is_no_verdict_on_a_key(database: Database, home: Home) -> None:
    make_keys(database.owner, 2)
    run = await start_run(home, rotating(), None)

    def full(made: object, value: str) -> None:
        raise Refusal("secrets_unwritable", "No space left on device.")

    with pytest.raises(Refusal):
        await drive(home, run.id, clock=Ticks(), keep=full)
    assert not asked(database.owner, "SELECT FROM wf.api_keys WHERE rotated_at IS NOT NULL")
    kept: list[str] = []
    done = await drive(home, run.id, clock=Ticks(), keep=lambda made, value: kept.append(value))
    assert (done.state, done.done, len(kept)) == ("done", 2, 2)


@pytest.mark.timeout(600)
async def test_a_rotation_that_is_killed_loses_no_secret_and_rotates_each_key_once(
    database: Database, home: Home, tmp_path: Path
) -> None:
    keys = make_keys(database.owner, 3_000)
    path = tmp_path / "secrets"
    run = await start_run(home, rotating(), None)
    command = [sys.executable, "-m", "tests.backends.keys", database.login("operator"), str(run.id), str(path), "1200"]
    assert (await asyncio.to_thread(subprocess.run, command)).returncode == -signal.SIGKILL
    assert (await home.of(RunDirectory).get(run.id)).done == 1199 and len(path.read_text().splitlines()) == 1200
    with path.open("a") as torn:
        torn.write('{"id": "key_')  # as if the kill had met the write
    abandoned(database.owner)
    file = SecretsFile(path, append=True)
    done = await drive(home, run.id, clock=Ticks(), keep=file.keep)
    file.close()
    assert (done.state, done.done, done.refused) == ("done", 3_000, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    successors = dict(asked(database.owner, "SELECT id, hash FROM wf.api_keys WHERE rotated_from IS NOT NULL"))
    assert len(successors) == 3_000
    assert asked(database.owner, "SELECT count(*) FROM wf.api_keys WHERE rotated_at IS NOT NULL") == [(3_000,)]
    good = {}
    for line in path.read_text().splitlines():
        if line.endswith("}"):
            told = json.loads(line)
            if told["id"] in successors:  # the one that was killed before its commit was never good
                assert successors[told["id"]] == secret.digest(told["secret"])
                good[told["rotated_from"]] = told["id"]
    assert sorted(good) == sorted(keys)


def test_a_file_of_secrets_is_new_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    SecretsFile(path).close()
    assert not path.exists(), "nothing was put into it"
    file = SecretsFile(path)
    file.keep({"id": "key_1"}, "the secret")
    file.close()
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
