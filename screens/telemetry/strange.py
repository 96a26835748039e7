"""What is strange of a tenant's keys, or of one of them, to read."""

from __future__ import annotations

from controlplane.errors import Refusal
from controlplane.telemetry.anomalies import BASELINE, WINDOW, Limits
from controlplane.telemetry.model import RequestTelemetry, Scope
from screens.desk import Done
from screens.dialogs.viewer import Viewer
from screens.keys.usage import usage_lines, usage_why
from screens.session import Session


async def strange(session: Session, scope: Scope) -> Viewer | Done:
    if scope.tenant_id is None:
        return Done("choose a tenant first: / tenant:acme", "warn")
    try:
        telemetry = session.require_plane().of(RequestTelemetry)
        report = await telemetry.key_usage(scope.tenant_id, WINDOW, BASELINE, Limits(), scope.key_prefix)
    except Refusal as refusal:
        return Done(str(refusal), "bad")
    lines = [*usage_lines(report, named=True), "", *usage_why(report, named=True)]
    return Viewer(session, f"keys of {scope.tenant_id}", lines)
