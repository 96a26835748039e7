"""Cursors come back as they went, and only to the question that they were made for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.telemetry import cursors

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
asked = st.dictionaries(texts, texts | st.integers() | st.none() | st.floats(allow_nan=False), max_size=5)


@given(texts, st.none() | texts, asked, st.lists(texts, max_size=3), st.binary(max_size=40))
def test_round_trip(kind: str, tenant: str | None, held: dict[str, object], place: list[str], mac: bytes) -> None:
    body = cursors.body(kind, tenant, held, place)
    assert cursors.opened(cursors.sealed(body, mac)) == (body, mac)
    assert cursors.place_of(body, kind, tenant) == (held, place)
    with pytest.raises(Usage, match="cursor_of_another_kind"):
        cursors.place_of(body, kind + "x", tenant)
    with pytest.raises(Usage, match="cursor_of_another_tenant"):
        cursors.place_of(body, kind, (tenant or "") + "x")


@given(st.text(max_size=80))
def test_nonsense_is_refused_in_words(text: str) -> None:
    try:
        cursors.opened(text)
    except Usage as refusal:
        assert refusal.code == "cursor_unreadable"


def test_another_version_is_refused() -> None:
    with pytest.raises(Usage, match="cursor_version"):
        cursors.place_of('{"v": 2}', "series", None)


def test_the_longest_cursor_is_read() -> None:
    longest = cursors.sealed("x" * (3 * 1023), b"xx")  # four letters for three bytes, a dot, and three for the two
    assert len(longest) == 4096 and cursors.opened(longest) == ("x" * 3069, b"xx")
    for other in (longest + "A", cursors.sealed("a\0b", b""), "é.", "a.", "....."):
        with pytest.raises(Usage, match="cursor_unreadable"):
            cursors.opened(other)


def test_whose_cursor_it_is_is_said() -> None:
    body = cursors.body("series", None, {}, [])
    with pytest.raises(Usage, match="The cursor is for all tenants, not for acme"):
        cursors.place_of(body, "series", "acme")
    with pytest.raises(Usage, match="The cursor is for acme, not for all tenants"):
        cursors.place_of(cursors.body("series", "acme", {}, []), "series", None)
