"""The process behind a demonstration: `python -m app.demo.caretaker SEED [FOLDER]`.

It starts the home, filled or copied from a prepared one, and keeps writing traffic. It ends when its stdin is closed,
which happens however the program that started it ends. It then stops the server and, unless a FOLDER was named, removes
the folder. It reports on stdout, one JSON object per line: `say`; `ready` with the home's folder, when a console can be
started; `working`, when that can read the home, whose worker works then; or `refused`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from app.demo import folders, prepared
from app.embedded import bring_back, embedded_at
from controlplane.errors import Refusal

FIRST_SECONDS = 1.0
"""The console reads its first screen meanwhile: it has the processor for itself."""
SWITCH_SECONDS = 0.001
"""So soon an answer of the server is taken while another thread computes."""


def main(seed: int, kept: Path | None) -> None:
    _end_with_parent()
    try:
        with _folder(kept) as folder:
            perform(seed, folder, careless=kept is None)
    except Refusal as refusal:
        tell(refused={"code": refusal.code, "message": refusal.message, "hint": refusal.hint})
    except Exception as error:
        from app.faults import write

        where = write(traceback.format_exc())
        words = {"message": f"The demonstration stopped: {type(error).__name__}.", "hint": f"More is in {where}."}
        tell(refused={"code": "demo_failed", **words})


def tell(**what: Any) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        print(json.dumps(what), flush=True)


def report(words: str) -> None:
    tell(say=f"Preparing the demonstration: {words}")


def _end_with_parent() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the program on the screen
    signal.signal(signal.SIGTERM, _end)

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, daemon=True).start()


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not disturb the clean-up
    raise SystemExit


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """The home's folder. Afterwards the server is stopped, and the folder removed if it was made here."""
    if kept is not None:
        home = embedded_at(kept)
        was_running = home.status().state == "running"  # then others use it
        try:
            yield kept
        finally:
            if not was_running:
                home.stop()
        return
    folders.sweep()
    folder, held = folders.make()
    try:
        yield folders.home(folder)
    finally:
        folders.remove(folder)
        os.close(held)


def perform(seed: int, folder: Path, *, careless: bool) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    with ThreadPoolExecutor(1) as beside:
        start = prepared.start(seed, folder, beside, careless=careless)
        from app.demo import opening, present  # while the home is copied and started

        shown = opening.opened(seed, start, report, careless=careless, nearly=lambda: tell(ready=str(folder)))
    present.await_worker(shown.site)
    tell(working=True)
    time.sleep(FIRST_SECONDS)
    from app.demo import traffic

    asyncio.run(_until_told(traffic.run(shown.estate, shown.site, lambda: bring_back(shown.home), shown.until)))


async def _until_told(traffic: Any) -> None:
    task = asyncio.ensure_future(traffic)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
