"""A link to a view, as `Y` copies it: `context/noun?filter#key`. The context that it names is opened, or nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.homes import EMBEDDED_NAME, HomeChoice, home_name
from controlplane.errors import NotFound, Usage

if TYPE_CHECKING:
    from pathlib import Path

    from app.settings import Settings

DEMO = "demo-"
"""How the names of demonstrations begin; each lasts as long as its console."""


@dataclass(frozen=True)
class Link:
    """`key` names one thing. After a filter it was only the row under the cursor, and is left out."""

    context: str
    noun: str
    filter: str = ""
    key: str = ""


def read(text: str) -> Link:
    address, _, row = text.partition("#")
    address, _, filter_text = address.partition("?")
    context, _, view = address.partition("/")
    noun, _, key = view.partition("/")
    return Link(context, noun, filter_text, key or ("" if filter_text else row))


def contexts(settings: Settings, choice: HomeChoice | None) -> dict[str, HomeChoice]:
    """Every context that can be opened, by name: home, what the program was started with, the profiles."""
    found = {EMBEDDED_NAME: HomeChoice("folder", None, None, "the embedded home in your data folder")}
    if choice is not None:
        found[home_name(choice)] = choice
    for name, profile in settings.profiles.items():
        found[name] = HomeChoice("url", profile.url, name, f"the profile {name}")
    return found


def unknown(name: str, known: Mapping[str, HomeChoice]) -> NotFound:
    from controlplane.urls import shown_name

    return NotFound("no_context", f"There is no context {shown_name(name)}.", f"Contexts: {', '.join(known)}.")


def chosen_by(link: Link, settings: Settings, choice: HomeChoice, *, named: bool) -> HomeChoice | None:
    """The home that the link leads to; None for a demonstration. `choice`: what is opened without a link; `named`: by
    --home, which a link does not overrule.

    Raises NotFound `no_context`, Usage `link_elsewhere`.
    """
    known = contexts(settings, choice)
    if named:
        if link.context == home_name(choice):
            return choice
        from controlplane.urls import shown_name

        raise Usage(
            "link_elsewhere",
            f"The link leads to the context {shown_name(link.context)}, and --home names {home_name(choice)}.",
            "Leave --home out to open what the link leads to.",
        )
    if link.context in known:
        return known[link.context]
    if link.context.startswith(DEMO):
        return None
    raise unknown(link.context, known)


def demonstration(link: Link) -> Path:
    """The home of the demonstration that the link leads to. Raises NotFound when it is over."""
    from app.demo.folders import living

    if (found := living(link.context.removeprefix(DEMO))) is None:
        raise NotFound("demonstration_over", f"The demonstration {link.context} is over.", "Another: watchfloor demo")
    return found
