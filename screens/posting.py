"""`>` posts what a screen shows to an incident's timeline: a copy as text, and the view that opens it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.incidents.operations import POST
from controlplane.operations import Call, new_request_id
from screens.actions import filled_in, not_done, pending
from screens.desk import Done

if TYPE_CHECKING:
    from textual.app import App

    from screens.area import AreaScreen
    from screens.session import Session

MAX_SEEN = 20_000


def seen_text(area: AreaScreen) -> str:
    """The lines of the screen as they are now, without its header and its footer."""
    lines = [strip.text.rstrip() for strip in area._compositor.render_strips()]
    return "\n".join(lines[1:-1]).rstrip()[:MAX_SEEN]


async def post(app: App[None], session: Session, area: AreaScreen) -> Done | None:
    """Ask for a comment, and for the incident when several are under way."""
    from controlplane.carrying import carry_out
    from controlplane.errors import Refusal

    if not session.incidents:
        return Done("no incident is under way: 7 lists them; there a, then g, opens one", "warn")
    given: dict[str, Any] = {"view": area.as_view().record(), "seen": seen_text(area), "at": area.as_of().isoformat()}
    if len(session.incidents) == 1:
        given["id"] = session.incidents[0].id
    try:
        answers = await filled_in(app, session, POST, "post what you see", given)
        if answers is None:
            return None
        fields, reason = answers
        request, request_id = POST.parse(fields), new_request_id()
        with pending(app, session, "post", request_id):
            plane = session.require_writing()
            outcome = await carry_out(plane, POST, request, Call(reason, request_id), production=session.production)
    except Refusal as refusal:
        return not_done(refusal)
    return Done(f"posted to INC-{request.id} as event {outcome.result['event']}")
