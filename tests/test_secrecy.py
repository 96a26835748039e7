"""That the watch over secrets would see one: it looks at every other test, and finds nothing there."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg

from controlplane.keys.secret import display, make
from tests import secrecy
from tests.postgres import Database


def test_a_secret_is_seen_in_a_table_a_file_and_a_log(empty_database: Database, tmp_path: Path) -> None:
    secret = make("wf", "live")
    with psycopg.connect(empty_database.owner) as connection:
        connection.execute("CREATE SCHEMA wf")
        connection.execute("CREATE TABLE wf.notes AS SELECT 1 AS n, %s AS words", [f"rotated {display(secret)}"])
        assert secrecy.in_database(connection) == []
        connection.execute("INSERT INTO wf.notes VALUES (2, %s)", [f"rotated {secret}"])
        assert secrecy.in_database(connection) == [f"wf.notes: {secret[2:]}"]
    for name in ("words", "secrets"):
        (tmp_path / name).write_text(f"rotated {secret}")
    assert secrecy.in_files(tmp_path.iterdir()) == [f"{tmp_path / 'words'}: {secret[2:]}"]
    (tmp_path / "words").unlink()
    watch = secrecy.LogWatch()
    for words in (display(secret), secret):
        watch.handle(logging.LogRecord("home", logging.DEBUG, "", 1, "rotated %s", (words,), None))
    assert len(watch.found) == 1
