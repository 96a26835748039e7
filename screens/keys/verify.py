"""Whose key is this? Pasted into a field that shows nothing, checked here, and asked about by its hash alone."""

from __future__ import annotations

from textual.app import App

from controlplane.errors import Refusal
from controlplane.keys.verify import check, verify, words
from screens.desk import Done
from screens.dialogs.fields import Answers, Asked, FieldsForm
from screens.dialogs.viewer import Viewer
from screens.session import Session

ASKED = Asked("key", "paste the key; it is neither shown nor kept", hidden=True)


async def ask_and_verify(app: App[None], session: Session) -> Done | None:
    """Runs in a worker: it waits for the dialog."""
    prefix = session.require_plane().key_prefix

    def offline(answers: Answers) -> None:
        check(answers["key"], prefix)

    answers = await app.push_screen_wait(FieldsForm(session, "verify a key", [ASKED], check=offline))
    if answers is None:
        return None
    try:
        verdict = await verify(session.require_plane(), answers["key"])
    except Refusal as refusal:
        return Done(str(refusal), "bad")
    app.push_screen(Viewer(session, "verify a key", list(words(verdict, session.clock()))))
    return None
