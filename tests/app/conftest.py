from __future__ import annotations

import pytest

from tests.app.commands import Cli
from tests.postgres import Database


@pytest.fixture
def cli(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line as an admin of a fresh database."""
    cli = Cli(database, monkeypatch, capsys)
    cli.log_in("admin")
    return cli
