"""Evidence on the command line: what the page shows works, and verifying opens no socket."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from app.settings import read
from tests.app.commands import ROOT, Cli

PAGE = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
SLSA = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "app", "digest": {"sha256": "ab" * 32}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {},
}


@pytest.fixture
def here(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "summary.json").write_text('{"verdict": "GO"}')
    (tmp_path / "provenance.json").write_text(json.dumps(SLSA))
    (tmp_path / "semgrep.sarif").write_text("{}")
    return tmp_path


def test_every_command_and_the_script_of_the_page_run(cli: Cli, here: Path) -> None:
    shown = re.findall(r"^watchfloor (evidence .*?|publications .*?)(?: +#.*)?$", PAGE, re.M)
    assert len(shown) >= 14
    public = ""
    for line in shown:
        words = shlex.split(line.replace("PUBLIC-KEY", public))
        if words[1] == "republish":
            assert cli.sql("SELECT canceled_at IS NOT NULL FROM wf.publications") == [(True,)]
        changes = words[1] in ("add", "publish", "cancel", "limit", "republish", "sweep", "withdraw")
        answer = cli(*words, *(["--yes"] if changes else []))
        assert answer.code == 0, (line, answer)
        public = (re.findall(r"^public key +(\S+)$", answer.out, re.M) or [public])[0]
    kinds = [item["kind"] for item in cli.done("evidence", "list", "--sort", "age")["items"]]
    assert sorted(kinds) == ["https://slsa.dev/provenance/v1", "sarif"] + ["urn:watchfloor:evidence-bundle:v1"] * 2
    assert (here / "INC-41.tar").stat().st_size % 512 == 0
    script = re.search(r"```python\n(.*?)```", PAGE, re.S)
    assert script is not None
    said: list[tuple[Any, ...]] = []
    exec(script[1].replace("PUBLIC-KEY", public), {"print": lambda *words: said.append(words)})
    assert said == [(9, "files hold")]


def test_verify_says_what_is_wrong_first_and_opens_no_socket(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cli.done("evidence", "collect", "release", "2.4.0", "--to", "b", "--with", "summary.json", "--unrecorded")
    assert made["item"]["evidence"] is None and cli.sql("SELECT count(*) FROM wf.evidence") == [(0,)]
    for words in (("--at", "now"), ("--environment", "x"), ("--about", "2.5.0"), ("--kind", "sarif")):
        refused = cli("evidence", "add", "b", *words, "--json").document["error"]
        assert refused["code"] == "evidence_says_itself", "a bundle is not made fresh again"

    def no_socket(*arguments: Any, **more: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setenv("WATCHFLOOR_HOME", "postgresql://nobody@nowhere.invalid/x")
    answer = cli("evidence", "verify", "b")
    assert answer.code == 0 and "● files as they were signed, and no others: 10" in answer.out
    assert "? the others are proven only by the bundle's own key: no checkpoint was signed by then" in answer.out
    (here / "b" / "with" / "summary.json").write_text('{"verdict": "NO"}')
    answer = cli("evidence", "verify", "b")
    assert answer.code == 1
    assert answer.out == "✕ with/summary.json: It is not the file that was signed. [file_changed]\n"
    found = cli("evidence", "verify", "b", "--json").document["item"]
    assert (found["held"], found["fault"]["file"]) == (False, "with/summary.json")


def test_verify_works_where_there_is_no_network(cli: Cli, here: Path) -> None:
    made = cli.done("evidence", "collect", "release", "2.4.0", "--to", "b", "--unrecorded")["item"]
    command = [sys.executable, "-m", "app", "evidence", "verify", str(here / "b"), "--public-key", made["public_key"]]
    alone = [shutil.which("unshare") or "unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
        command = [*alone, *command]  # else the guard against sockets, above, has to do
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "signed by the key" in done.stdout, done


def test_what_cannot_be_collected_or_recorded_is_refused_before_anything_is_written(cli: Cli, here: Path) -> None:
    (here / "other").mkdir()
    (here / "other" / "summary.json").write_text("{}")
    (here / "a b.json").write_text("{}")
    for words, code in (
        (["collect", "release", "2.4.0", "--with", "summary.json", "--with", "other/summary.json"], "name_twice"),
        (["collect", "release", "2.4.0", "--with", "a b.json"], "name_refused"),
        (["collect", "release", "2.4.0", "--with", "nothing"], "evidence_missing"),
        (["collect", "party", "2.4.0"], "purpose_unknown"),
        (["collect", "release", "x" * 201], "subject_unreadable"),
        (["collect", "release", "2.4.0", "--since", "0s"], "since_unreadable"),
        (["collect", "release", "2.4.0", "--to", "other"], "bundle_exists"),
        (["collect", "release", "2.4.0", "--dry-run"], "usage"),
        (["add", "semgrep.sarif"], "kind_needed"),
        (["add", "nothing"], "evidence_missing"),
        (["add", "provenance.json", "--kind", "sarif"], "evidence_says_itself"),
        (["add", "other"], "evidence_refused"),
        (["verify", "nothing"], "evidence_missing"),
    ):
        answer = cli("evidence", *words, "--json", *(["--yes"] if words[0] == "add" else []))
        assert answer.document["error"]["code"] == code, answer
    assert cli.sql("SELECT count(*) FROM wf.evidence") == [(0,)]
    assert not list(here.rglob("bundle.dsse.json"))
    cli.log_in("support")
    assert cli("evidence", "collect", "release", "2.4.0", "--to", "c", "--json").code == 3
    assert not (here / "c").exists()


def test_an_attestation_is_recorded_as_what_it_says_and_a_wrong_signature_is_refused(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controlplane.evidence.envelopes import SharedKey, seal

    monkeypatch.setenv("SHARED", "a secret of thirty-two characters")
    monkeypatch.setenv("OTHER", "another one of thirty-two characters")
    key = SharedKey.of("a secret of thirty-two characters")
    (here / "p.dsse.json").write_bytes(seal(json.dumps(SLSA).encode(), key))
    answer = cli("evidence", "add", "p.dsse.json", "--shared-key-from", "env:OTHER", "--yes", "--json")
    assert answer.document["error"]["code"] == "envelope_unsigned"
    made = cli.done("evidence", "add", "p.dsse.json", "--shared-key-from", "env:SHARED", "--at", "2025-01-02", "--yes")
    row = made["result"]
    assert (row["kind"], row["subject"], row["subject_sha256"]) == (SLSA["predicateType"], "app", "ab" * 32)
    assert (row["signature"], row["signer"], row["at"][:10]) == ("good", key.name, "2025-01-02")
    (here / "q.dsse.json").write_bytes(seal(json.dumps(SLSA | {"predicate": {"x": 1}}).encode(), key))
    assert cli.done("evidence", "add", "q.dsse.json", "--yes")["result"]["signature"] == "unverified"


def test_controls_come_from_the_file_of_the_settings(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = here / "settings.toml"
    settings.write_text('controls = "mine.toml"\n')
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    shown, credentials = (textwrap.dedent(each) for each in re.findall(r"^ *```toml\n(.*?)```", PAGE, re.S | re.M))
    assert read(credentials, settings).credentials["archive"].target == "s3://acme-evidence"
    (here / "mine.toml").write_text(shown)
    [item] = cli.done("evidence", "coverage")["items"]
    assert (item["id"], item["state"], item["environment"], item["signed"]) == ("CC8.1", "missing", "production", True)
    (here / "mine.toml").write_text("nonsense")
    answer = cli("evidence", "coverage", "--json")
    assert answer.document["error"]["code"] == "controls_unreadable"
    (here / "mine.toml").unlink()
    assert cli("evidence", "coverage", "--json").document["error"]["code"] == "controls_unreadable"
