"""`watchfloor audit checkpoint|verify|export`, and docs/audit.md, whose commands run here as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from backends.evidence.remotes import ObjectRemote
from controlplane.audit.checkpoints import SigningKey
from controlplane.evidence.publishing import Target, checkpoint_key
from tests.app.commands import ROOT, Cli

UNGUARDED = "ALTER TABLE wf.audit DISABLE TRIGGER USER; ALTER TABLE wf.audit_chain DISABLE TRIGGER USER;"


@pytest.fixture
def signed(cli: Cli) -> dict[str, str]:
    """Three tenants made with psql, chained and signed by a worker."""
    cli.sql("INSERT INTO wf.tenants (id, name) SELECT 't' || n, 't' FROM generate_series(1, 3) n")
    cli.log_in("worker")
    item: dict[str, str] = cli.done("audit", "checkpoint")["item"]
    cli.log_in("viewer")
    return item


def test_what_was_signed_is_verified_by_whoever_may_read(cli: Cli, signed: dict[str, str]) -> None:
    found = cli.done("audit", "verify")["item"]
    assert found["held"] and found["faults"] == [] and found["waiting"] == 0
    assert (found["size"], found["signed"], found["checkpoints"]) == (signed["size"], signed["size"], 1)
    assert found["head"] == signed["head"]
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('t4', 't')")
    answer = cli("audit", "verify")
    assert answer.code == 0 and "newer rows that are not chained yet, not verified: 1" in answer.out


def test_a_key_makes_it_count_and_no_checkpoint_is_not_green(cli: Cli, signed: dict[str, str], tmp_path: Path) -> None:
    folder, key = signed["folder"], signed["public_key"]
    assert cli("audit", "verify", "--checkpoints", folder, "--public-key", key).code == 0
    (tmp_path / "none").mkdir()
    answer = cli("audit", "verify", "--checkpoints", str(tmp_path / "none"), "--public-key", key)
    assert answer.code == 1 and "[unsigned]" in answer.out
    assert "public_key_unreadable" in cli("audit", "verify", "--public-key", "x").err
    assert cli("audit", "verify", "--checkpoints", str(tmp_path / "gone"), "--public-key", key).code == 1
    other = SigningKey(bytes(32)).public(signed["origin"])
    answer = cli("audit", "verify", "--checkpoints", folder, "--public-key", str(other))
    assert answer.code == 1 and "[checkpoint_skipped]" in answer.out and "[unsigned]" in answer.out
    cli.monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    answer = cli("audit", "verify", "--checkpoints", folder)
    assert answer.code == 2 and "public_key_needed" in answer.err
    answer = cli("audit", "verify")
    assert answer.code == 1 and "[unsigned]" in answer.out


def test_a_fault_is_named_with_its_row(cli: Cli, signed: dict[str, str]) -> None:
    last = int(signed["size"])
    cli.sql(UNGUARDED + f"UPDATE wf.audit SET reason = 'for a friend' WHERE seq = {last}")
    answer = cli("audit", "verify")
    assert answer.code == 1 and f"✕ row {last}: " in answer.out and "[row_changed]" in answer.out
    answer = cli("audit", "verify", "--json")
    assert answer.code == 1 and answer.document["item"]["faults"][0]["seq"] == last


def test_a_row_that_went_before_it_was_chained_is_missed(cli: Cli, signed: dict[str, str]) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) SELECT 'u' || n, 'u' FROM generate_series(1, 3) n")
    cli.sql(UNGUARDED + f"DELETE FROM wf.audit WHERE seq = {int(signed['size']) + 1}")
    answer = cli("audit", "verify")
    assert answer.code == 1 and "[row_missing]" in answer.out
    cli.log_in("worker")
    answer = cli("audit", "checkpoint")
    assert answer.code == 1 and "[audit_gap]" in answer.err


def test_an_export_is_verified_without_a_home(cli: Cli, signed: dict[str, str], tmp_path: Path) -> None:
    trail = tmp_path / "trail"
    trail.write_text(cli("audit", "export").out)
    cli.monkeypatch.setenv("WATCHFLOOR_HOME", "postgresql://nobody@127.0.0.1:1/nothing")
    words = ["audit", "verify", "--trail", str(trail), "--checkpoints", signed["folder"]]
    found = cli.done(*words, "--public-key", signed["public_key"])["item"]
    assert found["held"] and found["waiting"] is None and found["size"] == signed["size"]
    lines = trail.read_text().splitlines(keepends=True)
    for changed, code in (
        ("".join(lines[:-1]), "tail_cut"),
        ("".join(lines[:2] + lines[3:]), "link_missing"),
        ("".join(lines).replace('"t2"', '"t5"'), "row_changed"),
        ("".join([*lines, "what is this\n"]), "trail_unreadable"),
    ):
        trail.write_text(changed)
        answer = cli(*words)
        assert answer.code and f"[{code}]" in answer.out + answer.err, code
    assert cli("audit", "checkpoint").code == 6


REWRITTEN = """
ALTER TABLE wf.audit DISABLE TRIGGER USER;
ALTER TABLE wf.audit_chain DISABLE TRIGGER USER;
ALTER TABLE wf.audit_checkpoints DISABLE TRIGGER USER;
UPDATE wf.audit SET actor = 'nobody' WHERE seq = 1;
DELETE FROM wf.audit_chain;
DELETE FROM wf.audit_checkpoints;
UPDATE wf.audit_origin SET origin = 'watchfloor/audit/' || gen_random_uuid();
ALTER TABLE wf.audit ENABLE TRIGGER USER;
ALTER TABLE wf.audit_chain ENABLE TRIGGER USER;
ALTER TABLE wf.audit_checkpoints ENABLE TRIGGER USER;
SELECT wf.chain_audit();
"""


def test_a_trail_that_was_written_anew_under_a_new_name_is_neither_signed_nor_verified(
    cli: Cli, signed: dict[str, str], tmp_path: Path
) -> None:
    """With the owner's powers and no copy of the chain left in the home: what lies outside finds it."""
    cli.sql(REWRITTEN)
    answer = cli("audit", "verify")
    assert answer.code == 1 and "[origin_changed]" in answer.out and "[trail_rewritten]" in answer.out
    for key in ([], ["--public-key", signed["public_key"]]):
        answer = cli("audit", "verify", "--checkpoints", signed["folder"], *key)
        assert answer.code == 1 and "[origin_changed]" in answer.out
    trail = tmp_path / "trail"
    trail.write_text(cli("audit", "export").out)
    answer = cli("audit", "verify", "--trail", str(trail), "--checkpoints", signed["folder"])
    assert answer.code == 1 and "[origin_changed]" in answer.out
    cli.log_in("worker")
    answer = cli("audit", "checkpoint")
    assert answer.code == 1 and "[audit_origin_changed]" in answer.err
    assert len(list(Path(signed["folder"]).glob("*.checkpoint"))) == 1


