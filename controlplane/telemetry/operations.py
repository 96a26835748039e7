"""Setting how long telemetry is kept, and dropping what is older."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.errors import Refusal
from controlplane.operations import Request, Risk, operation
from controlplane.telemetry.ports import RetentionStore
from controlplane.telemetry.retention import Data, Partition

if TYPE_CHECKING:
    from controlplane.changes import Change


class RetentionRequest(Request):
    subject = ("data",)
    data: Annotated[Data, Field(description="raw, minutes or hours")]
    days: Annotated[int, Field(ge=2, le=3660, description="how long it is kept")]


class DropRequest(Request):
    """No arguments: it is done for all classes at once."""

    subject = ()


@operation(
    "telemetry.retention",
    RetentionRequest,
    role="admin",
    risk=Risk.CONFIRM,
    key="r",
    needs_reason=True,
    undo="telemetry.retention",
)
async def retention(change: Change, request: RetentionRequest) -> Record:
    """Set how many days a class of telemetry is kept; the next drop deletes what is older, which is listed here."""
    before = await change.of(RetentionStore).keep(request.data, request.days)
    if before == request.days:
        raise Refusal("retention_as_it_is", f"{request.data} is kept for {before} days already.")
    old = [part for part in await change.of(RetentionStore).old() if part.data == request.data]
    if old:
        await change.of(RetentionStore).note({"would_go": [part.part for part in old]})
    return {"data": request.data, "days": request.days, "before": before, "would_go": _named(old)}


@operation("telemetry.drop-old", DropRequest, role="admin", risk=Risk.TYPED, key="x", writes="telemetry-drops")
async def drop_old(change: Change, request: DropRequest) -> Record:
    """Drop telemetry past its retention; by days and months, as a worker does."""
    found = await change.of(RetentionStore).drop_old()
    return {
        "dropped": _named([part for part in found if part.waits is None]),
        "stay": [part.part + ": " + part.waits for part in found if part.waits is not None],
    }


def _named(parts: list[Partition]) -> list[Record]:
    names = ("data", "part", "rows", "bytes")
    return [{name: value for name, value in asdict(part).items() if name in names} for part in parts]
