"""Signatures of files by other tools' keys: cosign's key pairs and minisign. Only the key that is named is believed.

Sources: cosign signs the file's SHA-256 with ECDSA over P-256, as DER in base64, alone or in a bundle
(https://docs.sigstore.dev/about/bundle); minisign signs its BLAKE2b-512 with Ed25519, and then that signature together
with the trusted comment (https://jedisct1.github.io/minisign).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from controlplane import jsontext
from controlplane.errors import Refusal
from controlplane.text import clean

MAX_SIGNATURE_BYTES = 65_536
MINISIGN_KEY_BYTES, MINISIGN_SIGNATURE_BYTES, ID_BYTES = 42, 74, 8


@dataclass(frozen=True)
class Digests:
    """Of a file, however large it is."""

    sha256: bytes
    blake2b: bytes
    size: int

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Digests:
        sha256, blake2b, size = hashlib.sha256(), hashlib.blake2b(), 0
        for piece in pieces:
            sha256.update(piece)
            blake2b.update(piece)
            size += len(piece)
        return cls(sha256.digest(), blake2b.digest(), size)


@dataclass(frozen=True)
class Signed:
    """What a signature says. `holds`: whether the key made it, of this very file. `key`: the key's id; `comment`: the
    trusted comment of minisign, "" unless it holds.
    """

    tool: Literal["cosign", "minisign"]
    key: str
    holds: bool
    comment: str = ""


class PemKey:
    """A public key in PEM, as cosign and openssl write it: ECDSA over P-256 with SHA-256, or Ed25519. `name`: the first
    16 hex digits of the SHA-256 of its SubjectPublicKeyInfo.
    """

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

        try:
            found = load_pem_public_key(text.strip().encode())
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("not a public key in PEM") from None
        curve = isinstance(found, ec.EllipticCurvePublicKey) and isinstance(found.curve, ec.SECP256R1)
        if not curve and not isinstance(found, ed25519.Ed25519PublicKey):
            raise ValueError("only keys of ECDSA over P-256 and of Ed25519 are taken")
        self._key: Any = found
        self.ecdsa = curve
        spki = found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.name = hashlib.sha256(spki).hexdigest()[:16]

    def holds(self, signature: bytes, message: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        if self.ecdsa:
            return self.holds_of(signature, hashlib.sha256(message).digest())
        try:
            self._key.verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def holds_of(self, signature: bytes, sha256: bytes) -> bool:
        """Whether it is the signature of what has this SHA-256. For ECDSA only."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self._key.verify(signature, sha256, ECDSA(Prehashed(SHA256())))
        except (InvalidSignature, ValueError):
            return False
        return True


def check_key(text: str) -> str:
    """A key that `read` can use: PEM, or minisign's. Raises ValueError."""
    if "-----BEGIN" in text:
        if not PemKey(text).ecdsa:
            raise ValueError("cosign's keys are of ECDSA over P-256")
    else:
        _minisign_key(text)
    return text


def check_pem(text: str) -> str:
    """Raises ValueError."""
    PemKey(text)
    return text


def read(key: str, signature: bytes, of: Digests) -> Signed:
    """Hold a signature file against a key and a file. Raises Refusal `signature_unreadable`."""
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise _unreadable(f"it is larger than {MAX_SIGNATURE_BYTES:,} bytes")
    try:
        if "-----BEGIN" in key:
            pem = PemKey(key)
            return Signed("cosign", pem.name, pem.holds_of(_cosign(signature), of.sha256))
        return _minisign(key, signature, of)
    except ValueError as error:
        raise _unreadable(str(error)) from None


def _cosign(text: bytes) -> bytes:
    """Of a file with the signature alone, or of a bundle: the present one, or the one of cosign 2."""
    if not text.lstrip().startswith(b"{"):
        return _decoded(text)
    found: Any = jsontext.read(text)
    message = found.get("messageSignature")
    coded = message.get("signature") if isinstance(message, dict) else found.get("base64Signature")
    if not isinstance(coded, str):
        raise ValueError("the bundle holds no signature of a file")
    return _decoded(coded.encode())


def _minisign_key(text: str) -> tuple[bytes, bytes]:
    """Its id and the key, of the file or the line that minisign prints."""
    try:
        raw = _decoded(text.strip().rpartition("\n")[2].encode())
    except ValueError:
        raw = b""
    if len(raw) != MINISIGN_KEY_BYTES or raw[:2] != b"Ed":
        raise ValueError("neither a public key in PEM nor one of minisign")
    return raw[2:10], raw[10:]


def _minisign(key: str, text: bytes, of: Digests) -> Signed:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    number, raw = _minisign_key(key)
    lines = text.decode("utf-8").splitlines()
    if len(lines) != 4 or not lines[0].startswith("untrusted comment:") or not lines[2].startswith("trusted comment: "):
        raise ValueError("it is not a signature of minisign")
    signature, whole = _decoded(lines[1].encode()), _decoded(lines[3].encode())
    if len(signature) != MINISIGN_SIGNATURE_BYTES or signature[:2] not in (b"ED", b"Ed"):
        raise ValueError("it is not a signature of minisign")
    if signature[:2] == b"Ed":
        raise ValueError("it is of minisign's old form; sign again without -l")
    comment, name = lines[2].removeprefix("trusted comment: "), number[::-1].hex().upper()
    public = Ed25519PublicKey.from_public_bytes(raw)
    try:
        public.verify(signature[2 + ID_BYTES :], of.blake2b)
        public.verify(whole, signature[2 + ID_BYTES :] + comment.encode())
    except InvalidSignature:
        return Signed("minisign", name, False)
    return Signed("minisign", name, signature[2 : 2 + ID_BYTES] == number, clean(comment, 200))


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise ValueError("it is not base64") from None


def _unreadable(words: str) -> Refusal:
    return Refusal("signature_unreadable", f"The signature cannot be read: {clean(words, 200)}.")
