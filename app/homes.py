"""Which home the program works on, and why that one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from controlplane.errors import Usage

if TYPE_CHECKING:
    from app.settings import Settings

VARIABLE = "WATCHFLOOR_HOME"
EMBEDDED_NAME = "home"
"""What the context of the embedded home in the user's data folder is called."""
# Patterns stay texts: compiled when a home is a URL, not at every start.
_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_CONNINFO = r"\s*[a-z_]+\s*="
_LIKE_A_PASSWORD = r":.*@"
_NAME = r"[A-Za-z0-9._-]{1,80}"
_NO_PASSWORD = (
    "Leave it out of the URL (others can read settings and command lines): make a profile and keep the password "
    "with `watchfloor secrets set PROFILE`, or set PGPASSWORD or ~/.pgpass."
)


class HomeChoice(NamedTuple):
    """`value`: a PostgreSQL URL without a password, or an absolute folder; None is the embedded home in the
    user's data folder. `source` says where the choice comes from, in words.
    """

    kind: Literal["url", "folder"]
    value: str | None
    profile: str | None
    source: str


def default_folder() -> Path:
    """Of the embedded home that all programs of this user share."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/watchfloor/home")
    from platformdirs import user_data_dir

    return Path(user_data_dir("watchfloor")) / "home"


def to_be_made(choice: HomeChoice) -> bool:
    """Whether it is an embedded home that is not there yet."""
    folder = Path(choice.value) if choice.value else default_folder()
    return choice.kind == "folder" and not (folder / "data").exists()


def resolve_home(option: str | None, env: Mapping[str, str], settings: Settings) -> HomeChoice:
    """`--home`, else WATCHFLOOR_HOME, else the settings, else the embedded home. Raises Usage `home_invalid`."""
    here = Path.cwd()
    if option is not None:
        return _choose(option, "--home", here, settings)
    if env.get(VARIABLE):
        return _choose(env[VARIABLE], f"the environment variable {VARIABLE}", here, settings)
    if settings.home:
        return _choose(settings.home, settings.source("home"), settings.path.parent, settings)
    return HomeChoice("folder", None, None, "nothing names a home: the embedded one in your data folder")


def home_name(choice: HomeChoice) -> str:
    """A short word for a home: the profile, the database of a URL, the name of an embedded one's folder; "home" for
    the embedded one in the user's data folder.
    """
    if choice.profile:
        return choice.profile
    if choice.kind == "folder":
        name = Path(choice.value).name if choice.value else EMBEDDED_NAME
        return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else EMBEDDED_NAME
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(choice.value or "")
    asked = parse_qs(parts.query)
    named = next((asked[name][0] for name in ("dbname", "service", "host") if name in asked), "")
    return parts.path.strip("/") or named or parts.hostname or "postgresql"


def _choose(text: str, source: str, base: Path, settings: Settings) -> HomeChoice:
    try:
        kind, value = classify(text, settings.profiles, base)
    except Usage as fault:
        raise Usage("home_invalid", f"{source}: {fault.message}", fault.hint) from None
    if kind == "profile":
        where = f"{source}, profile {value} ({settings.source('profiles', value, 'url')})"
        return HomeChoice("url", settings.profiles[value].url, value, where)
    return HomeChoice(kind, value, None, source)


def classify(text: str, profiles: Iterable[str], base: Path) -> tuple[Literal["url", "folder", "profile"], str]:
    """A home as someone wrote it: a URL starts with postgresql://, a folder with / . or ~, the rest are profiles.
    `base` is what a relative folder is relative to.

    Raises Usage `home_invalid`; what may hold a password is not repeated.
    """
    known, text = sorted(profiles), text.strip()
    if not text:
        raise Usage("home_invalid", "The home is empty.", "Write a PostgreSQL URL, a folder, or a profile's name.")
    if not text.isprintable():
        raise Usage("home_invalid", "The home holds characters that cannot be printed.")
    if text in known:
        return "profile", text
    if re.match(_SCHEME, text):
        check_url(text)
        return "url", text
    if re.search(_LIKE_A_PASSWORD, text):
        raise Usage("home_invalid", "This looks like a URL with a password, but is not PostgreSQL.", _NO_PASSWORD)
    if text[0] in "/.~":
        return "folder", str(_folder(text, base))
    if re.match(_CONNINFO, text):
        raise Usage(
            "home_invalid",
            'A home is not written as "host=… dbname=…".',
            "Write it as a URL: postgresql://user@host:5432/database",
        )
    return _no_profile(text, known)


def check_url(url: str) -> None:
    """Raises Usage `home_invalid` unless this is a PostgreSQL URL without a password."""
    from controlplane.urls import odd_port, redact

    scheme = re.match(_SCHEME, url)
    if scheme is None or scheme[1] not in ("postgresql", "postgres"):
        named = f"{scheme[1]}:// is not PostgreSQL" if scheme else "This is not a PostgreSQL URL"
        raise Usage("home_invalid", f"{named}.", "Write postgresql://user@host:5432/database")
    if not url.isprintable() or " " in url:
        raise Usage("home_invalid", "The URL holds a space or a character that cannot be printed.", "Write %20.")
    if redact(url) != url:
        raise Usage("home_invalid", "The URL holds a password.", _NO_PASSWORD)
    if odd_port(url):
        raise Usage(
            "home_invalid", "The port of the URL is not a number.", "Write postgresql://user@host:5432/database"
        )


def _folder(text: str, base: Path) -> Path:
    try:
        folder = Path(os.path.abspath(base / Path(text).expanduser()))  # noqa: PTH100 - links stay as written
    except RuntimeError:
        raise Usage("home_invalid", f"{text!r}: there is no such user.") from None
    if folder.exists() and not folder.is_dir():
        raise Usage("home_invalid", f"{str(folder)!r} is a file.", "An embedded home is a folder.")
    return folder


def _no_profile(text: str, known: list[str]) -> tuple[Literal["profile"], str]:
    import difflib

    if not re.fullmatch(_NAME, text):
        words = "What was given is neither a PostgreSQL URL nor a profile."
        raise Usage("home_invalid", words, "Write postgresql://user@host:5432/database, or a folder as ./folder")
    near = difflib.get_close_matches(text, known, 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    hint += f"Profiles: {', '.join(known)}. " if known else "There are no profiles yet. "
    raise Usage(
        "home_invalid",
        f"{text!r} is neither a PostgreSQL URL nor a profile.",
        f"{hint}A folder is written ./{text}",
    )
