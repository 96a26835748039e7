"""Executions of runbooks in a real home: claims, order, verdicts, resuming; and what psql tries."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.gating import look_outside
from backends.postgres.home import Home
from backends.runbook_folder import RunbookFolder
from controlplane.audit.model import AuditDirectory
from controlplane.errors import Conflict, NotPermitted, Refusal, Usage
from controlplane.filters.grammar import Term, parse
from controlplane.listing import Query
from controlplane.operations import Call, execute
from controlplane.registry import named
from controlplane.runbooks.drill import Player, begin, walk
from controlplane.runbooks.list import EXECUTIONS
from controlplane.runbooks.model import ExecutionDirectory, RunbookDirectory, StepRow
from controlplane.runbooks.walking import change_step, do_step
from controlplane.sealing import Sealing
from tests.backends.psql import Psql, denied, logins, refused
from tests.postgres import Database
from tests.receivers import receiving, says

LEAK = """# A leak

Somebody sees too much.

## 1. Which tenant

```question tenant
ask: Which one?
```

## 2. It is there

```check list
noun: tenants
filter: "id:{tenant}"
at_least: 1
```

## 3. Suspend it

```operation tenants.suspend
fields:
  id: "{tenant}"
reason: security incident
within: 1h
```

## 4. It is suspended

```check list
noun: tenants
filter: "id:{tenant} status:suspended"
equals: 1
```

## 5. Let it in again

```operation tenants.resume
fields:
  id: "{tenant}"
reason: it did not work
when_failed: It is suspended
```

## 6. Tell the tenants

Write to them.
"""


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme'), ('beta', 'Beta')")
        yield connect


@pytest.fixture
async def homes(database: Database, psql: Psql, tmp_path: Path) -> AsyncIterator[tuple[Home, Home]]:
    """An operator's console and an admin's; only the first has the team's folder."""
    (tmp_path / "leak.md").write_text(LEAK)
    found = [Home(database.login(role)) for role in ("operator", "admin")]
    found[0].runbooks = RunbookFolder(tmp_path)
    for home in found:
        await home.open()
    yield found[0], found[1]
    for home in found:
        await home.close()


async def step(home: Home, number: int, place: int) -> StepRow:
    return (await home.of(ExecutionDirectory).whole(number)).step(place)


async def change(home: Home, name: str, **fields: Any) -> Any:
    operation = named(name)
    return (await execute(home, operation, operation.parse(fields), Call("as the test says"))).result


async def test_a_runbook_is_carried_out_and_everything_is_in_the_trail(homes: tuple[Home, Home], psql: Psql) -> None:
    home, _ = homes
    number = await begin(home, "leak", 41)
    whole = await walk(home, number, Player(home, {"tenant": "acme"}))
    verdicts = [row.verdict for row in whole.steps]
    assert verdicts == ["passed", "passed", "passed", "passed", "skipped", "passed"]
    assert whole.execution.state == "passed" and whole.execution.incident == 41
    assert whole.step(5).note == "not needed: It is suspended passed"
    [audit] = whole.step(3).output["audit"]
    row = psql("viewer").execute("SELECT operation, thing, reason FROM wf.audit WHERE seq = %s", [audit]).fetchone()
    assert row == ("tenants.suspend", "acme", "security incident")
    out = psql("viewer").execute("SELECT count(*) FROM wf.audit WHERE noun = 'executions' AND out_of_band").fetchone()
    assert out == (0,)
    for text, found in (("incident:41", 1), (f"id:{number} state:passed", 1), ("incident:4", 0)):
        assert len((await home.of(ExecutionDirectory).page(Query(parse(text, EXECUTIONS.fields)))).rows) == found, text
    # Its trail has its own rows, those of its steps, and what its operations changed; nothing of another's.
    await begin(home, "leak", 41)
    trail = await home.of(AuditDirectory).page(Query((Term("is", (str(number),), "execution"),), "at", False))
    assert {row.thing.partition("/")[0] for row in trail.rows} == {str(number), "acme"}
    assert [row.operation for row in trail.rows if row.thing == "acme"] == ["tenants.suspend"]
    assert {f"{number}/{place}" for place in range(1, 7)} < {row.thing for row in trail.rows}


