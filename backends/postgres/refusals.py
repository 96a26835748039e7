"""What PostgreSQL refuses, in the console's words: chosen by the constraint's name, else by the SQLSTATE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module

import psycopg
from psycopg import errors

from backends.postgres.troubles import trouble_of
from controlplane import nouns
from controlplane.errors import Conflict, HomeUnreachable, NotPermitted, Refusal
from controlplane.refusals import Words


def said() -> Iterator[Words]:
    """The words of all refusals, of the nouns and of the domain itself."""
    for name in ("controlplane.refusals", *(noun.refusals for noun in nouns.NOUNS if noun.refusals)):
        module = import_module(name)
        yield from (value for value in vars(module).values() if isinstance(value, Words))
        yield from module.CONSTRAINTS


@cache
def words() -> Mapping[str, Words]:
    """The words by the constraint's name. They are loaded at the first refusal, not before the first paint."""
    return {each.constraint or each.code: each for each in said()}


def refusal_of(error: psycopg.Error) -> Refusal:
    """The refusal that a database error means. An unknown error keeps the server's words and its SQLSTATE."""
    diag = error.diag
    if (known := words().get(diag.constraint_name or "")) is not None:
        return known(unnamed(known.message), unnamed(known.hint), [f"refused by the home: {diag.message_primary}"])
    if isinstance(error, errors.InsufficientPrivilege):
        return NotPermitted(
            "not_permitted",
            f"The home does not permit it: {diag.message_primary}.",
            "It needs another role; watchfloor operators list shows who has which.",
        )
    if isinstance(error, errors.QueryCanceled):
        return Refusal("too_slow", "The home took too long and was told to stop.", "Narrow the filter, or try again.")
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return Conflict("busy", "Somebody else is changing the same thing.", "Try again.")
    if isinstance(error, errors.OutOfMemory):  # usually the query's own fault: the server goes on
        return Refusal(
            "home_out_of_memory",
            f"The home's server did not have enough memory for it: {diag.message_primary}.",
            "Narrow the filter, or try again.",
        )
    if isinstance(error, errors.ConfigurationLimitExceeded):
        return Refusal(
            "home_limit",
            f"It takes more than the home allows this login: {diag.message_primary}.",
            "Narrow the filter.",
        )
    if (trouble := trouble_of(_state_of(error), diag.message_primary or str(error))) is not None:
        return trouble
    return Refusal(
        "refused_by_home",
        f"The home refused it: {diag.message_primary or type(error).__name__} (SQLSTATE {diag.sqlstate or 'none'}).",
        diag.message_hint or "",
    )


def unnamed(words: str) -> str:
    """Words about a thing whose name the server does not say: "There is no such detector."."""
    return words.replace("There is no ", "There is no such ").replace(" {}", "") if "{}" in words else words


@contextmanager
def as_refusals() -> Iterator[None]:
    """Around what talks to the database: its errors are raised as refusals."""
    try:
        yield
    except psycopg.Error as error:
        raise refusal_of(error) from None


def _state_of(error: psycopg.Error) -> str | None:
    """The SQLSTATE. None for a connection error that the server did not send; "-" for psycopg's own errors about
    values, which are not the connection's either.
    """
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return error.diag.sqlstate
    return error.diag.sqlstate or "-"


def unreachable(error: BaseException) -> HomeUnreachable:
    """The refusal for an error that is not the server's: of the network, or of our own time limit."""
    trouble = trouble_of(None, str(error))
    assert trouble is not None
    return trouble
