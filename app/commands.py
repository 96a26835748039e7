"""The command line inside the console: `:tenants /status:suspended`, `:theme day`, every operation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import themes
from controlplane.errors import Refusal, Usage
from controlplane.nouns import load, noun_named, shown, shown_named
from controlplane.refusals import OPERATION_UNKNOWN
from controlplane.urls import shown_name
from screens.desk import Done, Target

if TYPE_CHECKING:
    from app.console import Watchfloor

Command = Callable[["Watchfloor", str], None]
OF_THIS_MACHINE = ("context", "connect", "import", "demonstration", "view", "rw", "work", "verify")
"""Commands that open something, or read or write a file, where the program runs."""


def run(app: Watchfloor, text: str) -> None:
    """Carry out one line; when it cannot be read, say why and do nothing."""
    text = text.strip().removeprefix("watchfloor ").strip("'\"")
    word, _, rest = text.partition(" ")
    try:
        if app.session.served and word in OF_THIS_MACHINE:
            raise Refusal("served", f"{word} is not possible here: a console in a browser is read-only.", "")
        if word in COMMANDS:
            command = COMMANDS[word][1]
            (load(command) if isinstance(command, str) else command)(app, rest.strip())
        elif shown_named(word):
            app.go(word, rest.strip().removeprefix("/"))
        elif _secret(text):
            _find(app, text)  # a secret, pasted in haste: never repeated, not even as an unknown command
        elif "/" in word:
            _open_link(app, text)
        elif "." in word or (rest and _named(f"{word}.{rest.split()[0]}")):
            _operation(app, word, rest)
        else:
            raise Usage(
                "command_unknown", f"There is no command {shown_name(word)}.", "tab completes; ? lists the keys."
            )
    except Refusal as refusal:
        app.tell(Done(str(refusal), "bad"))


def completions(app: Watchfloor, text: str) -> list[str]:
    """All lines that begin with what was typed."""
    from controlplane.registry import operations

    names = [*COMMANDS, *(noun.name for noun in shown()), *operations()]
    found = [name for name in sorted(names) if name.startswith(text)]
    if text.startswith("theme "):
        found = [f"theme {name}" for name in themes.NAMES if name.startswith(text[6:])]
    if text.startswith("context "):
        found = [f"context {row.name}" for row in app.contexts() if row.name.startswith(text[8:]) and not row.why_not]
    if text.startswith("view "):
        from app.views import completions as views

        found = views(app, text[5:])
    return found


def palette() -> dict[str, str]:
    """Every command with what it does, for the palette."""
    from controlplane.registry import operations

    found = {noun.name: f"go to {noun.name}" for noun in shown()}
    found |= {name: words for name, (words, _) in COMMANDS.items() if name != "quit"}
    return found | {name: operation.summary for name, operation in operations().items()}


def _secret(text: str) -> bool:
    from controlplane.find import looks_secret
    from controlplane.keys.pasted import as_pasted

    return looks_secret(as_pasted(text))


def _named(name: str) -> Any:
    from controlplane.registry import operations

    return operations().get(name)


def _open_link(app: Watchfloor, text: str) -> None:
    """`context/noun?filter#key`, as `Y` copies it; another context is opened first."""
    from app.links import read
    from app.switching import switch

    link = read(text)
    if link.context != app.session.context:
        if app.session.served:
            raise Refusal("served", f"Only {app.session.context} is shown here.", "")
        switch(app, link.context)
        app.link = text
    elif link.noun == "find":
        _find(app, link.filter)
    elif not shown_named(link.noun) and not (link.key and noun_named(link.noun)):
        raise Usage("link_unknown", f"The link leads to {link.noun}, of which there is no list.", "")
    else:
        if shown_named(link.noun):
            app.go(link.noun, link.filter)
        if link.key:
            app.open_thing(link.noun, link.key)


def _operation(app: Watchfloor, word: str, rest: str) -> None:
    """`tenants.suspend acme` or `tenants suspend acme`: opens its form on that thing."""
    words = [word, *shlex.split(rest)]
    name = words.pop(0) if "." in word else f"{words.pop(0)}.{words.pop(0)}"
    operation = _named(name)
    if operation is None:
        raise OPERATION_UNKNOWN(f"There is no operation {name}.", "tab completes.")
    subject = dict(zip(operation.request.subject, words, strict=False))
    targets = [Target(subject, None, "/".join(words))] if words else app.area.targets() if app.area else []
    if app.area is not None:
        app.run_worker(app.area.act(operation, targets), group="act", exclusive=True, exit_on_error=False)


def _quit(app: Watchfloor, rest: str) -> None:
    app.leave()


def _theme(app: Watchfloor, rest: str) -> None:
    if rest not in themes.NAMES:
        raise Usage("theme_unknown", f"There is no theme {rest or '…'}.", f"Themes: {', '.join(themes.NAMES)}.")
    if app.no_color:
        raise Refusal("no_color", "NO_COLOR is set: there is only one theme without colour.", "")
    app.theme = themes.NAMES[rest]


def _write(app: Watchfloor, rest: str) -> None:
    from controlplane.formatting import parse_duration

    duration, _, reason = rest.partition(" ")
    raised = re.fullmatch(r"as (operator|admin)\b(.*)", reason.strip())
    if not (raised[2] if raised else reason).strip():
        raise Usage("reason_needed", "Say for how long and why.", ":rw 15m REASON, :rw 15m as operator REASON")
    minutes = max(1, round(parse_duration(duration) / 60))
    if raised:
        _carry_out(app, "operators.raise", {"role": raised[1], "minutes": minutes}, raised[2].strip(), raised[1])
    else:
        app.write_for(minutes, reason.strip())


def _carry_out(app: Watchfloor, name: str, fields: dict[str, Any], reason: str, label: str) -> None:
    """An operation whose fields are all given."""
    from controlplane.registry import named
    from screens.actions import carry_out_given

    async def carry_out() -> None:
        app.tell(await carry_out_given(app, app.session, named(name), fields, reason, label) or Done("", ""))
        if app.area is not None:
            await app.area.read_again()

    app.run_worker(carry_out(), group="act", exclusive=True, exit_on_error=False)


def _read_only(app: Watchfloor, rest: str) -> None:
    waiting = app.session.waiting
    if waiting is not None and waiting.raised_until is not None:
        _carry_out(app, "operators.give-back", {}, "", "")
        return
    app.session.writable_until = None
    app.session.read_only = True
    app.tell(Done("read-only", "muted"))


def _help(app: Watchfloor, rest: str) -> None:
    if app.area is not None:
        app.area.action_help()


def _context(app: Watchfloor, rest: str) -> None:
    app.choose_context(rest)


def _demonstration(app: Watchfloor, rest: str) -> None:
    from app.work import load_demonstration

    load_demonstration(app)


def _plan(app: Watchfloor, rest: str) -> None:
    if not rest:
        raise Usage("tenant_missing", "Whose plan?", ":plan TENANT; :plans is the catalogue")
    app.open_thing("subscriptions", rest)


def _window(app: Watchfloor, rest: str) -> None:
    from controlplane.telemetry.chartviews import parse_window
    from screens.telemetry.screen import TelemetryScreen

    if not rest:
        raise Usage("window_unreadable", "Which window?", ":window 7d, or :window 2026-11-01..2026-11-07")
    window = parse_window(rest)
    if not isinstance(app.area, TelemetryScreen):
        app.go("telemetry")
    if isinstance(app.area, TelemetryScreen):
        app.area.show_window(window)


def _bindings(app: Watchfloor, rest: str) -> None:
    from app.keymaps import key_lines
    from controlplane.lists import Line
    from screens.dialogs.help import shown_key
    from screens.dialogs.viewer import Viewer

    def printed(keys: Iterable[str]) -> str:
        return ", ".join(shown_key(key, ascii_only=app.ascii_only) for key in keys)

    lines: list[Line] = ["Change them in the settings under [keys].", ""]
    lines += [f"{id:<22} {printed(keys):<20} {words}" for id, keys, words in key_lines(app.settings)]
    app.push_screen(Viewer(app.session, f"keys: {app.settings.keymap}", lines))


def _verify(app: Watchfloor, rest: str) -> None:
    if rest:
        raise Usage("key_in_arguments", "A key is never a part of a command.", ":verify asks for it, unseen.")
    app.session.require_plane()
    app.verify_key()


def _find(app: Watchfloor, rest: str) -> None:
    from controlplane.find import seek
    from screens.find import FindScreen

    screen = FindScreen(seek(rest))
    if isinstance(app.screen, FindScreen):
        app.switch_screen(screen)
    else:
        app.push_screen(screen)


def _work(app: Watchfloor, rest: str) -> None:
    from app.work import show

    show(app)


def _redraw(app: Watchfloor, rest: str) -> None:
    app.refresh(layout=True)


COMMANDS: dict[str, tuple[str, Command | str]] = {
    "q": ("leave", _quit),
    "quit": ("leave", _quit),
    "theme": ("night, day, contrast, sixteen", _theme),
    "rw": ("open a read-only context for writing: rw 15m REASON; raise your role: rw 15m as operator REASON", _write),
    "ro": ("give a raised role back, or make this context read-only again", _read_only),
    "help": ("this screen: what it means, its keys", _help),
    "context": ("choose another home or profile", _context),
    "import": ("import a request log", "app.work:ask_import"),
    "connect": ("connect to a PostgreSQL", "app.connecting:ask_connection"),
    "demonstration": ("fill an empty embedded home with the demonstration", _demonstration),
    "plan": ("a tenant's subscription: plan TENANT", _plan),
    "catch-up": ("what happened in the incidents since you left: catch-up [2h]", "app.catching_up:catch_up"),
    "work": ("imports, exports and other long work of this console", _work),
    "view": ("saved views: view NAME, view save NAME, view delete NAME, view list", "app.views:view"),
    "window": ("the window of charts: window 7d, window 2026-11-01..2026-11-07", _window),
    "bindings": ("every key, with the id that the settings know it by", _bindings),
    "verify": ("whose API key is this? it is checked, and kept nowhere", _verify),
    "find": ("what a text belongs to: find TEXT; a secret is only hashed", _find),
    "redraw": ("draw the whole screen again", _redraw),
}
