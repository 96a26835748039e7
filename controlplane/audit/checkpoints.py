"""Signed checkpoints of the audit chain: text and signatures, as C2SP's tlog-checkpoint and signed-note have them.

    watchfloor/audit/0f8c…        origin: which home's trail
    41                            size: how many rows
    wKk1…=                        head of the chain after so many rows, base64
    number 7                      of this key's checkpoints of this home: 1, 2, 3 …, so that none goes unnoticed
    at 2026-11-25T18:00:00Z       when it was signed

    — watchfloor/audit/0f8c… 6Zk…=

The head is that of a chain, not the root of a Merkle tree; everything else follows those two specifications.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.errors import Refusal, Usage

if TYPE_CHECKING:  # the library is imported only to sign or verify
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"
MARK = "— "
MAX_CHECKPOINT_CHARACTERS = 4000


@dataclass(frozen=True)
class Checkpoint:
    origin: str
    size: int
    head: bytes
    at: datetime
    number: int
    signer: str = field(default="", compare=False)
    """The id of the key that signed it; "" until that was verified."""

    @property
    def text(self) -> str:
        """What is signed."""
        return (
            f"{self.origin}\n{self.size}\n{_base64(self.head)}\nnumber {self.number}\nat {self.at:%Y-%m-%dT%H:%M:%SZ}\n"
        )


@dataclass(frozen=True)
class PublicKey:
    """The public key of one signer for one origin; as text it is a signed-note verifier key."""

    origin: str
    raw: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.origin.encode() + b"\n" + ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.origin}+{self.id.hex()}+{_base64(ED25519 + self.raw)}"

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether it is this key's signature of the message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Raises Usage `public_key_unreadable`."""
        origin, _, rest = text.strip().partition("+")
        number, _, coded = rest.partition("+")
        raw = _decoded(coded)
        if origin and raw is not None and len(raw) == 33 and raw[:1] == ED25519:
            key = cls(origin, raw[1:])
            if key.id.hex() == number:
                return key
        raise Usage(
            "public_key_unreadable",
            "That is not the public key of a checkpoint.",
            "It is one line, NAME+ID+KEY: watchfloor audit checkpoint prints it.",
        )


@dataclass(frozen=True)
class SigningKey:
    """The private key: 32 bytes that no home holds."""

    seed: bytes = field(repr=False)

    def public(self, origin: str) -> PublicKey:
        return PublicKey(origin, self._private().public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> str:
        """The checkpoint as a signed note."""
        signature = self.sign_bytes(checkpoint.text.encode())
        public = self.public(checkpoint.origin)
        return f"{checkpoint.text}\n{MARK}{checkpoint.origin} {_base64(public.id + signature)}\n"

    def sign_bytes(self, message: bytes) -> bytes:
        """The signature of a message that says itself what it is, so that none can pass for one of another kind."""
        return self._private().sign(message)

    def _private(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


def read(note: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint in a note that one of the keys has signed.

    Raises Refusal `checkpoint_unreadable`, `checkpoint_unsigned` (by none of these keys), or `checkpoint_forged` (it
    names one of them, but the signature is wrong).
    """
    text, _, tail = note.partition("\n\n")
    text += "\n"
    signatures = [line.removeprefix(MARK).split(" ") for line in tail.splitlines() if line.startswith(MARK)]
    checkpoint = _parsed(text)
    if checkpoint is None or len(note) > MAX_CHECKPOINT_CHARACTERS:
        raise Refusal("checkpoint_unreadable", "This is not a checkpoint.")
    for key in keys:
        for name, coded in (parts for parts in signatures if len(parts) == 2):
            raw = _decoded(coded)
            if name != key.origin or raw is None or raw[:4] != key.id or key.origin != checkpoint.origin:
                continue
            if not key.holds(raw[4:], text.encode()):
                raise Refusal("checkpoint_forged", "Its signature is not by the key that it names.")
            return replace(checkpoint, signer=key.id.hex())
    raise Refusal("checkpoint_unsigned", "None of the trusted keys has signed it.")


def _parsed(text: str) -> Checkpoint | None:
    form = re.fullmatch(
        r"([^\s+]+)\n"
        r"(0|[1-9]\d{0,18})\n([A-Za-z0-9+/]{43}=)\nnumber ([1-9]\d{0,17})\nat (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n",
        text,
    )
    if form is None or (head := _decoded(form[3])) is None:
        return None
    try:
        at = datetime.strptime(form[5], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Checkpoint(form[1], int(form[2]), head, at, int(form[4]))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
