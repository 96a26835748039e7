"""What an operator can do with detectors: have one evaluated now, and set the thresholds that they judge by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.detectors.model import DetectorStore, Scope, ThresholdStore
from controlplane.detectors.refusals import THRESHOLD_SCOPE, THRESHOLD_UNKNOWN
from controlplane.detectors.words import dry_run_notes
from controlplane.operations import Request, Risk, operation

if TYPE_CHECKING:
    from controlplane.changes import Change

Parameter = Annotated[str, Field(min_length=1, max_length=110, description="which: quota_near.share")]
ScopeText = Annotated[
    str, Field(min_length=1, max_length=80, description="whom it is for: all, plan:growth or tenant:acme")
]


class OneDetector(Request):
    subject = ("name",)
    name: Annotated[str, Field(min_length=1, max_length=60, description="the detector: burn_rate …")]


class OneThreshold(Request):
    subject = ("parameter", "scope")
    parameter: Parameter
    scope: ScopeText


class ThresholdSet(OneThreshold):
    value: Annotated[float | None, Field(default=None, description="default: clear it", allow_inf_nan=False)]


@operation("detectors.evaluate", OneDetector, role="operator", risk=Risk.SAFE, key="e")
async def evaluate(change: Change, request: OneDetector) -> Record:
    """Evaluate a detector now; --dry-run only shows what it would do."""
    store = change.of(DetectorStore)
    foreseen = await store.dry_run(request.name, change.metrics)
    await store.evaluate_soon(request.name)
    return {"name": request.name, "notes": dry_run_notes(request.name, foreseen), "counts": dict(foreseen.counts)}


@operation(
    "thresholds.set",
    ThresholdSet,
    role="operator",
    risk=Risk.CONFIRM,
    key="s",
    needs_reason=True,
    undo="thresholds.set",
)
async def set_threshold(change: Change, request: ThresholdSet) -> Record:
    """Set a threshold: for all, for a plan, or for a tenant."""
    detector, name = parameter_of(request.parameter)
    return await change.of(ThresholdStore).set(detector, name, scope_of(request.scope), request.value)


@operation(
    "thresholds.clear",
    OneThreshold,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    undo="thresholds.set",
)
async def clear_threshold(change: Change, request: OneThreshold) -> Record:
    """Clear a threshold: that of the wider scope applies again."""
    detector, name = parameter_of(request.parameter)
    return await change.of(ThresholdStore).set(detector, name, scope_of(request.scope), None)


def parameter_of(text: str) -> tuple[str, str]:
    """Detector and name. Raises Usage `threshold_unknown`."""
    detector, dot, name = text.partition(".")
    if not (detector and dot and name):
        raise THRESHOLD_UNKNOWN(f"{text} names no threshold: it is written detector.name.")
    return detector, name


def scope_of(text: str) -> Scope:
    """Raises Usage `threshold_scope`."""
    kind, _, name = text.partition(":")
    if text == "all":
        return Scope()
    if name and kind == "tenant":
        return Scope(tenant_id=name)
    if name and kind == "plan":
        return Scope(plan=name)
    raise THRESHOLD_SCOPE(f"{text} is not a scope.")
