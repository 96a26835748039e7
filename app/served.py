"""A console for somebody's browser, started by `watchfloor serve`: it only shows, and ends with what started it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from app.start import Start

LOOK_SECONDS = 1.0


def main() -> int:
    """Words: the link, or none. Which home is in the environment; a link does not overrule it."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    from app import console

    link = sys.argv[1] if len(sys.argv) > 1 else None
    return console.run(Start((), link, os.environ.get("WATCHFLOOR_HOME")), served=True)


def _end_with(parent: int) -> None:
    """A server that is killed sends no farewell."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LOOK_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
