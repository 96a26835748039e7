"""Requests for a second person's approval as they are read, the rules that ask for them, and raised roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from controlplane.audit.model import Record
from controlplane.listing import ById, Listing
from controlplane.operators.roles import Role

State = Literal["waiting", "approved", "refused", "withdrawn", "done"]
Standing = Literal["waiting", "approved", "refused", "withdrawn", "done", "expired", "void"]


@dataclass(frozen=True, slots=True)
class Approval(ById):
    """A request. `facts`: what it would change, each thing with what was seen and what becomes of it; `sha256` is their
    hash. `roles`: one approval for each, from somebody with at least that role. `votes`: person, role, vote, reason and
    time of each. `standing`: its state, but "expired" or "void" when it is open and no longer good.
    """

    id: int
    operation: str
    thing: str
    fields: dict[str, Any]
    fingerprint: str
    reason: str
    facts: list[dict[str, Any]]
    sha256: str
    roles: list[Role]
    state: State
    standing: Standing
    asked_at: datetime
    asked_by: str
    expires_at: datetime
    decided_at: datetime | None
    done_at: datetime | None
    change_id: int | None
    votes: list[dict[str, Any]]
    version: int

    @property
    def open(self) -> bool:
        return self.standing in ("waiting", "approved")

    @property
    def approvers(self) -> list[str]:
        return [each["person"] for each in self.votes if each["vote"] == "approve"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Which operation takes a second person. `above`: only for more things than that. `standing`: "nobody else" where
    too few others could approve: then the rule waits until there are.
    """

    operation: str
    roles: list[Role]
    above: int | None
    minutes: int
    active: bool
    standing: Literal["on", "off", "nobody else"]
    version: int

    @property
    def key(self) -> str:
        return self.operation


@dataclass(frozen=True, slots=True)
class Raise(ById):
    """A role that is raised for a while. `uses`: how many statements wrote to the trail with it."""

    id: int
    login: str
    was: Role
    role: Role
    minutes: int
    reason: str
    starts_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    uses: int
    standing: Literal["open", "given back", "over"]

    @property
    def name(self) -> str:
        """What its operations call it."""
        return self.login


@dataclass(frozen=True, slots=True)
class Desk:
    """What waits for the login: requests that it may decide, with the next end, and its own that are approved. `role`:
    the login's now.
    """

    role: str
    to_decide: int
    next_end: datetime | None
    approved: int
    raised_until: datetime | None
    raised_role: str | None


class ApprovalDirectory(Listing[Approval], Protocol):
    async def rule(self, operation: str, thing: str) -> Sequence[Role] | None:
        """Whose approvals the login needs for it; None: no second person."""
        ...

    async def mine(self, fingerprint: str) -> Approval | None:
        """The login's own open request for the same."""
        ...

    async def desk(self) -> Desk: ...


class RuleDirectory(Listing[Rule], Protocol): ...


class RaiseDirectory(Listing[Raise], Protocol): ...


class ApprovalStore(Protocol):
    """What the operations of approvals write through; also those that are carried out under one."""

    async def lock(self, key: int) -> Approval:
        """Read a request; the home locks it when it is changed. Raises NotFound."""
        ...

    async def facts(self) -> list[dict[str, Any]]:
        """What the open change has written so far."""
        ...

    async def use(self, number: int) -> None:
        """Carry the open change out under an approval. Raises Refusal; Conflict `approval_used`, `approval_void`."""
        ...

    async def ask(
        self, operation: str, thing: str, fields: Record, fingerprint: str, facts: Sequence[Record]
    ) -> Approval: ...

    async def vote(self, number: int, seen: str, vote: str) -> State: ...

    async def extend(self, number: int, minutes: int) -> datetime: ...

    async def withdraw(self, number: int) -> None: ...

    async def put_rule(
        self, operation: str, roles: Sequence[Role], above: int | None, minutes: int, active: bool
    ) -> None: ...

    async def raise_role(self, role: Role, minutes: int) -> datetime: ...

    async def give_back(self, name: str) -> bool: ...
