"""The rules of jobs: pauses between tries, the fair order, and what may be done in which state. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controlplane.errors import Refusal
from controlplane.jobs.model import Job
from controlplane.jobs.refusals import JOB_TRANSITION

BACKOFF_SECONDS = 2.0
BACKOFF_CAP = 600.0


def backoff(tries: int, jitter: float) -> float:
    """Seconds until the next try: a part (`jitter` in [0, 1)) of 2 s, 4 s, 8 s … 10 min. The home has the same rule.

    Full jitter, so that many that failed together are not tried again together.
    """
    return float(jitter * min(BACKOFF_CAP, BACKOFF_SECONDS ** min(max(tries, 1), 20)))


@dataclass(frozen=True)
class Lane:
    """The costs of a tenant's due jobs, in the order in which they are taken; `v`: the tenant's virtual time."""

    v: float
    weight: float
    costs: Sequence[float]


def fair_batch(lanes: Mapping[str, Lane], most: int) -> list[str]:
    """The tenants whose jobs are taken next, in order: always the lane with the least virtual time, which each job
    advances by cost ÷ weight. The home's claim takes the same jobs; a lane offers at most twice its share of a claim,
    by weight.
    """
    chosen = sorted((name for name in lanes if lanes[name].costs), key=lambda name: (lanes[name].v, name))[:most]
    weights = sum(lanes[name].weight for name in chosen)
    offers: list[tuple[float, str]] = []
    for name in chosen:
        lane, v = lanes[name], lanes[name].v
        for cost in lane.costs[: min(most, math.ceil(2 * most * lane.weight / weights))]:
            offers.append((v, name))
            v += cost / lane.weight
    return [name for _, name in sorted(offers, key=lambda offer: offer)[:most]]


def returning(v: float, active: Sequence[float], last: float) -> float:
    """The virtual time of a lane that was idle: it saves up no turns. `last`: that of the last claim."""
    return max(v, min(active, default=last))


def check_replay(job: Job) -> None:
    """Raises Refusal `job_transition`."""
    if job.state not in ("dead", "canceled"):
        raise _refusal(job, "replayed", "Only a dead or canceled job can be replayed.")


def check_cancel(job: Job) -> None:
    """Raises Refusal `job_transition`."""
    if job.state != "waiting":
        hint = "Its worker will end it." if job.state == "running" else "Only a waiting job can be canceled."
        raise _refusal(job, "canceled", hint)


def _refusal(job: Job, verb: str, hint: str) -> Refusal:
    return JOB_TRANSITION(
        f"Job {job.id} cannot be {verb}: it is {job.state}.",
        hint,
        why=[f"state: {job.state}", f"tries: {job.tries} of {job.max_tries}"]
        + ([f"error: {job.error}"] if job.error else []),
    )
