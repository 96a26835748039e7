"""The refusals of API keys, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, Refusal
from controlplane.refusals import Words

KEY_ROTATED_ONCE = Words("key_rotated_once", Conflict, "The key was rotated already.", "Rotate the new key.")
KEY_REVOKED = Words(
    "key_revoked", Refusal, "The key is revoked; that cannot be undone.", "Make another: watchfloor keys create"
)
KEY_NOT_ALIVE = Words("key_not_alive", Refusal, "The key is no longer valid, so it cannot be rotated.", "Make another.")
KEY_NOT_ROTATING = Words("key_not_rotating", Refusal, "The key has no grace now.")
ALREADY_DISABLED = Words("already_disabled", Refusal, "The key is disabled already.", "To enable it: keys enable")
NOT_DISABLED = Words("not_disabled", Refusal, "The key is not disabled.")
NO_KEY = Words("no_key", NotFound, "There is no key {}.", "watchfloor keys list finds them.")
NO_ROTATION = Words(
    "no_rotation", NotFound, "The key {} is not being rotated.", "watchfloor keys rotations lists those that are."
)
NO_STALE_KEY = Words("no_stale_key", NotFound, "There is no stale key {}.", "watchfloor keys stale lists them.")

CONSTRAINTS = (
    Words("key_exists", Conflict, "A key with this id exists already.", "Make another.", constraint="api_keys_pkey"),
    Words("key_hash_taken", Conflict, "Another key has this secret already.", "Make another."),
    Words("key_id_format", Refusal, "A key's id is key_ and 26 letters and digits."),
    Words("key_env", Refusal, "A key is for live or for test."),
    Words("key_display_length", Refusal, "The shown part of a key has 1 to 64 characters."),
    Words("key_hash_length", Refusal, "A hash is the 32 bytes of a SHA-256."),
    Words("key_label_length", Refusal, "A label has at most 200 characters."),
    Words("key_owner_length", Refusal, "An e-mail address has 3 to 320 characters."),
    Words("key_spend_cap", Refusal, "A spend cap is 0 or more."),
    Words("key_project", NotFound, "The tenant has no such project.", "watchfloor projects list finds them."),
    Words("key_tenant", NotFound, "There is no such tenant.", "watchfloor tenants list finds them."),
    Words("key_marks", Refusal, "A revoked key has a reason, and a rotated one a grace."),
    Words("key_tenant_gone", Refusal, "The tenant is being deleted or was erased.", "Restore it first."),
    Words("key_project_archived", Refusal, "The project is archived.", "Restore it first."),
    Words(
        "key_successor",
        Refusal,
        "The new key must have the tenant and env of the key that is being rotated.",
        "Rotate it: watchfloor keys rotate",
    ),
    Words("key_fixed", Refusal, "A key stays what it is: id, tenant, project, env, hash and origin never change."),
    Words("key_grace_over", Refusal, "The key's grace is over, or it was rotated once.", "Use the new key."),
    Words("key_grace_too_long", Refusal, "A grace ends at the latest when the key expires.", "End the grace earlier."),
    Words("leak_reason", Refusal, "A leak needs a reason.", "Say it with --reason."),
    Words("leak_calls", Refusal, "The calls of a leak must be a JSON object."),
    Words("leak_key", NotFound, "The tenant has no such key."),
    Words("leak_successor", NotFound, "The tenant has no such key."),
    Words(
        "key_lifetime",
        Refusal,
        "The tenant's plan does not let a key live that long, or for ever.",
        "Give an earlier expiry; watchfloor subscriptions effective shows key_lifetime_days.",
    ),
    Words("key_addresses", Refusal, "A key has at most 1,000 addresses.", "Use networks instead."),
)
