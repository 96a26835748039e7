"""Signatures that other tools made, and provenance: what is signed by whom, and what is not."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlplane.errors import Refusal
from controlplane.evidence import provenance
from controlplane.evidence.envelopes import IN_TOTO, Envelope, pae
from controlplane.evidence.signatures import Digests, PemKey, check_key, check_pem, read
from tests.controlplane.proofs import (
    ARTEFACT,
    COSIGN,
    COSIGN_KEY,
    COSIGNED,
    DSSE,
    DSSE_KEY,
    DSSE_PAYLOAD,
    MINISIGN,
    MINISIGN_KEY,
    OLD_FORM,
)

BUILDER = "https://ci.example/builder@v1"


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def digests(content: bytes) -> Digests:
    return Digests.of([content[:5], content[5:]])


def test_what_minisign_signed_holds_for_this_file_and_this_key_alone() -> None:
    signed = read(MINISIGN_KEY, MINISIGN, digests(ARTEFACT))
    assert (signed.tool, signed.key, signed.holds, signed.comment) == (
        "minisign", "AD9AAF3E6D7DB8BA", True, "release 2.4.0",
    )  # fmt: skip
    assert read(f"untrusted comment: x\n{MINISIGN_KEY}\n", MINISIGN, digests(ARTEFACT)).holds, "its file, whole"
    assert not read(MINISIGN_KEY, MINISIGN, digests(ARTEFACT + b" ")).holds
    forged = MINISIGN.replace(b"release 2.4.0", b"release 2.4.1")
    told = read(MINISIGN_KEY, forged, digests(ARTEFACT))
    assert (told.holds, told.comment) == (False, ""), "the trusted comment is signed as well"
    with pytest.raises(Refusal, match="old form"):
        read(MINISIGN_KEY, OLD_FORM, digests(ARTEFACT))


def test_no_flipped_bit_of_a_signature_holds() -> None:
    lines = MINISIGN.splitlines()
    for place in (1, 3):
        raw = base64.b64decode(lines[place])
        for bit in range(0, len(raw) * 8, 7):
            changed = bytearray(raw)
            changed[bit // 8] ^= 1 << bit % 8
            text = b"\n".join([*lines[:place], base64.b64encode(changed), *lines[place + 1 :]])
            with suppress(Refusal):  # the first two bytes say what it is
                assert not read(MINISIGN_KEY, text, digests(ARTEFACT)).holds


def test_what_cosign_signed_holds_alone_and_in_its_bundles() -> None:
    signed = read(COSIGN_KEY, COSIGN + b"\n", digests(COSIGNED))
    assert signed.tool == "cosign" and signed.holds and len(signed.key) == 16
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
              "messageSignature": {"messageDigest": {}, "signature": COSIGN.decode()}}  # fmt: skip
    for text in (bundle, {"base64Signature": COSIGN.decode(), "cert": ""}):
        assert read(COSIGN_KEY, json.dumps(text).encode(), digests(COSIGNED)).holds
    assert not read(COSIGN_KEY, COSIGN, digests(ARTEFACT)).holds
    assert not read(pem(ec.generate_private_key(ec.SECP256R1())), COSIGN, digests(COSIGNED)).holds


@pytest.mark.parametrize("text", [b"", b"\xff", b"{}", b"[1]", b"{", b"not base64!", b"a" * 70_000,
                                  b"untrusted comment: x\nRUS6\ntrusted comment: y\nAA==\n"])  # fmt: skip
def test_what_is_no_signature_is_refused_or_does_not_hold(text: bytes) -> None:
    for key in (MINISIGN_KEY, COSIGN_KEY):
        try:
            assert not read(key, text, digests(ARTEFACT)).holds
        except Refusal as refusal:
            assert refusal.code == "signature_unreadable"


def test_a_gate_takes_only_keys_that_it_can_use() -> None:
    check_key(COSIGN_KEY), check_key(MINISIGN_KEY), check_pem(pem(ed25519.Ed25519PrivateKey.generate()))
    large = ec.generate_private_key(ec.SECP384R1())
    for key in ("", "x", MINISIGN_KEY[:-4], pem(large), pem(ed25519.Ed25519PrivateKey.generate())):
        with pytest.raises(ValueError, match="key"):
            check_key(key)


def test_the_envelope_of_sigstore_holds() -> None:
    envelope = Envelope.parse(json.dumps(DSSE).encode())
    assert envelope.payload == DSSE_PAYLOAD and envelope.verified([PemKey(DSSE_KEY)])
    with pytest.raises(Refusal, match="does not hold"):
        envelope.verified([PemKey(COSIGN_KEY)])


def statement(**more: Any) -> bytes:
    made = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "shop.whl", "digest": {"sha256": digests(ARTEFACT).sha256.hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": {}, "runDetails": {"builder": {"id": BUILDER}}},
    }
    return json.dumps(made | more).encode()


def sealed(key: ec.EllipticCurvePrivateKey, payload: bytes, kind: str = IN_TOTO) -> dict[str, Any]:
    signature = key.sign(pae(kind, payload), ec.ECDSA(SHA256()))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }


def test_provenance_says_who_built_what_and_who_signed_it() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    mine, other = PemKey(pem(key)), PemKey(COSIGN_KEY)

    def found(payload: bytes, *keys: PemKey, within: bool = False) -> provenance.Provenance:
        envelope = sealed(key, payload)
        return provenance.read(json.dumps({"dsseEnvelope": envelope} if within else envelope).encode(), keys)

    good = found(statement(), other, mine)
    assert (good.signers, good.builder, good.type) == ((mine.name,), BUILDER, "https://slsa.dev/provenance/v1")
    assert good.subjects == (digests(ARTEFACT).sha256.hex(),) and found(statement(), mine, within=True) == good
    assert found(statement(), other).signers == (), "nobody who is trusted signed it"
    older = {"predicateType": "https://slsa.dev/provenance/v0.2", "predicate": {"builder": {"id": BUILDER}}}
    assert found(statement(**older), mine).builder == BUILDER
    for odd in ({"predicateType": "https://example/other"}, {"predicate": {"runDetails": 3}}, {"predicate": None}):
        assert found(statement(**odd), mine).builder == ""
    for text in (b"", b"[]", json.dumps(sealed(key, b"hello", "text/plain")).encode(), json.dumps(DSSE).encode()):
        with pytest.raises(Refusal):
            provenance.read(text, [mine])
