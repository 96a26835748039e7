"""Request logs: one line in, one request out, or the reason why not. Pure; reading and storing are the hands'.

A line is foreign and hostile. A parser never raises: what it cannot read is a Skip, and every Skip is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, NamedTuple

LONGEST_LINE = 65_536
"""Bytes, without the line's end."""
LONGEST_ROUTE = 200
FIRST_LINES = 20
"""How many line numbers, and tenants, a report names."""


class Format(StrEnum):
    OPENSTACK_NOVA = "openstack-nova"
    COMBINED = "combined"
    JSONL = "jsonl"


class Skip(StrEnum):
    """Why a line is not stored. The value is the stable code; `words` says it."""

    BLANK = "blank"
    NOT_A_REQUEST = "not_a_request"
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
        """The line should have been readable: what `--strict` stops at."""
        return self in _FAULTS


_WORDS = {
    Skip.BLANK: "empty line",
    Skip.NOT_A_REQUEST: "another message of the program, not a request",
    Skip.NO_TENANT: "a request without a tenant",
    Skip.UNAUTHENTICATED: "a 401: the tenant is only what the caller claimed, so nobody is credited",
    Skip.UNKNOWN_TENANT: "a tenant that this home does not have, or has erased",
    Skip.UNREADABLE: "not a line of this format",
    Skip.BAD_TENANT: "not a tenant id",
    Skip.BAD_VALUE: "a value that cannot be: status, time, latency or size out of range, or a text too long",
    Skip.NOT_TEXT: "bytes that are no text (not UTF-8, or NUL)",
    Skip.TOO_LONG: f"longer than {LONGEST_LINE:,} bytes",
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

    `key_id` and `address` (IPv4) are of the services that know their callers; logs have neither.
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


Parser = Callable[[bytes], RequestRow | Skip]

TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_ID = f"[0-9]+|(?:[A-Za-z]{{1,16}}[-_])?(?:{_UUID}|{_HEX}{{16,}})|(?=[a-fA-F]*[0-9]){_HEX}{{8,}}"
_ID_PART = re.compile(rf"(?<=/)(?:{_ID})(?=/|$)")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def route_of(path: str, tenant_id: str = "") -> str:
    """What a request's path is counted under: no origin, no query string, ids as {id}, at most 200 characters.

    An id is the tenant's own, a number, a UUID or a hexadecimal of at least 8 characters that is no word
    (a short prefix as in `srv_…` included).
    """
    if not path.startswith("/") and (origin := _ORIGIN.match(path)):
        path = path[origin.end() :]
    if "?" in path or "#" in path:
        path = path.partition("?")[0].partition("#")[0]
    path = path[: 4 * LONGEST_ROUTE] or "/"
    route = _ID_PART.sub("{id}", path)
    if tenant_id and tenant_id in route:
        route = "/".join("{id}" if part == tenant_id else part for part in route.split("/"))
    return route if len(route) <= LONGEST_ROUTE else route[: LONGEST_ROUTE - 1] + "…"


class _Routes:
    """`route_of`, remembered: a log asks for few paths, very often. Forgets all when it has learned too many."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}

    def __call__(self, path: str, tenant_id: str) -> str:
        route = self.known.get((path, tenant_id))
        if route is None:
            if len(self.known) >= 10_000:
                self.known.clear()
            route = route_of(path, tenant_id)
            if len(path) <= 1000:
                self.known[path, tenant_id] = route
        return route


def reader(log: Format, tenant_id: str | None = None) -> Callable[[str], RequestRow | Skip]:
    """Reads lines that are known to be text without NUL and not too long: what `parser` makes sure of first."""
    if log is Format.OPENSTACK_NOVA:
        return _nova()
    if log is Format.COMBINED:
        assert tenant_id, "a combined log does not say whose requests it holds"
        return _combined(tenant_id)
    return _jsonl()


def parser(log: Format, tenant_id: str | None = None) -> Parser:
    """A parser for the lines of one log, without their line ends. `tenant_id`: whose requests a combined log holds."""
    return guarded(reader(log, tenant_id))


def guarded(read: Callable[[str], RequestRow | Skip]) -> Parser:
    """A reader that any bytes may be given to."""

    def parse(line: bytes) -> RequestRow | Skip:
        if len(line) > LONGEST_LINE:
            return Skip.TOO_LONG
        if b"\0" in line:
            return Skip.NOT_TEXT
        try:
            return read(line.decode())
        except UnicodeDecodeError:
            return Skip.NOT_TEXT

    return parse


def parse(log: Format, line: bytes | str, tenant_id: str | None = None) -> RequestRow | Skip:
    """One line by itself; for many, keep a `parser`."""
    return parser(log, tenant_id)(line.encode(errors="surrogateescape") if isinstance(line, str) else line)


# The leading file name is there when several of nova's logs were merged into one.
_NOVA_START = r"(?:[^ ]+ )?((?:19[7-9]|2[01][0-9])[0-9]-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{1,6}) [0-9]+ [A-Z]+ [^ ]+ "
_NOVA = re.compile(
    _NOVA_START + r'\[(?:([^ ]+) [^ ]+ ([A-Za-z0-9][A-Za-z0-9._-]{0,63}|-) [^\]]*|-)\] [^ ]+ "([A-Z]{1,16}) ([^ ]+)'
    r' HTTP/[0-9.]+" status: ([1-5][0-9]{2}) len: ([0-9]{1,15}) time: ([0-9]{1,6}(?:\.[0-9]{1,9})?)'
)
_NOVA_MESSAGE = re.compile(_NOVA_START)


def _nova() -> Callable[[str], RequestRow | Skip]:
    """nova's log has no zone: its times are taken as UTC, which is what OpenStack's services run in."""
    routes, match, moment_of, make = _Routes(), _NOVA.fullmatch, datetime.fromisoformat, tuple.__new__

    def read(line: str) -> RequestRow | Skip:
        found = match(line.rstrip())
        if found is None:
            return _other_nova_line(line)
        at, request_id, tenant_id, method, path, status, size, seconds = found.groups()
        if tenant_id is None or tenant_id == "-":
            return Skip.NO_TENANT
        if status == "401":
            return Skip.UNAUTHENTICATED
        try:
            moment = moment_of(at + "+00:00")
        except ValueError:
            return Skip.BAD_VALUE
        if request_id == "-" or len(request_id) > _TEXTS["request_id"]:
            request_id = None
        route, latency = routes(path, tenant_id), float(seconds) * 1000
        return make(
            RequestRow,
            (
                tenant_id,
                None,
                route,
                method,
                int(status),
                latency,
                None,
                None,
                request_id,
                moment,
                int(size),
                None,
                None,
            ),
        )

    return read


def _other_nova_line(line: str) -> Skip:
    if not line.strip():
        return Skip.BLANK
    if _NOVA_MESSAGE.match(line) and '" status: ' not in line:
        return Skip.NOT_A_REQUEST
    return Skip.UNREADABLE


_COMBINED = re.compile(
    r"[^ ]+ [^ ]+ (?:[^ ]+|.{1,256}?) \[([^\]]{26})\]"
    r' "([^"\\]*(?:\\.[^"\\]*)*)" ([1-5][0-9]{2}) ([0-9]{1,15}|-)(?: .*)?'
)
_STAMP = re.compile(r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}")
_ASKED = re.compile(r"([A-Z]{1,16}) ([^ ]+)(?: HTTP/[0-9.]+)?")
_MONTHS = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


def _combined(tenant_id: str) -> Callable[[str], RequestRow | Skip]:
    """Apache's and nginx's access log. It has no latency. Addresses, user names and agents are not kept."""
    routes, match, instants = _Routes(), _COMBINED.fullmatch, {"": datetime.min}

    def read(line: str) -> RequestRow | Skip:
        found = match(line.rstrip())
        if found is None:
            return Skip.UNREADABLE if line.strip() else Skip.BLANK
        stamp, asked, status, size = found.groups()
        moment = instants.get(stamp)
        if moment is None:
            if len(instants) >= 10_000:
                instants.clear()
            try:
                moment = instants[stamp] = _combined_instant(stamp)
            except (ValueError, KeyError, OverflowError):
                return Skip.BAD_VALUE
        # A request line that is none (a port scan, TLS on a plain port) was answered as well: it counts.
        words = _ASKED.fullmatch(asked)
        method, route = (words[1], routes(words[2], tenant_id)) if words else ("-", "-")
        length = None if size == "-" else int(size)
        row = RequestRow(tenant_id, None, route, method, int(status), None, None, None, None, moment, length)
        return _checked(row, claimed=False)

    return read


def _combined_instant(stamp: str) -> datetime:
    """From `17/May/2015:10:05:03 +0000`, whatever the locale. Raises ValueError, KeyError, OverflowError."""
    if not _STAMP.fullmatch(stamp):
        raise ValueError(stamp)
    day, month, year = int(stamp[:2]), _MONTHS[stamp[3:6]], int(stamp[7:11])
    ahead = timedelta(hours=int(stamp[22:24]), minutes=int(stamp[24:26]))
    zone = timezone(-ahead if stamp[21] == "-" else ahead)
    local = datetime(year, month, day, int(stamp[12:14]), int(stamp[15:17]), int(stamp[18:20]), tzinfo=zone)
    return local.astimezone(UTC)


_TEXTS = {"project_id": 64, "method": 16, "key_prefix": 64, "region": 64, "request_id": 128}
"""Fields of a JSON line that are text, with the most characters that they may have."""


Names = tuple[str, str | None, str, str, str | None, str | None]
"""Of a JSON line: tenant, project, route, method, key prefix, region."""


def _jsonl() -> Callable[[str], RequestRow | Skip]:
    """One JSON object a line, with the fields of RequestRow; others are ignored. A time without zone is UTC.

    Few lines name what no line before them named: names are looked at once and remembered, as routes are.
    """
    routes, decode, make = _Routes(), json.JSONDecoder().raw_decode, tuple.__new__
    known: dict[tuple[Any, ...], Names] = {}

    def read(line: str) -> RequestRow | Skip:
        try:
            value, end = decode(line)
            if end != len(line) and line[end:].strip(" \t\r\n"):
                return Skip.UNREADABLE
        except ValueError:
            value = _spaced(line)
        except RecursionError:
            return Skip.UNREADABLE
        if value.__class__ is not dict:
            return value if isinstance(value, Skip) else Skip.UNREADABLE
        get = value.get
        told = (
            get("tenant_id"), get("project_id"), get("route"), get("method"), get("key_prefix"), get("region")
        )  # fmt: skip
        try:
            names: Names | Skip | None = known.get(told)
        except TypeError:  # a list or an object is none
            names = None
        if names is None:
            names = _names(*told, routes)
            if isinstance(names, Skip):
                return names
            if len(line) <= 4000:
                if len(known) >= 10_000:
                    known.clear()
                known[told] = names
        tenant_id, project_id, route, method, key_prefix, region = names
        request_id, status, latency, size = get("request_id"), get("status"), get("latency_ms"), get("bytes")
        if request_id is not None:
            if request_id.__class__ is not str or len(request_id) > _TEXTS["request_id"]:
                return Skip.BAD_VALUE
            if not _stores(request_id):
                return Skip.NOT_TEXT
        if status.__class__ is not int or latency.__class__ not in _NUMBERS:
            return Skip.BAD_VALUE
        moment = _json_instant(get("at"))
        if moment is None or not (size is None or (size.__class__ is int and 0 <= size < 10**15)):
            return Skip.BAD_VALUE
        row = make(
            RequestRow,
            (
                tenant_id,
                project_id,
                route,
                method,
                status,
                latency,
                key_prefix,
                region,
                request_id,
                moment,
                size,
                None,
                None,
            ),
        )
        return _checked(row, claimed=True)

    return read


_NUMBERS = (float, int, type(None))


def _spaced(line: str) -> Any:
    """A line that does not begin with its value: that after spaces, or why there is none."""
    if not line.strip():
        return Skip.BLANK
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return Skip.UNREADABLE


def _names(
    tenant_id: Any, project_id: Any, route: Any, method: Any, key_prefix: Any, region: Any, routes: _Routes
) -> Names | Skip:
    if tenant_id in (None, "", "-"):
        return Skip.NO_TENANT
    if not isinstance(tenant_id, str) or not TENANT_ID.fullmatch(tenant_id):
        return Skip.BAD_TENANT
    if not isinstance(route, str):
        return Skip.BAD_VALUE
    whole = route
    for name, text in (("project_id", project_id), ("method", method), ("key_prefix", key_prefix), ("region", region)):
        if text is not None:
            if not isinstance(text, str) or len(text) > _TEXTS[name]:
                return Skip.BAD_VALUE
            whole += text
    if not _stores(whole):
        return Skip.NOT_TEXT
    return tenant_id, project_id, routes(route, tenant_id), method or "-", key_prefix, region


def _stores(text: str) -> bool:
    r"""JSON can spell what no database text can hold: "\u0000" and half a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def _json_instant(value: Any) -> datetime | None:
    if value.__class__ is not str:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _checked(row: RequestRow, *, claimed: bool) -> RequestRow | Skip:
    """The checks that all formats share. `claimed`: the log's tenant is what the request itself said."""
    if not 100 <= row.status <= 599 or not 1970 <= row.at.year <= 2199:
        return Skip.BAD_VALUE
    if row.latency_ms is not None and not 0 <= row.latency_ms <= 1e9:
        return Skip.BAD_VALUE
    if row.status == 401 and claimed:
        return Skip.UNAUTHENTICATED
    return row


def is_whole(log: Format, line: bytes) -> bool:
    """Whether a last line without its line end is nevertheless complete; else it may still be being written."""
    line = line.rstrip()
    if log is Format.OPENSTACK_NOVA:
        return re.search(rb" time: \d+\.\d{7}$", line) is not None
    if log is Format.COMBINED:
        return line.endswith(b'"')
    return line.endswith(b"}") and parse(log, line) is not Skip.UNREADABLE


@dataclass
class ImportReport:
    """What an import did. Times in UTC; `first_lines` are line numbers, from 1, at most 20 for each reason."""

    rows: int = 0
    lines: int = 0
    skipped: dict[Skip, int] = field(default_factory=dict)
    first_lines: dict[Skip, list[int]] = field(default_factory=dict)
    unknown_tenants: list[str] = field(default_factory=list)  # the first 20
    created_tenants: list[str] = field(default_factory=list)
    already_lines: int = 0  # lines that an earlier import had stored
    resumed_rows: int = 0  # rows that an import that was killed had stored, brought into the trail by this one
    seconds: float = 0.0
    from_at: datetime | None = None
    until_at: datetime | None = None
    notes: list[str] = field(default_factory=list)  # what a person should know, in words
    dry_run: bool = False

    def skip(self, reason: Skip, line: int) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        lines = self.first_lines.setdefault(reason, [])
        if len(lines) < FIRST_LINES:
            lines.append(line)


@dataclass(frozen=True)
class Progress:
    """Where an import stands. `bytes_total` is 0 when the size is not known (a pipe)."""

    bytes_done: int
    bytes_total: int
    rows: int
    rows_per_second: float
