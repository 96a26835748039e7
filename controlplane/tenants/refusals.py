"""The refusals of tenants and projects, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

TENANT_ID_FORMAT = Words(
    "tenant_id_format", Usage, "That is not a tenant id: letters, digits, '.', '_' and '-', at most 64."
)
TENANT_ERASED = Words("tenant_erased", NotFound, "The tenant was erased; only its certificate is left.")
TENANT_PROTECTED = Words(
    "tenant_protected", Refusal, "The tenant is protected.", "An admin can lift that: tenants unprotect"
)
NO_TENANT = Words("no_tenant", NotFound, "There is no tenant {}.", "watchfloor tenants list finds them.")
NO_PROJECT = Words("no_project", NotFound, "Tenant {} has no project {}.", "watchfloor projects list finds them.")
TENANT_PENDING_DELETION = Words(
    "tenant_pending_deletion", Refusal, "The tenant is pending deletion.", "Restore it first: tenants restore"
)
ALREADY_SUSPENDED = Words(
    "already_suspended", Refusal, "The tenant is suspended already.", "To resume it: tenants resume"
)
NOT_SUSPENDED = Words("not_suspended", Refusal, "The tenant is not suspended.")
ALREADY_PENDING_DELETION = Words(
    "already_pending_deletion", Refusal, "The tenant is pending deletion already.", "To keep it: tenants restore"
)
NOT_DELETED = Words("not_deleted", Refusal, "The tenant is not pending deletion.")
PURGE_NOT_DUE = Words(
    "purge_not_due",
    Refusal,
    "The tenant's retention is not over.",
    "Wait until then; a shorter retention can be chosen only when deleting.",
)
ALREADY_PROTECTED = Words("already_protected", Refusal, "The tenant is protected already.")
NOT_PROTECTED = Words("not_protected", Refusal, "The tenant is not protected.")
ALREADY_ARCHIVED = Words("already_archived", Refusal, "The project is archived already.")
NOT_ARCHIVED = Words("not_archived", Refusal, "The project is not archived.")

CONSTRAINTS = (
    Words(
        "tenant_exists",
        Conflict,
        "A tenant with this id exists already.",
        "Choose another id, or edit that one.",
        constraint="tenants_pkey",
    ),
    Words(
        "project_exists",
        Conflict,
        "The tenant has a project with this id already.",
        "Choose another id.",
        constraint="projects_pkey",
    ),
    Words("project_id_format", Refusal, "That is not a project id: letters, digits, '.', '_' and '-', at most 64."),
    Words("tenant_name_length", Refusal, "A name has 1 to 200 characters."),
    Words("project_name_length", Refusal, "A name has 1 to 200 characters."),
    Words(
        "tenant_metadata_size", Refusal, "Metadata is a JSON object of at most 65,536 bytes.", "Keep a link instead."
    ),
    Words(
        "tenant_home_region_allowed", Refusal, "The home region is not among the allowed regions.", "Allow it as well."
    ),
    Words("tenant_plan_length", Refusal, "A plan's code has 1 to 64 characters."),
    Words("tenant_region_length", Refusal, "A region has 1 to 64 characters."),
    Words("tenant_status", Refusal, "A tenant has no such status."),
    Words("tenant_marks", Refusal, "A tenant's status contradicts its times and reasons."),
    Words("project_marks", Refusal, "An archived project has the time when it was archived; no other project has one."),
    Words("tenant_owner_length", Refusal, "An e-mail address has 3 to 320 characters."),
    Words("tenant_transition", Refusal, "The tenant's status does not allow that.", "Press w on it to see why."),
    Words("tenant_retention", Refusal, "A deleted tenant is kept for at least one day.", "Keep it longer."),
    Words("tenant_restore", Refusal, "A restore must bring back the status from before the deletion."),
    Words("tenant_not_due", Refusal, "The tenant's retention is not over.", "Wait until it is."),
    Words("project_tenant_gone", Refusal, "The tenant is being deleted.", "Restore it first."),
    Words(
        "reveal_reason",
        Refusal,
        "A reveal needs a reason of at least 5 letters or digits.",
        "Say what it is for, with --reason: the ticket, who asked.",
    ),
    Words("look_up_alone", Refusal, "Look-ups and reveals go one at a time.", "Ask for the next one by itself."),
    Words(
        "look_up_limit",
        Refusal,
        "You have reached one person's limit for an hour: 60 addresses, 60 keys, 20 reveals.",
        "Wait for the next hour, or ask a colleague.",
    ),
    Words(
        "look_up_unasked",
        NotPermitted,
        "A look-up must be requested, and the request committed, before it is answered.",
    ),
    Words("not_revealed", NotPermitted, "Nothing is revealed to you, or its minute is over.", "Reveal it again."),
    Words("tenant_id_fixed", Refusal, "A tenant keeps its id for ever.", "Rename it: tenants rename changes its name."),
    Words("project_belongs_for_ever", Refusal, "A project stays with its tenant, under its id.", "Create another."),
)
