"""Secrets at rest: only the right key opens them, and only in their place."""

from __future__ import annotations

import base64
import logging
import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.encryption import NONCE_BYTES, Encrypted, EncryptionKey, Keys, Place, new_key
from controlplane.errors import Refusal, Usage
from controlplane.secrets import Secret

SECRET = "whsec_hunter2"
PLACE = Place("webhooks", "41", "secret")


def key(number: int) -> EncryptionKey:
    return EncryptionKey.parse(Secret(base64.b64encode(bytes([number]) * 32).decode(), "env:KEY"))


OLD, NEW, OTHER = key(1), key(2), key(3)


@given(st.text(), st.builds(Place, st.text(), st.text(), st.text()))
def test_what_is_encrypted_is_decrypted_in_its_place(secret: str, place: Place) -> None:
    keys = Keys([NEW, OLD])
    stored = keys.encrypt(secret, place)
    assert stored.key_id == NEW.id and keys.decrypt(stored, place) == secret
    assert len(stored.data) == NONCE_BYTES + len(secret.encode()) + 16 and NONCE_BYTES == 12
    if len(secret) > 3:
        assert secret.encode() not in stored.data


@given(st.builds(Place, st.text(), st.text(), st.text()), st.builds(Place, st.text(), st.text(), st.text()))
def test_and_in_no_other(place: Place, other: Place) -> None:
    stored = Keys([NEW]).encrypt(SECRET, place)
    if other != place:
        with pytest.raises(Refusal, match="belongs to another row") as refused:
            Keys([NEW]).decrypt(stored, other)
        assert refused.value.code == "not_decrypted"


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, table="routes"),
        replace(PLACE, id="42"),
        replace(PLACE, field="headers"),
        Place("webhooks", "4", "1secret"),
    ],
)
def test_a_ciphertext_that_was_moved_does_not_decrypt(other: Place) -> None:
    with pytest.raises(Refusal, match="not_decrypted"):
        Keys([NEW]).decrypt(Keys([NEW]).encrypt(SECRET, PLACE), other)


@given(st.integers(0, 40), st.integers(0, 7))
def test_a_bit_that_was_changed_is_noticed(byte: int, bit: int) -> None:
    stored = Keys([NEW]).encrypt(SECRET, PLACE)
    data = bytearray(stored.data)
    data[byte % len(data)] ^= 1 << bit
    with pytest.raises(Refusal, match="not_decrypted"):
        Keys([NEW]).decrypt(Encrypted(stored.key_id, bytes(data)), PLACE)


@pytest.mark.parametrize("length", [0, 1, 11, 12, 27, 28])
def test_what_was_cut_short_is_words_and_no_traceback(length: int) -> None:
    stored = Keys([NEW]).encrypt(SECRET, PLACE)
    with pytest.raises(Refusal, match="not_decrypted"):
        Keys([NEW]).decrypt(Encrypted(stored.key_id, stored.data[:length]), PLACE)


def test_keys_are_changed_one_row_at_a_time() -> None:
    before = Keys([OLD]).encrypt(SECRET, PLACE)
    both = Keys([NEW, OLD])
    assert both.stale(before) and both.decrypt(before, PLACE) == SECRET
    after = both.encrypt(both.decrypt(before, PLACE), PLACE)
    assert not both.stale(after) and Keys([NEW]).decrypt(after, PLACE) == SECRET
    with pytest.raises(Refusal, match=f"with the key {OLD.id}, which is not among") as refused:
        Keys([NEW]).decrypt(before, PLACE)
    assert refused.value.code == "encryption_key_missing"


def test_a_wrong_key_under_the_right_name_is_words() -> None:
    stored = Keys([NEW]).encrypt(SECRET, PLACE)
    with pytest.raises(Refusal, match="not_decrypted"):
        Keys([replace(OTHER, id=NEW.id)]).decrypt(stored, PLACE)


def test_the_same_secret_is_never_stored_alike() -> None:
    keys = Keys([NEW])
    assert len({keys.encrypt(SECRET, PLACE).data for _ in range(100)}) == 100


def test_a_new_key_can_be_used() -> None:
    made = EncryptionKey.parse(Secret(new_key(), "file:/run/key"))
    assert len(made.raw) == 32 and made != EncryptionKey.parse(Secret(new_key(), "file:/run/key"))


@pytest.mark.parametrize("value", ["", "hunter2", "aHVudGVyMg==", "hunter2é", base64.b64encode(bytes(33)).decode()])
def test_a_key_that_cannot_be_used_is_never_repeated(value: str) -> None:
    with pytest.raises(Usage, match="env:WATCHFLOOR_ENCRYPTION_KEY cannot be used") as refused:
        EncryptionKey.parse(Secret(value, "env:WATCHFLOOR_ENCRYPTION_KEY"))
    words = "".join(traceback.format_exception(refused.value))
    assert refused.value.code == "encryption_key_invalid" and not (value and value in str(refused.value))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None, words


def test_neither_key_nor_secret_is_in_any_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = Keys([NEW, OLD])
    stored = keys.encrypt(SECRET, PLACE)
    try:
        keys.decrypt(stored, replace(PLACE, id="42"))
    except Refusal as refusal:
        words = "".join(traceback.format_exception(refusal))
    words += repr([keys, NEW, stored, vars(keys)]) + caplog.text
    assert "hunter2" not in words and repr(NEW.raw)[2:-1] not in words and NEW.raw.hex() not in words
    assert base64.b64encode(NEW.raw).decode() not in words and "InvalidTag" not in words
