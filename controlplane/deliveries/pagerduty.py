"""The request of PagerDuty's Events API v2: trigger, acknowledge and resolve, kept together by the dedup key.

Limits by its reference: dedup_key 255 characters, summary 1,024, an event 512 KB. An acknowledgement or a resolve
without an open alert is dropped there; a trigger after a resolve opens a new alert.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from controlplane import jsontext
from controlplane.deliveries.model import HttpRequest, Notice, Text
from controlplane.deliveries.webhook import JSON_HEADERS, bounded, timestamp
from controlplane.errors import Usage
from controlplane.text import clean

URL = "https://events.pagerduty.com/v2/enqueue"
URL_EU = "https://events.eu.pagerduty.com/v2/enqueue"
MAX_DEDUP_KEY = 255
MAX_SUMMARY = 1024
MAX_SOURCE = 255
_KEY = re.compile(r"[A-Za-z0-9]{32}")


@dataclass(frozen=True, slots=True)
class PagerDutyTarget:
    routing_key: str = field(repr=False)
    url: str = URL


def check_routing_key(key: str) -> str:
    """Raises Usage `pagerduty_key`, which repeats nothing of it."""
    if not _KEY.fullmatch(key):
        raise Usage(
            "pagerduty_key", "A routing key of PagerDuty is 32 letters and digits.", "Copy it from the integration."
        )
    return key


def notice_request(notice: Notice, text: Text, target: PagerDutyTarget) -> HttpRequest:
    body: dict[str, Any] = {
        "routing_key": target.routing_key,
        "event_action": notice.action,
        "dedup_key": dedup_key(notice),
    }
    if notice.action == "trigger":
        body |= {
            "client": "Watchfloor",
            "payload": {
                "summary": clean(text.title, MAX_SUMMARY),
                "source": clean(notice.tenant_id or "all tenants", MAX_SOURCE),
                "severity": notice.severity,
                "timestamp": timestamp(notice.at),
                "class": clean(notice.event_type, MAX_SOURCE),
                "custom_details": {
                    "text": text.body,
                    "reason": notice.reason,
                    "value": notice.value,
                    "threshold": notice.threshold,
                    "unit": notice.unit,
                    "delivery": notice.key,
                    "details": bounded(notice.details),
                },
            },
        }
    return HttpRequest(target.url, JSON_HEADERS, jsontext.write(body), (target.routing_key,))


def dedup_key(notice: Notice) -> str:
    """One for each alert, and another for its tests, so that a test neither opens nor ends what is real."""
    key = f"test:{notice.thread}" if notice.test else notice.thread
    if 0 < len(key) <= MAX_DEDUP_KEY and key.isprintable():
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
