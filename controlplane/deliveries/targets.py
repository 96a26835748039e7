"""Which addresses of receivers are taken, when they are saved and again before each attempt.

A profile can allow what is refused otherwise: a host of ours on a private address, another port, plain http. What an
address resolves to is looked at where it is connected to (`backends/http/guard.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from controlplane.deliveries.addresses import forbidden
from controlplane.errors import Refusal, Usage
from controlplane.text import clean
from controlplane.urls import HIDDEN

Scheme = Literal["http", "https", "smtp"]
ALLOW = "Or let the profile allow that host: allowed_targets."
MAX_URL_CHARACTERS = 2048
MIN_SECRET_CHARACTERS = 8
PORTS: dict[str, tuple[int, ...]] = {"http": (80,), "https": (443,), "smtp": (587, 465)}
"""Those that need no allowance; the first one is meant where none is written."""

_HOST = r"(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
# Strict, so that no two readers of it can take it for different hosts.
_URL = re.compile(rf"(?P<scheme>https?)://{_HOST}(?P<rest>(?:[/?][!-\"$-\[\]^-~]*)?)", re.IGNORECASE)
_ALLOWED = re.compile(rf"(?:(?P<scheme>https?|smtp)://)?{_HOST}/?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """`host` in lower case, without brackets and without a dot at its end."""

    scheme: Scheme
    host: str
    port: int


Allowed = frozenset[Origin]
NOTHING_ALLOWED: Allowed = frozenset()


def read_allowed(entries: Iterable[str]) -> Allowed:
    """`hooks.internal` allows https on 443 wherever that host is; the port and `http://` are allowed where written.

    Raises Usage `allowed_target_invalid`.
    """
    return frozenset(_allowed(entry) for entry in entries)


def check_url(url: str, allowed: Allowed = NOTHING_ALLOWED) -> Origin:
    """Raises Usage `target_unreadable`, Refusal `target_not_https`, `target_port`, `target_address`."""
    found = _URL.fullmatch(url) if len(url) <= MAX_URL_CHARACTERS else None
    origin = _origin(found) if found else None
    if origin is None:
        raise Usage(
            "target_unreadable",
            "This is not the address of a receiver.",
            "Write https://host/path in ASCII, without user, password, fragment or blanks; other letters as xn-- or %.",
        )
    if origin in allowed:
        return origin
    if origin.scheme != "https":
        raise Refusal("target_not_https", "Notices go over https only.", ALLOW)
    if origin.port not in PORTS["https"]:
        raise Refusal("target_port", f"Notices are not sent to port {origin.port}: leave the port out.", ALLOW)
    if (":" in origin.host or re.fullmatch(r"[0-9.]+", origin.host)) and (words := forbidden(origin.host)):
        raise address_refused("The receiver", origin.host, words)
    return origin


def address_refused(who: str, address: str, words: str) -> Refusal:
    """Who is at a `forbidden` address."""
    message = f"{clean(who, 100)} is at {clean(address, 60)}, which is {words}: notices go to public addresses only."
    return Refusal("target_address", message, ALLOW)


def shown_target(url: str) -> str:
    """An address for screens and logs: its path and what follows may be the secret, as with Slack."""
    found = _URL.fullmatch(url)
    if found is None:
        return HIDDEN
    port = f":{found['port']}" if found["port"] else ""
    return clean(f"{found['scheme']}://{found['host']}{port}{'/' + HIDDEN if found['rest'].strip('/') else ''}")


def secrets_of(url: str) -> tuple[str, ...]:
    """What of an address is not to be kept from an answer that repeats it."""
    found = _URL.fullmatch(url)
    rest = found["rest"] if found else ""
    return (url, rest) if len(rest) >= MIN_SECRET_CHARACTERS else (url,)


def _allowed(entry: str) -> Origin:
    found = _ALLOWED.fullmatch(entry)
    origin = _origin(found) if found else None
    if origin is None:
        raise Usage(
            "allowed_target_invalid",
            f"{clean(entry, 60)} is not a target that can be allowed.",
            "Write host, host:port, http://host:port or smtp://host:port, without a path.",
        )
    return origin


def _origin(found: re.Match[str]) -> Origin | None:
    scheme: Scheme
    match (found["scheme"] or "https").lower():
        case "http":
            scheme = "http"
        case "smtp":
            scheme = "smtp"
        case _:
            scheme = "https"
    port = int(found["port"]) if found["port"] else PORTS[scheme][0]
    host = found["host"].lower().strip("[]").removesuffix(".")
    return Origin(scheme, host, port) if 0 < port < 65_536 and host else None
