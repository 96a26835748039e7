"""A demonstration that a process of its own prepares and keeps running, and how a console opens it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.demo import folders
from app.homes import HomeChoice, home_name
from app.links import DEMO
from app.switching import load_contexts
from controlplane.errors import Refusal

if TYPE_CHECKING:
    from app.console import OpenContext
    from app.contexts import Context

SECONDS_TO_END = 30.0
ENDS = "The demonstration ends with this console."


class Stage:
    """The caretaker process, as long as the block runs: it ends with this program, because its stdin is closed then."""

    def __init__(self, seed: int, keep: Path | None) -> None:
        self._home, self._working = Path(), False
        self._command = [sys.executable, "-m", "app.demo.caretaker", str(seed), *([str(keep)] if keep else [])]

    def __enter__(self) -> Stage:
        self._caretaker = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what is typed or sent to the screen's program is not for it
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._caretaker.stdin is not None
        self._caretaker.stdin.close()
        try:
            self._caretaker.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._caretaker.kill()
            self._caretaker.wait()
        if self._caretaker.returncode:
            folders.sweep()  # it could not do that itself

    def prepare(self, report: Callable[[str], None]) -> None:
        """Wait until the home is ready to be looked at. Raises Refusal."""
        self._home = Path(self._until("ready", report))

    async def open_context(self, report: Callable[[str], None]) -> Context:
        """The home, after `prepare`, when its worker is there too. Raises Refusal."""
        context = await visitor(self._home)(report)
        if not self._working:
            try:
                await asyncio.to_thread(self._until, "working", report)
            except Refusal:
                await context.close()
                raise
            self._working = True
        return context._replace(ends=ENDS)

    def _until(self, word: str, report: Callable[[str], None]) -> Any:
        """What it says under that word. Raises Refusal."""
        assert self._caretaker.stdout is not None
        for line in self._caretaker.stdout:
            said: dict[str, Any] = json.loads(line)
            if word in said:
                return said[word]
            if "refused" in said:
                raise Refusal(**said["refused"])
            report(said["say"])
        raise Refusal("demo_failed", "The demonstration's process ended before its home was there.", "Try again.")


def visitor(folder: Path) -> OpenContext:
    """Opens a running demonstration, this console's own or one of another terminal."""

    async def open_context(report: Callable[[str], None]) -> Context:
        await load_contexts()
        return await _opened(folder)

    return open_context


def _name(folder: Path) -> str:
    """The context's name. A link into a demonstration that is thrown away must not lead to another one."""
    number = folders.number(folder)
    return f"{DEMO}{number}" if number else home_name(HomeChoice("folder", str(folder), None, ""))


async def _opened(folder: Path) -> Context:
    from app.contexts import Context
    from app.embedded import bring_back, embedded_at
    from backends.postgres.home import Home

    embedded = embedded_at(folder)
    known = await asyncio.to_thread(embedded.known)
    if known is None:
        raise Refusal("demonstration_over", "The demonstration is over.", "watchfloor demo")
    home = Home(known.login_conninfo(), conversation="demo console", revive=lambda: bring_back(embedded))
    await home.open()
    return Context(home, _name(folder), "demo", False, "watchfloor demo", embedded=True)
