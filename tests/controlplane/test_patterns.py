"""Regular expressions that two engines read alike and that cannot run away."""

from __future__ import annotations

import time

import pytest

from controlplane.filters.patterns import Unreadable, cased, compiled, fold, portable


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^acme$", "ACME"),
        ("a.c", "a\nc"),
        (r"\d{2,3}-\w+", "x 42-Acme_1"),
        ("[^a-c]", "d"),
        ("[A-C]x", "bX"),
        (r"[\]\-x]y", "-y"),
        ("(foo|bar)?baz", "barbaz"),
        (r"\.\*\\", r"a.*\b"),
        ("a{2}", "baab"),
        ("ÄRGER", "ärger"),
        ("a+?b", "aab"),
        (r"^[\d]$", "5"),
        ("^[a-a]$", "a"),
        ("a{3,3}", "aaa"),
        ("a{100}", "a" * 100),
        ("a" * 200, "a" * 200),
        ("a{2}b{2}c{2}d{2}", "aabbccdd"),
    ],
)
def test_it_finds(pattern: str, text: str) -> None:
    assert compiled(pattern).search(fold(text))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^acme$", "acme\n"),
        (r"\d", "٣"),
        (r"\w", "ä"),
        ("[^a-c]", "B"),
        ("a.c", "ac"),
        ("a|b", "c"),
        ("(?:ab)c", "bc"),
        ("^[ad]$", "5"),
        ("^a+?b$", "a"),
        (r"\s", "\u00a0"),
    ],
)
def test_it_does_not_find(pattern: str, text: str) -> None:
    assert not compiled(pattern).search(fold(text))


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "empty"),
        ("a" * 201, "longer"),
        ("(a", "not closed"),
        ("a)", "closes nothing"),
        ("[", "too early"),
        ("[]", "empty"),
        ("[[:alpha:]]", "must be written"),
        ("[z-a]", "backwards"),
        ("[Z-a]", "backwards"),
        ("\\", "too early"),
        ("*a", "nothing that it could repeat"),
        ("***:a", "nothing that it could repeat"),
        ("^*", "cannot repeat"),
        ("a**", "another repeat"),
        ("a*+", "another repeat"),
        ("a{,3}", "must be"),
        ("a{x", "must be"),
        ("a{3,2}", r"\{3,2\} is not a range of at most 100"),
        ("a{101}", "range"),
        ("a||b", "alternative is empty"),
        ("(?=a)", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(?P<n>a)", "named groups"),
        ("(?i)a", "flags"),
        (r"(a)\1", "back references"),
        (r"\bword", "not supported"),
        (r"\Za", "not supported"),
        (r"[\D]", "not supported"),
        ("(a+)+", "must not itself"),
        ("(a|a)*", "must not itself"),
        ("(a+|b)*", "must not itself"),
        ("((ab)*){2,}", "must not itself"),
        ("a*b*c*d*", "open repeats"),
        ("a{1,2}b{1,2}c{1,2}d{1,2}", "open repeats"),
        ("a?" * 17, "choices"),
        ("(a|b)" * 17, "choices"),
        ("a?" * 13 + "a*", "12 choices .* beside 1 open repeats"),
        ("a?" * 7 + "a*a*", "6 choices"),
        ("(a|b)?a?a*a*a*b", "2 choices"),
    ],
)
def test_what_is_outside_the_subset_is_refused_with_the_reason(pattern: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        portable(pattern)


def test_what_is_allowed_cannot_run_away() -> None:
    started = time.process_time()
    compiled("a?" * 16 + "a" * 16 + "b").search("a" * 60)
    for choices, repeats in ((2, 3), (6, 2), (12, 1)):
        compiled("a?" * choices + "a*" * repeats + "b").search("a" * 100)
    assert time.process_time() - started < 5


def test_folding_goes_letter_by_letter() -> None:
    assert fold("ÄSSΣ İI") == "ässσ ii"
    assert fold("Acme") == "acme"
    assert fold("é\u200cA\u200d") == "éa" and "\u200b" in fold("é\u200b") and "\u200e" in fold("é\u200e")


@pytest.mark.parametrize(
    ("pattern", "whole", "not_whole"),
    [
        ("db|web", "web", "webs"),
        ("Web", "Web", "web"),
        (r"\w+", "aB_9", "ä"),
        ("[A-C]x", "Bx", "bx"),
        ("e\u0301", "e\u0301", "\u00e9"),
        ("^a$", "a", "a\n"),
    ],
)
def test_matchers_read_text_as_it_is(pattern: str, whole: str, not_whole: str) -> None:
    assert cased(pattern).fullmatch(whole) and not cased(pattern).fullmatch(not_whole)


@pytest.mark.parametrize(("pattern", "says"), [("", "empty"), ("a" * 201, "longer"), ("[c-B]", "backwards$")])
def test_matchers_have_the_same_bounds(pattern: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        cased(pattern)
