"""DSSE 1.0.2: a payload, its type, and signatures of both together.

Source: https://github.com/secure-systems-lab/dsse, protocol.md. A key id is a hint and proves nothing; the bytes that
were verified are those that the caller gets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from controlplane import jsontext
from controlplane.audit.checkpoints import PublicKey, SigningKey
from controlplane.errors import Refusal, Usage
from controlplane.evidence import canonical

IN_TOTO = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 16 << 20
MIN_SECRET_BYTES = 32


class Key(Protocol):
    """What verifies a signature."""

    @property
    def name(self) -> str:
        """The key id that our own envelopes carry."""
        ...

    def holds(self, signature: bytes, message: bytes) -> bool: ...


class Signer(Key, Protocol):
    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True)
class Ed25519Key:
    """The public key of somebody who signs for one home's trail."""

    public: PublicKey

    @property
    def name(self) -> str:
        return self.public.id.hex()

    def holds(self, signature: bytes, message: bytes) -> bool:
        return self.public.holds(signature, message)


@dataclass(frozen=True)
class Ed25519Signer(Ed25519Key):
    private: SigningKey = field(repr=False)

    @classmethod
    def of(cls, private: SigningKey, origin: str) -> Ed25519Signer:
        return cls(private.public(origin), private)

    def sign(self, message: bytes) -> bytes:
        return self.private.sign_bytes(message)


@dataclass(frozen=True)
class SharedKey:
    """HMAC-SHA256 with a secret that all who verify share: each of them could have signed as well."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> SharedKey:
        """Raises Usage `shared_key_short`."""
        secret = text.strip().encode()
        if len(secret) < MIN_SECRET_BYTES:
            raise Usage(
                "shared_key_short",
                f"A shared key has at least {MIN_SECRET_BYTES} characters.",
                "Make one: openssl rand -hex 32",
            )
        return cls(secret)

    @property
    def name(self) -> str:
        return "hmac-" + hashlib.sha256(b"watchfloor shared key\0" + self.secret).hexdigest()[:8]

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self.secret, message, "sha256")

    def holds(self, signature: bytes, message: bytes) -> bool:
        return hmac.compare_digest(self.sign(message), signature)


@dataclass(frozen=True)
class Signature:
    key: str
    raw: bytes


@dataclass(frozen=True)
class Envelope:
    payload: bytes
    type: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, text: bytes) -> Envelope:
        """Anybody's envelope, in standard or URL-safe base64. Raises Refusal `envelope_unreadable`."""
        try:
            if len(text) > MAX_ENVELOPE_BYTES:
                raise ValueError
            found: Any = jsontext.read(text)
            signatures = tuple(
                Signature(_text(each.get("keyid", "")), _decoded(each["sig"])) for each in found["signatures"]
            )
            return cls(_decoded(found["payload"]), _text(found["payloadType"]), signatures)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refusal("envelope_unreadable", "This is not a DSSE envelope.") from None

    def verified(self, keys: Sequence[Key], threshold: int = 1) -> tuple[Key, ...]:
        """The trusted keys that have signed it. Raises Refusal `envelope_unsigned` when fewer than `threshold` have:
        two signatures by one key are those of one.
        """
        message = pae(self.type, self.payload)
        signers = tuple(key for key in keys if any(key.holds(each.raw, message) for each in self.signatures))
        distinct = {key.name: key for key in signers}
        if len(distinct) < max(1, threshold):
            wanted = "none of the trusted keys has" if threshold <= 1 else f"fewer than {threshold} trusted keys have"
            raise Refusal("envelope_unsigned", f"Its signature does not hold: {wanted} signed it.")
        return tuple(distinct.values())

    def text(self) -> bytes:
        """The one form of this envelope in a bundle."""
        return (
            canonical.document(
                {
                    "payload": base64.b64encode(self.payload).decode(),
                    "payloadType": self.type,
                    "signatures": [
                        {"keyid": each.key, "sig": base64.b64encode(each.raw).decode()} for each in self.signatures
                    ],
                }
            )
            + b"\n"
        )


def pae(type: str, payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of type and payload."""
    named = type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(named), named, len(payload), payload)


def seal(payload: bytes, signer: Signer, type: str = IN_TOTO) -> bytes:
    """The envelope's text."""
    return Envelope(payload, type, (Signature(signer.name, signer.sign(pae(type, payload))),)).text()


def opened(text: bytes, keys: Sequence[Key]) -> tuple[bytes, Key]:
    """The payload of an envelope of our own, and who signed it. It has one form only, so that no bit of it, not even of
    the key's id, is without meaning.

    Raises Refusal `envelope_unreadable`, `envelope_unsigned`, `envelope_changed`.
    """
    envelope = Envelope.parse(text)
    [signer, *_] = envelope.verified(keys)
    if (
        envelope.text() != text
        or envelope.type != IN_TOTO
        or [each.key for each in envelope.signatures] != [signer.name]
    ):
        raise Refusal(
            "envelope_changed", "It holds more than what was signed, or not in the form that it was written in."
        )
    return envelope.payload, signer


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(_text(text).replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError from error
