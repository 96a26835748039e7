"""Addresses that a provider takes without a login for a few minutes, because a credential has signed them.

The library signs those of objects. What concerns a whole bucket of S3 has parameters, which it cannot sign; these are
signed here, by AWS Signature Version 4 (query parameters).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

SIGNATURE = "X-Amz-Signature"


def with_query(url: str, method: str, query: Mapping[str, str], secret: str) -> str:
    """An address that the library signed with the key of this secret, with further parameters, signed again.

    Source: AWS General Reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    """
    parts = urlsplit(url)
    told = dict(parse_qsl(parts.query, keep_blank_values=True))
    told.pop(SIGNATURE, None)
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in {**told, **query}.items())
    text = "&".join(f"{name}={value}" for name, value in pairs)
    request = f"{method}\n{parts.path or '/'}\n{text}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    scope = told["X-Amz-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(request.encode()).hexdigest()
    message = f"AWS4-HMAC-SHA256\n{told['X-Amz-Date']}\n{scope}\n{digest}"
    key = b"AWS4" + secret.encode()
    for part in (*scope.split("/"), message):
        key = hmac.digest(key, part.encode(), "sha256")
    return urlunsplit(parts._replace(query=f"{text}&{SIGNATURE}={key.hex()}"))
