"""JSON lines, our own format."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from controlplane.keys import secret
from controlplane.requestlogs.model import BOM, MAX_TEXTS, TENANT_ID, RequestRow, Skip, checked
from controlplane.requestlogs.routes import Routes

Names = tuple[str, str | None, str, str, str | None, str | None]
"""The names in a JSON line: tenant, project, route, method, key prefix, region."""


def json_lines() -> Callable[[str], RequestRow | Skip]:
    """One JSON object a line, with the fields of RequestRow; others are ignored. A time without zone is UTC.

    Most lines repeat the names of earlier lines, so names are checked once and remembered, as routes are.
    """
    routes, make = Routes(), tuple.__new__
    known: dict[tuple[Any, ...], Names] = {}

    def read(line: str) -> RequestRow | Skip:
        value = json_value(line)
        if value.__class__ is not dict:
            return value if isinstance(value, Skip) else Skip.UNREADABLE
        get = value.get
        told = (
            get("tenant_id"), get("project_id"), get("route"), get("method"), get("key_prefix"), get("region")
        )  # fmt: skip
        try:
            names: Names | Skip | None = known.get(told)
        except TypeError:  # a list or an object is not a name
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
            if request_id.__class__ is not str or len(request_id) > MAX_TEXTS["request_id"]:
                return Skip.BAD_VALUE
            if not stores(request_id):
                return Skip.NOT_TEXT
        if status.__class__ is not int or latency.__class__ not in _NUMBERS:
            return Skip.BAD_VALUE
        moment = json_instant(get("at"))
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
        return checked(row, claimed=True)

    return read


_NUMBERS = (float, int, type(None))


def json_value(line: str) -> Any:
    """The value of a line, which may begin with a BOM, or why there is none.

    Pydantic's decoder is twice as fast as Python's, but refuses NaN, deep nesting and half a surrogate pair; what it
    refuses, Python's decides.
    """
    try:
        return from_json(line, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        line = line.lstrip(BOM)
    if not line.strip():
        return Skip.BLANK
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return Skip.UNREADABLE


def _names(
    tenant_id: Any, project_id: Any, route: Any, method: Any, key_prefix: Any, region: Any, routes: Routes
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
            if not isinstance(text, str) or len(text) > MAX_TEXTS[name]:
                return Skip.BAD_VALUE
            whole += text
    if not stores(whole):
        return Skip.NOT_TEXT
    return tenant_id, project_id, routes(route, tenant_id), method or "-", shown_of_key(key_prefix), region


def shown_of_key(text: str | None) -> str | None:
    """A log may hold whole keys. Only the part that may be shown is kept, by which our keys are found again."""
    return secret.display(text) if text and secret.is_whole(text) else text


def stores(text: str) -> bool:
    r"""Whether PostgreSQL can store a text: JSON can also hold "\u0000" and half a surrogate pair, which it cannot."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def json_instant(value: Any) -> datetime | None:
    if value.__class__ is not str:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
