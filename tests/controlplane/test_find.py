"""What a text can be, and that a secret is never more than its hash."""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.find import holds_secret, looks_secret, seek

KEY = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"
PLAIN = (
    *(
        "acme",
        "tenant-0012345",
        "Acme GmbH",
        "ada@lovelace.example",
        KEY,
        "wf_live_8sKq",
        "wf-0a1b2c3d4e5f6a7b8c9d0e1f",
    ),
    *("run-12-100", "0b6d0f6e-3c1f-4b57-9f0a-2f3e6f1f7a11", "4bf92f3577b34da6a3ce929d0e0e4736", "acme/checkout", "ana"),
    *(
        f"home/keys/{KEY}",
        "a-very-long-tenant-id-of-a-customer-that-likes-words",
        "https://status.example/incidents/2026",
    ),
)
letters = st.text(string.ascii_letters + string.digits, min_size=12, max_size=80)
secrets = st.builds(
    lambda prefix, env, rest: f"{prefix}_{env}_{rest}",
    st.sampled_from(["wf", "sk", "acme"]),
    st.sampled_from(["live", "test"]),
    letters,
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_people_look_for_is_no_secret(text: str) -> None:
    assert not holds_secret(text) and seek(text).text == text


@given(secrets)
def test_a_secret_is_only_its_hash_from_here_on(secret: str) -> None:
    sought = seek(f"  '{secret}'\n")
    assert sought.hash == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(sought) + sought.words and sought.text == "" and sought.kinds == ("secret",)
    assert holds_secret(f"find {secret}") and holds_secret(f'find "{secret}"')


def test_long_tokens_of_others_are_taken_for_secrets_too() -> None:
    for token in (
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "AKIAIOSFODNN7EXAMPLEwJalrXUtnFEMI",
    ):
        assert looks_secret(token)


@given(secrets, st.sampled_from(["{} of acme", "key {}"]))
def test_a_secret_among_words_is_refused_and_not_repeated(secret: str, around: str) -> None:
    with pytest.raises(Usage) as refused:
        seek(around.format(secret))
    assert secret not in str(refused.value)


@pytest.mark.parametrize("text", ["", "  ", "''", "a\x1b[2J", "x" * 321])
def test_what_cannot_be_looked_for_is_said(text: str) -> None:
    with pytest.raises(Usage) as refused:
        seek(text)
    assert refused.value.code == "find_unreadable"


def test_a_text_is_looked_for_only_as_what_it_can_be() -> None:
    assert seek(KEY.lower()).kinds == ("key",)
    assert seek("ada@lovelace.example").kinds[0] == "owner"
    assert "owner" not in seek("acme").kinds
    assert "project" in seek("acme/checkout").kinds
