"""The refusals of the audit trail, for the rules and for the home's constraints."""

from controlplane.errors import NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

AUDIT_INCONSISTENT = Words(
    "audit_inconsistent",
    Refusal,
    "The audit trail is not the one that was signed before: nothing is signed.",
    "watchfloor audit verify names the first row; keep the checkpoints that are stored outside.",
)
NO_AUDIT_ROW = Words("no_audit_row", NotFound, "The trail has no row {}.", "watchfloor audit list")

CONSTRAINTS = (
    Words("audit_append_only", NotPermitted, "Rows are only added to the audit trail, never changed or removed."),
    Words(
        "audit_gap",
        Refusal,
        "A row of the audit trail is missing, or one was added without its counter: somebody with the owner's rights"
        " removed or added it.",
        "watchfloor audit verify names the first; nothing is chained until the trail is restored from a backup.",
    ),
    Words("checkpoint_note", Refusal, "A checkpoint has 1 to 2,000 characters."),
    Words(
        "audit_row_size", Refusal, "That is too large for the audit trail, which keeps 1 MB of a row.", "Store less."
    ),
    Words("audit_thing", Refusal, "The name of a changed thing has 1 to 1,000 characters in the trail."),
    Words("audit_note", Refusal, "The trail takes no such note: its fields are fixed, and its size is limited."),
    Words("audit_note_unknown", NotPermitted, "The operation writes no such note to the audit trail."),
    Words(
        "truncate_unrecorded",
        NotPermitted,
        "TRUNCATE would leave no trace in the audit trail.",
        "Use DELETE, which is recorded.",
    ),
)
