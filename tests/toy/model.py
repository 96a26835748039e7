"""Toys: their rows, and what is needed of a home for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.listing import Listing


@dataclass(frozen=True, slots=True)
class Toy:
    id: str
    label: str
    state: Literal["whole", "broken"]
    pieces: int | None
    version: int
    created_at: datetime

    @property
    def key(self) -> str:
        return self.id


class ToyDirectory(Listing[Toy], Protocol):
    async def get(self, toy_id: str) -> Toy: ...


class ToyStore(Protocol):
    async def lock(self, toy_id: str) -> Toy: ...
    async def create(self, columns: dict[str, Any]) -> Toy: ...
    async def update(self, toy_id: str, columns: dict[str, Any]) -> Toy: ...
