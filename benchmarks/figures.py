"""What a benchmark finds: a number of ours, what it is compared with, and whether it meets its aim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """`ours` and `other` are in `unit`; `ratio` is ours divided by the other. `met`: None where there is no aim.

    `spread`: the minimum and maximum of the values of which `ours` is the median.
    """

    claim: str
    ours: float
    unit: str
    other: float | None = None
    other_is: str = ""
    aim: str = ""
    met: bool | None = None
    spread: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.other if self.other else None


def middle(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The median, and the minimum and maximum."""
    return median(values), (min(values), max(values))


def table(figures: Sequence[Figure]) -> str:
    rows = [("claim", "ours", "other", "ratio", "aim", "")]
    for figure in figures:
        spread = "" if figure.spread is None else f" ({_number(figure.spread[0])}–{_number(figure.spread[1])})"
        other = "" if figure.other is None else f"{_number(figure.other)} {figure.other_is}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        verdict = "" if figure.met is None else "met" if figure.met else "NOT MET"
        rows.append(
            (figure.claim, f"{_number(figure.ours)} {figure.unit}{spread}", other, ratio, figure.aim, verdict),
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
