"""The options that every command has; a command adds its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from app.cli.output import tell
from app.cli.parameters import Parameter
from controlplane.errors import HomeUnreachable

if TYPE_CHECKING:
    from app.contexts import Context
    from app.homes import HomeChoice
    from app.settings import Settings


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """`request_id` names this call in messages and in the log."""

    home: Annotated[
        str | None, Parameter(help="A PostgreSQL URL, a folder for an embedded home, or a profile's name.")
    ] = None
    json: Annotated[bool, Parameter(help="Print exactly one JSON document.")] = False
    request_id: Annotated[str, Parameter(parse=False)] = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Changing(Reading):
    """`given_id`: the caller chose the request id, and may be repeating a request."""

    reason: Annotated[str | None, Parameter(help="Why, for the audit trail.", allow_leading_hyphen=True)] = None
    dry_run: Annotated[bool, Parameter(help="Show what would change, and change nothing.")] = False
    yes: Annotated[bool, Parameter(help="Do not ask for confirmation.")] = False
    request_id: Annotated[str, Parameter(help="An id for this request; repeating it does nothing twice.")] = ""
    given_id: Annotated[bool, Parameter(parse=False)] = False


READING = Reading()
CHANGING = Changing()


def chosen(asked: Reading) -> tuple[HomeChoice, Settings]:
    """The home that a command works on, and the settings."""
    from app.homes import resolve_home
    from app.settings import load

    settings = load()
    return resolve_home(asked.home, os.environ, settings), settings


@asynccontextmanager
async def opened(asked: Reading, connections: int = 3) -> AsyncIterator[Context]:
    """The context of a command, open as long as it runs."""
    from app.contexts import connect

    choice, settings = chosen(asked)
    vault = None
    if choice.kind == "url":
        from app.profiles import open_vault

        vault = open_vault(settings, before_the_screen=True)
    context = await connect(choice, settings=settings, secrets=vault, conversation="command", connections=connections)
    if off := context.home.clock.off:
        tell(f"This machine's clock is {off} of the home's; ages and windows are by the home's.")
    try:
        yield context
    except HomeUnreachable as refusal:
        raise context.home.explained(refusal) from None
    finally:
        await context.close()
