"""The filter grammar: one text for every list, on the screen and after `list` on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operator = Literal["word", "is", "above", "below", "matches", "like"]
Kind = Literal["text", "choice", "number", "milliseconds", "share", "age", "flag"]


@dataclass(frozen=True)
class Field:
    """A column that can be filtered. `kind` says how its values are read and compared.

    number: plain; milliseconds: 250ms, 1.2s; share: 1% (held as 0.01); age: 7d (time since, in seconds);
    flag: yes/no; choice: one of `choices`; text: equality, case-insensitive.
    """

    name: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    what: str = ""


@dataclass(frozen=True)
class Term:
    """One condition; a filter is all of its terms.

    field "" with operator "word" (any part of id or name) or "like" (`~word`, fuzzy).
    "is": equal to any of `values`; "above"/"below": one number in the field's base unit (ms, share, seconds);
    "matches": one regular expression.
    """

    operator: Operator
    values: tuple[str | float, ...]
    field: str = ""
    negated: bool = False
