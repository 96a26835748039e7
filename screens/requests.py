"""Single requests: the newest as they come, or all that are kept of a time."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from controlplane.errors import HomeUnreachable, Refusal
from controlplane.listing import Listing
from controlplane.requests.list import REQUESTS
from controlplane.requests.model import RequestDirectory, StoredRequest, bounds
from controlplane.requests.tail import Tail
from controlplane.requests.words import kept_words
from screens.desk import Done
from screens.lists import ListScreen


class RequestsScreen(ListScreen[StoredRequest]):
    """Newest first and without a time in the filter it follows what comes; else it is a list like any other."""

    declared = REQUESTS
    hints = (
        ("enter", "describe"),
        ("p", "hold"),
        ("/", "filter"),
        ("m", "charts"),
        ("S", "sort"),
        ("w", "why"),
        ("?", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("O", "tenant", "its tenant", show=False, id="requests.tenant"),
        Binding("K", "api_key", "its API key", show=False, id="requests.key"),
    ]

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.tail: Tail | None = None

    @property
    def follows(self) -> bool:
        return self.order_name == "-at" and not any(term.field == "at" for term in self.terms)

    def listing(self) -> Listing[StoredRequest]:
        return self.tail or super().listing()

    def show_list(self) -> None:
        self.shown = None
        if self.is_readable:
            directory = self.session.require_plane().of(RequestDirectory)
            self.tail = Tail(directory, self.terms) if self.follows else None
            self.say_what_is_kept()
        super().show_list()

    def say_what_is_kept(self) -> None:
        """Say when the filter asks for more than is kept."""
        begin, _ = bounds(self.terms, self.session.clock())
        if begin is not None:
            self.run_worker(self._say_kept(), group="kept", exclusive=True, exit_on_error=False)

    async def _say_kept(self) -> None:
        begin, _ = bounds(self.terms, self.session.clock())
        try:
            kept = await self.session.require_plane().of(RequestDirectory).kept_from()
        except Refusal:
            return  # the list says that the home cannot be read
        if words := kept_words(begin, kept):
            self.table.empty = words
            self.say(Done(words, "warn"))

    async def refresh_data(self) -> None:
        if self.is_readable and self.tail is not None and not self.paused:
            try:
                await self.tail.read_on()
            except HomeUnreachable:
                pass  # the header says so, and the next reading goes on from the same mark
            except Refusal as refusal:
                self.say(Done(str(refusal), "bad"))
        await super().refresh_data()

    def count_rows(self) -> None:
        """All that are kept are counted once: new ones are few against them, and it reads a lot."""
        if self.tail is None and self.shown is None:
            super().count_rows()

    def count_words(self) -> str:
        return super().count_words() if self.tail is None else self.tail.words

    def order_words(self) -> str:
        live = "" if self.tail is None else "held · " if self.paused else "live · "
        return live + super().order_words()

    def action_tenant(self) -> None:
        if (row := self.current()) is not None:
            self.desk.open_thing("tenants", row.tenant_id)

    def action_api_key(self) -> None:
        row = self.current()
        if row is not None and row.key_id:
            self.desk.open_thing("keys", row.key_id)
        elif row is not None:
            self.say(Done("its API key is not known", "warn"))
