"""Label matchers, with the meaning that Alertmanager gives them: of routes, silences and inhibitions.

A label that is missing is the same as an empty one. A regular expression matches the whole value; it is of the subset
in `controlplane.filters.patterns`, whose cost is bounded, and case counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from controlplane.errors import Usage
from controlplane.filters.patterns import Unreadable, cased
from controlplane.text import clean

Op = Literal["=", "!=", "=~", "!~"]
OPS: tuple[Op, ...] = ("=", "!=", "=~", "!~")
MAX_MATCHERS = 50
MAX_VALUE = 400
"""Characters of a label's value that a regular expression looks at, and that a matcher may have."""
_LABEL = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"', re.DOTALL)
_BARE = re.compile(r'[^\s{},"=!~\\]+')
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """Raises Usage `matcher_invalid` when it cannot be one."""

    label: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.label):
            raise _invalid(self, "a label is letters, digits, _ and :, and begins with no digit")
        if self.op not in OPS:
            raise _invalid(self, f"there is no {clean(self.op, 10)}: use =, !=, =~ or !~")
        if len(self.value) > MAX_VALUE:
            raise _invalid(self, f"a value has at most {MAX_VALUE} characters")
        if self.op in ("=~", "!~"):
            try:
                cased(self.value)
            except Unreadable as fault:
                raise _invalid(self, f"the regular expression cannot be used: {fault}") from None

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        if self.op in ("=", "!="):
            return (value == self.value) is (self.op == "=")
        return (cased(self.value).fullmatch(value[:MAX_VALUE]) is not None) is (self.op == "=~")

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.op}"{escaped}"'


def failing(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> Matcher | None:
    """The first that does not match; None: all match."""
    return next((matcher for matcher in matchers if not matcher.matches(labels)), None)


def match_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return failing(matchers, labels) is None


@lru_cache(maxsize=1024)
def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """`team="db", env!=prod` or `{team=~"db|web"}`, as `amtool` takes it. Raises Usage, which shows where it ends to
    make sense.
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    found: list[Matcher] = []
    while rest:
        head = _MATCHER.match(rest)
        value = head and (_QUOTED.match(rest, head.end()) or _BARE.match(rest, head.end()))
        if not head or not value or len(found) == MAX_MATCHERS:
            raise Usage(
                "matcher_unreadable",
                f"From here on these are no matchers: {clean(rest, 60)}",
                f'Write team="db", env!="prod" or team=~"db|web", at most {MAX_MATCHERS} of them.',
            )
        found.append(Matcher(head[1], head[2], _unquoted(value[0])))  # type: ignore[arg-type]
        rest = rest[value.end() :].lstrip()
        if rest and not rest.startswith(","):
            raise Usage("matcher_unreadable", f"A comma is missing before {clean(rest, 60)}", "Put one between two.")
        rest = rest[1:].lstrip()
    return tuple(found)


def show(matchers: Iterable[Matcher]) -> str:
    return clean(", ".join(map(str, matchers)) or "everything", 400)


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1], flags=re.DOTALL)


def _invalid(matcher: Matcher, why: str) -> Usage:
    shown = clean(f"{matcher.label}{matcher.op}{matcher.value}", 80)
    return Usage("matcher_invalid", f"{shown} is not a matcher: {why}.", 'Write team="db" or team=~"db|web".')
