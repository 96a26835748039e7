"""Changes from the command line: files, many things, undo, passwords, read-only contexts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli, program, url_of

ESTATE = """\
- id: acme
  name: Acme GmbH
  plan: growth
  metadata: {tier: 1}
- id: beta
  region: eu
  allowed_regions: [eu, us]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "estate.yaml"
    path.write_text(ESTATE)
    return path


def test_apply_shows_the_difference_and_does_all_of_it(cli: Cli, file: Path) -> None:
    cli.done("tenants", "create", "acme")
    preview = cli("tenants", "apply", str(file), "--dry-run")
    assert preview.code == 0
    assert "tenants acme: changed\n  name: acme → Acme GmbH\n  plan: trial → growth\n" in preview.out
    assert "tenants beta: new" in preview.out
    assert cli("tenants", "show", "beta").code == 4
    assert cli("tenants", "apply", str(file)).code == 1  # asks
    done = cli.done("tenants", "apply", str(file), "--yes")
    assert done["result"] == {"created": 1, "changed": 1, "unchanged": 0}
    assert [(change["noun"], change["thing"]) for change in done["changes"]] == [
        ("tenants", "acme"),
        ("subscriptions", "acme"),  # its subscription follows the plan
        ("tenants", "beta"),
    ]
    assert cli.done("tenants", "apply", str(file), "--yes")["result"]["unchanged"] == 2
    json_file = file.with_suffix(".json")
    json_file.write_text(json.dumps({"tenants": [{"id": "beta", "plan": "pro"}]}))
    assert cli.done("tenants", "apply", str(json_file), "--yes")["result"]["changed"] == 1


def test_apply_does_nothing_at_all_when_one_thing_fails(cli: Cli, file: Path) -> None:
    cli.done("tenants", "create", "gone")
    cli.done("tenants", "delete", "gone", "--reason", "x", "--yes")
    file.write_text(ESTATE + "- {id: gone, plan: growth}\n")
    answer = cli("tenants", "apply", str(file), "--yes", "--json")
    assert (answer.code, answer.document["error"]["code"]) == (1, "tenant_pending_deletion")
    assert cli("tenants", "show", "acme").code == 4


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- {id: ok}\n- id: [\n", 3, ""),
        ("- {id: ok}\n-\n  id: no good\n", 3, "letters, digits"),
        ("- {id: ok}\n\n- id: fine\n  nosuch: 1\n", 4, "nosuch"),
        ("- {id: ok}\n- id: a\n  id: b\n", 3, "twice"),
        ("- {id: ok}\n- {id: ok}\n", 1, "is in the list twice"),
        ("a: 1\n", 1, "expected a list"),
        ("- !!python/object/apply:os.system [ls]\n", 1, ""),
        ("- {id: a, metadata: {when: 2020-99-99}}\n", 1, ""),
    ],
)
def test_a_fault_of_the_file_is_told_with_its_line(cli: Cli, file: Path, text: str, line: int, words: str) -> None:
    file.write_text(text)
    answer = cli("tenants", "apply", str(file), "--yes")
    assert (answer.code, answer.out) == (2, ""), answer
    assert f"{file}:{line}: " in answer.err and words in answer.err, answer


def test_many_things_become_a_run(cli: Cli) -> None:
    for name in ("a", "b", "c"):
        cli.done("tenants", "create", name)
    asked = cli("tenants", "suspend", "a", "b", "--reason", "x")
    assert asked.code == 1 and "[confirmation_needed]" in asked.err and "tenants b: changed" in asked.err
    preview = cli.done("tenants", "suspend", "--filter", "-protected:yes", "--reason", "x", "--dry-run")
    assert preview["result"]["total"] == 3 and preview["dry_run"] is True
    pace = ("--per-second", "10000", "--breaker-share", "0.5")
    run = cli.done("tenants", "suspend", "a", "b", "--reason", "x", "--yes", "--request-id", "many", *pace)
    assert (run["result"]["state"], run["result"]["done"]) == ("done", 2)
    assert (run["result"]["per_second"], run["result"]["breaker_share"]) == (10_000, 0.5)
    assert [change["thing"] for change in run["changes"]] == ["a", "b"] and len(run["audit_ids"]) == 2
    again = cli.done("tenants", "suspend", "a", "b", "--reason", "x", "--request-id", "many", *pace)
    assert again["audit_ids"] == run["audit_ids"]
    undone = cli(*run["undo"]["command"].split()[1:], "--yes")
    assert undone.code == 0 and "2 done, 0 refused" in undone.out
    assert cli.done("tenants", "list", "status:suspended")["items"] == []
    assert len(cli.done("runs", "list")["items"]) == 2


