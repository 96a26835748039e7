"""An age file for a passphrase, made as https://age-encryption.org/v1 says: with hardly any work where `age` and our
own program take seconds of it, as nobody is to guess the passphrase of a test.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

WORK = 1
"""The logarithm of scrypt's N."""


def sealed(inside: bytes, passphrase: str) -> bytes:
    """At most 64 KB."""
    salt, nonce, file_key = b"s" * 16, b"n" * 16, b"k" * 16
    label = b"age-encryption.org/v1/scrypt"
    wrapping = hashlib.scrypt(passphrase.encode(), salt=label + salt, n=1 << WORK, r=8, p=1, dklen=32)
    wrapped = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> scrypt %s %d\n%s\n---" % (_base64(salt), WORK, _base64(wrapped))
    mac = hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")
    last = bytes(11) + b"\1"  # the number of the only chunk
    chunk = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(last, inside, None)
    return header + b" " + _base64(mac) + b"\n" + nonce + chunk


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _base64(value: bytes) -> bytes:
    return base64.b64encode(value).rstrip(b"=")
