"""Connecting to a PostgreSQL that no profile names; on request it becomes one. Its password never goes into a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.homes import EMBEDDED_NAME, HomeChoice, check_url, home_name
from app.settings import Profile, Settings
from app.switching import choices, switch
from controlplane.errors import NotFound, Refusal, Usage
from screens.desk import Done
from screens.dialogs.fields import Answers, Asked, FieldsForm

if TYPE_CHECKING:
    from app.console import Watchfloor
    from controlplane.secrets import Finding, Reference, Secret

ENVIRONMENTS = ("development", "staging", "production")


class Typed:
    """Implements `Secrets` for one password that was typed and is not stored; "" leaves it to libpq."""

    def __init__(self, value: str) -> None:
        self._value = value

    def resolve(self, profile: str, reference: Reference | None) -> Secret:
        from controlplane.secrets import Secret

        if not self._value:
            raise NotFound("secret_not_found", "No password was typed.")
        return Secret(self._value, "typed", ("typed for this connection, kept nowhere",))

    def store(self, profile: str, value: str) -> str:
        raise NotImplementedError

    def forget(self, profile: str) -> list[Finding]:
        raise NotImplementedError

    def doctor(self, profiles: Mapping[str, Reference | None]) -> list[Finding]:
        raise NotImplementedError


def ask_connection(app: Watchfloor, address: str = "") -> None:
    """Ask where to, with which password, and under which name to keep it; then connect."""
    asked = (
        Asked("address", "postgresql://user@host:5432/database, no password in it; or a profile's name", address),
        Asked("password", "password; empty: as libpq finds it (PGPASSWORD, ~/.pgpass)", hidden=True),
        Asked("keep", "save it as a profile of this name; empty: only for now"),
        Asked("environment", "of the kept profile: production opens read-only", choices=ENVIRONMENTS),
    )

    def entered(answers: Answers | None) -> None:
        if answers is not None:
            app.run_worker(_connect(app, answers), group="connecting", exclusive=True, exit_on_error=False)

    def check(answers: Answers) -> None:
        _check(app.settings, answers)

    app.push_screen(FieldsForm(app.session, "connect to a PostgreSQL", asked, check=check), entered)


def _check(settings: Settings, answers: Answers) -> None:
    address, keep = answers["address"], answers["keep"]
    if address not in settings.profiles:
        check_url(address)
    elif keep:
        raise Usage("profile_kept", f"{address} is a profile already: leave its new name empty.")
    if keep in settings.profiles or keep == EMBEDDED_NAME:
        raise Usage("profile_exists", f"There is a context {keep} already.", "Choose another name.")


async def _connect(app: Watchfloor, answers: Answers) -> None:
    address, password, keep = answers["address"], answers["password"], answers["keep"]
    name = address
    try:
        if keep:
            name = keep
            await asyncio.to_thread(_keep, app.settings, keep, address, answers["environment"], password)
            app.read_settings()
        elif address not in app.settings.profiles:
            # A profile of this console only, so that its password is handled like all others.
            name = _free_name(app, home_name(HomeChoice("url", address, None, "")))
            app.passing[name] = Profile(name, address, "unknown", False)
            app.typed[name] = Typed(password)
            app.read_settings()
        elif password:
            app.typed[name] = Typed(password)
        switch(app, name)
    except Refusal as refusal:
        app.tell(Done(str(refusal), "bad"))


def _free_name(app: Watchfloor, name: str) -> str:
    taken = choices(app).keys()
    return next(each for n in range(1, len(taken) + 2) if (each := name if n == 1 else f"{name}-{n}") not in taken)


def _keep(settings: Settings, name: str, url: str, environment: str, password: str) -> None:
    """Write the profile to the settings file, and its password to where passwords are kept."""
    from app.profiles import open_vault
    from app.settings_text import put_table

    put_table(settings.path, ("profiles", name), {"url": url, "environment": environment})
    if password:
        open_vault(settings).store(name, password)
