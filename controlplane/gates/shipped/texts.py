"""Reads the gates that come with the program."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

ORDER = ("preflight", "core", "consistency", "health", "partitions", "release", "certification")
"""In this order each includes only what comes before it."""


def text(names: Sequence[str] = ORDER) -> str:
    """One gate file with these gates."""
    folder = files("controlplane.gates.shipped")
    return "\n".join(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8") for name in names)
