"""The filter grammar: one text for every list, on the screen and after `list` on the command line.

`word` any part of id or name; `field:value`; `field:a,b` either; `field>n`, `field<n` with units; a time is compared
as an age (`at<7d`), with a moment (`at>2026-11-29`, UTC) or with `at>24h ago`;
`field:/regex/`; `~word` fuzzy; `-` before a term: not; "two words", field:"a b". All terms must hold.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, NoReturn

from controlplane.errors import Usage
from controlplane.filters.patterns import Unreadable, compiled, fold, portable
from controlplane.formatting import exact_duration
from controlplane.text import clean

Operator = Literal["word", "is", "above", "below", "matches", "like"]
Kind = Literal["text", "choice", "number", "milliseconds", "share", "age", "until", "flag", "document"]


class Field(NamedTuple):
    """A column that can be filtered. `kind` says how its values are read and compared.

    number: plain; milliseconds: 250ms, 1.2s; share: 1% (kept as 0.01); age: 7d (time since, in seconds); until: 7d
    (time left, in seconds; unknown when it is over); flag: yes/no; choice: one of `choices`; text: equality, ignoring
    case; document: JSON, of which a part is named after a point (payload.user.id:42), or a JSON path
    (payload:"$.a ? (@ > 1)").
    """

    name: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    what: str = ""
    also: tuple[str, ...] = ()
    """Further names of the field: those in the column's title and in exports."""


class Term(NamedTuple):
    """One condition; a filter is all of its terms.

    field "" with operator "word" (any part of id or name) or "like" (`~word`, fuzzy).
    "is": equal to any of `values`; "above"/"below": one number in the field's base unit (ms, share, seconds), or for a
    time a moment as ISO-8601: "below" is later than that, as a smaller age is;
    "matches": one regular expression of the subset in `controlplane.filters.patterns`, as it was typed.
    """

    operator: Operator
    values: tuple[str | float, ...]
    field: str = ""
    negated: bool = False


_MAX_FILTER_CHARACTERS = 2000
_MEASURED = ("number", "milliseconds", "share", "age", "until")
_EXAMPLES: dict[Kind, str] = {
    "number": "100",
    "milliseconds": "250ms or 1.2s",
    "share": "1%",
    "age": "7d or 24h ago or 2026-11-29",
    "until": "7d or 15m",
}
_HEAD = re.compile(r"(-?)(?:(~)|([A-Za-z_][\w.-]*)([:<>]))?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BARE = re.compile(r'[^\s"]+')
_LISTED = re.compile(r'[^\s",]+')
_REGEX = re.compile(r"/((?:[^/\\]|\\.)*)/(?!\S)")
_NUMBER = re.compile(r"-?[0-9]{1,16}(?:\.[0-9]{1,12})?")
_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,12})?)%")


_AGO = re.compile(r"\s+ago(?!\S)")
_DATE = re.compile(r"[0-9]{4}-")


def named(fields: Sequence[Field]) -> dict[str, Field]:
    """Every name of every field."""
    return {name: field for field in fields for name in (*field.also, field.name)}


def one_name(name: str, fields: Sequence[Field]) -> str:
    """The name of the field that has `name` among its names; `name` itself when there is none."""
    found = named(fields).get(name)
    return found.name if found else name


def parse(text: str, fields: Sequence[Field]) -> tuple[Term, ...]:
    """Read a filter. Usage `filter_unreadable` says what is wrong and which fields there are."""
    reader = _Reader(text.strip().removeprefix("/"), fields)
    return tuple(reader.terms())


