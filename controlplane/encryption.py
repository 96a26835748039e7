"""Secrets encrypted at rest: AES-256-GCM, bound to the row and field that they belong to.

The key is kept outside the home (`controlplane.secrets.Reference`), so that a copy of the database alone opens nothing.
The newest key encrypts; older ones only decrypt, until their rows are encrypted anew.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlplane import jsontext
from controlplane.errors import Refusal, Usage
from controlplane.secrets import Secret
from controlplane.text import clean

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret is stored: of which table's row, and in which field. It decrypts nowhere else."""

    table: str
    id: str
    field: str


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What is stored. `key_id` says which key opens it; `data` is the nonce and the ciphertext with its tag."""

    key_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """`id` is a hash of the key: it names the key without telling anything of it."""

    id: str
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, secret: Secret) -> EncryptionKey:
        """Raises Usage `encryption_key_invalid`, which names the source and repeats nothing of the key."""
        try:
            raw = base64.b64decode(secret.value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise Usage(
                "encryption_key_invalid",
                f"The encryption key from {secret.source} cannot be used: it must be 32 bytes in base64.",
                "Make one: openssl rand -base64 32",
            )
        return cls(hashlib.sha256(b"watchfloor encryption key\n" + raw).hexdigest()[:16], raw)


class Keys:
    """The keys of an installation, the newest first; at least one."""

    def __init__(self, keys: Sequence[EncryptionKey]) -> None:
        self.newest = keys[0]
        self._keys = {key.id: key for key in keys}

    def encrypt(self, secret: str, place: Place) -> Encrypted:
        nonce = os.urandom(NONCE_BYTES)  # random 96 bits: good for 2³² secrets of one key (NIST SP 800-38D)
        key = self.newest
        sealed = _cipher(key).encrypt(nonce, secret.encode("utf-8", "surrogatepass"), _bound_to(key.id, place))
        return Encrypted(key.id, nonce + sealed)

    def decrypt(self, stored: Encrypted, place: Place) -> str:
        """Raises Refusal `encryption_key_missing`, `not_decrypted`."""
        from cryptography.exceptions import InvalidTag

        key = self._keys.get(stored.key_id)
        if key is None:
            raise Refusal(
                "encryption_key_missing",
                f"The secret was encrypted with the key {clean(stored.key_id, 40)}, which is not among those given.",
                "Give that key as well, or enter the secret again.",
            )
        nonce, sealed = stored.data[:NONCE_BYTES], stored.data[NONCE_BYTES:]
        try:
            return _cipher(key).decrypt(nonce, sealed, _bound_to(key.id, place)).decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError):  # ValueError: cut short
            raise Refusal(
                "not_decrypted",
                "The secret cannot be decrypted: it was changed, or belongs to another row.",
                "Enter it again.",
            ) from None

    def stale(self, stored: Encrypted) -> bool:
        """Whether it is to be encrypted anew, because there is a newer key."""
        return stored.key_id != self.newest.id


def new_key() -> str:
    """A key as text, for where it is to be kept."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _bound_to(key_id: str, place: Place) -> bytes:
    """As JSON, so that no two places can be written alike."""
    return jsontext.write(["watchfloor", 1, key_id, place.table, place.id, place.field])


def _cipher(key: EncryptionKey) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # not before the first paint

    return AESGCM(key.raw)
