"""The request of a webhook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from controlplane import jsontext
from controlplane.deliveries.model import Event, Form, HttpRequest, Notice, Text
from controlplane.deliveries.signing import aionis_headers, standard_headers
from controlplane.deliveries.targets import secrets_of
from controlplane.deliveries.words import TEST
from controlplane.errors import Usage
from controlplane.text import clean

JSON_HEADERS = (("content-type", "application/json"), ("user-agent", "watchfloor"))
MAX_HEADERS = 16
MAX_HEADER_CHARACTERS = 2048
MAX_DATA_BYTES = 128 * 1024
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[!-~](?:[ -~\t]*[!-~])?")
_OURS = re.compile(
    r"(?i)host|content-.*|user-agent|accept-encoding|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect"
    r"|proxy-.*|webhook-.*|x-aionis-signature.*"
)


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """`secrets`: those that are active, the newest first; in Aionis' form the first one signs, and there may be none.

    `headers`: those that the receiver asks for besides, such as its own token.
    """

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    form: Form = "standard"


def check_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers, with names in lower case. Raises Usage `webhook_header`, which names the header and no value."""
    checked = {}
    for name, value in headers.items():
        lower = name.lower()
        unfit = not _NAME.fullmatch(name) or not _VALUE.fullmatch(value) or len(value) > MAX_HEADER_CHARACTERS
        if unfit or _OURS.fullmatch(name) or lower in checked:
            raise _header_refused(name)
        checked[lower] = value
    if len(checked) > MAX_HEADERS:
        raise _header_refused([*checked][MAX_HEADERS])
    return tuple(checked.items())


def event_request(event: Event, target: WebhookTarget, at: datetime) -> HttpRequest:
    """An event in the form of Standard Webhooks; `at`: when this attempt begins."""
    body: dict[str, Any] = {"type": event.type, "timestamp": timestamp(event.at), "data": bounded(event.data)}
    if event.test:
        body["test"] = True
    content = jsontext.write(body)
    headers = (*JSON_HEADERS, *target.headers, *standard_headers(event.key, at, content, target.secrets))
    return _request(target, headers, content)


def notice_request(notice: Notice, text: Text, target: WebhookTarget, at: datetime) -> HttpRequest:
    if target.form == "standard":
        event = Event(notice.key, notice.event_type, notice.at, notice_data(notice, text), notice.test)
        return event_request(event, target, at)
    body: dict[str, Any] = {
        "event_type": notice.event_type,
        "tenant_id": notice.tenant_id,
        "severity": notice.severity,
        "summary": f"{TEST} {notice.summary}" if notice.test else notice.summary,
        "payload": bounded(notice.details),
        "sent_at": timestamp(at),
        "route": {"id": notice.route, "channel": "webhook", "label": notice.label},
    }
    if notice.action != "trigger":  # which the older system never sends
        body["action"] = notice.action
    if notice.test:
        body["test"] = True
    content = jsontext.write(body)
    secret = target.secrets[0] if target.secrets else ""
    headers = (*JSON_HEADERS, *target.headers, *aionis_headers(at, content, secret))
    return _request(target, headers, content)


def notice_data(notice: Notice, text: Text) -> dict[str, Any]:
    """A notice as the data of an event."""
    return {
        "action": notice.action,
        "alert": notice.thread,
        "tenant_id": notice.tenant_id,
        "severity": notice.severity,
        "summary": notice.summary,
        "reason": notice.reason,
        "value": notice.value,
        "threshold": notice.threshold,
        "unit": notice.unit,
        "title": text.title,
        "text": text.body,
        "details": bounded(notice.details),
        "route": {"id": notice.route, "label": notice.label},
    }


def bounded(data: Mapping[str, Any], most: int = MAX_DATA_BYTES) -> Mapping[str, Any]:
    """The data, or in its place how large it is: half a document would be read as a whole one."""
    size = len(jsontext.write(data))
    return data if size <= most else {"left_out": f"{size:,} bytes; a notice holds at most {most:,}"}


def timestamp(at: datetime) -> str:
    """2026-11-29T11:40:18.123Z"""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _header_refused(name: str) -> Usage:
    return Usage(
        "webhook_header",
        f"The header {clean(name, 60)} cannot be sent.",
        f"At most {MAX_HEADERS} headers of printable ASCII, {MAX_HEADER_CHARACTERS:,} characters each; those that a"
        " delivery sets itself are not allowed.",
    )


def _request(target: WebhookTarget, headers: tuple[tuple[str, str], ...], content: bytes) -> HttpRequest:
    own = tuple(value for _, value in target.headers)
    return HttpRequest(target.url, headers, content, (*target.secrets, *own, *secrets_of(target.url)))
