"""Logs of other programs: a mapping says which of their fields is which of ours, and how to find a line's tenant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Fields = Mapping[str, Any]
Look = Callable[[Fields], Any]
Paths = tuple[str, ...]
"""Places to look for a value, in order: `request.host` is the field of that name, or `host` within `request`."""

UNITS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
"""How many milliseconds each unit has."""
Unit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True)
class TenantSource:
    """Where a line names its tenant. `part` counts from 1; 0 is the whole host name."""

    kind: Literal["field", "header", "host", "path"]
    name: str = ""
    part: int = 0

    @classmethod
    def parse(cls, text: str) -> TenantSource:
        """Raises ValueError with what was expected."""
        kind, _, rest = text.partition(":")
        if kind in ("field", "header") and rest and rest.isprintable():
            return cls(kind, rest)  # type: ignore[arg-type]
        if text == "host":
            return cls("host")
        if kind in ("host", "path") and re.fullmatch("[1-9][0-9]?", rest):
            return cls(kind, part=int(rest))  # type: ignore[arg-type]
        raise ValueError('expected "field:PATH", "header:NAME", "host", "host:N" or "path:N"; N is a part, from 1')

    def __str__(self) -> str:
        return ":".join(filter(None, (self.kind, self.name, str(self.part or ""))))


@dataclass(frozen=True)
class LogMapping:
    """`identity`: recognises the mapping when the same log is imported again. `headers` has a * for a header's name.

    `only`: a field, and the text that its value begins with in lines that are requests.
    """

    name: str
    identity: str
    at: Paths
    status: Paths
    route: Paths = ()
    method: Paths = ()
    request: Paths = ()
    latency: Paths = ()
    bytes: Paths = ()
    request_id: Paths = ()
    project_id: Paths = ()
    key_prefix: Paths = ()
    region: Paths = ()
    host: Paths = ()
    headers: str = ""
    at_unit: Unit = "s"
    latency_unit: Unit = "ms"
    tenant: TenantSource | None = None
    only: tuple[str, str] | None = None
    is_json: bool = True

    def __str__(self) -> str:
        return self.name

    def fault(self, source: TenantSource | None) -> str:
        """Why lines cannot be read with this mapping; "" when they can."""
        if not self.route and not self.request:
            return 'needs "route" (the path or URL), or "request" (as in "GET / HTTP/1.1")'
        if source and source.kind == "header" and not self.headers:
            return 'does not say where headers are: "headers", with a * for the name, as in "request.headers.*"'
        if source and source.kind == "host" and not self.host:
            return 'does not say where the host name is: "host"'
        return ""

    def wanted(self, source: TenantSource | None) -> list[str]:
        """The fields that each line must have, in words."""
        asked = [("at", self.at), ("status", self.status), ("route", self.route or self.request)]
        found = [f"{name} ({' or '.join(paths)})" for name, paths in asked]
        return [*found, *([f"tenant ({source})"] if source else [])]


def _shipped(name: str, **fields: Any) -> LogMapping:
    return LogMapping(name, name, **fields)


SHIPPED = {
    mapping.name: mapping
    for mapping in (
        _shipped(
            "caddy",
            at=("ts",),
            status=("status",),
            route=("request.uri",),
            method=("request.method",),
            latency=("duration",),
            latency_unit="s",
            bytes=("size",),
            host=("request.host",),
            headers="request.headers.*",
            only=("logger", "http.log.access"),  # a failed request is in http.log.error as well
        ),
        _shipped(
            "traefik",
            at=("StartUTC", "StartLocal", "time"),
            status=("DownstreamStatus",),
            route=("RequestPath",),
            method=("RequestMethod",),
            latency=("Duration",),
            latency_unit="ns",
            bytes=("DownstreamContentSize",),
            request_id=("request_X-Request-Id", "TraceId"),
            host=("RequestHost", "RequestAddr"),
            headers="request_*",
        ),
        _shipped(  # as Istio and Envoy Gateway configure it
            "envoy",
            at=("start_time", "timestamp"),
            status=("response_code",),
            route=("x-envoy-origin-path", "x-envoy-original-path", "path"),
            method=("method",),
            latency=("duration",),
            bytes=("bytes_sent",),
            request_id=("request_id", "x-request-id"),
            host=("authority", ":authority"),
            headers="*",
        ),
        _shipped(  # named as nginx's variables are, and as most people call them
            "nginx-json",
            at=("time_iso8601", "time", "timestamp", "@timestamp", "msec", "time_local"),
            status=("status",),
            route=("request_uri", "uri", "path"),
            method=("request_method", "method"),
            request=("request",),
            latency=("request_time",),
            latency_unit="s",
            bytes=("body_bytes_sent", "bytes_sent"),
            request_id=("request_id",),
            host=("host", "http_host", "server_name"),
            headers="http_*",
        ),
        _shipped(
            "aws-alb",
            at=("time",),
            status=("elb_status_code",),
            request=("request",),
            latency=("processing_time",),
            latency_unit="s",
            bytes=("sent_bytes",),
            request_id=("trace_id",),
            host=("domain_name",),
            is_json=False,
        ),
    )
}


def look_for(paths: Paths) -> Look:
    """A function that returns the first value found in these places."""
    looks = [_look(path) for path in paths]

    def look(fields: Fields) -> Any:
        for one in looks:
            value = one(fields)
            if value not in (None, "", "-", []):
                return value
        return None

    return look


def _look(path: str) -> Look:
    parts = path.split(".")

    def look(fields: Fields) -> Any:
        if path in fields:
            return fields[path]
        value: Any = fields
        for part in parts:
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value

    return look if len(parts) > 1 else lambda fields: fields.get(path)


def look_for_header(template: str, name: str) -> Look:
    """A function that finds a header, ignoring case; nginx writes - as _."""
    place, _, key = template.rpartition(".")
    whole, box_of = key.replace("*", name), _look(place)
    wanted = _alike(whole)

    def look(fields: Fields) -> Any:
        box = box_of(fields) if place else fields
        if not isinstance(box, Mapping):
            return None
        return box[whole] if whole in box else next((box[key] for key in box if _alike(key) == wanted), None)

    return look


def _alike(name: str) -> str:
    return name.lower().replace("_", "-")
