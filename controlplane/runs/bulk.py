"""Which operations can be done to many things at once. Nothing heavy is imported: every command of one asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.nouns import list_named, noun_named

if TYPE_CHECKING:
    from controlplane.operations import Operation

OUTSIDE = "messages"
"""The noun whose things are in other systems: whoever carries a run over them needs the credentials of those."""
NOUNS = ("tenants", "projects", "keys", "alerts", "silences", "deliveries", "queues", OUTSIDE)
"""The nouns that a run can be about."""
ONE_BY_ONE = ("silences.edit",)
"""An edit may put another silence in the place of the one that it is done to, so no run could say what became of it."""
PACE = {
    "per_second": "for several: how many to begin a second, at most (10)",
    "breaker_share": "for several: pause above this share of refusals (0.2)",
}
"""What a run takes besides what it does, and to what."""


def in_bulk(operation: Operation[Any]) -> bool:
    """Whether it can be done in bulk: it is done to one thing of a list, at the version that was seen, and not all that
    it takes is personal, which is not kept with a run.
    """
    request = operation.request
    if operation.name in ONE_BY_ONE or operation.noun not in NOUNS:
        return False
    if "version" not in request.model_fields and operation.noun != OUTSIDE:
        return False
    shared = request.model_fields.keys() - {*request.subject, "version"}
    return (not shared or not shared <= {*request.personal}) and operation.on is not None and _listed(operation)


def _listed(operation: Operation[Any]) -> bool:
    """Whether what it is done on is what the list holds that its noun acts on."""
    noun = acted_on(operation)
    return noun == operation.noun or (operation.on is not None and operation.on.row is list_named(noun).row)


def acted_on(operation: Operation[Any]) -> str:
    """The noun in whose list the things of a run are."""
    noun = noun_named(operation.noun)
    return noun.acts_on if noun and noun.acts_on else operation.noun
