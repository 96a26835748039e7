"""The settings file as text: the commented default, and on which line a key stands."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from controlplane.errors import Conflict, Refusal

DEFAULT = """\
# Watchfloor's settings. Every option is here with its default; take the # away before a line to change it.

# Where the control plane is kept: a PostgreSQL URL without a password ("postgresql://ana@db.example/watchfloor"),
# a folder for an embedded one ("~/watchfloor-home"), or the name of a profile below. "": embedded, in your data
# folder. --home and the environment variable WATCHFLOOR_HOME come before it.
#home = ""

# The colours. "auto": what fits the terminal.
#theme = "auto"

# Keys: "default", "vim" or "tmux-safe". Single ones are changed under [keys] below.
#keymap = "default"

# Mouse: "auto" (off over SSH), "on", "off".
#mouse = "auto"

# Seconds between two looks at the data where the database does not tell by itself; 0.2 to 3600.
#refresh = 1.0

# Times as "age" (3 min), "utc" or "local".
#time = "age"

# Symbols: "auto" (by the locale), "unicode", "ascii".
#glyphs = "auto"

# The last place asked for a profile's password: a program and its arguments, {profile} is the profile's name, its
# first line of output is the password. Before it: the system keyring, the encrypted file, the environment
# variable WATCHFLOOR_PASSWORD_<PROFILE>. For example ["pass", "show", "watchfloor/{profile}"]
#password_command = []

# Keys by the name that the help screen shows; several with a comma between.
#[keys]
# For example:
#   "table.page_down" = "pagedown,ctrl+f"

# Databases to connect to: `watchfloor --home acme-prod`. A profile of the environment "production" opens
# read-only unless it says otherwise. A password is never written here, only where it is kept: "env:NAME",
# "file:/path", "cred:name", "keyring:service/user", "age:/path#key" or 'cmd:["program", "argument"]'. Without
# one, the places above are asked in their order.
#[profiles]
# For example:
#   [profiles.acme-prod]
#   url = "postgresql://ana@db.example:5432/watchfloor"
#   environment = "production"
#   read_only = true
#   password = "keyring:watchfloor/acme-prod"

# Saved views, for `:view noisy`.
#[views]
# For example:
#   [views.noisy]
#   noun = "tenants"
#   filter = "err>1% -status:erased"
#   sort = "-errors"
#   columns = ["tenant", "plan", "errors", "p95"]
"""


def write_default(path: Path, *, overwrite: bool = False) -> None:
    """Writes `DEFAULT` with the mode 0600; a file that is replaced is kept beside it with `.old` at its end.

    Raises Conflict `settings_exist`; Refusal `settings_unwritable`.
    """
    if path.exists() and not overwrite:
        raise Conflict(
            "settings_exist",
            f"{path} is there already and was left as it is.",
            "--overwrite replaces it and keeps the old one beside it.",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_name(path.name + ".old"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(DEFAULT)
    except OSError as error:
        raise Refusal("settings_unwritable", f"{path} cannot be written: {error.strerror}.") from None


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """The line (from 1) on which each key and each table of a valid TOML text first stands. What is inside an
    inline table is found under the table's own key. For messages and `w` only: tomllib tells no lines.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        end = at + 1
        while (parsed := _parse("\n".join(lines[at:end]))) is None and end < len(lines):
            end += 1  # a value over several lines ends where the text can be read
        if parsed:
            heading = lines[at].lstrip().startswith("[")
            path = _path(parsed) if heading else table + _key(lines[at])
            table = path if heading else table
            for length in range(1, len(path) + 1):
                found.setdefault(path[:length], at + 1)
        at = end
    return found


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _key(line: str) -> tuple[str, ...]:
    """What stands before the first = that is not inside a quoted key."""
    ends = (at for at, sign in enumerate(line) if sign == "=")
    return next((_path(parsed) for end in ends if (parsed := _parse(line[:end] + "=0"))), ())


def _path(parsed: Any) -> tuple[str, ...]:
    path = []
    while isinstance(parsed, dict) and parsed:
        key, parsed = next(iter(parsed.items()))
        path.append(key)
    return tuple(path)
