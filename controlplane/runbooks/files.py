"""The files that runbooks are read from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Origin = Literal["shipped", "yours"]
MAX_BYTES = 131_072


class File(NamedTuple):
    """A runbook's file. `body` None: it cannot be read, for the reason in `trouble`."""

    name: str
    origin: Origin
    body: str | None
    trouble: str = ""


class Shelf(Protocol):
    def files(self) -> Sequence[File]:
        """By name. Blocks."""
        ...
