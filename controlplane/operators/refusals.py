"""What is refused of operators, in words: for the rules, and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

CONSTRAINTS = (
    Words(
        "operator_is_superuser", NotPermitted, "That login has powers of its own on the server.", "Use another name."
    ),
    Words(
        "operator_login_foreign",
        NotPermitted,
        "The server has that login already, and it is not of this home.",
        "Leave the password out to give it a role here, or use another name.",
    ),
    Words(
        "operator_password_kept",
        Refusal,
        "The operator has a password; another is set by itself, so that the trail says so.",
        "watchfloor operators password NAME --reason …",
    ),
    Words(
        "operator_other_home",
        Conflict,
        "The login works in another home of the same server with another role, and a login has one role on a server.",
        "Give the same role here, or use another name.",
    ),
    Words("operator_unknown", NotFound, "There is no such operator.", "watchfloor operators list"),
    Words("operator_verifier", Usage, "That is no password's verifier (SCRAM-SHA-256)."),
    Words("operators_name_check", Refusal, "The name is not one: a-z, 0-9, '_', '.', '-'; not pg_… or wf_…."),
)
