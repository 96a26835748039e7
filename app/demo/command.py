"""`watchfloor demo`: the console on a demonstration that is alive."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from threading import Thread

from app.demo.estate import DEFAULT_SEED
from app.demo.stage import Stage
from controlplane.errors import Refusal
from screens.terminal.plain import why_not_a_screen

NO_SCREEN = 2
FAILED = 1
INTERRUPTED = 130


def run(words: Sequence[str] = ()) -> int:
    """Show the demonstration until the person leaves; nothing of it is left afterwards. Returns the exit code."""
    asked = _arguments(words)
    if why := why_not_a_screen():
        print(f"The demonstration needs a terminal to draw on: {why}. Run it in one.", file=sys.stderr)
        return NO_SCREEN
    with Stage(asked.seed, asked.keep) as stage:
        try:
            with Progress() as progress:
                stage.prepare(progress.show)
        except Refusal as refusal:
            print(f"{refusal} {refusal.hint or ''}".strip(), file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            return INTERRUPTED
        import themes
        from app.console import show
        from app.settings import load

        return show(load(themes=themes.NAMES), stage.open_context, accessible=asked.accessible)


class Progress:
    """One line of the terminal that says what is being prepared, and is gone afterwards. The console's modules are
    read meanwhile.
    """

    def __init__(self) -> None:
        self._loading = Thread(target=import_module, args=("app.console",), daemon=True)

    def __enter__(self) -> Progress:
        self.show("Preparing the demonstration")
        self._loading.start()
        return self

    def show(self, words: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._write(f"\r\x1b[K{words[:width]}")

    def __exit__(self, *_: object) -> None:
        self._loading.join()  # no other thread loads modules while it does: app/switching.py says why
        self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "watchfloor demo", description="Open the console on a temporary home with live data."
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="another number gives other data")
    parser.add_argument("--keep", type=_folder, metavar="FOLDER", help="keep the home in FOLDER, to open it later")
    parser.add_argument("--accessible", action="store_true", help="for a screen reader")
    return parser.parse_args(list(words))


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()
