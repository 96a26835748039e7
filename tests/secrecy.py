"""Nothing that a test leaves behind holds a secret: looked at after every test and once more at the end of all.

A secret may be on the standard output of the command that makes it, and in the file that was named for many. What the
home keeps, what is logged and what is left on the disk holds its first letters at most.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql

SECRET = r"_(?:live|test)_[A-Za-z0-9]{20,}"
_SECRET = re.compile(SECRET.encode())
LARGEST = 32 << 20
"""Bytes of a table or file that is looked at: larger ones are rows by the million that a test made by SQL."""
HANDED_OUT = "secrets"
"""Files whose names begin so are those that a test named for the secrets of many."""


def in_database(connection: psycopg.Connection) -> list[str]:
    """Tables with a secret in a row, and what it is."""
    tables = connection.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname ~ '^wf' AND c.relkind = 'r' AND pg_relation_size(c.oid) BETWEEN 1 AND %s",
        [LARGEST],
    ).fetchall()
    if not tables:
        return []
    each = "SELECT {name}, substring(t::text FROM {secret}) FROM {table} t WHERE t::text ~ {secret}"
    parts = [sql.SQL(each).format(name=table, secret=SECRET, table=sql.SQL(table)) for (table,) in tables]
    return [f"{table}: {found}" for table, found in connection.execute(sql.SQL(" UNION ALL ").join(parts))]


def in_files(paths: Iterable[Path]) -> list[str]:
    """Files with a secret in their bytes, and what it is."""
    return [
        f"{path}: {found.decode()}"
        for path in paths
        if path.is_file() and not path.name.startswith(HANDED_OUT) and path.stat().st_size <= LARGEST
        for found in _SECRET.findall(path.read_bytes())
    ]


class LogWatch(logging.Handler):
    """Hears every record of every logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if _SECRET.search(text.encode(errors="replace")):
            self.found.append(f"{record.name}: {text}")
