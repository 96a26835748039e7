"""Questions on the terminal. When stdin is no terminal, nothing is asked."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.output import tell
from controlplane.errors import Refusal
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.operations import Risk


def can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def confirmed(what: str, risk: Risk, name: str, environment: str = "") -> None:
    """Ask what the risk asks for: a yes, or the name. Raises Refusal `confirmation_needed`, `not_confirmed`."""
    if not can_ask():
        raise Refusal(
            "confirmation_needed",
            f"{what} asks before it runs, and there is no terminal to ask on: nothing was changed.",
            "Add --yes to run it, or --dry-run to see what it would change.",
            why=[f"risk: {risk.value}", *([f"environment: {environment}"] if environment else [])],
        )
    from controlplane.operations import Risk  # loads all that operations need; most questions are not about a risk

    if risk is Risk.TWO_PERSON:
        agreed = line("It needs a second person. Ask for the approval? [y/N] ").lower() in ("y", "yes")
    elif risk is Risk.TYPED:
        agreed = line(f"Type {clean(name)} to do it: ") == name
    else:
        agreed = line("Do it? [y/N] ").lower() in ("y", "yes")
    if not agreed:
        raise Refusal("not_confirmed", "Not confirmed: nothing was changed.")


def line(question: str) -> str:
    """One line, stripped; "" at the end of the input."""
    with _interruptible():
        tell(question, end="")
        answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        tell("")
    return answer.strip()


def piped(longest: int) -> str:
    """The first line of stdin that is not blank; "" without one."""
    lines = iter(lambda: sys.stdin.readline(longest + 2) if sys.stdin is not None else "", "")
    return next((line for line in lines if line.strip()), "")


def password(whose: str) -> str:
    """Ask for a password twice, without showing it; "" when none is typed. Raises Refusal `passwords_differ`."""
    from getpass import getpass

    with _interruptible():
        first = getpass(f"Password for {whose}: ", sys.stderr)
        if first and getpass("The same again: ", sys.stderr) != first:
            raise Refusal("passwords_differ", "The two passwords differ: nothing was changed.")
    return first


@contextmanager
def _interruptible() -> Iterator[None]:
    """asyncio turns ctrl+c into a cancellation, which a read of the terminal would not see."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
