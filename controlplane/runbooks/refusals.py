"""The refusals of runbooks, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_RUNBOOK = Words("no_runbook", NotFound, "There is no runbook {}.", "watchfloor runbooks list shows them.")
NO_EXECUTION = Words(
    "no_execution", NotFound, "There is no execution {}.", "watchfloor runbooks executions lists them."
)
NO_STEP = Words("no_step", NotFound, "The execution has no step {}.", "watchfloor executions show NUMBER")
EXECUTION_STOPPED = Words(
    "execution_stopped", Refusal, "The execution is stopped.", "Continue it: watchfloor runbooks resume NUMBER"
)
EXECUTION_OPEN = Words("execution_open", Refusal, "The execution is open already.")
EXECUTION_OVER = Words("execution_over", Refusal, "The execution is over: every step has its verdict.")
STEP_CLAIMED = Words("step_claimed", Conflict, "Somebody has claimed the step.", "Take another one, or ask them.")
STEP_OVER = Words("step_over", Refusal, "The step is over.", "Only failed steps can be tried again.")
STEP_UNCLAIMED = Words("step_unclaimed", Refusal, "Nobody has claimed the step.", "Claim it first.")
STEP_NOT_YOURS = Words("step_not_yours", NotPermitted, "Somebody else has claimed the step.", "Take another one.")
STEP_NOTE = Words("step_note", Usage, "Skipping a step needs a note.", "Say why it is skipped.")
NO_ANSWER = Words("no_answer", Refusal, "An earlier question has no usable answer: {}.", "Answer it first.")

CONSTRAINTS = (
    Words("runbook_text", Usage, "A runbook has at most 131,072 bytes."),
    Words("runbook_append_only", NotPermitted, "What was carried out is only added to."),
    Words("execution_runbook", Usage, "A runbook's name has lower-case letters, digits and '-'."),
    Words("execution_incident", Usage, "An incident is a number above 0."),
    Words("execution_stop", Refusal, "Who stopped it, and when, belong together."),
    Words("execution_steps", Usage, "A runbook has 1 to 100 steps."),
    Words("execution_many", Conflict, "You have 50 executions open.", "End or stop those that nobody needs."),
    Words("execution_fixed", Refusal, "An execution keeps what it is; it is only stopped and resumed."),
    Words("step_place", Usage, "A step's place is 1 to 100."),
    Words("step_kind", Usage, "A step is an operation, a check, a question, or text for a person."),
    Words("step_operation", Usage, "An operation's step names it, and no other does."),
    Words("step_remedy", Usage, "What a step is for when it fails is a check before it."),
    Words("step_request", Usage, "An operation is begun with its request id, and nothing else is."),
    Words("step_verdict", Usage, "A verdict is passed, failed, unknown or skipped."),
    Words("step_output", Usage, "What came of a step is a JSON object of at most 16,384 bytes."),
    Words("step_claim", Refusal, "Who claimed a step, and when, belong together."),
    Words("step_end", Refusal, "A verdict and its time belong together, and to who claimed the step."),
    Words("step_fixed", Refusal, "A step keeps what it is."),
    Words(
        "step_held",
        NotPermitted,
        "Somebody else claimed the step less than 30 minutes ago.",
        "Ask them, or an admin to release it.",
    ),
    Words("step_begun", Refusal, "The step is begun already.", "Give it its verdict."),
    Words("step_not_begun", Refusal, "A step that was not begun has no verdict but skipped.", "Begin it."),
    Words(
        "step_blocked",
        Refusal,
        "An earlier step did not pass, or an earlier check is open: this waits until it passes or is skipped.",
        "Look at the steps before it.",
    ),
    Words("step_without_change", Refusal, "The home has no such change: an operation passes only when it was done."),
)