async def test_of_two_people_one_has_the_step_and_the_other_is_told_who(homes: tuple[Home, Home]) -> None:
    one, other = homes
    number = await begin(one, "leak")
    claims = await asyncio.gather(
        *(change(home, "runbooks.claim", execution=number, place=6) for home in homes), return_exceptions=True
    )
    [lost] = [each for each in claims if isinstance(each, BaseException)]
    row = await step(one, number, 6)
    assert isinstance(lost, Conflict) and lost.code == "step_claimed"
    loser = other if row.claimed_by == one.actor.name else one
    with pytest.raises((Conflict, NotPermitted)):
        await do_step(loser, number, 6, Player(loser, {}))
    assert (await step(one, number, 6)).claimed_by == row.claimed_by


async def test_a_failed_check_closes_what_comes_after_it_but_its_remedy(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    number = await begin(home, "leak")
    player = Player(home, {"tenant": "nobody"})
    whole = await walk(home, number, player)
    assert [row.verdict for row in whole.steps] == ["passed", "failed", None, None, None, None]
    with pytest.raises(Refusal, match="step_blocked"):
        await do_step(home, number, 3, player)
    await change(home, "runbooks.claim", execution=number, place=2)
    with pytest.raises(Refusal, match="step_note"):
        await change(home, "runbooks.settle", execution=number, place=2, verdict="skipped")
    await change(home, "runbooks.settle", execution=number, place=2, verdict="skipped", note="it is of another home")
    whole = await walk(home, number, player)
    assert [row.verdict for row in whole.steps] == ["passed", "skipped", "failed", None, None, None]
    assert whole.step(3).output == {"refused": "no_tenant"}


async def test_when_the_check_fails_the_way_back_is_taken_and_nothing_else(homes: tuple[Home, Home]) -> None:
    home, _ = homes
    number = await begin(home, "leak")
    await walk(home, number, Player(home, {"tenant": "beta"}), ready=lambda whole, step: step.place < 4)
    await change(home, "tenants.resume", id="beta")
    player = Player(home, {})
    assert (await do_step(home, number, 4, player)).verdict == "failed"
    await change(home, "tenants.suspend", id="beta")
    whole = await walk(home, number, player)
    assert [row.verdict for row in whole.steps][3:] == ["failed", "passed", None]
    with pytest.raises(Refusal, match="step_blocked"):
        await do_step(home, number, 6, player)


async def test_a_stopped_execution_is_resumed_from_another_console_without_the_file(homes: tuple[Home, Home]) -> None:
    one, other = homes
    number = await begin(one, "leak")
    await do_step(one, number, 1, Player(one, {"tenant": "acme"}))
    await change(one, "runbooks.stop", id=number)
    with pytest.raises(Refusal, match="execution_stopped"):
        await change(other, "runbooks.claim", execution=number, place=2)
    await change(other, "runbooks.resume", id=number)
    whole = await walk(other, number, Player(other, {}))
    assert whole.execution.state == "passed" and whole.answers == {"tenant": "acme"}
    assert {row.claimed_by for row in whole.steps} == {one.actor.name, other.actor.name}


async def test_an_operation_whose_program_was_killed_is_not_done_twice(homes: tuple[Home, Home], psql: Psql) -> None:
    one, other = homes
    number = await begin(one, "leak")
    for place in (1, 2):
        await do_step(one, number, place, Player(one, {"tenant": "acme"}))
    await change(one, "runbooks.claim", execution=number, place=3)
    await change_step(one, "do", await step(one, number, 3), change="wf-killed")
    operation = named("tenants.suspend")
    await execute(one, operation, operation.parse({"id": "acme"}), Call("security incident", "wf-killed"))
    await change(other, "runbooks.release", execution=number, place=3)  # an admin, at once
    row = await do_step(other, number, 3, Player(other, {}))
    assert row.verdict == "passed" and row.claimed_by == other.actor.name
    found = psql("viewer").execute("SELECT count(*) FROM wf.audit WHERE operation = 'tenants.suspend'").fetchone()
    assert found == (1,)


STEP = "UPDATE wf.execution_steps SET {} WHERE execution = {} AND place = {}"
ATTACKS = {
    "another's claim": ("admin", 6, "claimed_at = now()", "step_claimed"),
    "another's verdict": ("admin", 6, "verdict = 'passed', note = 'x'", "step_not_yours"),
    "a verdict without a claim": ("operator", 4, "verdict = 'passed'", "step_unclaimed"),
    "a claim with a verdict": ("admin", 6, "claimed_at = now(), verdict = 'passed'", "step_claimed"),
    "passed without its change": ("operator", 3, "verdict = 'passed'", "step_without_change"),
    "begun twice": ("operator", 3, "begun_at = now(), request_id = 'other'", "step_begun"),
    "another request": ("operator", 3, "request_id = 'other'", "step_begun"),
    "skipped without a note": ("operator", 3, "verdict = 'skipped'", "step_note"),
    "not begun": ("operator", 6, "verdict = 'failed'", "step_not_begun"),
    "an output without end": ("operator", 3, "verdict = 'failed', output = jsonb_build_object('a', repeat('x', 17000))",
                              "step_output"),
    "an output that is none": ("operator", 3, "verdict = 'failed', output = '[]'", "step_output"),
    "what is over": ("operator", 2, "claimed_at = now()", "step_over"),
}  # fmt: skip


async def test_what_psql_tries(homes: tuple[Home, Home], psql: Psql) -> None:
    one, _ = homes
    number = await begin(one, "leak")
    whole = await walk(one, number, Player(one, {"tenant": "acme"}), ready=lambda whole, step: step.place < 3)
    assert whole.step(2).verdict == "passed"
    for place in (3, 6):
        await change(one, "runbooks.claim", execution=number, place=place)
    await change_step(one, "do", await step(one, number, 3), change="wf-never")
    for role, place, what, code in ATTACKS.values():
        refused(psql(role), code, STEP.format(what, number, place))
    columns = ("claimed_by", "ended_at", "name", "operation", "kind", "tries", "remedy_of", "version")
    denied(psql("admin"), *(f"UPDATE wf.execution_steps SET {column} = NULL" for column in columns))
    for role in ("viewer", "support", "worker", "service"):
        denied(psql(role), "UPDATE wf.execution_steps SET claimed_at = now()")
        denied(psql(role), "SELECT wf.begin_execution('a', 'a', 'a', '[]', NULL, false)")
    denied(
        psql("admin"),
        "INSERT INTO wf.runbook_texts (sha256, body) VALUES ('a', 'b')",
        "UPDATE wf.runbook_texts SET body = 'b'",
        "DELETE FROM wf.execution_steps",
        "INSERT INTO wf.executions (runbook, title, sha256, steps) VALUES ('a', 'b', 'c', 1)",
        "TRUNCATE wf.executions CASCADE",
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        psql("owner").execute("DELETE FROM wf.execution_steps")
    two = '[{"name": "a", "kind": "person"}, {"name": "b", "kind": "person", "remedy_of": 1}]'
    for steps, code in (
        ("[]", "execution_steps"),
        ('[{"name": "a", "kind": "magic"}]', "step_kind"),
        ('[{"name": "a", "kind": "operation"}]', "step_operation"),
        (two, "step_remedy"),
    ):
        refused(psql("operator"), code, f"SELECT wf.begin_execution('a', 'a', 'a', '{steps}', NULL, false)")
    out = psql("viewer").execute("SELECT count(*) FROM wf.audit WHERE noun = 'executions' AND out_of_band").fetchone()
    assert out == (0,), "what was refused left nothing"
    other = '[{"name": "B", "kind": "person"}]'
    for body in ("# T\n\n## A\n", "# T\n\n## B\n\n## C\n", "no runbook"):
        begun = psql("operator").execute("SELECT wf.begin_execution('a', 'a', %s, %s, NULL, false)", [body, other])
        with pytest.raises(Usage) as found:
            await one.of(ExecutionDirectory).whole(begun.fetchone()[0])
        assert found.value.code == "runbook_unreadable"


async def test_a_change_of_before_or_of_another_kind_proves_nothing(homes: tuple[Home, Home], psql: Psql) -> None:
    one, _ = homes
    suspend, create = named("tenants.suspend"), named("tenants.create")
    await execute(one, suspend, suspend.parse({"id": "beta"}), Call("another matter", "wf-before"))
    number = await begin(one, "leak")
    for place in (1, 2):
        await do_step(one, number, place, Player(one, {"tenant": "acme"}))
    await change(one, "runbooks.claim", execution=number, place=3)
    await change_step(one, "do", await step(one, number, 3), change="wf-before")
    refused(psql("operator"), "step_without_change", STEP.format("verdict = 'passed'", number, 3))
    await change(one, "runbooks.settle", execution=number, place=3, verdict="failed", note="not this one")
    await change(one, "runbooks.claim", execution=number, place=3)
    await change_step(one, "do", await step(one, number, 3), change="wf-other")
    await execute(one, create, create.parse({"id": "gamma"}), Call("", "wf-other"))
    refused(psql("operator"), "step_without_change", STEP.format("verdict = 'passed'", number, 3))


async def test_addresses_in_notes_and_answers_are_masked(homes: tuple[Home, Home]) -> None:
    one, _ = homes
    number = await begin(one, "leak")
    await change(one, "runbooks.claim", execution=number, place=6)
    await change_step(one, "do", await step(one, number, 6))
    output = {"told": ["ada@lovelace.example"]}
    said: dict[str, Any] = {"verdict": "passed", "note": "told ada@lovelace.example", "output": output}
    await change(one, "runbooks.settle", execution=number, place=6, **said)
    row = await step(one, number, 6)
    assert row.note == "told a•••@lovelace.example" and row.output == {"told": ["a•••@lovelace.example"]}


async def test_a_file_that_cannot_be_read_is_shown_with_its_lines(homes: tuple[Home, Home], tmp_path: Path) -> None:
    one, _ = homes
    (tmp_path / "broken.md").write_text("# T\n\n## 1. Do\n\n```operation tenants.suspend\nfields:\n  nope: 1\n```\n")
    (tmp_path / "latin.md").write_bytes(b"# T\n\n## \xe9\n")
    os.mkfifo(tmp_path / "pipe.md")  # nobody waits for its writer
    rows, _ = await one.of(RunbookDirectory).rows()  # type: ignore[attr-defined]
    faults = {row.name: row.fault for row in rows if row.fault}
    assert faults == {
        "broken": "broken.md:7: tenants.suspend has no field nope\nbroken.md:6: tenants.suspend needs the field id\n"
        "broken.md:6: tenants.suspend needs a reason",
        "latin": "latin.md: line 3: this is not UTF-8 text",
        "pipe": "pipe.md: it is not a file",
    }
    with pytest.raises(Refusal, match="runbook_unreadable"):
        await begin(one, "broken")
    with pytest.raises(Refusal, match="no_runbook"):
        await begin(one, "nothing")


async def test_an_answer_that_was_forged_is_not_used(homes: tuple[Home, Home]) -> None:
    one, _ = homes
    number = await begin(one, "leak")
    await change(one, "runbooks.claim", execution=number, place=1)
    await change_step(one, "do", await step(one, number, 1))
    forged = {"answer": "-acme status:active"}
    await change(one, "runbooks.settle", execution=number, place=1, verdict="passed", output=forged)
    with pytest.raises(Refusal, match="no_answer"):
        await do_step(one, number, 2, Player(one, {}))


class Outside(Player):
    """Asks outside of the home, as the console and the command line do."""

    async def observe(self, check: Any) -> Mapping[str, Any]:
        assert isinstance(self.plane, Home)
        return await look_outside(self.plane, check)


async def test_a_check_by_http_asks_only_where_it_may(homes: tuple[Home, Home], tmp_path: Path) -> None:
    one, _ = homes
    async with receiving(says("200 OK")) as good, receiving(says("503 Down")) as down:
        urls = [f"http://127.0.0.1:{each.port}/" for each in (good, down)]
        steps = [
            f"## Step {n}\n\n```check http\nurl: {url}\n```\n" for n, url in enumerate([*urls, "http://10.0.0.1/"])
        ]
        (tmp_path / "outside.md").write_text("\n".join(["# Outside\n", *steps]))
        one.sealing = Sealing(None, tuple(url.rstrip("/") for url in urls))
        number = await begin(one, "outside")
        player = Outside(one, {})
        assert (await do_step(one, number, 1, player)).verdict == "passed"
        assert (await do_step(one, number, 2, player)).output["state"] == "fail"
        await change(one, "runbooks.claim", execution=number, place=2)
        await change(one, "runbooks.settle", execution=number, place=2, verdict="skipped", note="it is known")
        row = await do_step(one, number, 3, player)
        assert row.verdict == "unknown" and row.output["because"] == "error", "what could not be asked is not passed"
