"""Lines of logs that have a mapping: JSON objects of any shape, and the text of AWS's load balancers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controlplane.requestlogs.combined import METHOD, STAMP, asked_for, combined_instant
from controlplane.requestlogs.jsonlines import json_instant, json_value, shown_of_key, stores
from controlplane.requestlogs.mappings import UNITS, Fields, LogMapping, TenantSource, look_for, look_for_header
from controlplane.requestlogs.model import BOM, MAX_TEXTS, TENANT_ID, RequestRow, Skip, checked
from controlplane.requestlogs.routes import Routes, origin_of

_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?")


class _BadValue(Exception):
    """A field holds an impossible value."""


def mapped(mapping: LogMapping, whose: str | TenantSource) -> Callable[[str], RequestRow | Skip]:
    """A reader of a mapping's lines. `whose`: the tenant of all lines, or where each line names it."""
    split = json_fields if mapping.is_json else alb_fields
    look = {name: look_for(getattr(mapping, name)) for name in _LOOKED_FOR}
    tenant_of = _tenant_look(mapping, whose)
    only, routes = mapping.only, Routes()

    def read(line: str) -> RequestRow | Skip:
        fields = split(line)
        if isinstance(fields, Skip):
            return fields
        if only and not str(fields.get(only[0], only[1])).startswith(only[1]):
            return Skip.NOT_A_REQUEST
        try:
            return row_of(fields)
        except _BadValue:
            return Skip.BAD_VALUE

    def row_of(fields: dict[str, Any]) -> RequestRow | Skip:
        at, status, url = look["at"](fields), _whole(look["status"](fields)), look["route"](fields)
        method, request = look["method"](fields), look["request"](fields)
        if at is None or not status or (url is None and request is None):
            return Skip.FIELD_MISSING
        if request is not None and (url is None or method is None):
            asked_method, asked_url = asked_for(_text(request) or "")
            method, url = method or asked_method, url or asked_url
        url = _text(url) or "-"
        tenant = tenant_of(fields, url)
        if isinstance(tenant, list):  # Caddy keeps all values of a header
            tenant = tenant[0] if tenant else None
        tenant_id = _text(tenant)
        if tenant_id in (None, "", "-"):
            return Skip.NO_TENANT
        if not TENANT_ID.fullmatch(tenant_id):
            return Skip.BAD_TENANT
        texts = [_short(look[name](fields), MAX_TEXTS[name]) for name in ("project_id", "key_prefix", "region")]
        request_id, size = _text(look["request_id"](fields)), _whole(look["bytes"](fields))
        if request_id and len(request_id) > MAX_TEXTS["request_id"]:
            request_id = None
        if not stores("".join(filter(None, (url, request_id, *texts)))):
            return Skip.NOT_TEXT
        if size is not None and not 0 <= size < 10**15:
            return Skip.BAD_VALUE
        project_id, key_prefix, region = texts
        row = RequestRow(
            tenant_id,
            project_id,
            "-" if url == "-" else routes(url, tenant_id),
            method if isinstance(method, str) and METHOD.fullmatch(method) else "-",
            status,
            _milliseconds(look["latency"](fields), UNITS[mapping.latency_unit]),
            shown_of_key(key_prefix),
            region,
            request_id,
            _instant(at, UNITS[mapping.at_unit]),
            size,
        )
        return checked(row, claimed=not isinstance(whose, str))

    return read


_LOOKED_FOR = (
    *("at", "status", "route", "method", "request", "latency", "bytes"),
    *("request_id", "project_id", "key_prefix", "region"),
)


def json_fields(line: str) -> dict[str, Any] | Skip:
    fields = json_value(line)
    return fields if isinstance(fields, dict | Skip) else Skip.UNREADABLE


_ALB_TYPES = frozenset({"http", "https", "h2", "grpc", "grpcs", "ws", "wss"})
_ALB_FIELDS = (
    *("type", "time", "elb", "client:port", "target:port"),
    *("request_processing_time", "target_processing_time", "response_processing_time"),
    *("elb_status_code", "target_status_code", "received_bytes", "sent_bytes", "request", "user_agent"),
    *("ssl_cipher", "ssl_protocol", "target_group_arn", "trace_id", "domain_name"),
)
_ALB_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^ ]+)')


def alb_fields(line: str) -> dict[str, Any] | Skip:
    """A line's fields by AWS's names, and `processing_time`: the sum of its three times, when all are known."""
    line = line.lstrip(BOM).strip()
    if not line:
        return Skip.BLANK
    words = [quoted or bare for quoted, bare in _ALB_WORD.findall(line)]
    if len(words) < len(_ALB_FIELDS) or words[0] not in _ALB_TYPES:
        return Skip.UNREADABLE
    fields: dict[str, Any] = dict(zip(_ALB_FIELDS, words, strict=False))
    times = [fields[name] for name in _ALB_FIELDS[5:8]]
    if all(_NUMBER.fullmatch(time) and not time.startswith("-") for time in times):
        fields["processing_time"] = sum(map(float, times))
    return fields


def _tenant_look(mapping: LogMapping, whose: str | TenantSource) -> Callable[[Fields, str], Any]:
    """A function that finds the tenant, given a line's fields and the requested URL."""
    if isinstance(whose, str):
        return lambda fields, url: whose
    part, host_of = whose.part, look_for(mapping.host)
    if whose.kind == "path":
        return lambda fields, url: _part(_path_of(url).strip("/").split("/"), part)
    if whose.kind != "host":
        look = look_for((whose.name,)) if whose.kind == "field" else look_for_header(mapping.headers, whose.name)
        return lambda fields, url: look(fields)

    def host(fields: Fields, url: str) -> str | None:
        name = _text(host_of(fields)) or origin_of(url).partition("//")[2]
        name = re.sub(r":[0-9]+$", "", name).rstrip(".").lower()
        return _part(name.split("."), part) if part else name

    return host


def _part(parts: list[str], number: int) -> str | None:
    return parts[number - 1] if number <= len(parts) else None


def _path_of(url: str) -> str:
    return url[len(origin_of(url)) :].partition("?")[0].partition("#")[0]


def _text(value: Any) -> str | None:
    """A text, or a number as text, because some ids are numbers."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    raise _BadValue


def _short(value: Any, longest: int) -> str | None:
    text = _text(value)
    if text is not None and len(text) > longest:
        raise _BadValue
    return text


def _number(value: Any) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise _BadValue


def _whole(value: Any) -> int | None:
    number = _number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise _BadValue
        return int(number)
    return number


def _milliseconds(value: Any, unit: float) -> float | None:
    number = _number(value)
    if number is None:
        return None
    try:
        return number * unit
    except OverflowError:
        raise _BadValue from None


def _instant(value: Any, unit: float) -> datetime:
    try:
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            found = combined_instant(value) if STAMP.fullmatch(value) else json_instant(value)
        else:
            found = datetime.fromtimestamp((_number(value) or 0) * unit / 1000, UTC)
    except (ValueError, KeyError, OverflowError, OSError):
        found = None
    if found is None:
        raise _BadValue
    return found
