"""The refusals of objectives and maintenance, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

OBJECTIVE_TARGET = Words(
    "objective_target", Usage, "A target is at least 0 and below 1: 1 leaves no budget.", "Write 99.9% or 0.999."
)
OBJECTIVE_PERIOD = Words(
    "objective_period", Usage, "That is not a window of an objective.", "Write 7d to 90d, or week, month, quarter."
)
OBJECTIVE_THRESHOLD = Words(
    "objective_threshold", Usage, "A latency objective needs a threshold; no other has one.", "Give it in milliseconds."
)
OBJECTIVE_CONTRACTUAL = Words(
    "objective_contractual",
    Usage,
    "The contractual target is above the internal one: the alarm would come after the breach.",
    "Give a lower contractual target, or a higher target.",
)
OBJECTIVE_RETIRED = Words(
    "objective_retired", Refusal, "The objective is retired.", "Restore it first: watchfloor objectives restore"
)
NO_OBJECTIVE = Words("no_objective", NotFound, "There is no objective {}.", "watchfloor objectives list finds them.")
NO_MAINTENANCE = Words(
    "no_maintenance", NotFound, "There is no maintenance {}.", "watchfloor objectives show lists them."
)

CONSTRAINTS = (
    Words(
        "objective_name",
        Refusal,
        "That is not the name of an objective.",
        "Use lower-case letters, digits, '.', '_' and '-'.",
    ),
    Words("objective_plan", Refusal, "A plan's code has 1 to 64 characters."),
    Words("objective_route", Refusal, "A route has 1 to 400 characters."),
    Words("objective_kind", Refusal, "An objective is of availability or of latency."),
    Words("objective_min_events", Refusal, "At least one request is needed before a window can fire."),
    Words("objective_scope", Refusal, "Name either a plan, or a tenant and a route: not both."),
    Words(
        "objective_taken",
        Conflict,
        "There is already an objective with this name for the same scope.",
        "Edit that one: watchfloor objectives list name:… finds it.",
    ),
    Words(
        "objective_fixed",
        Refusal,
        "What an objective is about never changes: its name, scope and kind.",
        "Retire it, and make another.",
    ),
    Words("objective_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words("objective_zone", Refusal, "There is no such time zone.", "Write Europe/Berlin."),
    Words("maintenance_plan", Refusal, "A plan's code has 1 to 64 characters."),
    Words("maintenance_route", Refusal, "A route has 1 to 400 characters."),
    Words(
        "maintenance_reason",
        Refusal,
        "Maintenance needs a reason of at most 2,000 characters.",
        "Say it with --reason.",
    ),
    Words("maintenance_scope", Refusal, "Name either a plan, or a tenant and a route: not both."),
    Words(
        "maintenance_length", Refusal, "Maintenance ends after it begins, and lasts 7 days at most.", "Plan it again."
    ),
    Words(
        "maintenance_past",
        Refusal,
        "Maintenance is planned ahead: what is over already was an outage, and burns the budget.",
        "Begin it now or later.",
    ),
    Words("maintenance_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words("maintenance_over", Refusal, "The maintenance is over already."),
    Words(
        "maintenance_fixed", Refusal, "Planned maintenance does not change; it can be ended.", "End it, plan another."
    ),
)
