"""The store that the operations of silences write through. The home checks every step again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controlplane.matchers import Matcher
from controlplane.silences.directory import Foreseen, KeptSilence
from controlplane.silences.model import Edit, Silence


class SilenceStore(Protocol):
    async def lock(self, number: int) -> KeptSilence:
        """Read a silence and lock it until the change ends. Raises NotFound."""
        ...

    async def create(self, silence: Silence) -> KeptSilence:
        """Store it, without its number. Raises Refusal `silence_length`, `silence_many`."""
        ...

    async def edit(self, edit: Edit) -> KeptSilence:
        """Store it; returns the silence as it then is, or the one that takes its place. Raises what `create` does."""
        ...

    async def end(self, number: int) -> KeptSilence:
        """Raises Refusal `silence_over`."""
        ...

    async def foresee(self, matchers: Sequence[Matcher]) -> Foreseen:
        """As `SilenceDirectory.foresee`, within this change."""
        ...
