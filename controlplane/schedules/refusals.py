"""The refusals of schedules and overrides, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_SCHEDULE = Words("no_schedule", NotFound, "There is no schedule {}.", "watchfloor schedules list finds them.")
NO_OVERRIDE = Words(
    "no_override", NotFound, "There is no override {}.", "watchfloor schedules show lists those of a schedule."
)
SCHEDULE_RETIRED = Words(
    "schedule_retired", Refusal, "The schedule is retired.", "Restore it first: watchfloor schedules restore"
)
SCHEDULE_NOT_RETIRED = Words("schedule_not_retired", Refusal, "The schedule is not retired.")
SCHEDULE_SEVERAL = Words(
    "schedule_several",
    Refusal,
    "The schedule has several rotations, or one that cannot be read.",
    "Edit them in a file: watchfloor schedules edit NAME --rotations FILE",
)
OVERRIDE_TIMES = Words(
    "override_times", Usage, "An override ends after it starts, and lasts 92 days at most.", "Give another end."
)
OVERRIDE_INSTEAD_OF = Words(
    "override_instead_of", Usage, "An added person replaces nobody.", "Leave one of the two out."
)

CONSTRAINTS = (
    Words(
        "schedule_name",
        Refusal,
        "That is not the name of a schedule.",
        "Use lower-case letters, digits, '.', '_' and '-'.",
    ),
    Words("schedule_rotations", Refusal, "A schedule has 1 to 20 rotations."),
    Words("schedule_fixed", Refusal, "The name of a schedule never changes.", "Retire it, and make another."),
    Words(
        "schedule_taken",
        Conflict,
        "There is a schedule with this name already; it may be retired.",
        "Edit or restore that one: watchfloor schedules list state:retired",
        constraint="schedules_pkey",
    ),
    Words("schedule_many", Refusal, "There are 500 schedules: there cannot be more.", "Retire those not needed."),
    Words("override_person", Refusal, "An override names a person, with at most 100 characters."),
    Words("override_kind", Refusal, "An override replaces whoever is on call, or adds somebody."),
    Words("override_past", Refusal, "That end is over already: nobody is on call in hindsight.", "Give a later one."),
    Words(
        "override_many",
        Refusal,
        "The schedule has 200 overrides that are not over: there cannot be more.",
        "End those that are not needed, or edit its rotations.",
    ),
    Words("override_over", Refusal, "The override is over already."),
    Words("override_fixed", Refusal, "An override does not change; it can be ended.", "End it, make another."),
)
