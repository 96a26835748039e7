"""Copying, by the first way that works here. The clipboard is never read.

A secret is copied only by its own verb, which audits it: that is the caller's business.
"""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from typing import Any

from textual.app import App

OSC_52_LIMIT = 74_994
"""Base64 bytes that every terminal with OSC 52 takes."""

_TMUX_SECONDS = 2.0


async def copy(app: App[Any], text: str) -> str:
    """Copy `text` and say which way was used, in words. Raises OSError when no file can be made."""
    if os.environ.get("TMUX") and await _tmux(text):
        return "copied to tmux and its terminal"
    encoded = base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")
    driver = app._driver
    if len(encoded) <= OSC_52_LIMIT and driver is not None and not driver.is_headless:
        driver.write(f"\x1b]52;c;{encoded}\x07")
        driver.flush()
        return "sent to the terminal's clipboard (OSC 52; it does not answer whether it took it)"
    return f"saved to {_file(text)} readable only by you: too long for the terminal's clipboard"


async def _tmux(text: str) -> bool:
    """tmux 3.2 or later. On stdin, so that the text is in no process's arguments."""
    try:
        process = await asyncio.create_subprocess_exec(
            *("tmux", "load-buffer", "-w", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(_TMUX_SECONDS):
            await process.communicate(text.encode("utf-8", "surrogateescape"))
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        return False
    return process.returncode == 0


def _file(text: str) -> str:
    descriptor, path = tempfile.mkstemp(prefix="watchfloor-copy-", suffix=".txt")  # 0600
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return path
