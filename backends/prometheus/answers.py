"""What a Prometheus answers; its numbers are not trusted to be counts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.text import clean

MAX_COUNT = float(1 << 53)
"""More than any service counts in a step; above it a float cannot hold every whole number."""
MAX_NOTES = 5
_NUMBER = re.compile(r"[+-]?(?:Inf|NaN|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of an answer: its labels, and its counts (0 to `MAX_COUNT`) by their time in seconds."""

    labels: Mapping[str, str]
    values: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """`notes`: what may be missing or wrong, in words: Prometheus' own warnings, and which values could not be used."""

    curves: tuple[Curve, ...] = ()
    notes: tuple[str, ...] = ()


def answer_of(said: Mapping[str, Any]) -> Answer:
    """From the JSON of a matrix. Raises KeyError, TypeError, ValueError or AttributeError when it is not one."""
    curves, beyond = [], 0
    for each in said["data"]["result"]:
        labels = {str(name): str(value) for name, value in each["metric"].items()}
        numbers = {number(at): number(value) for at, value in each.get("values", ())}
        counts = {at: value for at, value in numbers.items() if 0 <= value <= MAX_COUNT}
        beyond += sum(not math.isnan(value) for value in numbers.values()) - len(counts)
        curves.append(Curve(labels, counts))
    said_so = [said.get(name) or [] for name in ("warnings", "infos")]
    notes = [clean(str(words), 200) for each in said_so for words in (each if isinstance(each, list) else [each])]
    if said.get("isPartial") is True:  # how VictoriaMetrics says it
        notes.insert(0, "partial: not all of its stores answered")
    if beyond:
        notes.insert(0, f"{beyond:,} value{'s' * (beyond > 1)} left out: below 0 or too large for a count")
    return Answer(tuple(curves), tuple(notes[:MAX_NOTES]))


def values_of(said: Mapping[str, Any]) -> list[tuple[dict[str, str], float]]:
    """From the JSON of a vector: the labels and the value of each series. Raises as `answer_of`."""
    return [
        ({str(name): str(value) for name, value in each["metric"].items()}, number(each["value"][1]))
        for each in said["data"]["result"]
    ]


def number(said: object) -> float:
    """A number as Prometheus writes it, quoted or not; too large for a float is infinite. Raises ValueError."""
    if isinstance(said, str) and not _NUMBER.fullmatch(said):
        raise ValueError(said)
    return float(str(said))


def bound_of(text: str) -> float | None:
    """A histogram's upper bound; None when the text is not one."""
    try:
        bound = number(text)
    except ValueError:
        return None
    return bound if bound >= 0 else None  # nor is NaN
