"""Reports on the command line: asked for, waited for, and written in three forms."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest

from controlplane.reports.data import document
from tests.app.commands import Cli
from tests.controlplane.test_reports import ASKED, KEPT, figures

PAGE = (Path(__file__).parents[2] / "docs/reports.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_runs_and_says_what_is_waited_for(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^watchfloor (reports .*?)(?: +#.*)?$", PAGE, re.M)
    assert [line.split()[1] for line in shown] == ["list", "make", "show", "write"]
    text = document(ASKED, figures(), [KEPT])
    for line in shown:
        if line.startswith("reports write"):
            waits = cli(*shlex.split(line))
            assert waits.code != 0 and "has yet to make" in waits.err and not Path("report.html").exists()
            digest = hashlib.sha256(text.encode()).hexdigest()
            cli.sql(f"UPDATE wf.report_data SET data = $x${text}$x$ RETURNING 1")
            cli.sql(f"UPDATE wf.reports SET made_at = now(), sha256 = '{digest}' RETURNING 1")
        assert cli(*shlex.split(line)).code == 0, line
    assert "has yet to make it" not in (said := cli("reports", "show", "1").out) and "every gate that was run" in said
    assert cli.done("reports", "show", "1")["item"]["data"] == json.loads(text)
    assert Path("report.html").read_text().count("<svg") == 2
    assert cli("reports", "write", "1", "report.html").code == 2, "nothing is overwritten"
    assert cli("reports", "write", "1", "report.pdf").code == 2
    for form in ("md", "json"):
        assert cli("reports", "write", "1", f"report.{form}").code == 0
    assert Path("report.json").read_text() == text and Path("report.md").read_text().startswith("# Governance report")
