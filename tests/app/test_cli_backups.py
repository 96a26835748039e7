"""`watchfloor home backup` and `home restore`, from one home by URL into another."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.__main__ import _guarded
from tests.app.commands import Answer, url_of
from tests.postgres import Database


def test_a_home_is_moved_with_two_commands(
    database: Database,
    empty_database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(home: Database, *words: str) -> Answer:
        url, password = url_of(home.owner)
        monkeypatch.setenv("WATCHFLOOR_HOME", url)
        monkeypatch.setenv("PGPASSWORD", password)
        code = _guarded(list(words))
        return Answer(code, *capsys.readouterr())

    file = str(tmp_path / "file")
    saved = run(database, "home", "backup", file, "--json")
    assert saved.code == 0, saved.err
    assert saved.document["item"] == {"file": file, "bytes": Path(file).stat().st_size}
    again = run(database, "home", "backup", file)
    assert again.code == 5 and "[backup_exists]" in again.err
    assert "[confirmation_needed]" in run(empty_database, "home", "restore", file).err
    assert run(empty_database, "home", "restore", file, "--dry-run", "--json").document["result"]["restored"] is False
    assert run(empty_database, "home", "restore", str(tmp_path / "none"), "--yes").code == 4
    done = run(empty_database, "home", "restore", file, "--yes", "--json").document
    assert done["result"] == {"restored": True, "operators_without_login": []}
    assert run(empty_database, "home", "status", "--json").document["item"]["usable"] is True
    full = run(empty_database, "home", "restore", file, "--yes")
    assert full.code == 5 and "[home_not_empty]" in full.err
