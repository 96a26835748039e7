"""Request logs: one line in, one request out, or the reason why not. Pure; reading and storing are the hands'.

A line is foreign and hostile. A parser never raises: what it cannot read is a Skip, and every Skip is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from controlplane.requestlogs.jsonlines import json_lines
from controlplane.requestlogs.model import BOM, LONGEST_LINE, LONGEST_TEXTS, Format, RequestRow, Skip, checked
from controlplane.requestlogs.routes import Routes

Parser = Callable[[bytes], RequestRow | Skip]


def reader(log: Format, tenant_id: str | None = None) -> Callable[[str], RequestRow | Skip]:
    """Reads lines that are known to be text without NUL and not too long: what `parser` makes sure of first."""
    if log is Format.OPENSTACK_NOVA:
        return _nova()
    if log is Format.COMBINED:
        assert tenant_id, "a combined log does not say whose requests it holds"
        return _combined(tenant_id)
    return json_lines()


def parser(log: Format, tenant_id: str | None = None) -> Parser:
    """A parser for the lines of one log, without their line ends. `tenant_id`: whose requests a combined log holds."""
    return guarded(reader(log, tenant_id))


def guarded(read: Callable[[str], RequestRow | Skip]) -> Parser:
    """A reader that any bytes may be given to. NULs before a line are what a crash, or a log that was cut, leaves."""

    def parse(line: bytes) -> RequestRow | Skip:
        if line[:1] == b"\0":
            line = line.lstrip(b"\0")
        if len(line) > LONGEST_LINE:
            return Skip.TOO_LONG
        if b"\0" in line:
            return Skip.NOT_TEXT
        try:
            return read(line.decode())
        except UnicodeDecodeError:
            found = read(line.decode(errors="replace"))  # most often only a name is of another encoding
            return Skip.NOT_TEXT if found is Skip.UNREADABLE else found

    return parse


def parse(log: Format, line: bytes | str, tenant_id: str | None = None) -> RequestRow | Skip:
    """One line by itself; for many, keep a `parser`."""
    return parser(log, tenant_id)(line.encode(errors="surrogateescape") if isinstance(line, str) else line)


# The leading file name is there when several of nova's logs were merged into one.
_NOVA_START = r"(?:[^ ]+ )?((?:19[7-9]|2[01][0-9])[0-9]-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{1,6}) [0-9]+ [A-Z]+ [^ ]+ "
# What oslo.log writes of the context: the global request id (since Pike), the request's own, user, project, and three
# or four words of domains and scope. A form of fewer words (DevStack's) may hold names in another order: it is unread.
_OSLO_CONTEXT = (
    r"(?:None |req-[^ ]+ (?=req-))?+"
    r"([^ ]+) [^ ]+ ([A-Za-z0-9][A-Za-z0-9._-]{0,63}|-)(?: [^ \]]+){1,4}"
)
_METHOD = "[A-Z](?:[A-Z-]{0,14}[A-Z])?"
_PATH = "[^ ]+(?: [^ ]*)*?"
"""A client may ask for a path with spaces in it."""
_NOVA = re.compile(
    _NOVA_START + rf'\[(?:{_OSLO_CONTEXT}|-)\] [^ ]+ "({_METHOD}) ({_PATH})(?: HTTP/[0-9.]+)?"'
    r" status: ([1-5][0-9]{2}) +len: ([0-9]{1,15}|-)(?= microversion: | time: )"
    r"(?: microversion: [^ ]+)?(?: time: ([0-9]{1,6}(?:\.[0-9]{1,9})?))?"
)
_NOVA_MESSAGE = re.compile(_NOVA_START)


def _nova() -> Callable[[str], RequestRow | Skip]:
    """nova's log, and those of services that log like it. Its times have no zone: UTC is what OpenStack runs in."""
    routes, match, moment_of, make = Routes(), _NOVA.fullmatch, datetime.fromisoformat, tuple.__new__

    def read(line: str) -> RequestRow | Skip:
        found = match(line.rstrip())
        if found is None:
            if line.startswith(BOM):
                return read(line.lstrip(BOM))
            return _other_nova_line(line)
        at, request_id, tenant_id, method, path, status, size, seconds = found.groups()
        if tenant_id in (None, "-", "None"):
            return Skip.NO_TENANT
        if status == "401":
            return Skip.UNAUTHENTICATED
        try:
            moment = moment_of(at + "+00:00")
        except ValueError:
            return Skip.BAD_VALUE
        if request_id == "-" or len(request_id) > LONGEST_TEXTS["request_id"]:
            request_id = None
        route, latency = routes(path, tenant_id), None if seconds is None else float(seconds) * 1000
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
                None if size == "-" else int(size),
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
_ASKED = re.compile(rf"({_METHOD}) ({_PATH})(?: HTTP/[0-9.]+)?")
_MONTHS = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


def _combined(tenant_id: str) -> Callable[[str], RequestRow | Skip]:
    """Apache's and nginx's access log. It has no latency. Addresses, user names and agents are not kept."""
    routes, match, instants = Routes(), _COMBINED.fullmatch, {"": datetime.min}

    def read(line: str) -> RequestRow | Skip:
        found = match(line.rstrip())
        if found is None:
            return Skip.UNREADABLE if line.lstrip(BOM).strip() else Skip.BLANK
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
        return checked(row, claimed=False)

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


def is_whole(log: Format, line: bytes) -> bool:
    """Whether a last line without its line end is nevertheless complete; else it may still be being written."""
    line = line.rstrip()
    if log is Format.OPENSTACK_NOVA:
        return _NOVA_END.search(line) is not None
    return line.endswith(b'"' if log is Format.COMBINED else b"}") and parse(log, line, "any") is not Skip.UNREADABLE


_NOVA_END = re.compile(rb" time: \d+\.\d{7}$| microversion: [^ ]+ time: \d+\.\d{6}$")
