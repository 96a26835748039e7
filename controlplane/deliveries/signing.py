"""How a receiver knows that a webhook is ours: Standard Webhooks 1.0, and the form of Aionis' first dispatcher.

    webhook-id: msg_…            the same in every attempt
    webhook-timestamp: 1764547200
    webhook-signature: v1,<base64> v1,<base64>

There is one signature for each secret that is active: HMAC-SHA256 of id.timestamp.body, with the bytes that are sent.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from controlplane.errors import Usage

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
MAX_ACTIVE_SECRETS = 4


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Raises Usage `webhook_secret`, which repeats nothing of it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in SECRET_BYTES:
        raise Usage("webhook_secret", "A signing secret of a webhook is whsec_ and 24 to 64 bytes in base64.")
    return key


def standard_headers(key: str, at: datetime, body: bytes, active: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`at`: when this attempt begins. Raises Usage `webhook_secret`, `webhook_secrets`."""
    if not 0 < len(active) <= MAX_ACTIVE_SECRETS:
        raise Usage(
            "webhook_secrets", f"A webhook has 1 to {MAX_ACTIVE_SECRETS} active secrets.", "End the oldest one."
        )
    seconds = str(int(at.timestamp()))
    signed = b".".join((key.encode(), seconds.encode(), body))
    signatures = (base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode() for secret in active)
    return (
        ("webhook-id", key),
        ("webhook-timestamp", seconds),
        ("webhook-signature", " ".join(f"v1,{signature}" for signature in signatures)),
    )


def aionis_headers(at: datetime, body: bytes, secret: str) -> tuple[tuple[str, str], ...]:
    """Any text is a secret there; without one nothing is signed."""
    if not secret:
        return ()
    seconds = str(int(at.timestamp()))
    signature = hmac.digest(secret.encode("utf-8", "replace"), seconds.encode() + b"." + body, "sha256").hex()
    return (("x-aionis-signature-ts", seconds), ("x-aionis-signature", signature))
