"""What PostgreSQL refuses, in the console's words. The constraint's name is the code."""

from __future__ import annotations

import psycopg
from psycopg import errors

from controlplane.errors import Conflict, HomeUnreachable, NotFound, NotPermitted, Refusal, Usage

WORDS: dict[str, tuple[type[Refusal], str, str]] = {
    "tenants_pkey": (Conflict, "A tenant with this id exists already.", "Choose another id, or edit that one."),
    "projects_pkey": (Conflict, "The tenant has a project with this id already.", "Choose another id."),
    "tenant_id_format": (Refusal, "The id is not one: letters, digits, '.', '_' and '-', at most 64.", ""),
    "project_id_format": (Refusal, "The id is not one: letters, digits, '.', '_' and '-', at most 64.", ""),
    "tenant_name_length": (Refusal, "A name has 1 to 200 characters.", ""),
    "project_name_length": (Refusal, "A name has 1 to 200 characters.", ""),
    "tenant_metadata_size": (
        Refusal,
        "Metadata is a JSON object of at most 65,536 bytes.",
        "Keep a link instead.",
    ),
    "tenant_home_region_allowed": (Refusal, "The home region is not among the allowed regions.", "Allow it as well."),
    "tenant_owner_length": (Refusal, "An e-mail address has 3 to 320 characters.", ""),
    "tenant_erased": (NotFound, "The tenant was erased; only its certificate is left.", ""),
    "tenant_protected": (Refusal, "The tenant is protected.", "An admin can lift that: tenants unprotect"),
    "tenant_transition": (Refusal, "The tenant's status does not allow that.", "Press w on it to see why."),
    "tenant_retention": (
        Refusal,
        "A deleted tenant is kept for at least one day.",
        "Keep it longer.",
    ),
    "tenant_restore": (Refusal, "A restore brings back the status that was there before.", ""),
    "tenant_not_due": (Refusal, "The tenant's retention is not over.", "Wait for the purge instant."),
    "project_tenant_gone": (Refusal, "The tenant is being deleted.", "Restore it first."),
    "reveal_reason": (Refusal, "A reveal needs a reason.", "Say it with --reason."),
    "not_revealed": (NotPermitted, "Nothing is revealed to you, or its minute is over.", "Reveal it again."),
    "impersonation_reason": (Refusal, "An impersonation needs a reason of at most 2,000 characters.", "Say it."),
    "impersonation_ticket": (Refusal, "An impersonation needs a ticket of at most 100 characters.", "Name the case."),
    "impersonation_length": (Refusal, "An impersonation lasts at most 60 minutes.", "Begin another when it is over."),
    "impersonation_own": (
        NotPermitted,
        "Another person than the one who acts must approve writing.",
        "Ask an operator.",
    ),
    "impersonation_marks": (Refusal, "Who approved an impersonation, and when, go together.", ""),
    "impersonation_fixed": (Refusal, "An impersonation can be ended or approved, and nothing else.", "Begin another."),
    "impersonation_open": (
        Conflict,
        "You have an impersonation open already.",
        "End it first: watchfloor tenants impersonations state:open shows its number.",
    ),
    "impersonation_tenant_gone": (Refusal, "The tenant is being deleted: nobody acts for it.", "Restore it first."),
    "impersonation_protected": (
        Refusal,
        "The tenant is protected: nobody acts for it.",
        "An admin can lift that: tenants unprotect",
    ),
    "impersonation_over": (Refusal, "The impersonation is over.", "Begin another: watchfloor tenants impersonate"),
    "api_keys_pkey": (Conflict, "A key with this id exists already.", "Make another."),
    "key_hash_taken": (Conflict, "Another key has this secret already.", "Make another."),
    "request_id_reused": (Conflict, "The request id was used for something else.", "Use a new one."),
    "run_too_large": (Usage, "A run has at most 100,000 things.", "Narrow the filter, and start several."),
    "run_snapshot_over": (Refusal, "A run takes no more things after it was made.", "Start another."),
    "run_transition": (Refusal, "The run's state does not allow that.", "Look at it: watchfloor runs show."),
    "run_not_running": (Refusal, "The run was paused or stopped.", "Resume it, or start another."),
    "run_item_settled": (Refusal, "The item of the run has its verdict already.", ""),
    "run_item_unknown": (
        Refusal,
        "The request id looks like that of a run, and there is no such item.",
        "Use another.",
    ),
    "operator_is_superuser": (NotPermitted, "That login has powers of its own on the server.", "Use another name."),
    "operator_login_foreign": (
        NotPermitted,
        "The server has that login already, and it is not of this home.",
        "Leave the password out to give it a role here, or use another name.",
    ),
    "operators_name_check": (Refusal, "The name is not one: a-z, 0-9, '_', '.', '-'; not pg_… or wf_….", ""),
}


def refusal_of(error: psycopg.Error) -> Refusal:
    """The refusal that a database error means. What is not known keeps the server's words and its SQLSTATE."""
    diag = error.diag
    if diag.constraint_name in WORDS:
        kind, message, hint = WORDS[diag.constraint_name]
        code = {"tenants_pkey": "tenant_exists", "projects_pkey": "project_exists", "api_keys_pkey": "key_exists"}.get(
            diag.constraint_name, diag.constraint_name
        )
        return kind(code, message, hint, why=[f"refused by the home: {diag.message_primary}"])
    if isinstance(error, errors.InsufficientPrivilege):
        return NotPermitted(
            "not_permitted",
            f"The home does not permit it: {diag.message_primary}.",
            "It needs another role; watchfloor operators list shows who has it.",
        )
    if isinstance(error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification):
        return HomeUnreachable("home_login_refused", f"The home refused the login: {diag.message_primary or error}.")
    if isinstance(error, errors.QueryCanceled):
        return Refusal("too_slow", "The home took too long and was told to stop.", "Narrow the filter, or try again.")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return Conflict("busy", "Somebody else is changing the same thing.", "Try again.")
    if isinstance(error, errors.DiskFull | errors.OutOfMemory):
        return Refusal("home_out_of_room", f"The home has no room for it: {diag.message_primary}.", "Make room there.")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return Refusal("home_read_only", "The home is read-only.", "Use the primary's address.")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return unreachable(error)
    return Refusal(
        "refused_by_home",
        f"The home refused it: {diag.message_primary or type(error).__name__} (SQLSTATE {diag.sqlstate or 'none'}).",
        diag.message_hint or "",
    )


def unreachable(error: BaseException) -> HomeUnreachable:
    """The link is gone or never was; only the first line is told, a conninfo may follow."""
    first = str(error).strip().partition("\n")[0]
    if "password authentication failed" in first or "no password supplied" in first:
        return HomeUnreachable(
            "home_login_refused",
            "The home refused the login: the name or the password is wrong.",
            "watchfloor secrets doctor shows where the password comes from.",
        )
    return HomeUnreachable(
        "home_unreachable",
        f"The home cannot be reached: {first}.",
        "Is it running, and the network up? watchfloor home status",
    )
