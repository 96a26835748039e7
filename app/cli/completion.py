"""Completion for bash, zsh and fish: nouns, verbs and options are in the script; tenants' ids come from the home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from app.cli.asked import READING, Reading
from app.cli.known import Known, known
from app.cli.output import document, say

COMPLETION_SECONDS = 1.5
MAX_CANDIDATES = 50
ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
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


def script(shell: Literal["bash", "zsh", "fish"], commands: Sequence[Known] | None = None) -> str:
    """`commands`: else all that there are."""
    commands = known() if commands is None else commands
    verbs: dict[str, list[str]] = {}
    for each in commands:
        verbs.setdefault(each.noun, []).extend([each.verb] if each.verb else [])
    options = {f"{each.noun} {each.verb or '*'}": each.options for each in commands}
    if shell == "fish":
        return FISH.format(nouns=" ".join(verbs), cases="\n".join(_fish(verbs, options)))
    text, ids = (BASH, BASH_IDS) if shell == "bash" else (ZSH, ZSH_IDS)
    return text.format(nouns=" ".join(verbs), cases="\n".join(_posix(verbs, options, ids)))


def _posix(verbs: Mapping[str, Sequence[str]], options: Mapping[str, Sequence[str]], ids: str) -> Iterator[str]:
    for command, found in options.items():
        name, _, verb = command.partition(" ")
        yield f'        *:-*:"{name} "{verb}) words="{" ".join(found)}" ;;'
    for name, several in verbs.items():
        yield f'        2:*:"{name} "*) words="{" ".join(several)}" ;;'
    for name in WITH_IDS:
        yield f'        *:"{name} "*) words="{ids}" ;;'


def _fish(verbs: Mapping[str, Sequence[str]], options: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for command, found in options.items():
        yield f"        case '*:-*:{command}'\n            echo {' '.join(found)}"
    for name, several in verbs.items():
        yield f"        case '2:*:{name} *'\n            echo {' '.join(several)}"
    for name in WITH_IDS:
        yield f"        case '*:{name} *'\n            {FISH_IDS}"


def print_candidates(words: Sequence[str]) -> int:
    """Print the ids that begin with the first word; the other words are the command line so far. Faults say nothing."""
    import asyncio
    import contextlib
    import re

    from controlplane.errors import Refusal

    prefix, home = words[0] if words else "", None
    for at, word in enumerate(words[:-1]):
        if at and word == "--home":
            home = words[at + 1]
    with contextlib.suppress(Refusal, TimeoutError, OSError):
        for found in asyncio.run(_ids(prefix, home)):
            if re.fullmatch(ID, found):  # the shell expands what it is given
                print(found)
    return 0


async def _ids(prefix: str, home: str | None) -> list[str]:
    import asyncio
    import re

    from app.cli.asked import chosen
    from app.contexts import connect
    from controlplane.filters.grammar import parse
    from controlplane.listing import Query
    from controlplane.tenants.list import TENANTS
    from controlplane.tenants.model import TenantDirectory

    choice, settings = chosen(Reading(home=home))
    if prefix and not re.fullmatch(ID, prefix):
        return []
    async with asyncio.timeout(COMPLETION_SECONDS):
        context = await connect(choice, settings=settings, start=False)
        try:
            terms = parse(f"id:/^{re.escape(prefix)}/", TENANTS.fields) if prefix else ()
            page = await context.home.of(TenantDirectory).page(Query(terms, "id"), limit=MAX_CANDIDATES)
            return [row.id for row in page.rows]
        finally:
            await context.close()
