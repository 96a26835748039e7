"""From the chosen home to what libpq connects with; the password is added at the last moment."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from getpass import getpass

from app.homes import HomeChoice
from app.settings import Settings, config_folder
from controlplane.errors import NotFound, Usage
from controlplane.secrets import Secrets
from controlplane.urls import shown_url


@dataclass(frozen=True)
class ConnectInfo:
    """`conninfo` holds the password, so no repr shows it; messages use `redacted()`. `why` is the places that
    were asked for the password, in order: what to show when the server refuses it.
    """

    conninfo: str = field(repr=False)
    url: str
    source: str
    why: tuple[str, ...] = ()

    def redacted(self) -> str:
        return f"{shown_url(self.url)} (password: {self.source})"


def connect_info(choice: HomeChoice, settings: Settings, secrets: Secrets) -> ConnectInfo:
    """`choice` is of the kind "url". May block for seconds (keyring, command): not on the event loop.

    A password is optional: with none found, libpq looks in PGPASSWORD and ~/.pgpass. One that the profile names
    a place for must be there: raises NotFound `secret_not_found`, Refusal `secret_unusable`, Usage `home_invalid`.
    """
    if choice.kind != "url" or choice.value is None:
        raise ValueError("an embedded home has its own credentials")
    left = "left to PGPASSWORD and ~/.pgpass"
    if choice.profile is None:
        return ConnectInfo(choice.value, choice.value, left, ("a home named by its URL has no stored password",))
    profile = settings.profiles[choice.profile]
    try:
        secret = secrets.resolve(profile.name, profile.password)
    except NotFound as nothing:
        if profile.password is not None:
            raise
        return ConnectInfo(choice.value, choice.value, left, nothing.why)
    return ConnectInfo(_merge(choice.value, secret.value), choice.value, secret.source, secret.why)


def _merge(url: str, password: str) -> str:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:  # said before the password is in the text that libpq quotes
        raise Usage("home_invalid", f"The URL {shown_url(url)} cannot be read: {str(error).strip()}.") from None
    return make_conninfo("", **{**parts, "password": password})


def open_vault(settings: Settings, *, before_the_screen: bool = False) -> Secrets:
    """One vault for the whole program: it remembers a keyring that failed, so that it is not asked again, and the
    passphrase, which is asked for only before the screen has started, and only on a terminal.
    """
    from backends.secrets.vault import Vault

    ask = getpass if before_the_screen and sys.stdin is not None and sys.stdin.isatty() else None
    return Vault(config_folder(), settings.password_command, ask=ask)
