"""One toy: its facts, and all that was done to it."""

from __future__ import annotations

from screens.detail import DetailScreen
from screens.panes import Facts, timeline
from tests.toy.model import Toy


class ToyScreen(DetailScreen[Toy]):
    noun = "toys"
    rows = Toy
    means = "One toy, and all that was done to it."
    panes = (
        Facts("facts", lambda seen: [(seen.thing.label, "title"), f"state      {seen.thing.state}"]),
        timeline("thing", "toys"),
    )
    grid = ("facts timeline",)
