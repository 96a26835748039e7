"""Where `watchfloor` starts: the console, or a command. Decided before anything heavy is imported."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from app.start import Start, read, wants_json

INTERRUPTED = 130
PIPE_BROKEN = 141
FIRST_COLLECTION = 100_000
"""New objects before the first search for unused ones: a command makes fewer, so it ends without a search."""


# pydantic would look for plugins in every package that is installed; nothing here uses one.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main(argv: list[str] | None = None) -> NoReturn:
    code = _guarded(sys.argv[1:] if argv is None else argv)
    gc.freeze()  # else the interpreter looks through everything at its end, to free what the system frees anyway
    sys.exit(code)


def _guarded(argv: list[str]) -> int:
    """No traceback reaches the screen, whatever happens; an interrupt and a closed pipe say nothing."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        from app.cli.output import forget_stdout

        forget_stdout()
        return PIPE_BROKEN
    except Exception as error:
        from app.faults import report

        return report(error, as_json=wants_json(argv))


def _open_what_is_closed() -> None:
    """Open stdin, stdout and stderr where they are closed (`>&-`): else the next file that is opened gets the number
    of one of them, and what is printed goes into it.

    Writing to a closed stdout still fails, as it should: the loss of an answer is reported.
    """
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _run(argv: list[str]) -> int:
    start = read(argv)
    if start.words or start.plain or not _has_screen():
        gc.set_threshold(FIRST_COLLECTION, 50, 50)
        return _printed(start)
    gc.disable()  # what is loaded at the start stays in use; the console turns it on again
    from app.ahead import begin

    ahead = begin(start)
    try:
        from app import console

        return console.run(start, ahead)
    finally:
        if ahead is not None:
            ahead.end()


def _printed(start: Start) -> int:
    """Without a screen: a command, or what a link or the first list shows as text."""
    from app.cli.run import run

    if start.words:
        return run(list(start.words))
    if start.link:
        from app.cli.linked import show

        return show(start.link, start.home)
    return run(["tenants", "list", *(["--home", start.home] if start.home else [])])


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


if __name__ == "__main__":
    main()