class _Reader:
    """One pass over the text, from left to right."""

    def __init__(self, text: str, fields: Sequence[Field]) -> None:
        self.text = text
        self.place = 0
        self.fields = {field.name: field for field in fields}
        self.named = named(fields)

    def terms(self) -> Iterable[Term]:
        if len(self.text) > _MAX_FILTER_CHARACTERS:
            self._refuse(f"A filter has at most {_MAX_FILTER_CHARACTERS:,} characters.")
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in self.text):
            self._refuse(f'The filter holds a control character: "{clean(self.text, 60)}".')
        while self._skip_spaces():
            yield self._term()

    def _skip_spaces(self) -> bool:
        while self.text[self.place : self.place + 1].isspace():
            self.place += 1
        return self.place < len(self.text)

    def _term(self) -> Term:
        head = _HEAD.match(self.text, self.place)
        assert head is not None  # every part of it is optional
        minus, fuzzy, name, sign = head.groups()
        self.place = head.end()
        if not name:
            if fuzzy and minus:
                self._refuse("~word cannot be negated.", "Write -word to leave out what contains the word.")
            return Term("like" if fuzzy else "word", (self._value(_BARE, head[0]),), negated=bool(minus))
        field = self._field(name)
        if sign != ":":
            return self._comparison(field, sign, bool(minus))
        if self.text.startswith("/", self.place):
            return Term("matches", (self._pattern(field),), field.name, bool(minus))
        return Term("is", self._values(field, head[0]), field.name, bool(minus))

    def _field(self, name: str) -> Field:
        if field := self.named.get(name.lower()):
            return field
        head, _, part = name.partition(".")
        if part and (document := self.named.get(head.lower())) and document.kind == "document":
            return Field(f"{document.name}.{part}", "document")
        self._refuse(
            f'There is no field "{clean(name, 60)}".{_meant(name, self.fields)}',
            'To search for the text itself, quote it: "a:b".',
        )

    def _value(self, bare: re.Pattern[str], after: str) -> str:
        """One value, quoted or not, that starts here."""
        if self.text.startswith('"', self.place):
            found = _QUOTED.match(self.text, self.place)
            if not found:
                self._refuse("A quote is not closed.")
            value = re.sub(r'\\(["\\])', r"\1", found[1])
        else:
            found = bare.match(self.text, self.place)
            value = found[0] if found else ""
        if not found or not (value or bare is _LISTED):
            self._refuse(f'Nothing follows "{clean(after, 60)}".' if after else "A quoted word is empty.")
        self.place = found.end()
        after_it = self.text[self.place : self.place + 1]
        if after_it and not after_it.isspace() and not (bare is _LISTED and after_it == ","):
            self._refuse(f'There is a quote within "{clean(value, 60)}".', 'Quote the whole value: "two words".')
        return value

    def _values(self, field: Field, head: str) -> tuple[str | float, ...]:
        choices = ("yes", "no") if field.kind == "flag" else field.choices
        if choices and not self.text[self.place : self.place + 1].strip():
            self._refuse(f"{field.name} is one of {', '.join(choices)}.")
        values = [self._operand(field, self._value(_LISTED, head))]
        while self.text.startswith(",", self.place):
            self.place += 1
            values.append(self._operand(field, self._value(_LISTED, head + "…,")))
        return tuple(values)

    def _comparison(self, field: Field, sign: str, negated: bool) -> Term:
        if field.kind not in _MEASURED:
            self._refuse(f"{field.name} cannot be compared with {sign}.", f"Write {field.name}:value.")
        text = self._value(_BARE, field.name + sign)
        if field.kind == "age" and (moment := self._moment(field, text)) is not None:
            return Term("below" if sign == ">" else "above", (moment,), field.name, negated)  # later is younger
        return Term("above" if sign == ">" else "below", (self._measure(field, text),), field.name, negated)

    def _moment(self, field: Field, text: str) -> str | float | None:
        """A time in place of an age: "24h ago" in seconds, 2026-11-29 or 2026-11-29T10:00 as ISO-8601 in UTC."""
        if (ago := _AGO.match(self.text, self.place)) is not None:
            self.place = ago.end()
            return self._measure(field, text)
        if not _DATE.match(text):
            return None
        try:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            self._refuse(f'{field.name} cannot be "{clean(text, 60)}".', "Write 2026-11-29 or 2026-11-29T10:00Z, UTC.")
        return at.isoformat()

    def _pattern(self, field: Field) -> str:
        if field.kind not in ("text", "choice"):
            self._refuse(f"{field.name} has no text for a /regular expression/.")
        found = _REGEX.match(self.text, self.place)
        if not found:
            self._refuse(
                f"The regular expression after {field.name}: is not closed.",
                "Write it as /…/, a slash as \\/.",
            )
        try:
            portable(found[1])
        except Unreadable as problem:
            self._refuse(f"The regular expression /{clean(found[1], 60)}/ cannot be used: {problem}.")
        self.place = found.end()
        return found[1]

    def _operand(self, field: Field, text: str) -> str | float:
        if field.kind == "document" and "." not in field.name and not text.startswith("$"):
            self._refuse(f"{field.name} is a document.", f"Write {field.name}.part:value.")
        if field.kind in ("text", "document"):
            return text
        if field.kind in ("age", "until"):
            self._refuse(f"{field.name} is a time.", f"Write {field.name}<7d or {field.name}>15m.")
        if field.kind == "choice":
            return self._choice(field, text, field.choices)
        if field.kind == "flag":
            return self._choice(field, text, ("yes", "no"))
        return self._measure(field, text)

    def _choice(self, field: Field, text: str, choices: tuple[str, ...]) -> str:
        for choice in choices:
            if choice.lower() == text.lower():
                return choice
        self._refuse(
            f'{field.name} is never "{clean(text, 60)}".{_meant(text, choices)}', f"It is one of {', '.join(choices)}."
        )

    def _measure(self, field: Field, text: str) -> float:
        """The number in the field's base unit; by Decimal, so that the same text always gives the same float."""
        if field.kind == "number" and _NUMBER.fullmatch(text):
            return float(text)
        if field.kind == "share" and (found := _SHARE.fullmatch(text)):
            return float(Decimal(found[1]) / 100)
        if field.kind in ("milliseconds", "age", "until"):
            try:
                return float(exact_duration(text) * (1000 if field.kind == "milliseconds" else 1))
            except Usage:
                pass
        self._refuse(f'{field.name} cannot be "{clean(text, 60)}".', f"Write for example {_EXAMPLES[field.kind]}.")

    def _refuse(self, message: str, hint: str = "") -> NoReturn:
        fields = f"Fields: {', '.join(self.fields)}." if self.fields else "This list has no fields."
        raise Usage("filter_unreadable", message, f"{hint} {fields}".strip())


