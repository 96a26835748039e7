"""The settings file as text: the commented default, and on which line a key stands."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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

# When an alert begins to fire: "bell" (the terminal's), "osc9" (a notification, if the terminal supports it), "off".
#bell = "bell"

# Seconds between two readings of data that the database does not announce; 0.2 to 3600.
#refresh = 1.0

# Times as "age" (3 min), "utc" or "local".
#time = "age"

# Symbols: "auto" (by the locale), "unicode", "ascii".
#glyphs = "auto"

# How new API keys begin: 1 to 16 letters and digits, as in wf_live_….
#key_prefix = "wf"

# The folder that a worker writes signed checkpoints of the audit trail to; relative to this file. "": checkpoints in
# an embedded home's own folder, or in your data folder. Copies belong where the home's administrators cannot write.
#checkpoints = ""

# A mapping file (docs/prometheus.md), beside this file or by its whole path: the Prometheus that has the requests of
# the embedded home as well, for example "prometheus.toml". A profile names its own.
#prometheus = ""

# A file that names sources of dead letters outside the home, such as the outbox table of another PostgreSQL
# (docs/queues.md), for example "sources.toml". A profile names its own.
#sources = ""

# The last place asked for a profile's password: a program and its arguments, {profile} is the profile's name, its
# first line of output is the password. Before it: the system keyring, the encrypted file, the environment
# variable WATCHFLOOR_PASSWORD_<PROFILE>. For example ["pass", "show", "watchfloor/{profile}"]
#password_command = []

# Receivers of notices that may be called although they are not public: "host", "host:port" or "http://host:port".
# For the embedded home; a profile names its own.
#allowed_targets = []

# How a worker sends notices by e-mail: the mail server ("smtp.example.com:587" or :465), the sender's address, the
# login, and where its password is kept, never the password itself: "keyring:watchfloor/mail".
#mail_server = ""
#mail_from = ""
#mail_user = ""
#mail_password = ""

# The file of controls that evidence is compared with (docs/evidence.md), beside this file or by its whole path. "": the
# controls that come with the program.
#controls = ""

# The folder that bundles of evidence are kept in; relative to this file. "": in an embedded home's own folder, or in
# your data folder.
#evidence = ""

# Where a worker may publish bundles, and below: ["s3://acme-evidence/production", "file:///srv/evidence"]. Credentials
# are those of [credentials] below, else of the worker's environment (AWS_…, GOOGLE_…, AZURE_…). []: nowhere.
#publish_to = []

# A folder with your team's runbooks (docs/runbooks.md), beside this file or by its whole path: each NAME.md is one, and
# replaces one of the same name that comes with the program. "": only those.
#runbooks = ""

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
# The key that secrets of the home are encrypted with, the same for all of its operators and workers; made by
# `openssl rand -base64 32`. And receivers of notices that may be called although they are not public.
#   encryption_key = "file:/etc/watchfloor/acme-prod.key"
#   allowed_targets = ["hooks.internal"]

# Saved views, for `:view noisy`.
#[views]
# For example:
#   [views.noisy]
#   noun = "tenants"
#   filter = "err>1% -status:erased"
#   sort = "-err"
#   columns = ["id", "plan", "err", "p95"]

# The columns of a list in their order, as C in that list keeps them.
#[columns]
# For example:
#   [columns.tenants]
#   shown = ["id", "status", "err"]

# The lists with a preview beside them, as v keeps them.
#[previews]
# For example:
#   [previews.tenants]
#   shown = "yes"

# Commands of your own, in the menu of actions of a noun's rows. They run without a shell: {field} in an argument is
# that field of the row. That you ran one is in the audit trail.
#[commands]
# For example:
#   [commands.logs]
#   noun = "tenants"
#   key = "L"
#   run = ["journalctl", "--no-pager", "--lines=200", "--grep={id}"]
#   what = "its last lines in the journal"
#   seconds = 30

# Request logs of your own: which of their fields is which of ours (docs/requests.md), for
# `watchfloor requests import FILE --format gateway`.
#[logs]
# For example:
#   [logs.gateway]
#   at = "time"
#   status = "response.code"
#   route = "request.path"
#   method = "request.method"
#   latency = "took"
#   latency_unit = "us"
#   headers = "request.headers.*"
#   tenant = "header:X-Tenant"

# Credentials for publishing evidence and reading it again, at a place and below it; without them, the machine's
# environment is used. S3 takes the id of an access key and its secret, Azure an account key, Google the JSON of a
# service account on one line. A secret is never written here, only where it is kept.
#[credentials]
# For example:
#   [credentials.archive]
#   target = "s3://acme-evidence"
#   user = "AKIA0123456789"
#   secret = "keyring:watchfloor/archive"
#   endpoint = "https://s3.acme.example"
#   region = "eu-central-1"
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
    for statement in _statements(text):
        for length in range(1, len(statement.path) + 1):
            found.setdefault(statement.path[:length], statement.start + 1)
    return found


class _Statement(NamedTuple):
    """Lines `start` to `end` (from 0, without the last) that say one thing. `heading`: they begin a table."""

    start: int
    end: int
    path: tuple[str, ...]
    heading: bool


def _statements(text: str) -> Iterator[_Statement]:
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
            yield _Statement(at, end, path, heading)
        at = end


def put_table(path: Path, name: tuple[str, str], values: Mapping[str, str | list[str]] | None) -> None:
    """Write one table of the file, [profiles.acme] or [views.noisy], or take it away with None. All else, comments
    too, stays as it is; a file that is not there begins as `DEFAULT`.

    Raises Refusal `settings_unwritable`, `settings_by_hand` when the table is not written on its own.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig") if path.exists() else DEFAULT
        changed = with_table(text, name, values)
        _replace(path, changed)
    except OSError as error:
        raise Refusal("settings_unwritable", f"{path} cannot be written: {error.strerror}.") from None
    except ValueError:  # not UTF-8, not TOML, or the change would touch something else
        words = f"[{'.'.join(name)}] cannot be changed in {path} without touching something else."
        raise Refusal("settings_by_hand", words, "Change it with an editor.") from None


