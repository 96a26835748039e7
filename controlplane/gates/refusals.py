"""The refusals of gates and waivers, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_GATE = Words("no_gate", NotFound, "There is no gate {}.", "watchfloor gates list shows them.")
NO_DECISION = Words("no_decision", NotFound, "There is no run {}.", "watchfloor gates decisions lists them.")
NO_WAIVER = Words("no_waiver", NotFound, "There is no waiver {}.", "watchfloor waivers list shows them.")
NO_CHECK = Words("no_check", NotFound, "There is no check {} here.")
GATE_RETIRED = Words("gate_retired", Refusal, "The gate is retired.", "Apply it again to keep it.")
NO_GATE_SCHEDULE = Words(
    "no_gate_schedule", NotFound, "The gate {} has no schedule there.", "gates schedule makes one."
)
GATE_RUN_PRUNED = Words(
    "gate_run_pruned", Refusal, "What that run found is no longer kept: it is older than 400 days.",
    "Its verdict and the hash of its inputs are; a summary that was written then can still be decided again.",
)  # fmt: skip
WAIVER_OVER = Words("waiver_over", Refusal, "The waiver is over.", "Make a new one.")
WAIVER_AGREED = Words("waiver_agreed", Refusal, "A second person has agreed already.")
WAIVER_PAST = Words("waiver_past", Refusal, "A waiver ends in the future.", "Give a later end.")

CONSTRAINTS = (
    Words("gate_name", Usage, "A gate's name has lower-case letters, digits, '.', '_' and '-'."),
    Words("gate_definition", Usage, "That is no definition of a gate.", "Apply it from a file."),
    Words("gate_fixed", Refusal, "A gate keeps its name."),
    Words("gate_many", Refusal, "There are 200 gates already.", "Put checks that belong together into one gate."),
    Words("gate_unknown", NotFound, "There is no such gate, or it is retired.", "watchfloor gates list shows them."),
    Words(
        "gate_environment",
        Usage,
        "An environment is a word of lower-case letters, digits, '.', '_' and '-'; production is written in full.",
    ),
    Words("gate_mode", Usage, "A run is full or fast."),
    Words("gate_batch_size", Usage, "A batch has 1 to 200 checks."),
    Words("gate_batch_index", Usage, "A batch's index is 0 to 199."),
    Words("gate_batch", Usage, "A batch needs both its size and its index."),
    Words("gate_batch_empty", Usage, "That batch is beyond the gate's last check.", "Begin with --batch-index 0."),
    Words("gate_runs_many", Conflict, "You have 20 runs of this gate under way.", "Let them end."),
    Words("gate_run_state", Usage, "A run is running or decided."),
    Words("gate_run_begun", Refusal, "A run begins without a verdict."),
    Words("gate_run_over", Conflict, "The run is over: it is decided once.", "Run the gate again."),
    Words("gate_run_late", Refusal, "The run took longer than it may.", "Run the gate again."),
    Words("gate_run_not_yours", NotPermitted, "Only who began a run records what it finds.", "Run the gate yourself."),
    Words("gate_verdict", Usage, "A verdict is GO, GO_WITH_CONDITIONS, NO_GO or INCONCLUSIVE."),
    Words("gate_verdict_follows", Refusal, "That verdict does not follow from what the run found."),
    Words("gate_decided", Refusal, "A verdict follows from what was found; it is not written."),
    Words("gate_isolation", Refusal, "A verdict is given on what is so now.", "Use the isolation read committed."),
    Words("gate_append_only", NotPermitted, "What a gate found is only added to."),
    Words("gate_check_unknown", NotFound, "The gate has no such check.", "watchfloor gates show GATE ENVIRONMENT"),
    Words("gate_check_name", Usage, "A check's name is too long."),
    Words("gate_check_kind", Usage, "A check's kind is too long."),
    Words("gate_check_state", Usage, "A check is found to pass, to fail, or to be inconclusive."),
    Words("gate_check_because", Usage, "Why it is inconclusive is one word."),
    Words("gate_check_value", Usage, "A value is a number below 1e300."),
    Words("gate_check_observed", Usage, "What was observed is a JSON object of at most 65,536 bytes."),
    Words("gate_check_seconds", Usage, "A check takes at most a day."),
    Words("gate_schedule_every", Usage, "A schedule is of 5 minutes to 31 days."),
    Words("gate_schedules_many", Refusal, "There are 500 schedules already.", "End those that are not needed."),
    Words("gate_schedule_fixed", Refusal, "A schedule keeps its gate."),
    Words("gate_turn_held", NotPermitted, "Only the worker that holds its job runs a gate by its schedule."),
    Words("gate_not_manual", Refusal, "Nobody is asked that: the check is not manual, or there is none."),
    Words("answer_check", Usage, "A check's name is too long."),
    Words("answer_environment", Usage, "That is no environment; production is written in full."),
    Words("answer_word", Usage, "An answer is pass or fail."),
    Words("answer_reason", Usage, "An answer needs a reason.", "Say why."),
    Words("waiver_check", Usage, "A check's name is too long."),
    Words("waiver_environment", Usage, "That is no environment; production is written in full."),
    Words("waiver_reason", Usage, "A waiver needs a reason.", "Say why it may be open."),
    Words(
        "waiver_second_person",
        NotPermitted,
        "In production a second person approves a waiver, not who asked for it.",
        "Ask a colleague: watchfloor waivers approve NUMBER",
    ),
    Words("waiver_times", Usage, "A waiver ends after it begins."),
    Words("waiver_approved", Refusal, "Who agreed, and when, belong together."),
    Words("waiver_ended", Refusal, "Who ended it, and when, belong together."),
    Words("waiver_fixed", Refusal, "A waiver keeps what it says.", "End it, and make another."),
    Words("waiver_length", Refusal, "A waiver ends within 14 days; an admin's within 90.", "Give an earlier end."),
    Words("waiver_many", Refusal, "A hundred waivers of this gate are open.", "End those that are not needed."),
)