def test_a_run_that_meets_a_refusal_is_1_and_goes_on_when_told(cli: Cli) -> None:
    for name in ("a", "b"):
        cli.done("tenants", "create", name)
    cli.done("tenants", "suspend", "a", "--reason", "before", "--yes")
    answer = cli("tenants", "suspend", "a", "b", "--reason", "x", "--yes")
    assert answer.code == 1 and "paused" in answer.out and "[already_suspended]" in answer.out
    run_id = cli.done("runs", "list")["items"][0]["id"]
    resumed = cli("runs", "resume", str(run_id), "--json")
    assert resumed.document["result"]["state"] == "done" and resumed.document["result"]["done"] == 1
    assert resumed.document["result"]["refusals"][0]["thing"] == "a"
    assert cli.done("tenants", "show", "b")["item"]["status"] == "suspended"


def test_named_things_and_a_filter_exclude_each_other(cli: Cli) -> None:
    assert cli("tenants", "suspend", "a", "--filter", "b", "--reason", "x").code == 2
    assert cli("tenants", "suspend", "a", "b", "--version", "1", "--reason", "x").code == 2
    assert cli("tenants", "suspend", "a", "--per-second", "5", "--reason", "x").code == 2
    assert cli("tenants", "suspend", "a", "b", "--per-second", "10001", "--reason", "x").code == 2
    assert cli("tenants", "create", "a", "b").code == 2


def test_undo_refuses_what_has_none(cli: Cli) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('byhand', 'x')")
    [row] = cli.done("audit", "list", "thing:byhand")["items"]
    answer = cli("undo", str(row["seq"]), "--yes", "--json")
    assert (answer.code, answer.document["error"]["code"]) == (1, "no_undo")
    assert "direct SQL" in answer.document["error"]["message"]


