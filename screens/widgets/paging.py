"""Reads the rows of a table by key. An answer about rows that are no longer held is dropped."""

from __future__ import annotations

from typing import Generic, TypeVar

from controlplane.listing import Listing, Page, Query, Row
from screens.widgets.window import PAGE_ROWS, Window

R = TypeVar("R", bound=Row)


class Paging(Generic[R]):
    """A list, what is asked of it, and the window of it that is held (None until the first answer)."""

    def __init__(self) -> None:
        self.listing: Listing[R] | None = None
        self.query = Query()
        self.window: Window[R] | None = None
        self.current = False
        """Whether the window is an answer to `query`; until then the rows of the query before are shown."""
        self._slides = 0  # counts every change of the window's edges

    def turn_to(self, listing: Listing[R], query: Query) -> None:
        if listing != self.listing:
            self.window = None
        self.listing, self.query, self.current = listing, query, False

    async def whole(self, limit: int, *, backward: bool) -> Page[R] | None:
        """The rows for a new window from one end of the list."""
        listing, query = self.listing, self.query
        if listing is None:
            return None
        page = await listing.page(query, backward=backward, limit=limit)
        if listing is not self.listing or query != self.query:
            return None
        self.current = True
        return page

    async def more(self, *, backward: bool) -> Page[R] | None:
        """The page that adjoins the window at one of its ends."""
        window, listing = self.window, self.listing
        if window is None or listing is None or not self.current:
            return None
        start = window.head() if backward else window.tail()
        page = await listing.page(self.query, start=start, backward=backward, limit=PAGE_ROWS)
        if not self.current or self.window is not window or start != (window.head() if backward else window.tail()):
            return None
        self._slides += 1
        return page

    async def again(self) -> Page[R] | None:
        """The rows of the window as they are now. When none is left, the next reading begins at the start."""
        window, listing, asked = self.window, self.listing, self._slides
        if window is None or listing is None or not self.current:
            return None
        start = None if window.first else window.head()
        limit = max(PAGE_ROWS, len(window))
        page = await listing.page(self.query, start=start, inclusive=True, limit=limit)
        return page if self.current and asked == self._slides else None

    def adopt(self, window: Window[R]) -> None:
        """Hold the window that was made of an answer of `whole` or `again`."""
        self.window = window
        self._slides += 1
