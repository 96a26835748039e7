"""The list of stale keys: what it shows beyond its declaration."""

from __future__ import annotations

from textual import work

from controlplane.errors import Refusal
from controlplane.keys.list import STALE, STALE_DEFAULT
from controlplane.keys.model import KeyDirectory, StaleCounts, StaleKey
from screens.lists import ListScreen
from screens.widgets.bars import TitleLine


class StaleScreen(ListScreen[StaleKey]):
    declared = STALE

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.counts: StaleCounts | None = None

    def show_list(self) -> None:
        super().show_list()
        if self.is_readable:
            self._count_stale()

    @work(exit_on_error=False, group="stale", exclusive=True)
    async def _count_stale(self) -> None:
        try:
            self.counts = await self.session.require_plane().of(KeyDirectory).stale(STALE_DEFAULT).counts()
        except Refusal:
            self.counts = None
        self.draw_frame()

    def draw_title(self, title: TitleLine) -> None:
        super().draw_title(title)
        if self.counts is not None and not (self.filter_text or self.fault or self.choosing_sort or self.table.marks):
            found = self.counts
            words = f"{found.stale:,} stale, {found.warn:,} soon of {found.keys:,}"
            title.show(
                noun=self.noun,
                count=f"{words}; {found.tenants_unrotated:,} of {found.tenants:,} tenants rotated none",
            )
