"""The store that the operations of operators write through."""

from __future__ import annotations

from typing import Protocol

from controlplane.operators.roles import LoginRole


class OperatorStore(Protocol):
    async def put(self, name: str, role: LoginRole, password: str | None) -> None:
        """Make a login, or give it another role. The password leaves this program only as a SCRAM verifier."""
        ...

    async def set_password(self, name: str, password: str) -> None:
        """Give an operator another password. Raises NotFound, NotPermitted."""
        ...

    async def remove(self, name: str) -> bool:
        """Take the login away and end its sessions; False when there is none."""
        ...
