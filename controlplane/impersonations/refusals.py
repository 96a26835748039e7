"""The refusals of impersonations, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

IMPERSONATION_OWN = Words(
    "impersonation_own", NotPermitted, "You cannot approve writing for yourself.", "Ask another operator."
)
IMPERSONATION_PROTECTED = Words(
    "impersonation_protected",
    Refusal,
    "The tenant is protected: nobody may act for it.",
    "An admin can lift that: tenants unprotect",
)
IMPERSONATION_OVER = Words(
    "impersonation_over", Refusal, "The impersonation is over.", "Begin another: watchfloor tenants impersonate"
)
NO_IMPERSONATION = Words(
    "no_impersonation", NotFound, "There is no impersonation {}.", "watchfloor tenants impersonations lists them."
)

CONSTRAINTS = (
    Words(
        "impersonation_reason",
        Refusal,
        "An impersonation needs a reason of at most 2,000 characters.",
        "Say it with --reason.",
    ),
    Words(
        "impersonation_ticket", Refusal, "An impersonation needs a ticket of at most 100 characters.", "Name the case."
    ),
    Words(
        "impersonation_length", Refusal, "An impersonation lasts at most 60 minutes.", "Begin another when it is over."
    ),
    Words("impersonation_marks", Refusal, "An approval needs both the person and the time."),
    Words(
        "impersonation_fixed", Refusal, "An impersonation can be ended or approved, and nothing else.", "Begin another."
    ),
    Words(
        "impersonation_open",
        Conflict,
        "You have an impersonation open already.",
        "End it first: watchfloor tenants impersonations state:open shows its number.",
    ),
    Words(
        "impersonation_tenant_gone", Refusal, "The tenant is being deleted: nobody may act for it.", "Restore it first."
    ),
    Words(
        "impersonation_reading",
        NotPermitted,
        "You act for this tenant, reading only: you cannot change anything in it.",
        "End the impersonation, or have another person approve writing: watchfloor tenants impersonations state:open",
    ),
)
