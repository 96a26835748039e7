"""References that say where a secret is kept: settings hold these, never the secrets themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, Protocol, get_args

from controlplane.errors import Usage

Scheme = Literal["env", "file", "cred", "keyring", "age", "cmd"]

FORMS = 'env:NAME, file:/path, cred:name, keyring:service/user, age:/path#key, cmd:["program", "argument"]'
VARIABLE = "WATCHFLOOR_PASSWORD_"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]*")


@dataclass(frozen=True)
class Secret:
    """`value` is for the one call that needs it; `source` and `why` (the places asked, in order) may be shown."""

    value: str = field(repr=False)
    source: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A place that holds one secret. `target` is the variable, path, credential or service; `key` the user of a
    keyring or the entry of an age file; `argv` the command. `str()` is fit for display: of a command it shows
    the program only, because arguments may hold a token.
    """

    scheme: Scheme
    target: str
    key: str = ""
    argv: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        if self.scheme == "cmd":
            import json

            more = ", …" if len(self.argv) > 1 else ""
            return f"cmd:[{json.dumps(self.target, ensure_ascii=False)}{more}]"
        joint = {"keyring": "/", "age": "#"}.get(self.scheme, "")
        return f"{self.scheme}:{self.target}{joint}{self.key}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises Usage `secret_reference_invalid`, which never repeats the text: it may be a password."""
        scheme, colon, rest = text.partition(":")
        if not colon or scheme not in get_args(Scheme):
            raise _unreadable("this is not a reference to a secret")
        if not rest.isprintable():
            raise _unreadable(f"{scheme}: is followed by a character that cannot be printed")
        if scheme == "cmd":
            argv = _argv(rest)
            return cls("cmd", argv[0], argv=argv)
        if scheme == "env" and _NAME.fullmatch(rest):
            return cls("env", rest)
        if scheme == "cred" and _CREDENTIAL.fullmatch(rest):
            return cls("cred", rest)
        if scheme == "file" and _absolute(rest):
            return cls("file", rest)
        if scheme == "keyring":
            service, _, user = rest.rpartition("/")
            if service and user:
                return cls("keyring", service, user)
        if scheme == "age":
            path, _, key = rest.rpartition("#")
            if _absolute(path) and key:
                return cls("age", path, key)
        raise _unreadable(f"what follows {scheme}: cannot be read; paths are absolute or start with ~/")


@dataclass(frozen=True)
class Finding:
    """One line of `watchfloor secrets doctor`. `state` has three values, and unknown is not good."""

    subject: str
    state: Literal["good", "bad", "unknown"]
    text: str


class Secrets(Protocol):
    """Calls may block for seconds (a locked keyring, a slow command): never on the event loop."""

    def resolve(self, profile: str, reference: Reference | None) -> Secret:
        """The password of a profile: from its reference and nowhere else, or without one in the order system
        keyring, encrypted file, environment, command.

        Raises NotFound `secret_not_found` naming every place asked and what it said; Refusal `secret_unusable`
        when a place has something that must not be used.
        """

    def store(self, profile: str, value: str) -> str:
        """Keeps the password in the system keyring, else in the encrypted file. Returns where, in words."""

    def forget(self, profile: str) -> list[Finding]:
        """Removes the password from both: "good" where one was removed, "unknown" where it could not be asked;
        empty when there was none.
        """

    def doctor(self, profiles: Mapping[str, Reference | None]) -> list[Finding]:
        """What can be used here, and whether each profile's password is found. Never a value."""


def variable(profile: str) -> str:
    """The environment variable of a profile: `eu-prod.1` → `WATCHFLOOR_PASSWORD_EU_PROD_1`."""
    return VARIABLE + re.sub(r"[^A-Z0-9]", "_", profile.upper())


def _absolute(path: str) -> bool:
    """A path must not depend on the folder that the console was started in."""
    return path.startswith("~/") or PurePath(path).is_absolute()


def _argv(text: str) -> tuple[str, ...]:
    from controlplane import jsontext  # not before the first paint

    try:
        argv = jsontext.read(text)
    except ValueError:
        argv = None
    good = isinstance(argv, list) and argv and all(isinstance(a, str) and "\0" not in a for a in argv)
    if not good or not argv[0]:
        raise _unreadable('cmd: is followed by a list of strings, the program first: cmd:["pass", "show", "x"]')
    return tuple(argv)


def _unreadable(what: str) -> Usage:
    return Usage("secret_reference_invalid", f"{what[0].upper()}{what[1:]}.", f"Write one of {FORMS}.")
