"""From one context to another: which there are, and how the console leaves one and opens the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING

from app.homes import HomeChoice, home_name
from app.links import contexts, unknown
from controlplane.errors import Refusal
from controlplane.live import LinkState
from screens.desk import Done
from screens.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.console import OpenContext, Watchfloor
    from app.contexts import Context
    from app.settings import Settings
    from controlplane.secrets import Secrets
    from screens.contexts import ContextRow

IN_ORDER = "the usual, see w"
LOADED_IN_TURN = ("psycopg", "psycopg_pool", "backends.embedded.server", "app.contexts")
"""Some 40 ms at most each, so that keys are answered in between. Not in a thread: a key loads modules as well, and when
two threads load at once, Python 3.11 may lose a lock (python/cpython#91351).
"""
LATER = "not driven yet"


def opener(choice: HomeChoice, settings: Settings, secrets: Secrets | None = None) -> OpenContext:
    """The function that opens this choice; it loads the database's library when it is called."""

    async def open_context(report: Callable[[str], None]) -> Context:
        await load_contexts()
        from app.contexts import connect

        return await connect(choice, settings=settings, secrets=secrets, conversation="console", report=report)

    return open_context


async def load_contexts() -> None:
    """Load app.contexts."""
    for module in LOADED_IN_TURN:
        import_module(module)
        await asyncio.sleep(0)


def session_of(choice: HomeChoice, settings: Settings) -> Session:
    """What is known of a context before it was reached: production must be seen from the first paint on."""
    profile = settings.profiles.get(choice.profile or "")
    environment = profile.environment if profile else "development" if choice.kind == "folder" else "unknown"
    return Session(home_name(choice), environment, read_only=profile is not None and profile.read_only)


def choices(app: Watchfloor) -> dict[str, HomeChoice]:
    return contexts(app.settings, app.choice)


def rows(app: Watchfloor) -> tuple[ContextRow, ...]:
    from screens.contexts import ContextRow

    found = [_row(app, name, choice) for name, choice in choices(app).items()]
    return (*found, ContextRow("remote", "HTTP API", "", False, "", "", why_not=LATER))


def _row(app: Watchfloor, name: str, choice: HomeChoice) -> ContextRow:
    from screens.contexts import ContextRow

    here = name == app.session.context
    profile = app.settings.profiles.get(choice.profile or "")
    if choice.kind == "folder":
        where = choice.value or "in your data folder"
        return ContextRow(name, "embedded", "development", False, where, "none needed", here)
    from controlplane.urls import shown_url

    address = shown_url(choice.value or "")
    if profile is None:
        return ContextRow(name, "PostgreSQL", "unknown", False, address, "PGPASSWORD, pgpass", here)
    source = "typed" if name in app.typed else str(profile.password) if profile.password else IN_ORDER
    return ContextRow(name, "PostgreSQL", profile.environment, profile.read_only, address, source, here)


async def password_places(app: Watchfloor, name: str) -> list[str]:
    """What each place for a profile's password says; asking them may take seconds."""
    profile = app.settings.profiles.get(name)
    if name in app.typed:
        return ["It was typed in this console and is kept nowhere; without one, PGPASSWORD and ~/.pgpass."]
    if profile is None:
        return ["No place is asked: a home named by a folder or a URL has no stored password."]
    from app.profiles import open_vault

    findings = await asyncio.to_thread(lambda: open_vault(app.settings).doctor({name: profile.password}))
    return [f"{finding.subject}: {finding.text}" for finding in findings]


async def open_for_writing(app: Watchfloor, minutes: int, reason: str) -> Done:
    """Open a read-only context for writing for a while, once its trail has recorded that."""
    from controlplane.carrying import carry_out
    from controlplane.contexts import write
    from controlplane.operations import Call, new_request_id
    from screens.actions import pending

    session = app.session
    try:
        if not session.read_only:
            raise Refusal("not_read_only", f"{session.context} is open for writing already.", "")
        request = write.parse({"context": session.context, "minutes": minutes})
        with pending(app, session, f"opening {session.context} for writing", request_id := new_request_id()):
            outcome = await carry_out(session.require_plane(), write, request, Call(reason, request_id))
    except Refusal as refusal:
        return Done(str(refusal), "bad")
    session.writable_since = session.clock()
    session.writable_until = session.writable_since + timedelta(minutes=minutes)
    app.name_terminal(app.area.noun if app.area else "")
    audit = ", ".join(map(str, outcome.audit_ids))
    return Done(f"{session.context} is open for writing for {minutes} min · audit {audit} · :ro closes it", "warn")


def switch(app: Watchfloor, name: str) -> None:
    """Leave the current context, even if it cannot be reached, and open another. Raises NotFound.

    Nothing of the old context stays: no rows, marks, undo or time for writing.
    """
    known = choices(app)
    if name not in known:
        raise unknown(name, known)
    old, session, fresh = app.context, app.session, session_of(known[name], app.settings)
    app.context, app.link = None, ""
    app.open_context = opener(known[name], app.settings, app.typed.get(name))
    session.plane = session.undo = session.writable_until = session.heard_at = None
    session.context, session.vacant, session.open_alerts = name, False, None
    session.incidents = ()
    app.bell_of_home = None
    session.environment, session.read_only = fresh.environment, fresh.read_only
    session.link = LinkState("connecting")
    app.forget_screens()
    app.connect_context()  # which stops listening to the old one
    if old is not None:
        app.run_worker(old.close(), group="closing", exit_on_error=False)
