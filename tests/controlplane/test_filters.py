"""The filter grammar: what is read, refused, rendered, matched and completed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Usage
from controlplane.filters.grammar import Field, Term, complete, describe, matches, parse, render
from tests.controlplane.filter_strategies import FIELDS, NOW, filters

ACME = {
    "": ["acme-prod", "Acme GmbH & Söhne"],
    "name": "Acme GmbH & Söhne",
    "status": "active",
    "plan": None,
    "requests": 1204,
    "p95": 212.3,
    "err": 0.0041,
    "age": NOW - timedelta(days=5),
    "protected": True,
}


def holds(text: str, record: dict[str, object] = ACME) -> bool:
    return matches(parse(text, FIELDS), record, NOW)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  / ", []),
        ("acme", [Term("word", ("acme",))]),
        ("-acme", [Term("word", ("acme",), negated=True)]),
        ("~acmee", [Term("like", ("acmee",))]),
        ('"two words" "-x" "say \\"hi\\""', [Term("word", (w,)) for w in ("two words", "-x", 'say "hi"')]),
        ("/status:suspended", [Term("is", ("suspended",), "status")]),
        ("STATUS:Active,suspended", [Term("is", ("active", "suspended"), "status")]),
        ("-status:active acme", [Term("is", ("active",), "status", True), Term("word", ("acme",))]),
        ('name:"a b",c,"d,e"', [Term("is", ("a b", "c", "d,e"), "name")]),
        ('name:""', [Term("is", ("",), "name")]),
        ("p95>250ms p95<1.2s", [Term("above", (250.0,), "p95"), Term("below", (1200.0,), "p95")]),
        ("err>1% err<0.05%", [Term("above", (0.01,), "err"), Term("below", (0.0005,), "err")]),
        ("age<7d -age>1h30m", [Term("below", (604_800.0,), "age"), Term("above", (5400.0,), "age", True)]),
        ("requests:5,-2.5", [Term("is", (5.0, -2.5), "requests")]),
        ("protected:no", [Term("is", ("no",), "protected")]),
        (r"name:/^a b\/c$/ x", [Term("matches", (r"^a b\/c$",), "name"), Term("word", ("x",))]),
        ("10.0.0.1:80 a/b C:\\x", None),
    ],
)
def test_reading(text: str, terms: list[Term] | None) -> None:
    if terms is None:
        with pytest.raises(Usage):
            parse(text, FIELDS)
    else:
        assert parse(text, FIELDS) == tuple(terms)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stauts:active", 'no field "stauts". Did you mean status?'),
        ("zzz:1", 'no field "zzz".'),
        ("status:activ", 'never "activ". Did you mean active?'),
        ("status:", "status is one of active, "),
        ("status:active,", "Nothing follows"),
        ("-", 'Nothing follows "-"'),
        ("~", 'Nothing follows "~"'),
        ('""', "empty"),
        ('"open', "quote is not closed"),
        ('a"b"', "a quote within"),
        ('name:"a"b', "a quote within"),
        ('"a",b', "a quote within"),
        ("name:/a**/", "/a**/ cannot be used: * follows another repeat"),
        ("-~acme", "cannot be negated"),
        ("name>5", "cannot be compared"),
        ("age:7d", "is a time"),
        ("age>2026-13-01", 'age cannot be "2026-13-01"'),
        ("age>0001-01-01T00:00+14:00", "age cannot be"),
        ("p95>250", 'p95 cannot be "250"'),
        ("p95>250kb", 'p95 cannot be "250kb"'),
        ("err>0.01", "err cannot be"),
        ("requests>many", "requests cannot be"),
        ("requests>1e5", "requests cannot be"),
        ("protected:maybe", 'never "maybe"'),
        ("age<2000y", "age cannot be"),
        ("requests:/5/", "no text"),
        ("name:/open", "not closed"),
        ("a\x1b[2Jb", "control character"),
        ("a\x00", "control character"),
        ("\ud800", "control character"),
        ("x" * 2001, "at most 2,000"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(Usage) as refused:
        parse(text, FIELDS)
    assert refused.value.code == "filter_unreadable"
    assert says in refused.value.message
    assert "Fields: name, status," in refused.value.hint
    assert str(refused.value).isprintable()


def test_the_longest_filter_is_read() -> None:
    assert parse("x" * 2000, FIELDS) == (Term("word", ("x" * 2000,)),)


@pytest.mark.parametrize("text", ["{}:1", '{}"', "name:/{}**/", "status:{}", "requests>{}", "{}\x1b"])
def test_of_a_long_text_the_first_sixty_characters_are_repeated(text: str) -> None:
    with pytest.raises(Usage) as refused:
        parse(text.format("x" * 61), FIELDS)
    assert "x" * 59 + "…" in refused.value.message


@given(st.text(st.sampled_from('ab name:status:active"\\,-~/<>57dms% \x1b(*'), max_size=30))
def test_any_text_is_read_or_refused_never_a_crash(text: str) -> None:
    try:
        terms = parse(text, FIELDS)
    except Usage as refused:
        assert refused.code == "filter_unreadable"
    else:
        assert parse(render(terms, FIELDS), FIELDS) == terms


@given(filters())
def test_rendered_terms_read_back_the_same(terms: tuple[Term, ...]) -> None:
    assert parse(render(terms, FIELDS), FIELDS) == terms
    assert parse("/" + render(terms, FIELDS), FIELDS) == terms


def test_rendering_is_what_a_person_would_write() -> None:
    text = '-acme "two words" ~glob name:a,"b c" -status:active p95>250ms err<1% age>7d age<90m requests>1000 name:/^a/'
    assert render(parse(text, FIELDS), FIELDS) == text
    ages = "age>5h age<90s age>3601s age<0s age>1d age>1440m age>25h"
    assert render(parse(ages, FIELDS), FIELDS) == "age>5h age<90s age>3601s age<0s age>1d age>1d age>25h"


@pytest.mark.parametrize(
    "text",
    [
        *("", "acme", "GMBH", "söhne", "SÖHNE", "me-p", "-globex", "~acme-prdo", "~acmeqrod", "~ac", "acme gmbh"),
        *('name:"acme gmbh & söhne"', 'name:x,"ACME GMBH & SÖHNE"', "status:active,suspended", "-status:suspended"),
        *("requests>1000", "requests<1205", "requests:1204", "p95>212ms", "p95<212.4ms", "err<1%", "-err>1%"),
        *("age>4d", "age<6d", "-age<4d", "protected:yes", "protected:yes,no", "-protected:no"),
        *("-plan:growth", "-plan:/./", "name:/^acme .* söhne$/", "name:/SÖHNE/", r"name:/\w+ (gmbh|ag)/", "-name:/x/"),
    ],
)
def test_matching(text: str) -> None:
    assert holds(text)
    negation = text[1:] if text.startswith("-") else "-" + text
    if text and " " not in text and "~" not in text:
        assert not holds(negation)


@pytest.mark.parametrize(
    "text",
    [
        "acme -gmbh",
        "odAcme",
        '"prod acme"',
        "~acne",
        "~acmexyz",
        "~globex",
        "requests>1204",
        "requests<1204",
        "age<5d",
        "age>5d",
    ],
)
def test_not_matching(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    [
        *("plan:x", "name:x", "requests>0", "requests<9", "requests:0", "p95<1s", "err<50%", "age<1y", "age>1s"),
        *("protected:no", "status:active", "name:/./", "word"),
    ],
)
def test_what_is_unknown_meets_nothing_and_every_negation(text: str) -> None:
    unknown: dict[str, object] = dict.fromkeys(ACME)
    assert not holds(text, unknown)
    assert holds("-" + text, unknown)


def test_a_field_that_a_record_lacks_is_never_passed_over() -> None:
    with pytest.raises(KeyError):
        matches(parse("plan:x", FIELDS), {"": []}, NOW)


def test_of_a_list_one_value_must_meet_the_condition() -> None:
    record = {"scopes": ["Read", "write"], "none": []}
    fields = (Field("scopes"), Field("none"))
    for text, found in {"scopes:read": True, "scopes:/^wr/": True, "scopes:rea": False, "-none:x": True}.items():
        assert matches(parse(text, fields), record, NOW) is found, text


def test_completion() -> None:
    assert complete("acme st", FIELDS) == ["status:"]
    assert complete("-P", FIELDS) == ["-plan:", "-p95>", "-protected:"]
    assert complete("/status:a", FIELDS) == ["status:active"]
    assert complete("x -status:active,s", FIELDS) == ["-status:active,suspended"]
    assert complete("protected:", FIELDS) == ["protected:yes", "protected:no"]
    assert complete("name:x", FIELDS) == []
    assert complete("acme ", FIELDS)[:2] == ["name:", "status:"]


def test_every_completion_of_a_choice_can_be_read() -> None:
    for text in complete("status:", FIELDS) + complete("protected:", FIELDS):
        parse(text, FIELDS)


def test_description_says_how_each_field_is_written() -> None:
    assert describe([Field("status", "choice", ("on", "off"), "whether it runs"), Field("p95", "milliseconds")]) == [
        "status:on|off  whether it runs",
        "p95>250ms",
    ]
    assert describe([Field("name"), Field("ok", "flag")]) == ["name:value", "ok:yes|no"]


def test_now_is_the_clock_that_is_given() -> None:
    assert not matches(parse("age>6d", FIELDS), ACME, NOW)
    assert matches(parse("age>6d", FIELDS), ACME, NOW + timedelta(days=2))


def test_a_time_is_also_compared_with_a_moment_and_later_is_the_larger() -> None:
    assert parse("age>24h ago", FIELDS) == (Term("below", (86_400.0,), "age"),)
    assert parse("age<1h ago acme", FIELDS) == (Term("above", (3600.0,), "age"), Term("word", ("acme",)))
    assert parse("age<1h agog", FIELDS)[1] == Term("word", ("agog",)), "a word of its own"
    day = parse("age>2026-11-16", FIELDS)
    assert day == (Term("below", ("2026-11-16T00:00:00+00:00",), "age"),)
    assert parse("age>2026-11-16T01:00+01:00", FIELDS) == day and parse(render(day, FIELDS), FIELDS) == day
    for text, holds in (("age>2026-11-16", True), ("age<2026-11-16", False), ("age>2026-11-17", False)):
        assert matches(parse(text, FIELDS), ACME, NOW) is holds, text
        assert matches(parse(text, FIELDS), ACME, NOW + timedelta(days=99)) is holds, "a moment does not move"
