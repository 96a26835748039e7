"""Every runbook that comes with the program is carried out in a real home, as a drill of it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import psycopg
import pytest

from backends.postgres.home import Home
from backends.runbook_folder import shipped
from controlplane.runbooks.drill import Player, begin, walk
from controlplane.runbooks.model import StepRow
from controlplane.runbooks.record import execution_record
from controlplane.runbooks.scenarios import scenario
from controlplane.runbooks.shelf import read
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
