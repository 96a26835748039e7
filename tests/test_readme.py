"""The commands and settings that README and docs show are true."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import read
from backends.postgres.notary import SIGN_EVERY
from controlplane.jobs.kinds import kinds
from controlplane.requestlogs.mappings import SHIPPED
from controlplane.requestlogs.model import Format, RequestRow
from controlplane.requestlogs.parsing import parse
from controlplane.requestlogs.telling import EXAMPLES
from tests.controlplane.test_logmappings import CADDY
from tests.postgres import scratch_folder

CHECKOUT = Path(__file__).parents[1]
NOVA = (
    "nova-api.log.1 2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-38101a0b-2096-447d-96ea-"
    "a692162415ae 113d3a99c3da401fbd62cc2caa5b96d2 54fadb412c4e40cdbaed9335e4c35a9e - - -] 10.11.10.1 "
    '"GET /v2/54fadb412c4e40cdbaed9335e4c35a9e/servers/detail HTTP/1.1" status: 200 len: 1893 time: 0.2477829\n'
)
COMBINED = '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /index.html HTTP/1.1" 200 203 "-" "curl"\n'


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M)


def test_every_command_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [line for block in blocks(CHECKOUT / "README.md", "sh") for line in block.splitlines()]
    commands = [line for line in shown if line.startswith("watchfloor ")]
    assert len(commands) >= 8
    (tmp_path / "nova-api.log").write_text(NOVA)
    (tmp_path / "access.log").write_text(COMBINED)
    (tmp_path / "access.json").write_text(CADDY)
    folder = scratch_folder()
    monkeypatch.setenv("WATCHFLOOR_HOME", str(folder / "home"))
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))

    def run(line: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "app", *shlex.split(line)[1:]]
        return subprocess.run(words, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=300)

    try:
        for line in commands:
            if "--tenant web" in line:
                assert run("watchfloor tenants create web").returncode == 0
            done = run(line)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    finally:
        assert run("watchfloor home destroy --yes").returncode == 0
        shutil.rmtree(folder)


def test_the_examples_of_request_logs_are_read() -> None:
    page = CHECKOUT / "docs" / "requests.md"
    plain, gateway = blocks(page, "json")
    (settings,) = blocks(page, "toml")
    mapping = read(settings, Path("settings.toml")).logs["gateway"]
    for log, line in ((Format.JSONL, plain), (mapping, gateway)):
        row = parse(log, line)
        assert isinstance(row, RequestRow)
        assert (row.tenant_id, row.route, row.latency_ms, row.bytes) == ("acme", "/v1/orders/{id}", 12.5, 1893)
    assert None not in parse(Format.JSONL, plain)[:11], "the example has every field"  # type: ignore[index]
    told = page.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in told for name in (*Format, *SHIPPED))
    nginx = "".join(re.findall(r"'(.*?)'", told[told.index("log_format watchfloor") :].partition(";")[0]))
    values = {"time_iso8601": "2026-11-29T10:00:00+00:00", "request": "GET /a HTTP/1.1", "status": "200"}
    line = re.sub(r"\$(\w+)", lambda found: values.get(found[1], "7"), nginx)
    assert isinstance(parse(SHIPPED["nginx-json"], line, "web"), RequestRow)
    for log, line in EXAMPLES.items():
        assert isinstance(parse(log, line, "web"), RequestRow)


def test_the_make_targets_of_the_readme_exist() -> None:
    shown = [line for block in blocks(CHECKOUT / "README.md", "sh") for line in block.splitlines()]
    targets = {line.split()[1] for line in shown if line.startswith("make ")}
    assert targets == {"demo", "test"}
    makefile = (CHECKOUT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_the_settings_of_the_docs_are_valid() -> None:
    (block,) = blocks(CHECKOUT / "docs" / "home.md", "toml")
    settings = read(block, Path("settings.toml"))
    assert settings.profiles["acme-prod"].read_only


def test_the_readme_leads_nowhere_that_is_not_there() -> None:
    for page in (CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_jobs_of_the_page_are_those_that_workers_do() -> None:
    """Each with its period."""
    page = (CHECKOUT / "docs" / "jobs.md").read_text(encoding="utf-8")
    shown = {
        name: period
        for names, period in re.findall(r"^\| (`[^|]*`) \| (\d+ \w+) \|", page, re.M)
        for name in re.findall(r"`(\w+)`", names)
    }
    units = {"s": 1, "min": 60, "h": 3600}
    seconds = {name: int(period.split()[0]) * units[period.split()[1]] for name, period in shown.items()}
    periods = {name: kind.every.total_seconds() for name, kind in kinds().items() if kind.every}
    assert seconds == {**periods, "sign_audit_checkpoint": SIGN_EVERY.total_seconds()}  # each worker has its own of it
