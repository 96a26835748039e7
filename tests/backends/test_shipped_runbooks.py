"""Every runbook that comes with the program is carried out in a real home, as a drill of it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import psycopg
import pytest

from backends.postgres.backup import back_up, restore
from backends.postgres.home import Home
from backends.runbook_folder import shipped
from controlplane.runbooks.document import Step
from controlplane.runbooks.drill import Player, begin, walk
from controlplane.runbooks.model import ExecutionDirectory, StepRow
from controlplane.runbooks.record import execution_record
from controlplane.runbooks.scenarios import scenario
from controlplane.runbooks.shelf import read
from controlplane.runbooks.walking import Said
from tests.postgres import Database

NAMES = sorted(file.name for file in shipped())
WANTED = {
    "p1-cross-tenant-leak", "p2-billing-inconsistent", "p3-provisioning-failing", "p4-sign-up-abuse", "key-leak",
    "dead-letter-replay", "hosted-rollout", "worker-down", "telemetry-absent", "restore-of-a-home",
}  # fmt: skip


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Home]:
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("SELECT wf.start_worker('w', 'h', 1, '2.0', '{}')")
    home = Home(database.login("admin"))
    await home.open()
    yield home
    await home.close()


class Played(Player):
    """A check that does not pass is looked at again after a worker has looked."""

    def __init__(self, home: Home, answers: Mapping[str, str], database: Database) -> None:
        super().__init__(home, answers)
        self.database = database

    async def again(self, row: StepRow) -> bool:
        with psycopg.connect(self.database.login("worker"), autocommit=True) as worker:
            worker.execute("SELECT wf.evaluate('telemetry_absent')")
        return row.tries < 2


def test_the_runbooks_that_are_asked_for_come_with_the_program() -> None:
    assert {*NAMES} == WANTED


@pytest.mark.parametrize("name", NAMES)
async def test_a_shipped_runbook_is_carried_out(admin: Home, database: Database, name: str) -> None:
    answers = await scenario(name)(admin)
    number = await begin(admin, name, drill=True)
    whole = await walk(admin, number, Played(admin, answers, database))
    came = {row.place: (row.verdict, row.note, dict(row.output)) for row in whole.steps}
    assert whole.execution.state == "passed", [each for each in came.items() if each[1][0] != "passed"]
    remedies = [row.verdict for row in whole.steps if row.remedy_of]
    assert remedies == ["skipped"] * len(remedies)
    record = execution_record(whole, "a trail")
    assert record["sha256"] == read(next(each for each in shipped() if each.name == name)).sha256
    changed = [row for row in whole.steps if row.kind == "operation" and row.verdict == "passed"]
    assert all(
        row.output.get("audit") or row.output.get("run") for row in changed if row.operation != "detectors.evaluate"
    )


class Restoring(Player):
    """Does what the step says: a backup of this home is restored into another, by the program's own way."""

    def __init__(self, home: Home, database: Database, other: Database, file: Path) -> None:
        super().__init__(home, {"file": "backup of tonight"})
        self.database, self.other, self.file = database, other, file

    async def judge(self, step: Step) -> Said:
        if step.name == "Restore into a new home":
            await asyncio.to_thread(back_up, self.database.owner, self.file)
            await asyncio.to_thread(restore, self.other.owner, self.file)
        return Said("passed", "done")


async def test_a_home_is_restored_and_the_execution_goes_on_in_the_new_one(
    admin: Home, database: Database, empty_database: Database, tmp_path: Path
) -> None:
    await scenario("restore-of-a-home")(admin)
    number = await begin(admin, "restore-of-a-home")
    there = Restoring(admin, database, empty_database, tmp_path / "backup")
    await walk(admin, number, there, ready=lambda whole, step: step.place <= 3)
    home = Home(empty_database.login("admin"))
    await home.open()
    try:
        whole = await walk(home, number, Player(home, {}))
    finally:
        await home.close()
    assert whole.execution.state == "passed"
    assert whole.step(3).verdict == "passed" and whole.step(3).tries == 1, "it was begun there, and ended here"
    old = await admin.of(ExecutionDirectory).whole(number)
    assert old.execution.state == "open" and old.execution.at == 4
