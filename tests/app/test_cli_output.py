"""An answer that cannot be written: what is done is told as done, and a secret is not lost."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cli.helping import EXIT_CODES
from controlplane.keys import secret
from tests.app.commands import ROOT, Cli


def ran(command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The program `$W` with its words, and what the shell does to its output; `$NOBODY`: a pipe that nobody reads."""
    ours, its = os.pipe()
    os.close(ours)
    script = command.replace("$W", f'{sys.executable} -m app "$@"').replace("$NOBODY", str(its))
    try:
        return subprocess.run(
            ["bash", "-c", script, "bash", *words], cwd=ROOT, pass_fds=[its], capture_output=True, text=True
        )
    finally:
        os.close(its)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def status(cli: Cli) -> Any:
    return cli.sql("SELECT status FROM wf.tenants WHERE id = 'acme'")[0][0]


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("> /dev/full", "No space left on device"),
        ("--json > /dev/full", "No space left on device"),
        (">&-", "Bad file descriptor"),
    ],
)
def test_a_change_whose_answer_is_lost_is_told_as_done(cli: Cli, state: Path, output: str, why: str) -> None:
    cli.done("tenants", "create", "acme")
    done = ran(f"$W {output}", "tenants", "suspend", "acme", "--reason", "test", "--yes")
    assert done.returncode == 8
    assert "It is done." in done.stderr and why in done.stderr and "undo: watchfloor undo" in done.stderr
    assert "[answer_lost]" in done.stderr and "nobody foresaw" not in done.stderr
    assert status(cli) == "suspended"


def test_a_refused_change_and_a_list_are_told_as_what_they_are(cli: Cli, state: Path) -> None:
    refused = ran("$W --json > /dev/full", "tenants", "suspend", "none", "--reason", "test", "--yes")
    assert refused.returncode == 4 and "[no_tenant]" in refused.stderr
    read = ran("$W > /dev/full", "tenants", "list")
    assert read.returncode == 1 and read.stderr.endswith("[output_failed]\n") and "It is done" not in read.stderr
    assert ran("$W 2> /dev/full", "tenants", "create", "acme").returncode == 0
    assert ran("$W 2>&-", "tenants", "suspend", "acme", "--reason", "test", "--yes").returncode == 0
    assert status(cli) == "suspended"


@pytest.mark.parametrize("output", ["> /dev/full", "--json > /dev/full", ">&$NOBODY"])
def test_a_secret_that_could_not_be_shown_is_kept(cli: Cli, state: Path, output: str) -> None:
    cli.done("tenants", "create", "acme")
    done = ran(f"$W {output}", "keys", "create", "acme", "--label", "ci")
    assert done.returncode == 8
    [kept] = state.rglob("secrets-not-shown.jsonl")
    assert str(kept) in done.stderr and stat.S_IMODE(kept.stat().st_mode) == 0o600
    [line] = [json.loads(text) for text in kept.read_text().splitlines()]
    assert secret.is_whole(line["secret"]) and line["tenant_id"] == "acme"
    assert line["secret"] not in done.stderr


def test_a_password_that_was_made_is_kept_as_well(cli: Cli, state: Path) -> None:
    done = ran("$W > /dev/full", "operators", "add", "unshown", "--role", "viewer", "--yes")
    assert done.returncode == 8, done.stderr
    try:
        [kept] = state.rglob("secrets-not-shown.jsonl")
        assert done.returncode == 8 and json.loads(kept.read_text())["name"] == "unshown"
    finally:
        cli.sql("DROP OWNED BY unshown")
        cli.sql("DROP ROLE unshown")


def test_the_exit_codes_stand_in_the_help_and_in_the_readme(cli: Cli) -> None:
    assert "8 done but" in cli("--help").out and EXIT_CODES.split(": ")[1][:30] in " ".join(cli("--help").out.split())
    assert "| 8 | done but" in (ROOT / "README.md").read_text()
