"""The home, the settings, the passwords, completion: what is not in the control plane."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.__main__ import _guarded
from app.cli.completion import script
from controlplane.registry import operations
from tests.app.commands import ROOT, Answer, Cli, program, url_of
from tests.postgres import Database, scratch_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where PostgreSQL's own account can reach it."""
    scratch = scratch_folder()
    yield scratch / "home"
    shutil.rmtree(scratch, ignore_errors=True)


def test_an_embedded_home_from_nothing_to_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> Answer:
        code = _guarded([*words, "--home", str(folder)])
        return Answer(code, *capsys.readouterr())

    try:
        absent = run("home", "status", "--json").document["item"]
        assert (absent["state"], absent["usable"]) == ("absent", None)
        assert run("complete", "d").out == ""  # completing starts nothing
        assert not folder.exists()
        first = run("tenants", "list", "--json")
        assert [item["id"] for item in first.document["items"]] == ["default"]
        running = run("home", "status", "--json").document["item"]
        assert (running["state"], running["usable"], running["problem"]) == ("running", True, None)
        assert run("home", "migrate", "--json").document["result"] == {"applied": []}
        refused = run("home", "stop")
        assert refused.code == 1 and "[confirmation_needed]" in refused.err
        assert run("home", "stop", "--yes", "--json").document["result"] == {"stopped": True}
        assert run("home", "status", "--json").document["item"]["state"] == "stopped"
        assert run("tenants", "list").code == 0  # starts it again
        assert run("home", "destroy", "--dry-run").code == 0 and folder.exists()
        assert run("home", "destroy").code == 1 and folder.exists()
    finally:
        assert run("home", "destroy", "--yes").code == 0
    assert not folder.exists()


def test_a_database_is_made_a_home_only_when_told(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, password = url_of(empty_database.owner)
    monkeypatch.setenv("WATCHFLOOR_HOME", url)
    monkeypatch.setenv("PGPASSWORD", password)
    cli = Cli(empty_database, monkeypatch, capsys)
    answer = cli("tenants", "list")
    assert answer.code == 1 and "home migrate" in answer.err and "[home_not_ours]" in answer.err
    assert cli.done("home", "status")["item"]["problem"]["code"] == "home_not_ours"
    planned = cli.done("home", "migrate", "--dry-run")["result"]["applied"]
    assert planned[0] == "0001_operators"
    assert cli("tenants", "list").code == 1
    assert cli.done("home", "migrate")["result"]["applied"] == planned
    assert cli("tenants", "list").code == 0
    cli.sql("UPDATE wf.migrations SET checksum = 'other' WHERE number = 1")
    answer = cli("tenants", "list", "--json")
    assert (answer.code, answer.document["error"]["code"]) == (5, "migration_changed")
    assert cli("home", "stop", "--yes").code == 2  # not ours to stop


def test_settings(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(path))
    assert cli("settings", "check").code == 4
    assert cli.done("settings", "init")["item"]["path"] == str(path)
    assert cli("settings", "init").code == 5
    assert cli.done("settings", "check")["item"]["exists"] is True
    path.write_text('time = "utc"\n[profiles.eu]\nurl = "postgresql://ana@db/x"\nenvironment = "staging"\n')
    found = {item["key"]: item for item in cli.done("settings", "show")["items"]}
    assert found["time"]["value"] == "utc" and found["time"]["source"].endswith(":1")
    assert found["theme"]["source"] == "default"
    contexts = cli.done("contexts", "list")["items"]
    assert [(c["name"], c["current"]) for c in contexts] == [(contexts[0]["name"], True), ("eu", False)]
    path.write_text("colour = 1\n")
    answer = cli("settings", "check")
    assert answer.code == 2 and f"{path}:1: colour" in answer.err
    assert cli("tenants", "list").code == 2


def test_a_profiles_password_is_kept_and_forgotten(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url, password = url_of(cli.database.login("admin"))
    path = tmp_path / "settings.toml"
    path.write_text(f'[profiles.eu]\nurl = "{url}"\nenvironment = "staging"\n')
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(path))
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("GIVEN", password)
    assert cli("tenants", "list", "--home", "eu").code == 6
    assert cli("secrets", "set", "eu").code == 2  # no terminal, no source
    assert cli("secrets", "set", "other", "--password-from", "env:GIVEN").code == 4
    kept = cli("secrets", "set", "eu", "--password-from", "env:GIVEN", "--json")
    assert kept.code == 0 and password not in kept.out
    assert cli("tenants", "list", "--home", "eu").code == 0
    findings = cli.done("secrets", "doctor")["items"]
    assert [f["state"] for f in findings if f["subject"] == "profile eu"] == ["good"]
    assert password not in str(findings)
    assert "removed" in cli("secrets", "forget", "eu").out
    assert "removed" not in cli("secrets", "forget", "eu").out
    assert cli("tenants", "list", "--home", "eu").code == 6


COMPLETE = """
eval "$(cat)"
COMP_WORDS=({words}); COMP_CWORD={at}
_watchfloor
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_nouns_verbs_options_and_ids(cli: Cli, tmp_path: Path) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name) VALUES ('acme', 'x'), ('acorn', 'x'), ('beta', 'x')")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "watchfloor").write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{ROOT}/.venv/bin/python" -m app "$@"\n')
    (bin_ / "watchfloor").chmod(0o755)
    text = script("bash")

    def complete(*words: str) -> set[str]:
        shell = COMPLETE.format(words=" ".join(f"'{word}'" for word in words), at=len(words) - 1)
        done = subprocess.run(
            ["bash", "-c", f'PATH="{bin_}:$PATH"\n{shell}'], input=text, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        return set(done.stdout.split())

    assert {"tenants", "audit", "undo", "completion"} <= complete("watchfloor", "")
    assert complete("watchfloor", "ten") == {"tenants"}
    assert complete("watchfloor", "tenants", "un") == {"unprotect"}
    verbs = {operation.verb for operation in operations().values() if operation.noun == "tenants"}
    assert complete("watchfloor", "tenants", "") == verbs | {"list", "show", "impersonations"}
    assert complete("watchfloor", "tenants", "delete", "acme", "--ret") == {"--retention-days"}
    ids: set[str] = set()
    while not ids:  # a home that does not answer soon completes nothing; a busy machine's may not, once or twice
        ids = complete("watchfloor", "tenants", "suspend", "ac")
    assert ids == {"acme", "acorn"}
    assert complete("watchfloor", "tenants", "suspend", "$(") == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_can_read_their_script(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    check = subprocess.run([shell, "-n"], input=script(shell), capture_output=True, text=True)  # type: ignore[arg-type]
    assert (check.returncode, check.stderr) == (0, "")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert program("--version").out.strip()[:1].isdigit()
    for words in (["--help"], ["tenants", "--help"], ["tenants", "suspend", "--help"], ["audit", "list", "--help"]):
        assert _guarded(words) == 0
        told = capsys.readouterr()
        assert "Usage: watchfloor" in told.out and told.err == ""