def logs_in(cli: Cli, name: str, password: str) -> bool:
    url, _ = url_of(cli.database.owner, user=name)
    try:
        psycopg.connect(url, password=password, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_new_operators_password_is_made_and_shown_once(cli: Cli) -> None:
    made = cli.done("operators", "add", "ana", "--role", "support", "--yes", "--request-id", "o-1")
    assert logs_in(cli, "ana", made["result"]["password"])
    assert "password" not in cli.done("operators", "add", "ana", "--role", "support", "--request-id", "o-1")["result"]
    promoted = cli.done("operators", "add", "ana", "--role", "operator", "--yes")
    assert "password" not in promoted["result"]
    assert logs_in(cli, "ana", made["result"]["password"])
    assert made["result"]["password"] not in str(cli.sql("SELECT to_jsonb(c)::text FROM wf.changes c"))
    people = {person["name"]: person["role"] for person in cli.done("operators", "list")["items"]}
    assert people["ana"] == "operator"


def test_an_operators_password_from_where_it_is_kept(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_PASSWORD", "correct horse")
    words = ["operators", "add", "ben", "--role", "viewer", "--yes", "--password-from"]
    assert "password" not in cli.done(*words, "env:NEW_PASSWORD")["result"]
    assert logs_in(cli, "ben", "correct horse")
    assert cli(*words, "env:NOSUCH").code == 4
    assert cli(*words, "correct horse").code == 2  # a password in place of a reference is not repeated
    assert "correct horse" not in cli(*words, "correct horse").err
    answer = cli("operators", "add", "ben", "--role", "viewer", "--password", "x")
    assert answer.code == 2


def test_a_typed_operators_password_is_asked_for_twice(cli: Cli) -> None:
    typed = [("cara", "my secret word\n"), ("again", "my secret word\n"), ("Type cara", "cara\n")]
    answer = program("operators", "add", "cara", "--role", "viewer", typed=typed)
    assert answer.code == 0, answer
    assert "my secret word" not in answer.out + answer.err
    assert logs_in(cli, "cara", "my secret word")
    typed = [("dan", "first one\n"), ("again", "another\n")]
    differ = program("operators", "add", "dan", "--role", "viewer", typed=typed)
    assert differ.code == 1 and "[passwords_differ]" in differ.err


def test_a_read_only_context_is_only_looked_at(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url, _ = url_of(cli.database.login("admin"))
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[profiles.prod]\nurl = "{url}"\nenvironment = "production"\n')
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    for words in (["tenants", "create", "x"], ["undo", "1"], ["tenants", "suspend", "a", "b", "--reason", "x"]):
        answer = cli(*words, "--yes", "--home", "prod", "--json")
        if words[0] != "undo":
            assert (answer.code, answer.document["error"]["code"]) == (1, "read_only"), answer
        assert "environment: production" in answer.document["error"]["why"] or words[0] == "undo"
    assert cli("tenants", "create", "x", "--dry-run", "--home", "prod").code == 0
    opening = ["contexts", "write", "prod", "--minutes", "5", "--home", "prod"]
    assert cli(*opening).code == 2  # why?
    assert cli("contexts", "write", "other", "--reason", "x", "--home", "prod").code == 2
    opened = cli.done(*opening, "--reason", "INC-41")
    assert cli("tenants", "create", "while-open", "--home", "prod").code == 0
    cli.sql("ALTER TABLE wf.audit DISABLE TRIGGER append_only")
    cli.sql("UPDATE wf.audit SET at = at - interval '5 minutes' WHERE seq = %s", opened["audit_ids"][0])
    assert cli("tenants", "create", "x", "--home", "prod").code == 1
    settings.write_text(settings.read_text() + "read_only = false\n")
    assert cli("tenants", "create", "x", "--home", "prod").code == 0
    # In production a bare yes is not enough.
    asked = program("tenants", "protect", "x", "--home", "prod", typed=[("Type x", "y\n")])
    assert asked.code == 1 and "Type x to do it" in asked.err


@pytest.mark.parametrize(
    ("words", "question", "code"),
    [
        (["tenants", "suspend", "acme", "--reason", "x"], "Do it?", "stale_version"),
        (["tenants", "suspend", "acme", "zed", "--reason", "x"], "Do it?", "preview_changed"),
        (["tenants", "apply", "tenants.yaml"], "Type apply", "preview_changed"),
        (["undo", "LAST"], "Do it?", "stale_version"),
    ],
)
def test_what_another_changes_before_the_answer_is_not_overrun(
    cli: Cli, tmp_path: Path, words: list[str], question: str, code: str
) -> None:
    for name in ("acme", "zed"):
        cli.done("tenants", "create", name)
    last = cli.done("tenants", "rename", "acme", "--name", "Acme", "--yes")["audit_ids"][-1]
    (tmp_path / "tenants.yaml").write_text("- {id: acme, plan: growth}\n")
    places = {"LAST": str(last), "tenants.yaml": str(tmp_path / "tenants.yaml")}

    def typed() -> Iterator[tuple[str, str]]:
        yield question, ""
        cli.sql("UPDATE wf.tenants SET name = 'Of another' WHERE id = 'acme'")
        yield "", f"{question.removeprefix('Type ') if question.startswith('Type') else 'y'}\n"

    answer = program(*(places.get(word, word) for word in words), typed=typed())
    assert answer.code == 5 and f"[{code}]" in answer.err, answer
    [tenant] = cli.done("tenants", "list", "id:acme")["items"]
    assert (tenant["name"], tenant["status"]) == ("Of another", "active")
