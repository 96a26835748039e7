"""The matchers of one silence for some alerts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, product

from controlplane.alerts.model import Alert
from controlplane.errors import Usage
from controlplane.matchers import Matcher
from controlplane.silences.refusals import SILENCE_ALERTS
from controlplane.text import clean

_SPECIAL = re.compile(r"[][\\.^$|(){}*+?]")


def matchers_of(alerts: Sequence[Alert]) -> tuple[Matcher, ...]:
    """Kind, tenant and labels; of one with several values any of these. So it hides just these alerts, and the next of
    the same identity.

    Raises Usage `silence_alerts` when it would hide others as well, that mix their values: nobody may think that what
    was not marked is told.
    """
    labels = [{"kind": each.kind, "tenant": each.tenant_id or "", **each.labels} for each in alerts]
    values = {name: sorted({each.get(name, "") for each in labels}) for name in dict.fromkeys(chain(*labels))}
    marked = {tuple(each.get(name, "") for name in values) for each in labels}
    if other := next((mixed for mixed in product(*values.values()) if mixed not in marked), None):
        named = ", ".join(str(Matcher(name, "=", value)) for name, value in zip(values, other, strict=True))
        raise SILENCE_ALERTS(f"One silence for these alerts would also hide those with {clean(named, 300)}.")
    try:
        return tuple(_any(name, each) for name, each in values.items())
    except Usage:
        raise SILENCE_ALERTS("The values of these alerts are too long for one silence.") from None


def _any(name: str, values: Sequence[str]) -> Matcher:
    if len(values) == 1:
        return Matcher(name, "=", values[0])
    return Matcher(name, "=~", "|".join(_SPECIAL.sub(r"\\\g<0>", value) for value in values))