def test_a_checkpoint_that_is_gone_is_missed(cli: Cli, signed: dict[str, str]) -> None:
    for number in (2, 3):
        cli.sql("INSERT INTO wf.tenants (id, name) VALUES (%s, 'n')", f"n{number}")
        cli.log_in("worker")
        cli.done("audit", "checkpoint")
    cli.log_in("viewer")
    assert cli.done("audit", "verify")["item"]["checkpoints"] == 3
    sorted(Path(signed["folder"]).glob("*.checkpoint"))[1].unlink()
    answer = cli("audit", "verify")
    assert answer.code == 1 and "[checkpoint_missing]" in answer.out and "the first number 2" in answer.out


def test_what_was_published_is_held_against_the_trail(cli: Cli, signed: dict[str, str], tmp_path: Path) -> None:
    """Whoever owns the home and its worker's machine can take the checkpoints there away, but not those elsewhere."""
    place = f"file://{tmp_path / 'published'}"
    remote, other = (
        ObjectRemote(Target.parse(place)),
        signed["note"].replace(signed["origin"], "watchfloor/audit/other"),
    )
    for note in (signed["note"].encode(), other.encode()):
        assert remote.create(checkpoint_key(note), note) is not None
    assert cli.done("audit", "verify", "--published", place)["item"]["checkpoints"] == 1
    last = int(signed["size"])
    cli.sql(UNGUARDED + f"DELETE FROM wf.audit_chain WHERE seq = {last}; DELETE FROM wf.audit WHERE seq = {last};"
            f" UPDATE wf.counters SET value = {last - 1} WHERE value = {last}")  # fmt: skip
    [local] = Path(signed["folder"]).glob("*.checkpoint")
    local.unlink()
    assert "[tail_cut]" not in cli("audit", "verify").out
    answer = cli("audit", "verify", "--published", place)
    assert answer.code == 1 and "[tail_cut]" in answer.out


