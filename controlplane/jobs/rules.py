"""What may be done with a job in which state: pure functions."""

from __future__ import annotations

from controlplane.errors import Refusal
from controlplane.jobs.model import Job
from controlplane.jobs.refusals import JOB_TRANSITION


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
