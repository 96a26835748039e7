"""Requests as logs hold them, why a line is not a request, and the report of an import."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

MAX_LINE_BYTES = 65_536
"""Without the line's end."""
FIRST_LINES = 20
"""How many line numbers and tenants a report names."""
BOM = "\ufeff"
"""Some programs begin a file with it; where files were joined, a line begins with it."""
MAX_TEXTS = {"project_id": 64, "method": 16, "key_prefix": 64, "region": 64, "request_id": 128}
"""The most characters of each text field."""
TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Format(StrEnum):
    OPENSTACK_NOVA = "openstack-nova"
    COMBINED = "combined"
    JSONL = "jsonl"


class Skip(StrEnum):
    """Why a line is not stored. The value is the stable code; `words` says it."""

    BLANK = "blank"
    NOT_A_REQUEST = "not_a_request"
    FIELD_MISSING = "field_missing"
    NO_TENANT = "no_tenant"
    UNAUTHENTICATED = "unauthenticated"
    UNKNOWN_TENANT = "unknown_tenant"
    UNREADABLE = "unreadable"
    BAD_TENANT = "bad_tenant"
    BAD_VALUE = "bad_value"
    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    UNFINISHED = "unfinished"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def is_fault(self) -> bool:
        """Whether the line should have been readable; `--strict` stops at such a line."""
        return self in _FAULTS


_WORDS = {
    Skip.BLANK: "empty line",
    Skip.NOT_A_REQUEST: "another message of the program, not a request",
    Skip.FIELD_MISSING: "time, status or path is missing: another message, or a request that got no answer",
    Skip.NO_TENANT: "a request without a tenant",
    Skip.UNAUTHENTICATED: "a 401: the tenant is only what the caller claimed, so nobody is credited",
    Skip.UNKNOWN_TENANT: "a tenant that this home does not have, or has erased",
    Skip.UNREADABLE: "not a line of this format",
    Skip.BAD_TENANT: "not a tenant id",
    Skip.BAD_VALUE: "an impossible value: status, time, latency or size out of range, or a text too long",
    Skip.NOT_TEXT: "bytes that are not text (not UTF-8, or NUL)",
    Skip.TOO_LONG: f"longer than {MAX_LINE_BYTES:,} bytes",
    Skip.UNFINISHED: "the last line stops in the middle",
}
_FAULTS = frozenset(
    {
        Skip.UNREADABLE,
        Skip.BAD_TENANT,
        Skip.BAD_VALUE,
        Skip.NOT_TEXT,
        Skip.TOO_LONG,
        Skip.UNFINISHED,
    }
)


class RequestRow(NamedTuple):
    """One request. `at` is in UTC; `latency_ms` and `bytes` are None when the log does not have them.

    `key_id` and `address` (IPv4) come only from services that know their callers; logs have neither.
    """

    tenant_id: str
    project_id: str | None
    route: str
    method: str
    status: int
    latency_ms: float | None
    key_prefix: str | None
    region: str | None
    request_id: str | None
    at: datetime
    bytes: int | None
    key_id: str | None = None
    address: str | None = None


def checked(row: RequestRow, *, claimed: bool) -> RequestRow | Skip:
    """The checks that all formats share. `claimed`: the tenant is the one that the request itself claimed."""
    if not 100 <= row.status <= 599 or not 1970 <= row.at.year <= 2199:
        return Skip.BAD_VALUE
    if row.latency_ms is not None and not 0 <= row.latency_ms <= 1e9:
        return Skip.BAD_VALUE
    if row.status == 401 and claimed:
        return Skip.UNAUTHENTICATED
    return row


@dataclass
class ImportReport:
    """What an import did. Times are in UTC; `first_lines`: line numbers from 1, at most 20 for each reason."""

    rows: int = 0
    lines: int = 0
    skipped: dict[Skip, int] = field(default_factory=dict)
    first_lines: dict[Skip, list[int]] = field(default_factory=dict)
    unknown_tenants: list[str] = field(default_factory=list)  # the first 20
    created_tenants: list[str] = field(default_factory=list)
    already_lines: int = 0  # lines that an earlier import had stored
    already_rows: int = 0  # requests in them
    resumed_rows: int = 0  # rows stored by an import that was killed; this one recorded them in the trail
    seconds: float = 0.0
    from_at: datetime | None = None
    until_at: datetime | None = None
    notes: list[str] = field(default_factory=list)  # what a person should know, in words
    dry_run: bool = False
    first: list[Any] = field(default_factory=list)  # of a dry run: how the first lines are read (LineRead)

    @property
    def only_unknown(self) -> bool:
        """Whether no request was stored, now or before, because the tenants are unknown."""
        return bool(self.unknown_tenants) and not self.rows and not self.already_rows

    def skip(self, reason: Skip, line: int) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        lines = self.first_lines.setdefault(reason, [])
        if len(lines) < FIRST_LINES:
            lines.append(line)


@dataclass(frozen=True)
class Progress:
    """How far an import is. `bytes_total` is 0 when the size is not known (a pipe)."""

    bytes_done: int
    bytes_total: int
    rows: int
    rows_per_second: float