def _meant(text: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only here: it is not needed before the first mistake

    near = get_close_matches(text.lower(), list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def describe(fields: Sequence[Field]) -> list[str]:
    """A line for every field, for the help: how it is written, and what it is."""
    lines = []
    for field in fields:
        if field.kind in _MEASURED:
            how = f"{field.name}>{_EXAMPLES[field.kind].split()[0]}"
            how += f" {field.name}>24h ago" if field.kind == "age" else ""
        elif field.kind == "text":
            how = f"{field.name}:value"
        elif field.kind == "document":
            how = f"{field.name}.part:value"
        else:
            how = f"{field.name}:{'|'.join(field.choices if field.kind == 'choice' else ('yes', 'no'))}"
        lines.append(f"{how}  {field.what}".rstrip())
    return lines


def complete(text: str, fields: Sequence[Field]) -> list[str]:
    """What the last token of `text` can become: field names with their sign, or a field's choices."""
    token = re.split(r"\s", text.removeprefix("/"))[-1]
    minus, token = ("-", token[1:]) if token.startswith("-") else ("", token)
    name, colon, values = token.partition(":")
    if not colon:
        signs = {field.name: ":" if field.kind not in _MEASURED else ">" for field in fields}
        return [minus + name + sign for name, sign in signs.items() if name.startswith(token.lower())]
    head, comma, last = values.rpartition(",")
    return [
        f"{minus}{field.name}:{head}{comma}{choice}"
        for field in fields
        if name.lower() in (field.name, *field.also)
        for choice in (("yes", "no") if field.kind == "flag" else field.choices)
        if choice.lower().startswith(last.lower())
    ]


def render(terms: Iterable[Term], fields: Sequence[Field]) -> str:
    """The canonical text; `parse(render(terms, fields), fields) == terms` for all that `parse` returns."""
    kinds = {field.name: field.kind for field in fields}
    return " ".join(("-" if term.negated else "") + _render(term, kinds.get(term.field, "text")) for term in terms)


def _render(term: Term, kind: Kind) -> str:
    if term.operator == "matches":
        pattern = re.sub(r"(\\.)|/", lambda found: found[1] or r"\/", str(term.values[0]))
        return f"{term.field}:/{pattern}/"
    if kind == "age" and isinstance(term.values[0], str):
        return f"{term.field}{'>' if term.operator == 'below' else '<'}{term.values[0]}"
    sign = {"word": "", "like": "~", "is": ":", "above": ">", "below": "<"}[term.operator]
    return term.field + sign + ",".join(_render_value(value, kind) for value in term.values)


def _render_value(value: str | float, kind: Kind) -> str:
    if isinstance(value, str):
        if re.fullmatch(r'[^\s"\\:<>,/~-][^\s"\\:<>,]*', value):
            return value
        return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    number = Decimal(repr(value))
    if kind == "share":
        return f"{_plain(number * 100)}%"
    if kind == "milliseconds":
        return f"{_plain(number)}ms"
    if kind in ("age", "until"):
        size, unit = next(
            (pair for pair in ((86_400, "d"), (3600, "h"), (60, "m")) if number and number % pair[0] == 0),
            (1, "s"),
        )
        return f"{_plain(number / size)}{unit}"
    return _plain(number)


def _plain(number: Decimal) -> str:
    """Without an exponent or trailing zeros."""
    shown = f"{number:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def matches(terms: Iterable[Term], record: Mapping[str, object], now: datetime) -> bool:
    """Whether all terms hold for a record: field → value in its base unit (age: a datetime; unknown: None).

    record[""] is the list of texts that words are looked for in (id, name); in any other list, one value must meet the
    condition. An unknown value meets no condition, so every negated condition holds for it. Raises KeyError for a field
    that the record lacks.
    """
    return all(_holds(term, record[term.field], now) is not term.negated for term in terms)


def threshold(term: Term, now: datetime) -> datetime:
    """The time that an age is compared with; "above" means before it."""
    if isinstance(moment := term.values[0], str):
        return datetime.fromisoformat(moment)
    return now - timedelta(seconds=float(term.values[0]))


FUZZY_HEAD = 4
"""`~word` allows typing errors only after this many letters: these find the candidates, by index."""
_FUZZY_SCORE = 75


def _holds(term: Term, value: object, now: datetime) -> bool:
    if value is None:
        return False
    if term.operator in ("word", "like"):
        assert isinstance(value, list | tuple)
        word = fold(str(term.values[0]))
        found = _fuzzy if term.operator == "like" else str.__contains__
        return any(found(fold(str(text)), word) for text in value if text is not None)
    if isinstance(value, list | tuple):
        return any(_holds(term, each, now) for each in value)
    if term.operator == "matches":
        return compiled(str(term.values[0])).search(fold(str(value))) is not None
    if term.operator == "is":
        return _is(term.values, value)
    if isinstance(value, datetime):
        limit = threshold(term, now)
        return value < limit if term.operator == "above" else value > limit
    number, bound = _number(value), float(term.values[0])
    return number > bound if term.operator == "above" else number < bound


def _is(values: tuple[str | float, ...], value: object) -> bool:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if isinstance(values[0], str):
        return fold(str(value)) in [fold(str(wanted)) for wanted in values]
    return _number(value) in values


def _number(value: object) -> float:
    assert isinstance(value, int | float | Decimal)
    return float(value)


def _fuzzy(text: str, word: str) -> bool:
    from rapidfuzz.fuzz import partial_ratio  # only here: it would delay the first paint by 5 ms

    return word[:FUZZY_HEAD] in text and partial_ratio(word, text) >= _FUZZY_SCORE