def with_table(text: str, name: tuple[str, str], values: Mapping[str, str | list[str]] | None) -> str:
    """The text with that one table written, or without it. Raises ValueError when anything else would change."""
    lines = text.replace("\r\n", "\n").split("\n")
    statements = list(_statements(text))
    headings = [at for at, each in enumerate(statements) if each.heading]
    mine = next((at for at in headings if statements[at].path == name), None)
    written = [] if values is None else [f"[{'.'.join(map(_toml, name))}]"]
    written += [f"{key} = {_toml_value(value)}" for key, value in (values or {}).items()]
    if mine is not None:
        last = next((at for at in headings if at > mine), len(statements)) - 1
        lines[statements[mine].start : statements[last].end] = written
    elif written:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += [*([""] if lines else []), *written, ""]
    changed = "\n".join(lines)
    wanted = _without(tomllib.loads(text), name)
    found = tomllib.loads(changed)
    if _without(found, name) != wanted or found.get(name[0], {}).get(name[1]) != (None if values is None else values):
        raise ValueError(name)
    return changed.replace("\n", "\r\n") if "\r\n" in text else changed


def _without(document: dict[str, Any], name: tuple[str, str]) -> dict[str, Any]:
    group = {key: value for key, value in document.get(name[0], {}).items() if key != name[1]}
    rest = {key: value for key, value in document.items() if key != name[0]}
    return {**rest, name[0]: group} if group else rest


def _toml(key: str) -> str:
    import json  # not before the first paint

    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else json.dumps(key)


def _toml_value(value: str | list[str]) -> str:
    """Printable texts: JSON's strings are TOML's then."""
    import json

    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _replace(path: Path, text: str) -> None:
    """The whole file or nothing, 0600; behind a symbolic link the file that it leads to."""
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(new).replace(path)
    except OSError:
        Path(new).unlink(missing_ok=True)
        raise


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
