"""What can be done with toys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.operations import Request, Risk, Subject, operation
from tests.toy.model import Toy, ToyStore
from tests.toy.refusals import BROKEN

if TYPE_CHECKING:
    from controlplane.changes import Change

Label = Annotated[str, Field(min_length=1, max_length=60, description="what it is called")]


class OneToy(Request):
    id: str
    version: Annotated[int | None, Field(default=None, description="refuse when it has changed since this version")]


class ToyCreate(Request):
    makes = ("id",)
    id: str
    label: Label
    pieces: int | None = None


class ToyRename(OneToy):
    label: Label


TOY = Subject(Toy, lambda change, request: change.of(ToyStore).lock(request.id))


def check_whole(toy: Toy, now: datetime) -> None:
    if toy.state == "broken":
        raise BROKEN(f"{toy.id} is broken.", why=[f"state: {toy.state}"])


@operation("toys.create", ToyCreate, role="operator", risk=Risk.PREVIEW, key="n")
async def create(change: Change, request: ToyCreate) -> Toy:
    """Create a toy."""
    return await change.of(ToyStore).create(request.model_dump(exclude_none=True))


@operation(
    "toys.rename",
    ToyRename,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    on=TOY,
    check=check_whole,
    undo="toys.rename",
)
async def rename(change: Change, request: ToyRename, toy: Toy) -> Toy:
    """Give a toy another label."""
    return await change.of(ToyStore).update(toy.id, {"label": request.label})


@operation("toys.smash", OneToy, role="operator", risk=Risk.TYPED, key="x", on=TOY, check=check_whole)
async def smash(change: Change, request: OneToy, toy: Toy) -> Toy:
    """Smash a toy."""
    return await change.of(ToyStore).update(toy.id, {"state": "broken"})
