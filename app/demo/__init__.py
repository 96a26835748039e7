"""The living demonstration: an invented estate, thirty days of its history, and traffic that goes on.

One small file per noun fills in what is its own, with `seed(estate, site)`; `loading` says in which order. A noun that
comes later adds its file and its line there, and what it does while the demonstration runs to `traffic`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def run(words: Sequence[str] = ()) -> int:
    """`watchfloor demo [--seed N] [--keep FOLDER]`; the exit code."""
    from app.demo.stage import run

    return run(words)


async def load_demonstration(owner: str, report: Callable[[str], None]) -> None:
    """Load the estate into an empty home; see `loading.load_demonstration`."""
    from app.demo.loading import load_demonstration

    await load_demonstration(owner, report)
