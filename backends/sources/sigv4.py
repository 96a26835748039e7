"""AWS Signature Version 4, for requests whose body is at hand.

Source: AWS, "Create a signed AWS API request". Tested with the vectors of AWS's own test suite.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Keys:
    """`token`: of temporary keys."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def signed(
    keys: Keys,
    region: str,
    service: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime,
) -> dict[str, str]:
    """The headers of a request with its signature; `host` is among them. `at`: the time, in UTC."""
    parts, moment = urlsplit(url), f"{at:%Y%m%dT%H%M%SZ}"
    sent = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    sent |= {"host": parts.netloc, "x-amz-date": moment}
    if keys.token:
        sent["x-amz-security-token"] = keys.token
    names = ";".join(sorted(sent))
    query = sorted((_escaped(name), _escaped(value)) for name, value in parse_qsl(parts.query, keep_blank_values=True))
    canonical = "\n".join(
        (
            method,
            _escaped(parts.path or "/", safe="/"),
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{sent[name]}" for name in sorted(sent)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{keys.secret}".encode()
    for part in (*scope.split("/"),):
        key = _mac(key, part)
    signature = _mac(key, text).hex()
    return sent | {
        "authorization": f"{ALGORITHM} Credential={keys.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    }


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _escaped(text: str, safe: str = "") -> str:
    return quote(text, safe=f"-_.~{safe}")
