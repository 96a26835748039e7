"""The command line in tests: in this process for speed, or the real program."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.__main__ import _guarded
from tests.postgres import Database

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout: nothing before it, nothing after it."""
        value, end = json.JSONDecoder().raw_decode(self.out)
        assert self.out[end:] == "\n"
        assert self.out.isascii()
        return value


def url_of(conninfo: str, **instead: Any) -> tuple[str, str]:
    """A conninfo as what --home takes, which never holds a password; and the password."""
    parts = conninfo_to_dict(conninfo) | instead
    host = quote(str(parts["host"]), safe="")
    return f"postgresql://{parts['user']}@{host}:{parts['port']}/{parts['dbname']}", str(parts["password"])


@dataclass
class Cli:
    """`watchfloor` on a test's database, as one role."""

    database: Database
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def log_in(self, role: str = "admin", **instead: Any) -> None:
        url, password = url_of(self.database.login(role), **instead)
        self.monkeypatch.setenv("WATCHFLOOR_HOME", url)
        self.monkeypatch.setenv("PGPASSWORD", password)

    def __call__(self, *words: str) -> Answer:
        self.capsys.readouterr()
        code = _guarded(list(words))
        captured = self.capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    def done(self, *words: str) -> Any:
        """The document of a command that must succeed."""
        answer = self(*words, "--json")
        assert answer.code == 0, answer
        return answer.document

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """As the owner, past all operations."""
        with psycopg.connect(self.database.owner, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []


def program(*words: str, typed: Iterable[tuple[str, str]] | None = None, **more: Any) -> Answer:
    """The real program. With `typed` its stdin is a terminal: when it has asked the one, the other is typed."""
    command = [sys.executable, "-m", "app", *words]
    if typed is None:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
        return Answer(done.returncode, done.stdout, done.stderr)
    ours, its = pty.openpty()
    try:
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=its,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # else a password is asked for on the terminal of whoever runs the tests
        )
        assert running.stderr is not None
        said = b""
        for question, answer in typed:
            place = len(said)
            while question.encode() not in said[place:] and (byte := running.stderr.read(1)):
                said += byte
            os.write(ours, answer.encode())
        out, err = running.communicate(timeout=60)
        return Answer(running.returncode, out.decode(), (said + err).decode())
    finally:
        os.close(ours)
        os.close(its)
