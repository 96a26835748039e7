"""The refusals of heartbeats, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.refusals import Words

NO_HEARTBEAT = Words("no_heartbeat", NotFound, "There is no heartbeat {}.", "watchfloor heartbeats list shows them.")
RETIRED = Words("heartbeat_retired", Refusal, "The heartbeat is retired.", "Restore it first.")
NOT_RETIRED = Words("heartbeat_not_retired", Refusal, "The heartbeat is not retired.")

CONSTRAINTS = (
    Words(
        "heartbeat_taken",
        Conflict,
        "There is a heartbeat of that name, perhaps a retired one.",
        "Choose another name, or restore that one.",
        constraint="heartbeats_pkey",
    ),
    Words("heartbeat_fixed", Refusal, "A heartbeat keeps its name and tenant.", "Retire it, and make another."),
    Words("heartbeat_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words("heartbeat_tenant", NotFound, "There is no such tenant.", "watchfloor tenants list finds them."),
    Words("heartbeat_many", Refusal, "There are 10,000 heartbeats already.", "Watch groups of things, not each."),
    Words("heartbeat_name", Usage, "A heartbeat's name has lower-case letters, digits, '.', '_' and '-'."),
    Words("heartbeat_means", Usage, "What a heartbeat means takes at most 300 characters."),
    Words("heartbeat_every", Usage, "A heartbeat is expected every 10 seconds to every 366 days."),
    Words("heartbeat_grace", Usage, "A grace is at most 366 days."),
    Words("heartbeat_severity", Usage, "A severity is info, warning, error or critical."),
)
