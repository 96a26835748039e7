r"""Regular expressions that Python and PostgreSQL read alike, and whose search always ends soon.

The common subset: literals, `.`, `^`, `$`, `|`, `( )`, `(?: )`, `[a-z]`, `[^…]`, `* + ? {m} {m,} {m,n}` (and
their lazy forms, which find the same texts), `\d \w \s \D \W \S` (ASCII) and `\` before punctuation. In filters case
is ignored: the pattern's letters are folded, and it is searched for in folded text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_PATTERN_CHARACTERS = 200
_MAX_REPEATS = 3  # each is a nested loop over the text
_MAX_CHOICES = (16, 12, 6, 2)  # each may double the ways to try; so many beside none, one, two and three repeats
_MAX_BOUND = 100

_CLASSES = {"d": "0-9", "w": "a-z0-9_", "s": " \\t\\n\\r\\f\\v"}
_CASED = _CLASSES | {"w": "A-Za-z0-9_"}
_JOINERS = dict.fromkeys((0x200C, 0x200D))
_BOUND = re.compile(r"\{([0-9]{1,4})(,([0-9]{0,4}))?\}")


class Unreadable(ValueError):
    """The pattern is not in the common subset; the message says why."""


def fold(text: str) -> str:
    """Fold text as the home does what it stores (wf.folded): composed, without ZWJ and ZWNJ, and in lower case letter
    by letter, as in PostgreSQL: no letter becomes two, and there is no final sigma.
    """
    if text.isascii():
        return text.lower()
    return "".join("i" if char == "İ" else char.lower() for char in _composed(text))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.translate(_JOINERS))


@lru_cache(maxsize=256)
def portable(pattern: str) -> str:
    """The same expression for folded text, written so that both read it alike. Raises Unreadable."""
    _check_length(pattern)
    return _Reader(_composed(pattern), folds=True).read()


@lru_cache(maxsize=1024)
def cased(pattern: str) -> re.Pattern[str]:
    """For `fullmatch` in text as it is. Raises Unreadable."""
    _check_length(pattern)
    return re.compile(_Reader(pattern, folds=False).read(), re.DOTALL)


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """For `search` in folded text. Raises Unreadable."""
    return re.compile(portable(pattern), re.DOTALL)


def _check_length(pattern: str) -> None:
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise Unreadable(f"it is longer than {MAX_PATTERN_CHARACTERS} characters")
    if not pattern:
        raise Unreadable("it is empty")


class _Reader:
    """One pass over a pattern, from left to right."""

    def __init__(self, pattern: str, folds: bool) -> None:
        self.pattern = pattern
        self.fold = fold if folds else str
        self.classes = _CLASSES if folds else _CASED
        self.place = 0
        self.repeats = 0
        self.choices = 0

    def read(self) -> str:
        spelled = self._alternatives()
        if self.place < len(self.pattern):
            raise Unreadable("a ) closes nothing")
        if self.choices > (most := _MAX_CHOICES[self.repeats]):
            beside = f" beside {self.repeats} open repeats" if self.repeats else ""
            raise Unreadable(f"it has more than {most} choices (| or ?){beside}")
        return spelled

    def _ahead(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _next(self) -> str:
        char = self._ahead()
        if not char:
            raise Unreadable("it ends too early")
        self.place += 1
        return char

    def _alternatives(self) -> str:
        branches = [self._branch()]
        while self._ahead() == "|":
            self.place += 1
            self.choices += 1
            branches.append(self._branch())
        if "" in branches:
            raise Unreadable("an alternative is empty")
        return "|".join(branches)

    def _branch(self) -> str:
        out: list[str] = []
        while (char := self._ahead()) and char not in "|)":
            before = self.repeats + self.choices
            atom = self._atom()
            compound = self.repeats + self.choices > before
            out.append(atom + self._quantifier(atom, compound))
        return "".join(out)

    def _atom(self) -> str:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return self._bracket()
        if char == "\\":
            return self._escape()
        if char in "*+?{":
            raise Unreadable(f"{char} follows nothing that it could repeat (write \\{char} for the character)")
        return {"^": r"\A", "$": r"\Z", ".": "."}.get(char) or self._literal(char)

    def _group(self) -> str:
        if self._ahead() == "?":
            if not self.pattern.startswith("?:", self.place):
                raise Unreadable("(? is not supported: no look-around, named groups or flags")
            self.place += 2
        inner = self._alternatives()
        if self._ahead() != ")":
            raise Unreadable("a ( is not closed")
        self.place += 1
        return f"(?:{inner})"

    def _escape(self) -> str:
        char = self._next()
        if char.lower() in self.classes:
            return f"[{'' if char.islower() else '^'}{self.classes[char.lower()]}]"
        return self._escaped(char)

    def _escaped(self, char: str) -> str:
        if char.isdigit():
            raise Unreadable("back references are not supported")
        if char.isalpha() or not char.isascii():
            raise Unreadable(f"\\{char} is not supported")
        return self._literal(char)

    def _bracket(self) -> str:
        negated = self._ahead() == "^"
        self.place += negated
        out: list[str] = []
        while (char := self._next()) != "]":
            if char == "\\" and self._ahead() in self.classes:
                out.append(self.classes[self._next()])
                continue
            first = self._member(char)
            if self._ahead() == "-" and not self.pattern.startswith("-]", self.place):
                self.place += 1
                last = self._member(self._next())
                if self.fold(last) < self.fold(first):
                    folded = " (letters are read as lower case)" if self.fold is fold else ""
                    raise Unreadable(f"the range {first}-{last} runs backwards{folded}")
                out.append(f"{self._literal(first)}-{self._literal(last)}")
            else:
                out.append(self._literal(first))
        if not out:
            raise Unreadable("[] is empty")
        return f"[{'^' if negated else ''}{''.join(out)}]"

    def _member(self, char: str) -> str:
        if char == "[":
            raise Unreadable("a [ within [ ] must be written \\[")
        if char == "\\":
            char = self._next()
            self._escaped(char)
        return char

    def _quantifier(self, atom: str, compound: bool) -> str:
        char = self._ahead()
        if not char or char not in "*+?{":
            return ""
        if atom in (r"\A", r"\Z"):
            raise Unreadable(f"{char} cannot repeat ^ or $")
        spelled = self._bound() if char == "{" else self._next()
        if spelled == "?":
            self.choices += 1
        elif compound:
            raise Unreadable("a repeated group must not itself hold a repeat or a choice")
        elif not spelled.endswith("}") or "," in spelled:
            self.repeats += 1
            if self.repeats > _MAX_REPEATS:
                raise Unreadable(f"it has more than {_MAX_REPEATS} open repeats")
        if self._ahead() == "?":
            self.place += 1  # lazy: finds the same texts
        if (after := self._ahead()) and after in "*+?{":
            raise Unreadable(f"{after} follows another repeat")
        return spelled

    def _bound(self) -> str:
        found = _BOUND.match(self.pattern, self.place)
        if not found:
            raise Unreadable("a { must be {m}, {m,} or {m,n} (write \\{ for the character)")
        least, _, most = found.groups()
        if max(int(least), int(most or 0)) > _MAX_BOUND or (most and int(most) < int(least)):
            raise Unreadable(f"{found[0]} is not a range of at most {_MAX_BOUND}")
        self.place = found.end()
        return found[0]

    def _literal(self, char: str) -> str:
        char = self.fold(char)
        return "\\" + char if char.isascii() and not char.isalnum() and char not in " _" else char
