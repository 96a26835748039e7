"""The link to a context: whether it is alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LinkState:
    """`retry_in`: seconds until the next attempt, when offline. `polling`: no hints arrive, so the console asks.

    "stale": it is connected, and has been silent for `silent` seconds. "refused": it was reached and cannot be used;
    it is not retried automatically. `words` say why; `brief` says it in short, for the header, where "offline" is not
    all there is to say.
    """

    state: Literal["connecting", "live", "stale", "offline", "refused"]
    retry_in: float = 0.0
    polling: bool = False
    words: str = ""
    silent: float = 0.0
    brief: str = ""
