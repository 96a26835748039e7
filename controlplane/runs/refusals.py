"""What is refused of runs, in words: for the rules, and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

RUN_TRANSITION = Words(
    "run_transition", Refusal, "The run's state does not allow that.", "Look at it: watchfloor runs show."
)
NO_RUN = Words("no_run", NotFound, "There is no run {}.", "watchfloor runs list")
RUN_THING_TWICE = Words("run_thing_twice", Usage, "A thing stands in the list twice.", "Name each thing once.")

CONSTRAINTS = (
    Words("run_too_large", Usage, "A run has at most 100,000 things.", "Narrow the filter, and start several."),
    Words("run_snapshot_over", Refusal, "A run takes no more things after it was made.", "Start another."),
    Words("run_not_running", Refusal, "The run was paused or stopped.", "Resume it, or start another."),
    Words("run_item_settled", Refusal, "The item of the run has its verdict already."),
    Words(
        "run_item_unknown",
        Refusal,
        "The request id looks like that of a run, and there is no such item.",
        "Use another.",
    ),
    Words("run_not_held", Conflict, "You do not drive this run, or no longer.", "Resume it first."),
    Words(
        "run_role",
        NotPermitted,
        "The run is of an operation that you may not do yourself.",
        "Ask who started it, or somebody with that role.",
    ),
    Words("run_not_carried", Refusal, "No worker carries such an item.", "Resume the run from a console or a shell."),
    Words(
        "run_actor",
        NotPermitted,
        "Whoever started the run may not do this any more: their role was changed or taken away.",
        "Stop it, and let somebody with the role start another.",
    ),
    Words("run_thing_gone", NotFound, "The thing is not there any more."),
    Words("run_item_not_done", Refusal, "The change did nothing to the thing that it was to settle."),
)