def test_rows_that_nobody_chains_are_a_fault_after_a_while(cli: Cli, signed: dict[str, str]) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('late', 'late')")
    cli.sql(
        "ALTER TABLE wf.audit DISABLE TRIGGER append_only; UPDATE wf.audit SET at = now() - interval '2 minutes'"
        " WHERE seq = (SELECT max(seq) FROM wf.audit); ALTER TABLE wf.audit ENABLE TRIGGER append_only"
    )
    answer = cli("audit", "verify")
    assert answer.code == 1 and "[rows_unchained]" in answer.out
    answer = cli("audit", "status")
    assert answer.code == 1 and "✕ ! chained to" in answer.out


def test_the_status_says_what_the_worker_was_refused(cli: Cli, signed: dict[str, str]) -> None:
    assert cli("audit", "status").code == 0
    cli.sql("INSERT INTO wf.job_schedules (name, every) VALUES ('sign_audit_checkpoint', '5 minutes')")
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('more', 'more')")
    cli.sql(
        "INSERT INTO wf.jobs (kind, schedule, state, ended_at, error)"
        " VALUES ('sign_audit_checkpoint', 'sign_audit_checkpoint', 'dead', clock_timestamp(), 'it is another home')"
    )
    answer = cli("audit", "status")
    assert answer.code == 1 and "it is another home" in answer.out
    assert cli("audit", "status", "--json").document["item"]["trouble"] == "it is another home"
    assert "it is another home" in cli("overview").out
    cli.log_in("worker")
    cli.done("audit", "checkpoint")
    cli.log_in("viewer")
    assert cli.done("audit", "status")["item"]["trouble"] is None, "it went well since"


def test_only_a_worker_signs(cli: Cli) -> None:
    cli.log_in("admin")
    answer = cli("audit", "checkpoint")
    assert answer.code == 3 and "not_a_worker" in answer.err


def test_the_page_is_true(cli: Cli, signed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "audit.md").read_text()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copies").symlink_to(signed["folder"])
    commands = re.findall(r"^    watchfloor (audit [^#\n]*)", page, re.M)
    assert len(commands) >= 5
    for line in commands:
        words = shlex.split(line.replace("PUBLIC-KEY", signed["public_key"]))
        into = Path(words.pop(words.index(">") + 1)) if ">" in words else None
        cli.log_in("worker" if "checkpoint" in words else "viewer")
        answer = cli(*(word for word in words if word != ">"))
        assert answer.code == 0, answer
        if into is not None:
            into.write_text(answer.out)
    script = re.search(r"```python\n(.*?)```", page, re.S)
    assert script is not None
    said: list[str] = []
    exec(script[1], {"print": lambda *words: said.append(" ".join(map(str, words)))})
    assert said == [f"{signed['size']} rows hold, head {signed['head']}"]
    note = re.search(r"```\n(watchfloor/audit/.*?)```", page, re.S)
    assert note is not None and [len(part.split("\n")) for part in note[1].split("\n\n")] == [5, 2]
    assert json.dumps(signed["note"]).count("\\n") == 7
