"""OpenStack's logs of requests, as nova and its sister services write them with oslo.log."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from controlplane.requestlogs.combined import METHOD, PATH
from controlplane.requestlogs.model import BOM, MAX_TEXTS, RequestRow, Skip
from controlplane.requestlogs.routes import Routes

# The leading file name is there when several of nova's logs were merged into one.
_NOVA_START = r"(?:[^ ]+ )?((?:19[7-9]|2[01][0-9])[0-9]-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{1,6}) [0-9]+ [A-Z]+ [^ ]+ "
# The context that oslo.log writes: the global request id (since Pike), the request's own, user, project, and three or
# four words for domains and scope. A shorter form (DevStack's) may hold names in another order, so it is not read.
_OSLO_CONTEXT = (
    r"(?:None |req-[^ ]+ (?=req-))?+"
    r"([^ ]+) [^ ]+ ([A-Za-z0-9][A-Za-z0-9._-]{0,63}|-)(?: [^ \]]+){1,4}"
)
_NOVA = re.compile(
    _NOVA_START + rf'\[(?:{_OSLO_CONTEXT}|-)\] [^ ]+ "({METHOD.pattern}) ({PATH})(?: HTTP/[0-9.]+)?"'
    r" status: ([1-5][0-9]{2}) +len: ([0-9]{1,15}|-)(?= microversion: | time: )"
    r"(?: microversion: [^ ]+)?(?: time: ([0-9]{1,6}(?:\.[0-9]{1,9})?))?"
)
_NOVA_MESSAGE = re.compile(_NOVA_START)


def nova_lines() -> Callable[[str], RequestRow | Skip]:
    """nova's log, and those of services that log like it. Its times have no zone; OpenStack runs in UTC."""
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
        if request_id == "-" or len(request_id) > MAX_TEXTS["request_id"]:
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


_END = re.compile(rb" time: \d+\.\d{7}$| microversion: [^ ]+ time: \d+\.\d{6}$")


def ends(line: bytes) -> bool:
    """Whether the last number of the line has all its digits, so that the line is complete."""
    return _END.search(line) is not None
