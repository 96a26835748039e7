"""Random filters and records, with the hostile ones among them, for the tests of the heart and of the hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from controlplane.filters.grammar import Field, Term
from controlplane.filters.patterns import Unreadable, compiled

NOW = datetime(2026, 11, 21, 5, 33, 12, 345678, tzinfo=UTC)

FIELDS = [
    Field("name"),
    Field("status", "choice", ("active", "suspended", "erased"), "where it stands"),
    Field("plan", what="what it pays for"),
    Field("requests", "number"),
    Field("p95", "milliseconds"),
    Field("err", "share"),
    Field("age", "age"),
    Field("protected", "flag"),
]

LETTERS = "abcAB %_\\'\"*.-:/äÄßİıσΣς表\u0301"
texts = st.text(st.sampled_from(LETTERS), max_size=8) | st.sampled_from(["acme", "Acme GmbH", "a%b_c\\", "ΣΑΣ ßÄ"])
_words = texts.filter(bool)

_atoms = st.sampled_from([*"abÄσß%_'", ".", r"\d", r"\W", r"\.", r"\\", "[a-cÄ]", "[^ab]", r"[\]\-%]", "İ", "\\'"])
_pieces = st.tuples(_atoms, st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}", "*?"])).map("".join)
_branches = st.tuples(
    st.sampled_from(["", "^"]), st.lists(_pieces, min_size=1, max_size=3).map("".join), st.sampled_from(["", "$"])
).map("".join)
_groups = st.tuples(
    st.sampled_from(["(", "(?:"]),
    st.lists(_branches, min_size=1, max_size=2).map("|".join),
    st.sampled_from([")", ")?"]),
).map("".join)


def _readable(pattern: str) -> bool:
    try:
        compiled(pattern)
    except Unreadable:
        return False
    return True


patterns = st.lists(_branches | _groups | st.just("(ab)+"), min_size=1, max_size=3).map("".join).filter(_readable)

numbers = st.integers(-3, 3).map(float) | st.sampled_from([0.1, 0.25, 2.5])
shares = st.sampled_from([0.0, 0.0041, 0.01, 0.3, 1.0])
seconds = st.sampled_from([0.0, 0.25, 60.0, 5400.0, 86_400.0, 604_800.0, 31_536_000.0])


def _listed(values: st.SearchStrategy) -> st.SearchStrategy[tuple]:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


def _is(field: str, values: st.SearchStrategy) -> st.SearchStrategy[Term]:
    return st.builds(Term, st.just("is"), _listed(values), st.just(field), st.booleans())


def _compared(field: str, values: st.SearchStrategy) -> st.SearchStrategy[Term]:
    return st.builds(Term, st.sampled_from(["above", "below"]), st.tuples(values), st.just(field), st.booleans())


exact_terms = st.one_of(
    st.builds(Term, st.just("word"), st.tuples(_words), st.just(""), st.booleans()),
    st.builds(Term, st.just("matches"), st.tuples(patterns), st.sampled_from(["name", "plan"]), st.booleans()),
    _is("name", texts),
    _is("plan", texts),
    _is("status", st.sampled_from(FIELDS[1].choices)),
    _is("protected", st.sampled_from(["yes", "no"])),
    _is("requests", numbers),
    _is("p95", numbers.map(abs)),
    _is("err", shares),
    _compared("requests", numbers),
    _compared("p95", numbers.map(abs)),
    _compared("err", shares),
    _compared("age", seconds | seconds.map(lambda ago: (NOW - timedelta(seconds=ago)).isoformat())),
)
fuzzy_terms = st.builds(Term, st.just("like"), st.tuples(_words), st.just(""), st.just(False))


def filters() -> st.SearchStrategy[tuple[Term, ...]]:
    return st.lists(exact_terms | fuzzy_terms, max_size=4).map(tuple)


_moments = st.one_of(seconds, seconds.map(lambda s: s + 1e-6), seconds.map(lambda s: s - 1e-6)).map(
    lambda s: NOW - timedelta(seconds=s)
)


def records() -> st.SearchStrategy[dict[str, object]]:
    """Rows as `matches` takes them; "" (id and name) is made of both, or unknown with the name."""
    return st.fixed_dictionaries(
        {
            "id": texts,
            "name": texts | st.none(),
            "status": st.sampled_from(FIELDS[1].choices) | st.none(),
            "plan": texts | st.none(),
            "requests": st.integers(-3, 3) | st.none(),
            "p95": numbers | st.none(),
            "err": shares | st.none(),
            "age": _moments | st.none(),
            "protected": st.booleans() | st.none(),
        }
    )
