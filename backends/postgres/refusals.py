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
    "key_id_format": (Refusal, "A key's id is key_ and 26 letters and digits.", ""),
    "key_env": (Refusal, "A key is for live or for test.", ""),
    "key_display_length": (Refusal, "What is shown of a key has 1 to 64 characters.", ""),
    "key_hash_length": (Refusal, "A hash is the 32 bytes of a SHA-256.", ""),
    "key_label_length": (Refusal, "A label has at most 200 characters.", ""),
    "key_owner_length": (Refusal, "An e-mail address has 3 to 320 characters.", ""),
    "key_spend_cap": (Refusal, "A spend cap is 0 or more.", ""),
    "key_hash_taken": (Conflict, "There is a key with this secret already.", "Look it up: watchfloor keys verify"),
    "key_rotated_once": (Conflict, "The key has a successor already.", "Rotate that one."),
    "key_project": (NotFound, "The tenant has no such project.", "watchfloor projects list finds them."),
    "key_tenant": (NotFound, "There is no such tenant.", "watchfloor tenants list finds them."),
    "key_marks": (Refusal, "A revoked key has a reason, and a rotated one a grace.", ""),
    "key_tenant_gone": (Refusal, "The tenant is being deleted or was erased.", "Restore it first."),
    "key_project_archived": (Refusal, "The project is archived.", "Restore it first."),
    "key_successor": (
        Refusal,
        "A successor is of the same tenant and env as the key that is being rotated.",
        "Rotate it: watchfloor keys rotate",
    ),
    "key_fixed": (Refusal, "A key stays what it is: id, tenant, project, env, hash and origin never change.", ""),
    "key_revoked": (Refusal, "The key is revoked, for good.", "Make another: watchfloor keys create"),
    "key_not_alive": (Refusal, "A dead key is not brought back by a successor.", "Make another."),
    "key_grace_over": (Refusal, "The key's grace is over, or it was rotated once.", "Use its successor."),
    "key_grace_too_long": (Refusal, "A grace ends at the latest when the key expires.", "End the grace earlier."),
    "leak_reason": (Refusal, "A leak needs a reason.", "Say it with --reason."),
    "leak_calls": (Refusal, "The calls of a leak are a JSON object.", ""),
    "leak_key": (NotFound, "The tenant has no such key.", ""),
    "leak_successor": (NotFound, "The tenant has no such key.", ""),
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
        code = {"tenants_pkey": "tenant_exists", "projects_pkey": "project_exists"}.get(
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
