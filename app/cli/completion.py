"""Completion for bash, zsh and fish: nouns, verbs and options are in the script; tenants' ids come from the home."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from cyclopts import App

from app.cli.asked import READING, Reading
from app.cli.output import document, say
from controlplane.errors import Refusal
from controlplane.tenants.model import TenantDirectory

COMPLETION_SECONDS = 1.5
MAX_CANDIDATES = 50
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
WITH_IDS = ("tenants", "projects", "subscriptions")
"""The nouns whose commands begin with a tenant's id."""

BASH = """\
# watchfloor: completion for bash. Use it with: eval "$(watchfloor completion bash)"
_watchfloor() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=
    case "$COMP_CWORD:$current:${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}" in
        1:*) words="{nouns}" ;;
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _watchfloor watchfloor
"""
BASH_IDS = '$(watchfloor complete "$current" "${COMP_WORDS[@]}" 2>/dev/null </dev/null)'

ZSH = """\
#compdef watchfloor
# watchfloor: completion for zsh. Use it with: eval "$(watchfloor completion zsh)"
_watchfloor() {{
    local current=$words[CURRENT] found=
    case "$((CURRENT - 1)):$current:$words[2] $words[3]" in
        1:*) found="{nouns}" ;;
{cases}
    esac
    compadd -- ${{=found}}
}}
compdef _watchfloor watchfloor
"""
ZSH_IDS = '$(watchfloor complete "$current" $words 2>/dev/null </dev/null)'

FISH = """\
# watchfloor: completion for fish. Use it with: watchfloor completion fish | source
function __watchfloor_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    switch (count $before)":$current:$before[2] $before[3]"
        case '1:*'
            echo {nouns}
{cases}
    end | string split ' '
end
complete -c watchfloor -f -a '(__watchfloor_words)'
"""
FISH_IDS = "watchfloor complete (commandline -ct) $before 2>/dev/null </dev/null"


def print_script(shell: Literal["bash", "zsh", "fish"], /, *, asked: Reading = READING) -> None:
    """Print the completion script of a shell."""
    text = script(shell)
    if asked.json:
        document({"item": {"shell": shell, "script": text}})
    else:
        say(text.rstrip("\n"))


def script(shell: Literal["bash", "zsh", "fish"]) -> str:
    from app.cli.tree import SINGLE, whole

    app = App("watchfloor")
    nouns = whole(app)
    verbs = {name: [verb for verb in noun if not verb.startswith("-")] for name, noun in nouns.items()}
    options = {f"{name} {verb}": options_of(nouns[name][verb]) for name, found in verbs.items() for verb in found}
    options |= {f"{name} *": options_of(app[name]) for name in SINGLE}
    top = " ".join([*verbs, *SINGLE])
    if shell == "fish":
        return FISH.format(nouns=top, cases="\n".join(_fish(verbs, options)))
    text, ids = (BASH, BASH_IDS) if shell == "bash" else (ZSH, ZSH_IDS)
    return text.format(nouns=top, cases="\n".join(_posix(verbs, options, ids)))


def options_of(app: App) -> list[str]:
    """The options of a command, as they are typed."""
    parts = [part for part in app.assemble_argument_collection() if part.parse]
    return sorted(name for part in parts for name in part.names if name.startswith("--"))


def _posix(verbs: Mapping[str, Sequence[str]], options: Mapping[str, Sequence[str]], ids: str) -> Iterable[str]:
    for command, found in options.items():
        name, _, verb = command.partition(" ")
        yield f'        *:-*:"{name} "{verb}) words="{" ".join(found)}" ;;'
    for name, several in verbs.items():
        yield f'        2:*:"{name} "*) words="{" ".join(several)}" ;;'
    for name in WITH_IDS:
        yield f'        *:"{name} "*) words="{ids}" ;;'


def _fish(verbs: Mapping[str, Sequence[str]], options: Mapping[str, Sequence[str]]) -> Iterable[str]:
    for command, found in options.items():
        yield f"        case '*:-*:{command}'\n            echo {' '.join(found)}"
    for name, several in verbs.items():
        yield f"        case '2:*:{name} *'\n            echo {' '.join(several)}"
    for name in WITH_IDS:
        yield f"        case '*:{name} *'\n            {FISH_IDS}"


def print_candidates(words: Sequence[str]) -> int:
    """Print the ids that begin with the first word; the other words are the command line so far. Faults say nothing."""
    prefix, home = words[0] if words else "", None
    for at, word in enumerate(words[:-1]):
        if at and word == "--home":
            home = words[at + 1]
    with contextlib.suppress(Refusal, TimeoutError, OSError):
        for found in asyncio.run(_ids(prefix, home)):
            if ID.fullmatch(found):  # the shell expands what it is given
                print(found)
    return 0


async def _ids(prefix: str, home: str | None) -> list[str]:
    from app.cli.asked import chosen
    from app.contexts import connect
    from controlplane.filters.grammar import parse
    from controlplane.listing import Query
    from controlplane.tenants.list import TENANTS

    choice, settings = chosen(Reading(home=home))
    if prefix and not ID.fullmatch(prefix):
        return []
    async with asyncio.timeout(COMPLETION_SECONDS):
        context = await connect(choice, settings=settings, start=False)
        try:
            terms = parse(f"id:/^{re.escape(prefix)}/", TENANTS.fields) if prefix else ()
            page = await context.home.of(TenantDirectory).page(Query(terms, "id"), limit=MAX_CANDIDATES)
            return [row.id for row in page.rows]
        finally:
            await context.close()
