"""The password of a login that is added. It is never an argument: others can read those."""

from __future__ import annotations

import dataclasses
import secrets
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.cli import asking
from app.cli.asked import Changing
from app.cli.writing import refuse_read_only
from controlplane.errors import Usage
from controlplane.operations import Operation, Outcome, authorise
from controlplane.operators.model import OperatorDirectory

if TYPE_CHECKING:
    from app.contexts import Context


@dataclass(frozen=True)
class Password:
    """`value` None leaves a login's password as it is; one that was made here is shown once."""

    value: str | None = field(repr=False, default=None)
    made: bool = False

    def shown(self, outcome: Outcome) -> Outcome:
        if not self.made or outcome.repeated or outcome.dry_run:
            return outcome
        return dataclasses.replace(outcome, result=outcome.result | {"password": self.value})


async def password_of(
    context: Context, operation: Operation[Any], request: Any, reference: str | None, asked: Changing
) -> Password:
    """The password from where it is kept; else typed, for a new login; else generated."""
    authorise(context.home, operation)
    setting = operation.name == "operators.password"
    if asked.dry_run:
        return Password(secrets.token_urlsafe(18) if setting else None)
    await refuse_read_only(context)
    if reference is not None:
        return Password(first_line() if reference == "-" else resolved(reference))
    if not setting and await _is_known(context, request.name):
        return Password()
    if asking.can_ask() and not asked.yes and (typed := asking.password(f"{request.name} (empty: one is made)")):
        return Password(typed)
    return Password(secrets.token_urlsafe(18), made=True)


def first_line() -> str:
    """The first line of stdin. Raises Usage `password_missing`."""
    value = sys.stdin.readline().rstrip("\r\n")
    if not value:
        raise Usage("password_missing", "The first line of stdin is empty: there is no password in it.")
    return value


def resolved(reference: str, asked_by: str = "operators.add") -> str:
    """The value behind a reference like env:NAME. Blocks; raises Usage, NotFound, Refusal."""
    from app.profiles import open_vault
    from app.settings import load
    from controlplane.secrets import Reference

    return open_vault(load(), before_the_screen=True).resolve(asked_by, Reference.parse(reference)).value


async def _is_known(context: Context, name: str) -> bool:
    people, _ = await context.home.of(OperatorDirectory).rows()
    return any(person.active and person.name == name for person in people)
