"""The refusals of runs, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

RUN_TRANSITION = Words(
    "run_transition", Refusal, "The run's state does not allow that.", "Look at it: watchfloor runs show."
)
RUN_OVER = Words("run_over", Refusal, "The run is over.", "Start another.")
NO_RUN = Words("no_run", NotFound, "There is no run {}.", "watchfloor runs list")
RUN_THING_TWICE = Words("run_thing_twice", Usage, "A thing is in the list twice.", "Name each thing once.")
RUN_HELD = Words(
    "run_held",
    Refusal,
    "The run waits for a second person: nothing is done before.",
    "watchfloor runs release asks for the approval, and lets it begin when it has it.",
)
RUN_NOT_HELD = Words("run_released", Refusal, "The run does not wait for an approval.")
RUN_TOO_LARGE = Words(
    "run_too_large", Usage, "A run has at most 100,000 things.", "Narrow the filter and start several runs."
)

CONSTRAINTS = (
    Words("run_snapshot_over", Refusal, "A run takes no more things after it was started.", "Start another."),
    Words("run_not_running", Refusal, "The run was paused or stopped.", "Resume it, or start another."),
    Words("run_item_settled", Refusal, "The item of the run has its verdict already."),
    Words(
        "run_item_unknown",
        Refusal,
        "The request id has the form of a run's, but there is no such item.",
        "Use another.",
    ),
    Words("run_not_held", Conflict, "Your program does not carry this run, or no longer does.", "Resume it first."),
    Words(
        "run_role",
        NotPermitted,
        "The run does an operation that you may not do yourself.",
        "Ask the person who started it, or somebody with that role.",
    ),
    Words("run_not_carried", Refusal, "The run has no such item, or its operation cannot be done to many things."),
    Words(
        "run_key_missing",
        Refusal,
        "The run has no new key ready for this one: it was rotated when the run started, or the run was made without.",
        "Rotate it by itself.",
    ),
    Words(
        "run_actor",
        NotPermitted,
        "The person who started the run may no longer do this: their role was changed or removed.",
        "Stop it, and let somebody with the role start another.",
    ),
    Words("run_thing_gone", NotFound, "The thing no longer exists."),
    Words("run_key_item", Refusal, "A new key was prepared for an item that the run does not have."),
    Words("run_item_not_done", Refusal, "The change did not touch the thing that it was meant for."),
)
