"""Bundles and envelopes: what was signed is what is there, all of it, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.audit.chain import GENESIS, Link, following
from controlplane.audit.checkpoints import Checkpoint, PublicKey, SigningKey
from controlplane.errors import Refusal, Usage
from controlplane.evidence import canonical, slices
from controlplane.evidence.bundles import CHECKPOINT, ENVELOPE, TRAIL, Entry, Report, index, is_name, verify
from controlplane.evidence.envelopes import Ed25519Key, Ed25519Signer, Envelope, SharedKey, Signature, opened, pae, seal
from controlplane.evidence.statements import Statement, Subject

ORIGIN = "watchfloor/audit/0f8c"
PRIVATE = SigningKey(bytes(range(32)))
SIGNER = Ed25519Signer.of(PRIVATE, ORIGIN)
OTHER = Ed25519Signer.of(SigningKey(bytes(32)), ORIGIN)
SHARED = SharedKey.of("a secret of thirty-two characters")


def chain(rows: int, head: bytes = GENESIS, first: int = 1) -> list[Link]:
    links = []
    for seq in range(first, first + rows):
        canonical = json.dumps({"seq": seq, "thing": "acme"})
        head = following(head, canonical)
        links.append(Link(seq, canonical, head))
    return links


GOLDEN = "792ab59f6009d8869e4ddd99337f3369202f522b93a077e07d9dc72051502c6c"
LINKS = chain(6)
NOTE = PRIVATE.sign(Checkpoint(ORIGIN, 4, LINKS[3].head, datetime(2026, 11, 25, tzinfo=UTC), 1))


def trail(links: list[Link] = LINKS, after: int = 0, head: bytes = GENESIS, origin: str = ORIGIN) -> bytes:
    return slices.first_line(origin, after, head) + b"".join(map(slices.row_line, links))


FILES = {
    "alerts.ndjson": b'{"id":1}\n',
    CHECKPOINT: NOTE.encode(),
    TRAIL: trail(),
    "with/gates.json": b'{"verdict":"GO"}',
}


@dataclass
class Memory:
    """A bundle in memory."""

    files: dict[str, bytes]
    sealed: bytes | None
    others: dict[str, str] = field(default_factory=dict)

    def envelope(self) -> bytes | None:
        return self.sealed

    def entries(self) -> Iterator[Entry]:
        for name in sorted({*self.files, *self.others}):
            if name in self.others:
                yield Entry(name, None, self.others[name])
            else:
                yield Entry(name, lambda name=name: iter((self.files[name][:7], self.files[name][7:])))  # type: ignore[misc]


def made(files: Mapping[str, bytes] = FILES, signer: Any = SIGNER, origin: str = ORIGIN) -> Memory:
    subjects = [Subject(name, hashlib.sha256(content).hexdigest()) for name, content in files.items()]
    return Memory(dict(files), index(subjects, {"trail": origin, "subject": "2.4.0"}, signer))


def fault(bundle: Memory, *keys: Any) -> tuple[str, str]:
    found = verify(bundle, keys or (SIGNER,)).fault
    assert found is not None
    return found.code, found.file


# Envelopes


def test_the_encoding_is_that_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("ü", b"") == b"DSSEv1 2 \xc3\xbc 0 "


def test_an_envelope_is_the_one_that_it_always_was() -> None:
    """Golden: RFC 8032 signs deterministically."""
    sealed = seal(b'{"a":1}', SIGNER)
    assert sealed == (
        b'{"payload":"eyJhIjoxfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"'
        + SIGNER.name.encode()
        + b'","sig":"'
        + base64.b64encode(PRIVATE.sign_bytes(b'DSSEv1 28 application/vnd.in-toto+json 7 {"a":1}'))
        + b'"}]}\n'
    )
    assert hashlib.sha256(sealed).hexdigest() == GOLDEN
    by_hand = hmac.new(SHARED.secret, b'DSSEv1 28 application/vnd.in-toto+json 7 {"a":1}', "sha256").digest()
    assert Envelope.parse(seal(b'{"a":1}', SHARED)).signatures[0].raw == by_hand


def test_another_library_takes_our_envelopes_and_we_take_its() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.dsse import Envelope as TheirEnvelope
    from securesystemslib.signer import CryptoSigner, SSlibKey

    theirs = SSlibKey(SIGNER.name, "ed25519", "ed25519", {"public": SIGNER.public.raw.hex()})
    TheirEnvelope.from_dict(json.loads(seal(b"{}", SIGNER))).verify([theirs], 1)
    envelope = TheirEnvelope(b"{}", "text/plain", {})
    envelope.sign(CryptoSigner(Ed25519PrivateKey.from_private_bytes(PRIVATE.seed), theirs))
    taken = Envelope.parse(json.dumps(envelope.to_dict()).encode())
    assert taken.verified([SIGNER]) == (SIGNER,) and taken.payload == b"{}"


def test_the_id_of_a_key_proves_nothing_and_two_signatures_of_one_are_one() -> None:
    by_other = OTHER.sign(pae("t", b"p"))
    named_as_ours = Envelope(b"p", "t", (Signature(SIGNER.name, by_other),))
    with pytest.raises(Refusal, match="does not hold"):
        named_as_ours.verified([SIGNER])
    assert named_as_ours.verified([SIGNER, OTHER]) == (OTHER,)
    ours = SIGNER.sign(pae("t", b"p"))
    twice = Envelope(b"p", "t", (Signature("a", ours), Signature("b", ours)))
    with pytest.raises(Refusal):
        twice.verified([SIGNER, OTHER], threshold=2)
    both = Envelope(b"p", "t", (Signature("a", ours), Signature("b", by_other)))
    assert both.verified([SIGNER, OTHER], threshold=2) == (SIGNER, OTHER)
    with pytest.raises(Refusal):
        Envelope(b"p", "t", ()).verified([SIGNER], threshold=0)


def test_both_kinds_of_base64_are_read_and_nothing_else() -> None:
    payload = bytes(range(256))
    text = {"payload": base64.urlsafe_b64encode(payload).decode(), "payloadType": "t",
            "signatures": [{"sig": base64.urlsafe_b64encode(SIGNER.sign(pae("t", payload))).decode()}]}  # fmt: skip
    assert Envelope.parse(json.dumps(text).encode()).verified([SIGNER]) == (SIGNER,)
    for broken in (
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"payload":"e","payloadType":"t","signatures":[]}',
        b'{"payload":"","payloadType":1,"signatures":[]}',
        b'{"payload":"","payloadType":"t","signatures":7}',
        b'{"payload":"","payloadType":"t","signatures":[{"sig":null}]}',
    ):
        with pytest.raises(Refusal) as found:
            Envelope.parse(broken)
        assert found.value.code == "envelope_unreadable", broken


def test_our_own_envelopes_have_one_form() -> None:
    sealed = seal(b"{}", SIGNER)
    assert opened(sealed, [OTHER, SIGNER]) == (b"{}", SIGNER)
    for other in (sealed.replace(SIGNER.name.encode(), b"00000000"), sealed + b"\n", sealed.replace(b":", b": "),
                  seal(b"{}", SIGNER, "text/plain")):  # fmt: skip
        with pytest.raises(Refusal) as found:
            opened(other, [SIGNER])
        assert found.value.code == "envelope_changed"
    with pytest.raises(Usage, match="32 characters"):
        SharedKey.of("too short")


def test_any_statement_is_read_and_what_is_none_is_refused() -> None:
    slsa = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [{"name": "app", "digest": {"sha512": "ab"}}, {"digest": {"sha256": "CD" * 32}}]}  # fmt: skip
    read = Statement.parse(json.dumps(slsa).encode())
    assert read.type == "https://slsa.dev/provenance/v1" and read.predicate == {}
    assert read.subjects == (Subject("app", ""), Subject("", "cd" * 32))
    for name, value in (("_type", "x"), ("subject", []), ("subject", [{"name": "a"}]), ("predicateType", ""),
                        ("predicate", []), ("subject", [{"digest": {}}]), ("subject", [7])):  # fmt: skip
        with pytest.raises(Refusal):
            Statement.parse(json.dumps(slsa | {name: value}).encode())


def test_a_record_has_one_canonical_form() -> None:
    record = {
        "b": 1.0,
        "a": [True, None, datetime(2026, 1, 2, tzinfo=UTC)],
        "é": 2**60,
        "n": float("nan"),
        "s": "\ud800",
    }
    assert canonical.document(record) == (
        '{"a":[true,null,"2026-01-02T00:00:00+00:00"],"b":1,"n":null,"s":"?","é":"1152921504606846976"}'.encode()
    )
    assert canonical.document(dict(reversed(record.items()))) == canonical.document(record)


# Bundles


def test_a_whole_bundle_is_good_and_says_what_it_is() -> None:
    report = verify(made(), [OTHER, SIGNER])
    assert report == Report(
        None,
        hashlib.sha256(made().sealed or b"").hexdigest(),
        SIGNER.name,
        {"trail": ORIGIN, "subject": "2.4.0"},
        4,
        sum(map(len, FILES.values())),
        slices.Slice(ORIGIN, 0, 6, LINKS[-1].head.hex(), 4),
    )
    assert verify(made(signer=SHARED), [SHARED]).fault is None
    assert made().sealed == made(dict(reversed(FILES.items()))).sealed, "the same files, the same bundle"


def test_the_first_fault_is_named() -> None:
    whole = made()
    extra, missing, changed = made(), made(), made()
    extra.files["b"] = b""
    del missing.files[TRAIL]
    changed.files["with/gates.json"] = b'{"verdict":"NO"}'
    assert fault(extra) == ("file_extra", "b")
    assert fault(missing) == ("file_missing", TRAIL)
    assert fault(changed) == ("file_changed", "with/gates.json")
    del changed.files["with/gates.json"]
    assert fault(changed) == ("file_missing", "with/gates.json")
    assert fault(Memory(whole.files, whole.sealed, {"a": "link"})) == ("not_a_file", "a")
    assert fault(Memory(whole.files, whole.sealed, {TRAIL: "link"})) == ("not_a_file", TRAIL)
    assert fault(Memory(whole.files, None)) == ("envelope_missing", ENVELOPE)
    assert fault(whole, OTHER) == ("envelope_unsigned", ENVELOPE)
    assert fault(whole, SHARED) == ("envelope_unsigned", ENVELOPE)
    assert fault(made(origin="watchfloor/audit/another")) == ("trail_of_another", ENVELOPE)
    other = seal(Statement((Subject("a", "0" * 64),), "https://slsa.dev/provenance/v1", {}).payload(), SIGNER)
    assert fault(Memory({}, other)) == ("not_a_bundle", ENVELOPE)


@pytest.mark.parametrize("name",
                         ["../a", "a/../b", "/a", "a//b", ".a", "a/.b", "a\\b", "a b", "", "a\n", "ä", "x" * 101,
                                  "BUNDLE.dsse.json", "-a", "a/"])  # fmt: skip
def test_a_name_that_might_lead_out_of_the_bundle_is_refused(name: str) -> None:
    assert not is_name(name)
    assert fault(made({name: b""})) == ("name_refused", name.replace("\n", "␊"))


def test_a_file_that_is_named_twice_is_refused() -> None:
    twice = index([Subject("a", "0" * 64), Subject("A", "0" * 64)], {"trail": ORIGIN}, SIGNER)
    assert fault(Memory({"a": b""}, twice)) == ("bundle_unreadable", ENVELOPE)
    unhashed = index([Subject("a", "")], {"trail": ORIGIN}, SIGNER)
    assert fault(Memory({"a": b""}, unhashed)) == ("bundle_unreadable", "a")


SMALL = made({"a.json": b"{}", "b/c": b"12"})


@settings(max_examples=150)
@given(st.integers(0, 10**9))
def test_one_flipped_bit_anywhere_is_found(number: int) -> None:
    places: list[tuple[str | None, int]] = [(None, place) for place in range(len(SMALL.sealed or b""))]
    places += [(name, place) for name, content in SMALL.files.items() for place in range(len(content))]
    (name, place), bit = places[number // 8 % len(places)], number % 8
    content = bytearray((SMALL.sealed or b"") if name is None else SMALL.files[name])
    content[place] ^= 1 << bit
    flipped = (
        Memory(SMALL.files, bytes(content))
        if name is None
        else Memory(SMALL.files | {name: bytes(content)}, SMALL.sealed)
    )
    assert verify(SMALL, [SIGNER]).fault is None
    assert verify(flipped, [SIGNER]).fault is not None


# The trail in a bundle


def with_trail(content: bytes, note: str | None = NOTE) -> Memory:
    return made({TRAIL: content} | ({CHECKPOINT: note.encode()} if note is not None else {}))


def test_a_checkpoint_vouches_for_the_rows_before_it() -> None:
    found = verify(with_trail(trail()), [SIGNER]).trail
    assert found is not None and (found.rows, found.signed_to) == (6, 4)
    later = verify(with_trail(trail(LINKS[4:], 4, LINKS[3].head)), [SIGNER]).trail
    assert later is not None and (later.after, later.to, later.signed_to) == (4, 6, 4), "it begins where it was signed"
    for content, note, why in (
        (trail(), None, "no checkpoint was signed by then"),
        (trail(), OTHER.private.sign(Checkpoint(ORIGIN, 4, LINKS[3].head, datetime(2026, 1, 1, tzinfo=UTC), 1)),
         "its checkpoint is by a key that was not given"),
        (trail(LINKS[5:], 5, LINKS[4].head), NOTE, "its checkpoint is of rows before these"),
    ):  # fmt: skip
        report = verify(with_trail(content, note), [SIGNER])
        assert report.fault is None and report.trail is not None
        assert (report.trail.signed_to, report.checkpoint) == (None, why)


def test_rows_that_were_not_chained_or_not_signed_so_are_found_also_when_the_bundle_is_signed() -> None:
    rewritten = chain(6, following(GENESIS, "x"), 1)
    changed = [*LINKS[:2], Link(3, '{"seq": 3}', LINKS[2].head), *LINKS[3:]]
    for content, code in (
        (trail(changed), "slice_broken"),
        (trail(LINKS[:2] + LINKS[3:]), "slice_broken"),
        (trail(rewritten, 0, following(GENESIS, "x")), "slice_broken"),
        (trail(chain(6, b"\1" * 32, 3), 2, b"\1" * 32), "slice_rewritten"),
        (trail(LINKS[:3]), "slice_rewritten"),
        (trail(origin="watchfloor/audit/other"), "slice_rewritten"),
        (b"", "slice_unreadable"),
        (b"x\n", "slice_unreadable"),
        (trail()[:-9], "slice_unreadable"),
        (trail() + b"\n", "slice_unreadable"),
        (trail() + b"[" * 200 + b"\n", "slice_unreadable"),
    ):
        assert fault(with_trail(content)) == (code, TRAIL), content[-30:]
    assert fault(with_trail(trail(), NOTE.replace("number 1", "number 2"))) == ("checkpoint_forged", CHECKPOINT)
    assert fault(with_trail(trail(origin="watchfloor/audit/other"), None)) == ("trail_of_another", TRAIL)


def test_a_key_is_what_a_checkpoint_prints() -> None:
    assert Ed25519Key(PublicKey.parse(str(SIGNER.public))).name == SIGNER.name == SIGNER.public.id.hex()
