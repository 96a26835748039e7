"""Toys: their rows, and what is needed of a home for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from controlplane.changes import Store
from controlplane.listing import ById, Listing


@dataclass(frozen=True, slots=True)
class Toy(ById):
    id: str
    label: str
    state: Literal["whole", "broken"]
    pieces: int | None
    version: int
    created_at: datetime


class ToyDirectory(Listing[Toy], Protocol):
    pass


class ToyStore(Store[Toy], Protocol):
    """What its operations write through."""
