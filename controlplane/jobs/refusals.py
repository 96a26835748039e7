"""The refusals of jobs and workers, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal
from controlplane.refusals import Words

JOB_TRANSITION = Words("job_transition", Refusal, "The job's state does not allow that.", "Press w on it to see why.")
WORKER_GONE = Words(
    "worker_gone",
    Conflict,
    "This worker counts as gone: no heartbeat came in time, and others have its jobs.",
    "It starts again by itself.",
)
NO_JOB = Words(
    "no_job", NotFound, "There is no job {}.", "watchfloor jobs list finds them; done ones are kept for a day."
)
NO_WORKER = Words("no_worker", NotFound, "There is no worker {}.", "watchfloor workers list finds them.")

CONSTRAINTS = (
    Words(
        "job_of_schedule",
        Refusal,
        "Its schedule has another job that waits or runs, and there are never two at a time.",
        "That one does the same; watchfloor jobs list periodic:yes -state:done shows it.",
    ),
    Words("job_kind", Refusal, "That is not a kind of job.", "Use lower-case letters, digits, '.', '_' and '-'."),
    Words("job_payload", Refusal, "A job's input is a JSON object of at most 65,536 bytes.", "Keep a link instead."),
    Words("job_cost", Refusal, "A job's cost is more than 0 and at most 1,000."),
    Words("job_max_tries", Refusal, "A job has 1 to 100 tries."),
    Words("job_error", Refusal, "The error of a job has at most 2,000 characters."),
    Words("job_marks", Refusal, "A job's state contradicts its times, worker or error."),
    Words("worker_name", Refusal, "A worker's name has 1 to 200 characters."),
    Words("worker_host", Refusal, "A host's name has at most 200 characters."),
    Words("worker_version", Refusal, "A version has at most 100 characters."),
    Words("worker_marks", Refusal, "A worker that has ended needs the time when it did."),
)
