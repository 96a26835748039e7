"""Checkpoints as text: what is signed is what is read, and nothing else is taken for it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.audit.chain import LATE, ChainStatus, Verification, late, status_words
from controlplane.audit.checkpoints import Checkpoint, PublicKey, SigningKey, read
from controlplane.errors import Refusal, Usage

ORIGIN = "watchfloor/audit/0f8c"
KEY = SigningKey(bytes(range(32)))
PUBLIC = KEY.public(ORIGIN)
AT = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
MADE = Checkpoint(ORIGIN, 41, hashlib.sha256(b"head").digest(), AT, 7)
NOTE = KEY.sign(MADE)


def test_its_form_is_that_of_a_signed_note() -> None:
    text, signature = NOTE.split("\n\n")
    assert text.split("\n") == [
        ORIGIN,
        "41",
        base64.b64encode(MADE.head).decode(),
        "number 7",
        "at 2026-11-25T18:00:00Z",
    ]
    mark, name, coded = signature.rstrip("\n").split(" ")
    assert (mark, name) == ("—", ORIGIN)
    raw = base64.b64decode(coded)
    assert len(raw) == 4 + 64
    assert raw[:4] == hashlib.sha256(ORIGIN.encode() + b"\n\x01" + PUBLIC.raw).digest()[:4]
    # RFC 8032's way, by another road than ours: the seed 00 01 … 1f has this public key.
    assert PUBLIC.raw.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert PublicKey.parse(f" {PUBLIC}\n") == PUBLIC
    assert str(PUBLIC).split("+")[:2] == [ORIGIN, raw[:4].hex()]


def test_only_what_a_trusted_key_signed_is_read() -> None:
    other = SigningKey(bytes(32))
    assert read(NOTE, [other.public(ORIGIN), PUBLIC]) == MADE
    for note, keys, code in (
        (NOTE, [], "checkpoint_unsigned"),
        (NOTE, [other.public(ORIGIN)], "checkpoint_unsigned"),
        (NOTE.replace("\n41\n", "\n42\n"), [PUBLIC], "checkpoint_forged"),
        (NOTE.replace("\n41\n", "\n041\n"), [PUBLIC], "checkpoint_unreadable"),
        (NOTE.replace("at 2026", "at 2025"), [PUBLIC], "checkpoint_forged"),
        (NOTE.replace("number 7", "number 8"), [PUBLIC], "checkpoint_forged"),
        (NOTE.replace("number 7\n", ""), [PUBLIC], "checkpoint_unreadable"),
        (NOTE.replace("number 7", "number 0"), [PUBLIC], "checkpoint_unreadable"),
        (NOTE.replace("at 2026-11", "at 2026-13"), [PUBLIC], "checkpoint_unreadable"),
        (NOTE.partition("\n\n")[0], [PUBLIC], "checkpoint_unsigned"),
        (NOTE.partition("\n\n")[0] + "\n\n", [PUBLIC], "checkpoint_unsigned"),
        ("", [PUBLIC], "checkpoint_unreadable"),
    ):
        with pytest.raises(Refusal) as refusal:
            read(note, keys)
        assert refusal.value.code == code, note


@given(st.integers(0, len(NOTE) - 1), st.characters(codec="utf-8"))
def test_one_letter_more_or_other_is_never_another_checkpoint(place: int, letter: str) -> None:
    for changed in (NOTE[:place] + letter + NOTE[place + 1 :], NOTE[:place] + letter + NOTE[place:]):
        with contextlib.suppress(Refusal):
            assert read(changed, [PUBLIC]) == MADE


@pytest.mark.parametrize("text", ["", "a+b+c", "a", f"{ORIGIN}+00000000+{str(PUBLIC).split('+', 2)[2]}"])
def test_a_key_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Usage) as refusal:
        PublicKey.parse(text)
    assert refusal.value.code == "public_key_unreadable"


def test_what_is_not_known_of_the_chain_is_said() -> None:
    now = AT + timedelta(minutes=3)
    assert status_words(None, now) == "chain ? not known"
    none = ChainStatus(5, 0, None, None, AT, AT)
    assert status_words(none, now) == "! chained to 0, no checkpoint yet"
    well = ChainStatus(1204, 1204, 1204, AT, None, None)
    assert status_words(well, now) == "chained to 1,204, checkpoint 3 m ago"
    assert status_words(ChainStatus(1205, 1204, 1204, AT, AT, AT), now).startswith("! ")
    assert not status_words(ChainStatus(1205, 1205, 1204, AT, None, AT), now).startswith("! ")
    assert status_words(ChainStatus(1205, 1205, 1204, AT, None, AT), AT + timedelta(minutes=16)).startswith("! ")
    refused = ChainStatus(1204, 1204, 1204, AT, None, None, "the trail is another")
    assert status_words(refused, now) == "! chained to 1,204, checkpoint 3 m ago, refused"


def numbered(*numbers: int, key: SigningKey = KEY) -> list[Checkpoint | None]:
    made = [Checkpoint(ORIGIN, 40 + number, bytes(32), AT, number) for number in numbers]
    return [read(key.sign(each), [key.public(ORIGIN)]) for each in made]


def codes(checkpoints: list[Checkpoint | None], trail: str = ORIGIN) -> list[str]:
    return [fault.code for fault in Verification(ORIGIN, checkpoints, trail).end().faults if fault.seq == 0]


def test_what_is_wrong_outside_is_named() -> None:
    assert codes(numbered(1, 2, 3)) == []
    assert codes([]) == ["unsigned"]
    assert codes(numbered(1, 3)) == ["checkpoint_missing"]
    assert codes(numbered(2, 3)) == ["checkpoint_missing"], "the first"
    assert codes(numbered(1, 2) + numbered(1, key=SigningKey(bytes(32)))) == [], "each key counts its own"
    assert codes([*numbered(1, 2), None]) == ["checkpoint_skipped"]
    other = replace(MADE, origin="watchfloor/audit/other")
    assert codes([*numbered(1), other]) == ["checkpoint_skipped"]
    assert codes(numbered(1), "watchfloor/audit/other") == ["origin_changed"]
    words = Verification(ORIGIN, numbered(1, 2, 5), ORIGIN).end().faults[-1].words
    assert "2 are missing, the first number 3" in words


def test_what_was_published_is_held_against_it_and_need_not_be_all() -> None:
    def found(local: list[Checkpoint | None], published: list[Checkpoint | None]) -> list[str]:
        return [fault.code for fault in Verification(ORIGIN, local, ORIGIN, published).end().faults]

    assert found([], numbered(2, 7)) == ["tail_cut"], "an auditor has only those"
    assert found(numbered(1, 2), numbered(2)) == found(numbered(1, 2), []) == ["tail_cut"]
    assert found(numbered(1, 2), numbered(4)) == ["tail_cut", "checkpoint_missing"], "number 3 was there once"
    assert found([], [*numbered(1), None]) == ["tail_cut", "checkpoint_skipped"]
    ours = Checkpoint(ORIGIN, 0, bytes(32), AT, 1)
    theirs = replace(ours, head=bytes(31) + b"x")
    assert [fault.code for fault in Verification(ORIGIN, [ours], ORIGIN, [theirs]).verdict.faults] == [
        "trail_rewritten"
    ]
    both = numbered(1, 2) + numbered(1, 2, 3, key=SigningKey(bytes(32)))
    assert codes(both) == [], "two keys may sign the same rows"


def test_rows_may_wait_for_their_link_only_so_long() -> None:
    assert late(None, AT) is None
    assert late(AT, AT + LATE) is None
    found = late(AT, AT + timedelta(minutes=61))
    assert found is not None and found.code == "rows_unchained" and "for 1h" in found.words
