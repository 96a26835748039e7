"""The refusals of operators, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.refusals import Words

NO_OPERATOR = Words("operator_unknown", NotFound, "There is no such operator.", "watchfloor operators list shows them.")

CONSTRAINTS = (
    Words(
        "operator_is_superuser", NotPermitted, "That login has rights of its own on the server.", "Use another name."
    ),
    Words(
        "operator_login_foreign",
        NotPermitted,
        "The server has that login already, but it does not belong to this home.",
        "Leave the password out to give it a role here, or use another name.",
    ),
    Words(
        "operator_password_kept",
        Refusal,
        "The operator has a password already. It is changed by an operation of its own, so that the trail shows it.",
        "Use: watchfloor operators password NAME --reason …",
    ),
    Words(
        "operator_other_home",
        Conflict,
        "The login has another role in another home on the same server, and a login has one role on a server.",
        "Give the same role here, or use another name.",
    ),
    Words("operator_verifier", Usage, "That is not the verifier of a password (SCRAM-SHA-256)."),
    Words("operators_name_check", Refusal, "That is not a login's name: a-z, 0-9, '_', '.', '-'; not pg_… or wf_…."),
)
