"""Colours. Meaning never depends on them: every status is also a glyph and a word."""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

NIGHT = Theme(
    name="night",
    dark=True,
    primary="#6cb2eb",
    secondary="#8fa8c8",
    accent="#e0b050",
    foreground="#d8dee6",
    background="#11151a",
    surface="#171c23",
    panel="#1f2630",
    success="#7cc48a",
    warning="#e3b341",
    error="#f0787a",
)
DAY = Theme(
    name="day",
    dark=False,
    primary="#0b5cad",
    secondary="#445566",
    accent="#8a5a00",
    foreground="#1c2128",
    background="#fbfbf9",
    surface="#f1f2ef",
    panel="#e4e7e3",
    success="#1a6b34",
    warning="#7a5200",
    error="#b3261e",
)
CONTRAST = Theme(
    name="contrast",
    dark=True,
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    success="#5cff5c",
    warning="#ffff00",
    error="#ff8f8f",
)
OWN = (NIGHT, DAY, CONTRAST)
SIXTEEN = "ansi-dark"
"""Textual's own theme of the terminal's sixteen colours; with NO_COLOR it sends none."""

NAMES = {"night": "night", "day": "day", "contrast": "contrast", "sixteen": SIXTEEN, "sixteen-light": "ansi-light"}


LIGHT = {"night": "day", SIXTEEN: "ansi-light"}


def for_light(name: str) -> str:
    """Textual's name of the light counterpart of a theme for dark terminals."""
    return LIGHT.get(name, name)


def choose(asked: str, environ: Mapping[str, str]) -> str:
    """Textual's name of the theme to start with: what was asked for, unless the terminal cannot show it."""
    if "NO_COLOR" in environ:
        return SIXTEEN
    if asked in NAMES:
        return NAMES[asked]
    if environ.get("COLORTERM") in ("truecolor", "24bit") or "256color" in environ.get("TERM", ""):
        return "night"
    return SIXTEEN
