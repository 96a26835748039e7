"""What PostgreSQL refuses, in the console's words. The constraint's name is the code."""

from __future__ import annotations

import psycopg
from psycopg import errors

from backends.postgres.troubles import trouble_of
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
    "reveal_reason": (
        Refusal,
        "A reveal needs a reason of at least 5 letters or digits.",
        "Say what it is for, with --reason: the ticket, who asked.",
    ),
    "look_up_alone": (Refusal, "Look-ups and reveals go one at a time.", "Ask for the next one by itself."),
    "look_up_limit": (
        Refusal,
        "You have asked as often as one person may in an hour: for 60 addresses, for 60 keys, for 20 reveals.",
        "Wait for the next hour, or ask a colleague.",
    ),
    "look_up_unasked": (NotPermitted, "A look-up is asked for first, and answered when that is committed.", ""),
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
    "impersonation_reading": (
        NotPermitted,
        "You act for this tenant, reading only: you change nothing of it.",
        "End the impersonation, or have another person approve writing: watchfloor tenants impersonations state:open",
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
    "tenant_id_fixed": (Refusal, "A tenant keeps its id for ever.", "Rename it: tenants rename changes its name."),
    "project_belongs_for_ever": (Refusal, "A project stays with its tenant, under its id.", "Create another."),
    "key_id_format": (Refusal, "A key's id is key_ and 26 letters and digits.", ""),
    "key_env": (Refusal, "A key is for live or for test.", ""),
    "key_display_length": (Refusal, "What is shown of a key has 1 to 64 characters.", ""),
    "key_hash_length": (Refusal, "A hash is the 32 bytes of a SHA-256.", ""),
    "key_label_length": (Refusal, "A label has at most 200 characters.", ""),
    "key_owner_length": (Refusal, "An e-mail address has 3 to 320 characters.", ""),
    "key_spend_cap": (Refusal, "A spend cap is 0 or more.", ""),
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
    "plan_version_fixed": (Refusal, "A version of a plan never changes.", "Make a new one: plans apply."),
    "plan_version_next": (Conflict, "Somebody else has just made that version of the plan.", "Repeat it."),
    "plan_version_unknown": (Refusal, "The catalogue has no such version of the tenant's plan.", "plans list"),
    "plan_code_length": (Refusal, "A plan's code has 1 to 64 characters.", ""),
    "plan_name_length": (Refusal, "A plan's name has 1 to 200 characters.", ""),
    "plan_currency": (Refusal, "That is no currency of ISO 4217.", "Write EUR, USD, JPY …"),
    "plan_price": (Refusal, "A price is 0 or more, in minor units.", "29.00 is 2900."),
    "plan_year_price": (Refusal, "A price is 0 or more, in minor units.", "29.00 is 2900."),
    "plan_billing": (Refusal, "A plan is billed in arrears or in advance.", ""),
    "plan_trial_days": (Refusal, "A plan has 0 to 90 trial days.", ""),
    "plan_entitlements": (Refusal, "An entitlement of the plan is none.", "-1 is unlimited; 0 is never a limit."),
    "subscription_fixed": (Refusal, "A subscription belongs to its tenant for ever.", ""),
    "subscription_tenant_gone": (Refusal, "The tenant is being deleted.", "Restore it first."),
    "subscription_transition": (Refusal, "The subscription's state does not allow that.", "Press w on it to see why."),
    "subscription_state": (Refusal, "There is no such state of a subscription.", ""),
    "subscription_cycle": (Refusal, "A cycle is a month or a year.", ""),
    "subscription_trial": (Refusal, "A trial needs its end.", "Start it: subscriptions start-trial"),
    "subscription_grace": (Refusal, "A grace needs its end.", "Say until when."),
    "billing_zone": (Refusal, "There is no such time zone.", "Write Europe/Berlin."),
    "trial_return": (Refusal, "A trial ends as active or as expired.", ""),
    "trial_of_plan": (Refusal, "The catalogue has no such plan to try.", "plans list"),
    "trial_marks": (Refusal, "A trial has a plan, a start and an end, or none of them.", ""),
    "trial_once": (Refusal, "The tenant had its trial.", "Extend it: subscriptions extend-trial"),
    "trial_over": (Refusal, "The trial's end is over.", "Extend it: subscriptions extend-trial"),
    "trial_shortened": (Refusal, "A trial is not shortened.", "Convert it, or bring it into another state."),
    "trial_length": (Refusal, "A trial has an end after its start, and lasts a year at most.", ""),
    "trial_extensions": (
        Refusal,
        "A trial is extended three times at most.",
        "Convert it: subscriptions convert-trial",
    ),
    "grace_over": (Refusal, "The grace's end is over.", "Give a time to come."),
    "grant_name": (Refusal, "That is no name of an entitlement.", "Small letters, digits, '.', '_' and '-'."),
    "grant_value": (Refusal, "That is no value of an entitlement.", "-1 is unlimited; 0 is never a limit."),
    "grant_source": (Refusal, "A grant is an override or for an incident.", ""),
    "grant_reason": (Refusal, "A grant needs a reason.", "Say it with --reason."),
    "grant_time": (Refusal, "A grant ends after it begins.", "Give a time to come."),
    "grant_tenant_gone": (Refusal, "The tenant is being deleted.", "Restore it first."),
    "grant_over": (Refusal, "The grant is over already.", ""),
    "grant_fixed": (Refusal, "A grant does not change; it can be ended.", "End it, and give another."),
    "plan_change_pending": (Conflict, "Another change of the plan waits for its day.", "Repeat it: the newest counts."),
    "plan_change_settled": (Refusal, "That change of the plan is settled.", ""),
    "plan_change_settled_once": (Refusal, "A change of the plan is applied or canceled, not both.", ""),
    "plan_change_of_plan": (Refusal, "The catalogue has no such plan.", "plans list"),
    "plan_change_cycle": (Refusal, "A cycle is a month or a year.", ""),
    "plan_change_direction": (Refusal, "A change goes up, down, or it is unknown where.", ""),
    "key_lifetime": (
        Refusal,
        "The tenant's plan does not let a key live that long, or for ever.",
        "Give an earlier expiry; watchfloor subscriptions effective shows key_lifetime_days.",
    ),
    "usage_metric": (Refusal, "That is no name of a metric.", "Small letters, digits, '.', '_' and '-'."),
    "usage_restored": (
        Refusal,
        "The home was restored on another server, so it cannot tell which usage is rolled up.",
        "Ask its owner to set wf.usage_rolled_up, or a restore with the same server files.",
    ),
    "retention_data": (Refusal, "There is no such class of telemetry.", "raw, minutes or hours."),
    "retention_days": (Refusal, "Telemetry is kept for 2 to 3,660 days.", ""),
    "retention_fixed": (Refusal, "A class of telemetry keeps its name.", ""),
    "request_batch_id": (Refusal, "The id of a batch of requests has 1 to 128 characters.", ""),
    "usage_amount": (Refusal, "An amount that was used is more than 0.", ""),
    "job_transition": (Refusal, "The job's state does not allow that.", "Press w on it to see why."),
    "job_of_schedule": (
        Refusal,
        "Its schedule has another job that waits or runs: there are never two at a time.",
        "That one does the same; watchfloor jobs list periodic:yes -state:done shows it.",
    ),
    "job_kind": (Refusal, "That is no kind of job.", "Small letters, digits, '.', '_' and '-'."),
    "job_payload": (Refusal, "What a job is told is a JSON object of at most 65,536 bytes.", "Keep a link instead."),
    "job_cost": (Refusal, "A job's cost is more than 0 and at most 1,000.", ""),
    "job_max_tries": (Refusal, "A job has 1 to 100 tries.", ""),
    "job_error": (Refusal, "What is kept of an error has at most 2,000 characters.", ""),
    "job_marks": (Refusal, "A job's state and what is noted beside it contradict each other.", ""),
    "worker_name": (Refusal, "A worker's name has 1 to 200 characters.", ""),
    "worker_host": (Refusal, "A host's name has at most 200 characters.", ""),
    "worker_version": (Refusal, "A version has at most 100 characters.", ""),
    "worker_marks": (Refusal, "A worker that ended has a time at which it did.", ""),
    "worker_gone": (
        Conflict,
        "This worker was given up: its heart had not beaten, and others have its jobs.",
        "It begins anew by itself.",
    ),
    "audit_gap": (
        Refusal,
        "A row of the audit trail is missing, or one was written past its counter: somebody with the owner's powers"
        " took it away or put it there.",
        "watchfloor audit verify names the first; nothing is chained until it is put right from a backup.",
    ),
    "audit_inconsistent": (
        Refusal,
        "The audit trail is not the one that was signed before: nothing is signed.",
        "watchfloor audit verify names the first row; keep the checkpoints that lie outside.",
    ),
    "checkpoint_note": (Refusal, "A checkpoint has 1 to 2,000 characters.", ""),
    "operation_unknown": (Refusal, "There is no operation of that name.", "watchfloor operations lists them."),
    "change_result_size": (Refusal, "The result of the change is too large to be kept.", "Do less at once."),
    "audit_row_size": (Refusal, "That would be too large for the audit trail: 1 MB is kept of a row.", "Store less."),
    "audit_thing": (Refusal, "What a row of the trail is about has 1 to 1,000 characters.", ""),
    "audit_note": (Refusal, "The trail takes no such note: its fields are fixed, and its size is limited.", ""),
    "audit_note_unknown": (NotPermitted, "The operation writes no such note to the audit trail.", ""),
    "truncate_unrecorded": (NotPermitted, "TRUNCATE would leave nothing in the audit trail.", "DELETE is recorded."),
    "objective_name": (Refusal, "That is no name of an objective.", "Small letters, digits, '.', '_' and '-'."),
    "objective_plan": (Refusal, "A plan's code has 1 to 64 characters.", ""),
    "objective_route": (Refusal, "A route has 1 to 400 characters.", ""),
    "objective_kind": (Refusal, "An objective is of availability or of latency.", ""),
    "objective_target": (Refusal, "A target is at least 0 and below 1: 1 leaves no budget.", "Write 99.9% or 0.999."),
    "objective_period": (Refusal, "That is no window of an objective.", "7d to 90d, or week, month, quarter."),
    "objective_min_events": (Refusal, "At least one request is needed before a window can fire.", ""),
    "objective_scope": (Refusal, "A plan stands alone: it goes with neither a tenant nor a route.", ""),
    "objective_threshold": (Refusal, "A latency objective has a threshold, another has none.", "In milliseconds."),
    "objective_contractual": (
        Refusal,
        "The contractual target is above the internal one: the alarm would come after the breach.",
        "Give a lower contractual target, or a higher target.",
    ),
    "objective_taken": (
        Conflict,
        "There is an objective with this name for the same scope.",
        "Edit that one: watchfloor objectives list name:… finds it.",
    ),
    "objective_fixed": (
        Refusal,
        "What an objective is about never changes: its name, scope and kind.",
        "Retire it, and make another.",
    ),
    "objective_retired": (Refusal, "The objective is retired.", "Restore it first: watchfloor objectives restore"),
    "objective_tenant_gone": (Refusal, "The tenant is being deleted.", "Restore it first."),
    "objective_zone": (Refusal, "There is no such time zone.", "Write Europe/Berlin."),
    "maintenance_plan": (Refusal, "A plan's code has 1 to 64 characters.", ""),
    "maintenance_route": (Refusal, "A route has 1 to 400 characters.", ""),
    "maintenance_reason": (Refusal, "Maintenance needs a reason of at most 2,000 characters.", "Say it."),
    "maintenance_scope": (Refusal, "A plan stands alone: it goes with neither a tenant nor a route.", ""),
    "maintenance_length": (Refusal, "Maintenance ends after it begins, and lasts 7 days at most.", "Plan it anew."),
    "maintenance_past": (
        Refusal,
        "Maintenance is planned: what is over already is an outage, and burns the budget.",
        "Begin it now or later.",
    ),
    "maintenance_tenant_gone": (Refusal, "The tenant is being deleted.", "Restore it first."),
    "maintenance_over": (Refusal, "The maintenance is over already.", ""),
    "maintenance_fixed": (Refusal, "Planned maintenance does not change; it can be ended.", "End it, plan another."),
    "operator_is_superuser": (NotPermitted, "That login has powers of its own on the server.", "Use another name."),
    "operator_login_foreign": (
        NotPermitted,
        "The server has that login already, and it is not of this home.",
        "Leave the password out to give it a role here, or use another name.",
    ),
    "operator_password_kept": (
        Refusal,
        "The operator has a password; another is set by itself, so that the trail says so.",
        "watchfloor operators password NAME --reason …",
    ),
    "operator_other_home": (
        Conflict,
        "The login works in another home of the same server with another role, and a login has one role on a server.",
        "Give the same role here, or use another name.",
    ),
    "operator_unknown": (NotFound, "There is no such operator.", "watchfloor operators list"),
    "operator_verifier": (Usage, "That is no password's verifier (SCRAM-SHA-256).", ""),
    "run_not_held": (Conflict, "You do not drive this run, or no longer.", "Resume it first."),
    "run_item_not_done": (Refusal, "The change did nothing to the thing that it was to settle.", ""),
    "plan_change_not_made": (Refusal, "The tenant does not have the plan that the change says.", ""),
    "moment_range": (Refusal, "A time lies between the years 1970 and 2199.", "Leave it out where none is meant."),
    "day_range": (Refusal, "A day lies between the years 1970 and 2199.", ""),
    "line_length": (Refusal, "A name or code has at most 400 characters.", "Shorten it."),
    "words_length": (Refusal, "A reason or remark has at most 2,000 characters.", "Keep a link to the rest."),
    "document_size": (Refusal, "A JSON document has at most 65,536 bytes.", "Keep a link instead."),
    "lines_size": (Refusal, "A list has at most 1,000 entries and 65,536 bytes, none of them empty.", "Shorten it."),
    "key_addresses": (Refusal, "A key has at most 1,000 addresses.", "Use networks instead."),
    "import_not_stored": (Refusal, "The requests of that piece of the log are not in the home.", "Import it anew."),
    "import_days": (Refusal, "A piece of a log touches at most 10,000 days.", ""),
    "request_sound": (Refusal, "A request has a value that cannot be: its time, status, latency or a length.", ""),
    "lock_held": (
        Conflict,
        "Somebody else holds what this needs, and does not end.",
        "Try again; if it stays so, find who: SELECT pid, usename, state FROM pg_stat_activity"
        " WHERE xact_start IS NOT NULL.",
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
    if isinstance(error, errors.QueryCanceled):
        return Refusal("too_slow", "The home took too long and was told to stop.", "Narrow the filter, or try again.")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return Conflict("busy", "Somebody else is changing the same thing.", "Try again.")
    if isinstance(error, errors.OutOfMemory):  # of what was asked, as a rule: the home lives
        return Refusal(
            "home_out_of_memory",
            f"The home's server had not the memory for it: {diag.message_primary}.",
            "Narrow the filter, or try again.",
        )
    if isinstance(error, errors.ConfigurationLimitExceeded):
        return Refusal(
            "home_limit",
            f"It takes more than the home allows this login: {diag.message_primary}.",
            "Narrow the filter.",
        )
    if (trouble := trouble_of(_state_of(error), diag.message_primary or str(error))) is not None:
        return trouble
    return Refusal(
        "refused_by_home",
        f"The home refused it: {diag.message_primary or type(error).__name__} (SQLSTATE {diag.sqlstate or 'none'}).",
        diag.message_hint or "",
    )


def _state_of(error: psycopg.Error) -> str | None:
    """An error that the server did not send has none; one of psycopg's own about values is not the link's either."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return error.diag.sqlstate
    return error.diag.sqlstate or "-"


def unreachable(error: BaseException) -> HomeUnreachable:
    """What is no answer of the server's: the network, a limit of our own."""
    trouble = trouble_of(None, str(error))
    assert trouble is not None
    return trouble
