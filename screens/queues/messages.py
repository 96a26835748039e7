"""The list of messages that are dead outside the home: one is acted on, or several of one source at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.queues.source import DeadMessage
from controlplane.queues.source_lists import MESSAGES
from screens.actions import carry_out
from screens.desk import Done, Target
from screens.lists import ListScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.operations import Operation


class MessagesScreen(ListScreen[DeadMessage]):
    declared = MESSAGES

    async def _act(self, operation: Operation[Any], targets: list[Target]) -> None:
        if len(targets) < 2:
            await super()._act(operation, targets)
            return
        together = of_one_source([each.row for each in targets])
        if together is None:
            self.say(Done("mark messages of one source only: each source is asked by itself", "warn"))
            return
        done = await carry_out(self.app, self.session, operation, together)
        self.say(done)
        if done is not None and done.tone == "good":
            self.clear_marks()
        await self.read_again()


def of_one_source(messages: Sequence[DeadMessage]) -> Target | None:
    """All of them as one target; None when they are of several sources."""
    sources = {each.source for each in messages}
    if len(sources) != 1:
        return None
    [source], names = sources, [each.name for each in messages]
    return Target({"source": source, "ids": names}, None, f"{len(names):,} messages of {source}")
