"""Operators as they are read: who may log in, and with which role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controlplane.listing import Listing
from controlplane.operators.roles import LoginRole


@dataclass(frozen=True, slots=True)
class Operator:
    """A login of a home. One that was removed stays in the list, without its role's rights."""

    name: str
    role: LoginRole
    active: bool
    added_at: datetime
    changed_at: datetime

    @property
    def key(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        return "active" if self.active else "removed"


class OperatorDirectory(Listing[Operator], Protocol):
    async def rows(self) -> tuple[Sequence[Operator], datetime]:
        """All of them, and as of when."""
        ...
