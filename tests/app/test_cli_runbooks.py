"""Runbooks on the command line: run, resumed, rehearsed, shown, checked; and what they prove."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from backends.runbook_folder import shipped
from controlplane.evidence.envelopes import Envelope
from tests.app.commands import Cli

CHECKOUT = Path(__file__).parents[2]

MINE = """# Mine

What to do.

## Which

```question tenant
ask: Which tenant?
```

## Suspend it

```operation tenants.suspend
fields: {id: "{tenant}"}
reason: because
```

## Write to them

They want to know.
"""


@pytest.fixture
def mine(cli: Cli, tmp_path: Path, frozen_environment: Path) -> Cli:
    """A team with a runbook of its own, which needs a tenant."""
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "mine.md").write_text(MINE)
    settings = frozen_environment / "config" / "watchfloor" / "settings.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'runbooks = "{tmp_path / "team"}"\n')
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'Acme')")
    cli.monkeypatch.chdir(tmp_path)
    return cli


def test_a_runbook_is_run_as_far_as_it_goes_without_a_person_and_then_on(mine: Cli) -> None:
    answer = mine("runbooks", "run", "mine", "--answer", "tenant=acme", "--yes", "--incident", "7")
    assert answer.code == 1 and "passed   2. Suspend it" in answer.out
    assert "next is step 3, Write to them" in answer.err and "watchfloor runbooks resume 1" in answer.err
    assert "undo: watchfloor undo" in answer.err
    item = mine("executions", "show", "1", "--json").document["item"]
    assert item["state"] == "open" and item["incident"] == 7 and item["at"] == 3
    assert mine("tenants", "show", "acme", "--json").document["item"]["status"] == "suspended"
    mine.done("runbooks", "do", "1", "3", "--verdict", "passed", "--note", "told them")
    assert "passed" in mine("runbooks", "executions").out
    assert "note: told them" in mine("executions", "show", "1").out
    mine.done("runbooks", "evidence", "1", "--to", "proof.json")
    envelope = Envelope.parse(Path("proof.json").read_bytes())
    predicate = json.loads(envelope.payload)["predicate"]
    assert [step["verdict"] for step in predicate["steps"]] == ["passed"] * 3
    assert predicate["steps"][1]["output"]["audit"] and predicate["incident"] == 7
    recorded = mine("evidence", "list", "--json").document["items"]
    assert [each["about"] if "about" in each else each["subject"] for each in recorded] == ["mine, execution 1"]


def test_without_a_person_nothing_that_asks_is_begun(mine: Cli) -> None:
    answer = mine("runbooks", "run", "mine")
    assert answer.code == 1 and "next is step 1, Which" in answer.err
    answer = mine("runbooks", "resume", "1", "--answer", "tenant=acme status:active", "--yes")
    assert "answer_unreadable" in answer.err
    assert mine.done("tenants", "show", "acme")["item"]["status"] == "active"
    mine.done("runbooks", "stop", "1")
    refused = mine("runbooks", "do", "1", "1", "--answer", "tenant=acme", "--json")
    assert refused.document["error"]["code"] == "execution_stopped"
    answer = mine("runbooks", "resume", "1", "--answer", "tenant=acme", "--yes")
    assert "passed   2. Suspend it" in answer.out


def test_a_drill_leaves_its_evidence_and_is_remembered(mine: Cli) -> None:
    answer = mine("runbooks", "drill", "p1-cross-tenant-leak", "--to", "drill.json")
    assert "passed   4. Suspend it" in answer.out and "(within 1h)" in answer.out
    predicate = json.loads(Envelope.parse(Path("drill.json").read_bytes()).payload)["predicate"]
    assert predicate["drill"] and predicate["state"] == "passed"
    assert [step["late"] for step in predicate["steps"] if step["within"]] == [False] * 5
    shown = mine("runbooks", "show", "p1-cross-tenant-leak").out
    assert "never run" in shown and "last drill: passed" in shown
    again = mine("runbooks", "drill", "p1-cross-tenant-leak", "--to", "drill.json", "--json")
    assert again.document["error"]["code"] == "evidence_file_exists"


def test_a_runbook_is_checked_without_a_home(mine: Cli) -> None:
    mine.monkeypatch.setenv("WATCHFLOOR_HOME", "postgresql://nobody@127.0.0.1:1/none")
    assert "1 checked, 0 faults" in mine("runbooks", "check", "team/mine.md").err
    Path("bad.md").write_text("# T\n\n## A\n\n```check weather\n```\n")
    answer = mine("runbooks", "check", "bad.md", "team/mine.md")
    assert answer.code == 1 and answer.out.startswith("bad.md:5: there is no check weather")


def test_the_page_tells_of_all_runbooks_and_its_own_can_be_read(mine: Cli) -> None:
    page = (CHECKOUT / "docs/runbooks.md").read_text(encoding="utf-8")
    table = page.partition("| runbook |")[2].partition("\n\n")[0]
    assert {file.name for file in shipped()} == set(re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE))
    (example,) = re.findall(r"````markdown\n(.*?)````", page, re.DOTALL)
    Path("slow-tenant.md").write_text(example)
    assert "1 checked, 0 faults" in mine("runbooks", "check", "slow-tenant.md").err
    Path("team/slow-tenant.md").write_text(example)
    answer = mine("runbooks", "run", "slow-tenant", "--answer", "tenant=acme", "--yes")
    assert "passed   2. It is there" in answer.out and "next is step 3" in answer.err


def test_every_command_of_the_page_is_one() -> None:
    from app.cli.run import parsed

    for name in ("runbooks", "browser"):
        page = (CHECKOUT / f"docs/{name}.md").read_text(encoding="utf-8")
        lines = [line.partition(" #")[0] for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
                 for line in block.splitlines()]  # fmt: skip
        for line in (line for line in lines if line.startswith("watchfloor ")):
            parsed(shlex.split(line)[1:])
