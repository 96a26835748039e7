"""Executions of runbooks in a real home: claims, order, verdicts, resuming; and what psql tries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.postgres.home import Home
from backends.runbook_folder import RunbookFolder
from controlplane.operations import Call, execute
from controlplane.registry import named
from controlplane.runbooks.drill import Player, begin, walk
from controlplane.runbooks.model import ExecutionDirectory, StepRow
from tests.backends.psql import Psql, logins
from tests.postgres import Database

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
