"""The pages that the program makes of itself: every key, and the man page. `.venv/bin/python -m docs.pages`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.bindings import all_bindings
from app.cli.helping import EXIT_CODES, OF_PROGRAM, PROGRAM
from app.cli.known import known
from app.commands import COMMANDS
from app.start import VERSION
from controlplane import nouns
from screens.dialogs.help import shown_key

HERE = Path(__file__).parent
SCOPES = {
    "app": "Everywhere",
    "area": "Every screen",
    "list": "Lists",
    "table": "Tables",
    "detail": "One thing",
    "overview": "The overview",
    "telemetry": "Charts",
    "objective": "An objective",
    "lines": "Text",
}
"""The scopes of bindings that have a heading of their own words; the others have their name."""
KEYBOARD = """\
# Keys

Made by the program (`python -m docs.pages`). In the console `?` shows those of the screen you are in, `:bindings` those
that are in force with your settings. Each can be changed by its id: `[keys]` in the [settings](settings.md). Keys that
open something from a detail, and the letters of the menu `a`, are on the screen itself.
"""


def keyboard() -> Iterator[str]:
    yield KEYBOARD
    scopes: dict[str, list[str]] = {}
    digits = {f"area.noun_{noun.digit}": noun.name for noun in nouns.NOUNS if noun.digit}
    for each in all_bindings():
        if not each.id or not each.action or ("noun_" in each.id and each.id not in digits):
            continue
        keys = " ".join(f"`{shown_key(key)}`" for key in each.key.split(","))
        words = digits.get(each.id) or each.description or each.action.replace("_", " ")
        row = f"| {keys} | {words} | `{each.id}` |"
        scopes.setdefault(each.id.partition(".")[0], []).append(row.replace("`|`", "`\\|`"))
    order = [*SCOPES, *sorted(scopes.keys() - SCOPES.keys())]
    for scope in order:
        if scope in scopes:
            yield f"## {SCOPES.get(scope, scope.replace('_', ' ').capitalize())}\n"
            yield from ("| key | does | id |", "|---|---|---|", *scopes[scope], "")
    yield "## After `:`\n"
    yield "Every noun, every operation (`:tenants suspend acme`), a link, and:\n"
    yield from ("| command | does |", "|---|---|")
    yield from (f"| `:{name}` | {words} |" for name, (words, _) in COMMANDS.items())


def manual() -> Iterator[str]:
    """In the man macros that every roff has."""
    yield f'.TH WATCHFLOOR 1 "" "watchfloor {VERSION}" "User Commands"'
    yield from (".SH NAME", "watchfloor \\- the control plane of a multi-tenant SaaS from one terminal")
    yield from (".SH SYNOPSIS", ".B watchfloor", "[\\fIoptions\\fR] [\\fIcommand\\fR | \\fIlink\\fR]")
    yield from (".SH DESCRIPTION", _roff(PROGRAM))
    yield _roff("Every key of the console has a command, with the same preview, permissions and audit trail.")
    yield ".SH OPTIONS"
    for option, words in OF_PROGRAM:
        yield from (".TP", f"\\fB{_roff(option)}\\fR", _roff(words))
    yield ".SH COMMANDS"
    for noun in sorted({each.noun for each in known()}):
        found = nouns.noun_named(noun)
        yield f".SS {noun}"
        if found is not None:
            yield _roff(found.help)
        for each in known():
            if each.noun == noun:
                yield from (".TP", f"\\fB{_roff(f'{noun} {each.verb}'.strip())}\\fR", _roff(each.summary))
                yield _roff(" ".join(each.options))
    yield from (".SH EXIT STATUS", _roff(EXIT_CODES.removeprefix("Exit codes: ")))
    yield from (".SH FILES", "See docs/settings.md: the settings file is named by WATCHFLOOR_SETTINGS.")


def _roff(words: str) -> str:
    """Text of one line: hyphens as they are typed, and no line that would be a request."""
    words = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{words}" if words[:1] in (".", "'") else words


def pages() -> dict[Path, str]:
    return {
        HERE / "keyboard.md": "\n".join(keyboard()) + "\n",
        HERE / "watchfloor.1": "\n".join(manual()) + "\n",
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
