"""Where `watchfloor` starts: the console, or a command. Decided before anything heavy is imported."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

INTERRUPTED = 130
PIPE_BROKEN = 141


@dataclass(frozen=True)
class Start:
    """How the program was called. `link` opens the console at a view; `words` are a command's."""

    words: tuple[str, ...] = ()
    link: str | None = None
    home: str | None = None
    plain: bool = False
    accessible: bool = False


def main(argv: list[str] | None = None) -> NoReturn:
    sys.exit(_guarded(sys.argv[1:] if argv is None else argv))


def _guarded(argv: list[str]) -> int:
    """No traceback reaches the screen, whatever happens; an interrupt and a reader that went away are quiet."""
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
        # The interpreter flushes once more at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_BROKEN
    except Exception as error:
        from app.faults import report

        return report(error, as_json=wants_json(argv))


def _run(argv: list[str]) -> int:
    start = read(argv)
    if start.words:
        from app.cli.run import run

        return run(list(start.words))
    if start.plain or not _has_screen():
        from app.cli.run import run

        if start.link:
            from app.cli.linked import show

            return show(start.link, start.home)
        home = ["--home", start.home] if start.home else []
        return run(["tenants", "list", *home])
    import gc

    gc.disable()  # what is loaded at a start stays; the console turns it on again
    from app import console

    return console.run(start)


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def read(argv: list[str]) -> Start:
    """The options that may stand before a command are the console's too; a link has a slash, no command has."""
    home, flags, at = None, set(), 0
    while at < len(argv):
        word = argv[at]
        if word == "--home" and at + 1 < len(argv):
            home, at = argv[at + 1], at + 2
        elif word.startswith("--home="):
            home, at = word.removeprefix("--home="), at + 1
        elif word in ("--plain", "--accessible", "--json"):
            flags.add(word)
            at += 1
        else:
            break
    words, plain, accessible = argv[at:], "--plain" in flags, "--accessible" in flags
    if len(words) == 1 and "/" in words[0] and not words[0].startswith("-"):
        return Start((), words[0], home, plain, accessible)
    if not words and "--json" in flags:
        words = ["tenants", "list"]
    if words:  # what stood before the command is the command's
        given = [*(["--home", home] if home is not None else []), *(["--json"] if "--json" in flags - {*words} else [])]
        words = [*words[:2], *given, *words[2:]]
    return Start(tuple(words), None, home, plain, accessible)


def wants_json(argv: list[str]) -> bool:
    """Whether the answer must be a JSON document, also when the words cannot be understood."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in words


if __name__ == "__main__":
    main()
