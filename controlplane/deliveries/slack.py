"""The request of a Slack incoming webhook. Its address is the secret.

Limits by Slack's reference of blocks: header 150 characters, section 3,000; text is best below 4,000. Whether it counts
characters or UTF-16 units is not said, so units are counted: no text has more characters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from controlplane import jsontext
from controlplane.deliveries.model import HttpRequest, Notice, Text
from controlplane.deliveries.targets import secrets_of
from controlplane.deliveries.webhook import JSON_HEADERS

MAX_HEADER_UNITS = 150
MAX_TEXT_UNITS = 3000
MAX_CONTEXT_UNITS = 1000
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class SlackTarget:
    """`member`: the id of whom it mentions; "": nobody."""

    url: str = field(repr=False)
    member: str = field(default="", repr=False)


def notice_request(notice: Notice, text: Text, target: SlackTarget) -> HttpRequest:
    # Slack knows no key of ours: whoever sees a notice twice sees by its key that it is one.
    footer = f"{notice.reason.replace('_', ' ')} · {notice.key}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(text.title, MAX_HEADER_UNITS), "emoji": False}}
    ]
    if text.body.strip():
        blocks.append({"type": "section", "text": _mrkdwn(text.body, MAX_TEXT_UNITS)})
    blocks.append({"type": "context", "elements": [_mrkdwn(footer, MAX_CONTEXT_UNITS)]})
    mention = f"<@{target.member}> " if target.member else ""
    if mention:
        blocks.insert(1, {"type": "section", "text": {"type": "mrkdwn", "text": mention.strip()}})
    body = jsontext.write({"text": mention + escaped(text.title, MAX_TEXT_UNITS), "blocks": blocks})
    return HttpRequest(target.url, JSON_HEADERS, body, secrets_of(target.url))


def escaped(text: str, units: int) -> str:
    """For Slack's mrkdwn, in at most so many UTF-16 units; no entity is cut in two.

    With & < > escaped nobody is mentioned and no link is made up (`<!channel>`, `<https://evil|invoice>`).
    """
    return cut(text, units, _ESCAPES)


def cut(text: str, units: int, escapes: dict[str, str] | None = None) -> str:
    """Ends in … where something is left out."""
    pieces: list[str] = []
    left = units
    for char in text:
        piece = (escapes or {}).get(char, char)
        left -= _units(piece)
        pieces.append(piece)
        if left < 0:
            while left < 1:
                left += _units(pieces.pop())
            return "".join(pieces) + "…"
    return "".join(pieces)


def _units(piece: str) -> int:
    return sum(2 if ord(char) > 0xFFFF else 1 for char in piece)


def _mrkdwn(text: str, units: int) -> dict[str, Any]:
    # Verbatim: names of channels and people, and addresses, in foreign text are not turned into links.
    return {"type": "mrkdwn", "text": escaped(text, units), "verbatim": True}
