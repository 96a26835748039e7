"""The small program of this folder, started in a pty."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.terminal.driver import Terminal

PROGRAM = [sys.executable, "-m", "tests.terminal.program"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """`start(columns=…, lines=…, env=…)`: the program, with its first screen painted."""
    with ExitStack() as stack:

        def run(env: Mapping[str, str | None] | None = None, **options: Any) -> Terminal:
            env = {"PROGRAM_REPORTS": str(tmp_path), **(env or {})}
            terminal = stack.enter_context(Terminal(PROGRAM, env=env, **options))
            terminal.see("filter")
            sync(terminal, 1)
            return terminal

        yield run


def sync(terminal: Terminal, number: int) -> None:
    """Wait until the program has painted all that was asked of it before."""
    terminal.press("ctrl+g")
    terminal.receive(f"\x1b]777;sync {number}\x07".encode())
