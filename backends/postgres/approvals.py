"""Requests for approval in PostgreSQL: the home keeps them, counts the votes, and holds what takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.types.json import Jsonb

from backends.postgres.paging import Order, PagedList, as_json, shape_of
from backends.postgres.statements import Connection, names, rows, scalar
from backends.postgres.table import Table, fields_of
from controlplane.approvals.list import APPROVALS, RAISES, RULES
from controlplane.approvals.model import (
    Approval,
    ApprovalDirectory,
    ApprovalStore,
    Desk,
    Raise,
    RaiseDirectory,
    Rule,
    RuleDirectory,
    State,
)
from controlplane.approvals.refusals import NO_APPROVAL
from controlplane.audit.model import Record
from controlplane.jobs.engine import sql as sql_job
from controlplane.memorylist import MemoryList
from controlplane.operators.roles import Role

if TYPE_CHECKING:
    from backends.postgres.home import Home

APPROVAL_TABLE = Table("wf.approvals", Approval, ("id",), NO_APPROVAL, view="wf.approval_list")
MINE = sql.SQL(
    "SELECT {} FROM wf.approval_list WHERE asked_by = session_user AND fingerprint = %s AND state IN ('waiting',"
    " 'approved') AND standing IN ('waiting', 'approved') ORDER BY id DESC LIMIT 1"
).format(names(fields_of(Approval)))
RULE = "SELECT roles FROM wf.rule_of(%s, %s, session_user::text) WHERE operation IS NOT NULL"
ALL_RULES = sql.SQL("SELECT {} FROM wf.approval_rule_list ORDER BY operation").format(names(fields_of(Rule)))
LAST_RAISES = sql.SQL("SELECT {} FROM wf.raise_list ORDER BY id DESC LIMIT 500").format(names(fields_of(Raise)))
DESK = sql.SQL("SELECT {} FROM wf.approval_desk").format(names(fields_of(Desk)))
FACTS = "SELECT wf.change_facts()"
USE = "SELECT wf.use_approval(%s)"
ASK = "SELECT wf.ask_approval(%s, %s, %s, %s, %s)"
VOTE = "SELECT wf.vote_approval(%s, %s, %s)"
EXTEND = "SELECT wf.extend_approval(%s, %s)"
WITHDRAW = "SELECT wf.withdraw_approval(%s)"
PUT_RULE = "SELECT wf.put_approval_rule(%s, %s, %s, %s, %s)"
RAISE = "SELECT wf.raise_role(%s, %s)"
GIVE_BACK = "SELECT wf.give_back(%s)"
END_RAISES = "SELECT wf.end_raises()"


# Takes away the memberships of raised roles whose time is over. Their rights have ended by themselves.
UPKEEP = (sql_job("end_raises", END_RAISES, timedelta(seconds=1)),)


class Approvals(PagedList[Approval], ApprovalDirectory):
    """Its only order is oldest first; a screen asks for it descending."""

    shape = shape_of(
        APPROVALS, "wf.approval_list", tie=(), orders={name: Order("id", "bigint") for name in ("asked", "id")}
    )

    async def rule(self, operation: str, thing: str) -> Sequence[Role] | None:
        async with self.home.connection() as connection:
            found = await (await connection.execute(RULE, [operation, thing])).fetchone()
        return None if found is None else list(found[0])

    async def mine(self, fingerprint: str) -> Approval | None:
        async with self.home.connection() as connection:
            found = await rows(connection, Approval, MINE, [fingerprint])
        return found[0] if found else None

    async def desk(self) -> Desk:
        async with self.home.connection() as connection:
            [found] = await rows(connection, Desk, DESK)
        self.home.know_role(found.role)
        return found


class Rules(MemoryList[Rule], RuleDirectory):
    declared = RULES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[Rule], datetime]:
        async with self.home.connection() as connection:
            return await rows(connection, Rule, ALL_RULES), self.home.clock.now()


class Raises(MemoryList[Raise], RaiseDirectory):
    declared = RAISES

    def __init__(self, home: Home) -> None:
        self.home = home

    async def rows(self) -> tuple[Sequence[Raise], datetime]:
        async with self.home.connection() as connection:
            return await rows(connection, Raise, LAST_RAISES), self.home.clock.now()


@dataclass(frozen=True)
class ApprovalWriter(ApprovalStore):
    connection: Connection

    async def lock(self, key: int) -> Approval:
        return await APPROVAL_TABLE.get(self.connection, key)

    async def facts(self) -> list[dict[str, Any]]:
        return list(await scalar(self.connection, FACTS))

    async def use(self, number: int) -> None:
        await self.connection.execute(USE, [number])

    async def ask(
        self, operation: str, thing: str, fields: Record, fingerprint: str, facts: Sequence[Record]
    ) -> Approval:
        values = [operation, thing, as_json(fields), fingerprint, Jsonb(list(facts))]
        return await APPROVAL_TABLE.get(self.connection, await scalar(self.connection, ASK, values))

    async def vote(self, number: int, seen: str, vote: str) -> State:
        state: State = await scalar(self.connection, VOTE, [number, seen, vote])
        return state

    async def extend(self, number: int, minutes: int) -> datetime:
        until: datetime = await scalar(self.connection, EXTEND, [number, minutes])
        return until

    async def withdraw(self, number: int) -> None:
        await self.connection.execute(WITHDRAW, [number])

    async def put_rule(
        self, operation: str, roles: Sequence[Role], above: int | None, minutes: int, active: bool
    ) -> None:
        await self.connection.execute(PUT_RULE, [operation, list(roles), above, minutes, active])

    async def raise_role(self, role: Role, minutes: int) -> datetime:
        until: datetime = await scalar(self.connection, RAISE, [role, minutes])
        return until

    async def give_back(self, name: str) -> bool:
        return bool(await scalar(self.connection, GIVE_BACK, [name]))
