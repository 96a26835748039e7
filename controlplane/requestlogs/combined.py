"""The combined log of Apache and nginx, and the request line, which other formats have too."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from controlplane.requestlogs.model import BOM, RequestRow, Skip, checked
from controlplane.requestlogs.routes import Routes

METHOD = re.compile("[A-Z](?:[A-Z-]{0,14}[A-Z])?")
PATH = "[^ ]+(?: [^ ]*)*?"
"""A client may ask for a path with spaces in it."""
_ASKED = re.compile(rf"({METHOD.pattern}) ({PATH})(?: HTTP/[0-9.]+)?")
_COMBINED = re.compile(
    r"[^ ]+ [^ ]+ (?:[^ ]+|.{1,256}?) \[([^\]]{26})\]"
    r' "([^"\\]*(?:\\.[^"\\]*)*)" ([1-5][0-9]{2}) ([0-9]{1,15}|-)(?: .*)?'
)
STAMP = re.compile(r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}")
_MONTHS = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


def combined_lines(tenant_id: str) -> Callable[[str], RequestRow | Skip]:
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
                moment = instants[stamp] = combined_instant(stamp)
            except (ValueError, KeyError, OverflowError):
                return Skip.BAD_VALUE
        method, path = asked_for(asked)
        route = routes(path, tenant_id) if path != "-" else "-"
        length = None if size == "-" else int(size)
        row = RequestRow(tenant_id, None, route, method, int(status), None, None, None, None, moment, length)
        return checked(row, claimed=False)

    return read


def combined_instant(stamp: str) -> datetime:
    """From `17/May/2015:10:05:03 +0000`, whatever the locale. Raises ValueError, KeyError, OverflowError."""
    if not STAMP.fullmatch(stamp):
        raise ValueError(stamp)
    day, month, year = int(stamp[:2]), _MONTHS[stamp[3:6]], int(stamp[7:11])
    ahead = timedelta(hours=int(stamp[22:24]), minutes=int(stamp[24:26]))
    zone = timezone(-ahead if stamp[21] == "-" else ahead)
    local = datetime(year, month, day, int(stamp[12:14]), int(stamp[15:17]), int(stamp[18:20]), tzinfo=zone)
    return local.astimezone(UTC)


def asked_for(line: str) -> tuple[str, str]:
    """Method and path of `GET / HTTP/1.1`. Anything else (a port scan, TLS on a plain port) was answered too, so it
    counts, under `-`.
    """
    words = _ASKED.fullmatch(line)
    return (words[1], words[2]) if words else ("-", "-")
