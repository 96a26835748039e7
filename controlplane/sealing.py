"""What this program can encrypt and decrypt a home's secrets with, and where it may send notices to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controlplane.errors import Refusal

if TYPE_CHECKING:
    from controlplane.deliveries.targets import Allowed
    from controlplane.encryption import Keys


@dataclass
class Sealing:
    """`load` finds the keys, once, when they are first needed; None: this program has none. It blocks. `targets`: those
    that the profile allows wherever they are, as they are written.
    """

    load: Callable[[], Keys] | None = None
    targets: tuple[str, ...] = ()
    _keys: Keys | None = field(default=None, repr=False)

    async def keys(self) -> Keys:
        """Raises Refusal `encryption_key_needed`, and what `load` raises."""
        if self._keys is None:
            if self.load is None:
                raise Refusal(
                    "encryption_key_needed",
                    "Secrets of this home are kept encrypted, and this program was given no key.",
                    'Give its profile one: encryption_key = "file:/path" (or env:, keyring: …), made by:'
                    " openssl rand -base64 32",
                )
            self._keys = await asyncio.to_thread(self.load)
        return self._keys

    @property
    def allowed(self) -> Allowed:
        """Raises Usage `allowed_target_invalid`."""
        from controlplane.deliveries.targets import read_allowed

        return read_allowed(self.targets)


NOTHING_SEALED = Sealing()
