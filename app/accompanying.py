"""The console says to others what it shows, and follows what another one shows."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from textual import work

from app.looks import Looks
from controlplane.errors import Refusal
from controlplane.text import clean
from screens.desk import Desk, Done
from screens.session import Session

if TYPE_CHECKING:
    from controlplane.listing import View
    from controlplane.presence.model import Presence
    from screens.area import AreaScreen

SAY_SECONDS = 1.0
"""How often the console looks whether what it shows has changed."""
STILL_SECONDS = 10.0
"""After so long it says that it is still there."""
LOOK_SECONDS = 0.5
"""How often it looks at the console that it follows."""


class Accompanying(Looks):
    session: Session

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.console_id = uuid.uuid4()
        self._said: tuple[View | None, float] = (None, float("-inf"))
        self._pressed_at = time.monotonic()

    if TYPE_CHECKING:  # what stands behind this one has them

        @property
        def area(self) -> AreaScreen | None: ...
        def tell(self, done: Done) -> None: ...

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(SAY_SECONDS, self._say_view)

    def key_pressed(self) -> None:
        super().key_pressed()
        self._pressed_at = time.monotonic()

    def _say_view(self) -> None:
        """When it changed, and now and then."""
        if self.area is None or self.session.plane is None or self.session.link.state != "live":
            return
        view, now = self.area.as_view(), time.monotonic()
        said, at = self._said
        if view != said or now - at >= STILL_SECONDS:
            self._said = view, now
            self._say(view, now - self._pressed_at)

    @work(exit_on_error=False, group="presence", exclusive=True)
    async def _say(self, view: View, idle: float) -> None:
        from controlplane.presence.model import PresenceDirectory

        with suppress(Refusal):  # it is no duty of anybody's: the next time it is said again
            await self.session.require_plane().of(PresenceDirectory).say(self.console_id, view, idle)

    # Following

    def follow(self, other: Presence) -> None:
        if other.console == self.console_id:
            self.tell(Done("that is this console", "warn"))
        else:
            self._accompany(other)

    def stop_following(self) -> bool:
        """False when it follows nobody."""
        following, self.session.following = self.session.following, ""
        self.workers.cancel_group(self, "follow")
        if following:
            self.tell(Done(f"you no longer follow {following}", "muted"))
        return bool(following)

    @work(exit_on_error=False, group="follow", exclusive=True)
    async def _accompany(self, other: Presence) -> None:
        from controlplane.presence.model import PresenceDirectory
        from screens.views import show

        self.session.following = name = clean(other.person, 40)
        shown: dict[str, Any] | None = None
        found: Presence | None = other
        try:
            while found is not None:
                if found.view != shown:
                    shown = found.view
                    show(cast(Desk, self), shown)
                    if self.area is not None:
                        self.area.draw_frame()
                await asyncio.sleep(LOOK_SECONDS)
                with suppress(Refusal):  # the link is down: what is known stays
                    found = await self.session.require_plane().of(PresenceDirectory).of(other.console)
            self.session.following = ""
            self.tell(Done(f"the console of {name} is closed, or cannot be reached", "warn"))
        except Refusal as refusal:
            self.session.following = ""
            self.tell(Done(f"what {name} looks at cannot be shown here: {refusal}", "bad"))
