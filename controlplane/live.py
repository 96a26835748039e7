"""The link to a context: whether it is alive, and hints that something happened there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class LinkState:
    """`retry_in`: seconds until the next attempt, when offline. `polling`: hints do not come by themselves.

    "refused": it was reached and cannot be used; nothing is tried again by itself. `words` say why.
    """

    state: Literal["connecting", "live", "offline", "refused"]
    retry_in: float = 0.0
    polling: bool = False
    words: str = ""


class LiveFeed(Protocol):
    async def watch(self, on_news: Callable[[], None], on_state: Callable[[LinkState], None]) -> None:
        """Runs until cancelled. `on_news` is only a hint: whoever hears it reads again."""
        ...

    def retry_now(self) -> None:
        """Do not wait out the pause before the next attempt."""
        ...
