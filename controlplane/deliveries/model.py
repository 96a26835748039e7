"""One notice to one target: what is sent, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Literal

from controlplane.alerts.model import Severity

Action = Literal["trigger", "acknowledge", "resolve"]
"""What a target is asked to do with it: the three words of PagerDuty's events."""
Form = Literal["standard", "aionis"]
"""How a webhook's body is laid out and signed: as Standard Webhooks, or as Aionis' first dispatcher did it."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a webhook tells: `data` is a JSON object, at most as large as a column holds (`wf.document`).

    `key` names the delivery in every attempt, so that a receiver can tell what it has had before.
    """

    key: str
    type: str
    at: datetime
    data: Mapping[str, Any]
    test: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """What one target is told about one event of an alert.

    `key`: as of `Event`. `thread`: the same for all notices about one alert, so that targets keep them together.
    `tenant_id`: "" for the whole estate. `reason`: the code of why it is sent. `at`: when the event happened.
    `route`, `label`: which route decided it.
    """

    key: str
    thread: str
    event_type: str
    action: Action
    tenant_id: str
    severity: Severity
    summary: str
    reason: str
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    threshold: float | None = None
    unit: str = ""
    route: str = ""
    label: str | None = None
    test: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """What people read: one line, and the lines below it. `fault`: why the template was not used; "" when it was."""

    title: str
    body: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST. `repr` shows nothing of it: a Slack address is a secret, headers and bodies hold others.

    `secrets`: what of it must not be kept when the receiver repeats it in its answer.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one address."""

    to: str
    sender: str
    message: EmailMessage = field(repr=False)


@dataclass(frozen=True, slots=True)
class DrillLine:
    """One line of JSON. `file`: its name in the folder of drills; "" is standard output."""

    line: bytes = field(repr=False)
    file: str = ""


Prepared = HttpRequest | Mail | DrillLine
"""Ready to be sent by `backends.sending`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered. `status`: HTTP's or SMTP's. `text`: the start of its words, fit to be kept.

    `retry_after`, `location`: the headers as they came, cleaned; "" without. `seconds`: from the start until then.
    """

    status: int
    text: str = ""
    retry_after: str = ""
    location: str = ""
    seconds: float = 0.0
    protocol: Literal["http", "smtp"] = "http"


TroubleKind = Literal["refused_here", "unresolved", "unreachable", "tls", "slow", "protocol", "login", "unwritable"]


class Trouble(Exception):
    """There is no answer. `words` say why, without a secret. `refused_here`: we do not send to such a target."""

    def __init__(self, kind: TroubleKind, words: str, seconds: float = 0.0) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words
        self.seconds = seconds


Outcome = Answer | Trouble


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an outcome means. `code` is stable: "http_503", "slow", …

    `retry_after`: seconds that the receiver asks us to wait, bounded. `gone`: it wants nothing more, ever.
    """

    state: Literal["delivered", "retry", "refused"]
    code: str
    words: str
    retry_after: float | None = None
    gone: bool = False
