"""What a check was judged to be. (`judging` judges; it knows the checks, and costs more to load.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["pass", "fail", "inconclusive"]
Because = Literal[
    "", "no_data", "no_traffic", "unknown_metric", "error", "time_limit", "unanswered", "not_here", "not_run", "stale"
]
"""Why nothing is known: no value, too few requests to say, nothing of that name, a check that itself failed or took too
long, nobody who answered, a kind that is not carried out here, a check that was not part of the run."""
WHY: dict[str, str] = {
    "no_data": "no data",
    "no_traffic": "no traffic",
    "unknown_metric": "unknown metric",
    "error": "the check failed",
    "time_limit": "over its time limit",
    "unanswered": "nobody has answered",
    "not_here": "not carried out here",
    "not_run": "not run",
    "stale": "stale",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """`value` is what was found, in `unit`; `threshold` what it is held to, in words. `because`: why it is
    inconclusive. `words`: what a person is told beside it.
    """

    state: State
    because: Because = ""
    value: float | None = None
    threshold: str = ""
    unit: str = ""
    words: str = ""
