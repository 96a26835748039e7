"""The settings file, read strictly: every fault of the file at once, each with its line and what was expected.

Read before the first paint: dataclasses and tomllib only, and what faults need is imported when there is one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.homes import classify
from app.settings_values import (
    COLUMNS,
    COMMAND,
    CREDENTIAL,
    LOG,
    NAME,
    PREVIEW,
    PRODUCTION,
    PROFILE,
    TOP,
    VIEW,
    Option,
    keys_of,
    name_of,
    near,
    one_of,
)
from controlplane.errors import NotFound, Refusal, Usage

if TYPE_CHECKING:
    from controlplane.owncommands import OwnCommand
    from controlplane.requestlogs.mappings import LogMapping
    from controlplane.secrets import Reference

FILE = "WATCHFLOOR_SETTINGS"
TABLES = ("keys", "profiles", "views", "logs", "credentials", "columns", "previews", "commands")


# Nothing compares these; `__eq__` and `__hash__` for three classes would take a millisecond of every start.
@dataclass(frozen=True, eq=False)
class Profile:
    """A PostgreSQL to connect to. `environment` is the word in the header; `prometheus` and `sources` are files: what
    is measured, and where messages are dead, outside the home.

    `encryption_key`: where the key is that the home's secrets are encrypted with. `allowed_targets`: hosts that notices
    may go to wherever they are.
    """

    name: str
    url: str
    environment: str
    read_only: bool
    password: Reference | None = None
    prometheus: str = ""
    sources: str = ""
    encryption_key: Reference | None = None
    allowed_targets: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class View:
    """A saved list: its noun, filter and order as text, and its columns; empty means the screen's own."""

    name: str
    noun: str
    filter: str = ""
    sort: str = ""
    columns: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """ "tenants /err>1%, sort -err"."""
        shown = f"{self.noun} /{self.filter}" if self.filter else self.noun
        return f"{shown}, sort {self.sort}" if self.sort else shown


@dataclass(frozen=True, eq=False)
class Credential:
    """What a place that evidence is published to, and all below it, is reached with. `user`: the id of an access key of
    S3; `secret`: where its secret, the account key of Azure or the JSON of a service account of Google is kept.
    """

    name: str
    target: str
    secret: Reference
    user: str = ""
    endpoint: str = ""
    region: str = ""


@dataclass(frozen=True, eq=False)
class Settings:
    """`refresh` is in seconds; `keys` maps a binding's id to its keys. `text` is the file, "" without one.
    `allowed_targets` is of an embedded home; `mail_…` is what a worker sends notices by e-mail with. `controls`: the
    file of controls, `evidence`: the folder of bundles, `publish_to`: where a worker may publish them, `runbooks`:
    a folder of one's own.
    """

    path: Path
    home: str = ""
    theme: str = "auto"
    keymap: str = "default"
    mouse: str = "auto"
    refresh: float = 1.0
    time: str = "age"
    bell: str = "bell"
    glyphs: str = "auto"
    key_prefix: str = "wf"
    checkpoints: str = ""
    prometheus: str = ""
    sources: str = ""
    password_command: tuple[str, ...] = field(default=(), repr=False)
    allowed_targets: tuple[str, ...] = ()
    mail_server: str = ""
    mail_from: str = ""
    mail_user: str = ""
    mail_password: Reference | None = None
    controls: str = ""
    evidence: str = ""
    publish_to: tuple[str, ...] = ()
    runbooks: str = ""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    logs: Mapping[str, LogMapping] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The columns of a noun's list that the person has chosen, in their order."""
    commands: Mapping[str, OwnCommand] = field(default_factory=dict)
    previews: frozenset[str] = frozenset()
    """The nouns whose list has a preview beside it."""
    text: str = field(default="", repr=False)

    def source(self, *key: str) -> str:
        """Where a value comes from, for `w`: `source("profiles", "acme", "url")` → `/…/settings.toml:12`."""
        for length in range(len(key), 0, -1):
            line = self._lines.get(key[:length])
            if line and (length == len(key) or _given(self.text, key)):
                return f"{self.path}:{line}"
        if len(key) == 3 and key[0] == "profiles" and key[2] == "read_only" and key[1] in self.profiles:
            return f"default, because the environment is {self.profiles[key[1]].environment}"
        return "default"

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        from app.settings_text import lines_of

        return lines_of(self.text)


def settings_path(env: Mapping[str, str] = os.environ) -> Path:
    if env.get(FILE):
        return Path(env[FILE]).expanduser().absolute()
    return config_folder() / "settings.toml"


def config_folder() -> Path:
    """Where settings and the encrypted file belong on this system. Not created."""
    from platformdirs import user_config_path

    return user_config_path("watchfloor", appauthor=False)


def load(env: Mapping[str, str] = os.environ, themes: Collection[str] = ()) -> Settings:
    """Raises Usage `settings_invalid` with all faults; NotFound `settings_missing` when WATCHFLOOR_SETTINGS names
    a file that is not there; Refusal `settings_unreadable`. Without a file all is default.
    """
    path = settings_path(env)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):  # as with XDG_CONFIG_HOME=/dev/null
        if not env.get(FILE):
            return Settings(path)
        raise NotFound(
            "settings_missing", f"{FILE} names {path}, which does not exist.", "Write one: watchfloor settings init"
        ) from None
    except OSError as error:
        raise Refusal("settings_unreadable", f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise invalid([f"{path}:{line}: this is not UTF-8 text"]) from None
    return read(text, path, themes)


def read(text: str, path: Path, themes: Collection[str] = ()) -> Settings:
    """`themes`: the names that exist, when the caller knows them. Raises Usage `settings_invalid`."""
    import tomllib

    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of thousands of digits
        place = re.search(r"line (\d+)", str(error))
        line = place[1] if place else text.count("\n") + 1 if "end of document" in str(error) else 1
        words = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a value is too long or too deep"
        raise invalid([f"{path}:{line}: this cannot be read as TOML: {words}"]) from None
    check = _Check(path)
    settings = check.settings(given, text, themes)
    if check.faults:
        lines = settings._lines
        faults = [(_line(lines, key), ".".join(key), words) for key, words in check.faults]
        raise invalid([f"{path}:{line}: {key}: {words}" for line, key, words in sorted(faults)])
    return settings


class _Check:
    """Goes through a parsed file and gathers every fault with the path of its key."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.faults: list[tuple[tuple[str, ...], str]] = []

    def settings(self, given: dict[str, Any], text: str, themes: Collection[str]) -> Settings:
        tables = {name: given.pop(name, {}) for name in TABLES}
        options = {**TOP, "theme": Option(one_of("auto", *themes) if themes else name_of)}
        values = self._table(given, (), options, known=tables)
        keys = self._entries(tables["keys"], "keys", keys_of)
        profiles = self._entries(tables["profiles"], "profiles", self._profile)
        views = self._entries(tables["views"], "views", self._view)
        logs = self._entries(tables["logs"], "logs", self._log)
        columns = self._entries(tables["columns"], "columns", self._columns)
        credentials = self._entries(tables["credentials"], "credentials", self._credential)
        named = {"profiles": profiles, "credentials": credentials}
        self._one_variable_each((table, each) for table, names in named.items() for each in names)
        previews = self._entries(tables["previews"], "previews", self._preview)
        commands = self._entries(tables["commands"], "commands", self._command)
        if values.get("home"):
            self._try(("home",), partial(classify, values["home"], [*tables["profiles"]], self._path.parent))
        return Settings(
            self._path,
            **values,
            keys=keys,
            profiles=profiles,
            views=views,
            logs=logs,
            credentials=credentials,
            columns=columns,
            commands=commands,
            previews=frozenset(noun for noun, shown in previews.items() if shown),
            text=text,
        )

    def _profile(self, name: str, value: Any) -> Profile | None:
        at = ("profiles", name)
        values = self._table(value, at, PROFILE)
        if not {"url", "environment"} <= values.keys():
            return None
        values.setdefault("read_only", values["environment"] == PRODUCTION)
        return Profile(name, **values)

    def _credential(self, name: str, value: Any) -> Credential | None:
        values = self._table(value, ("credentials", name), CREDENTIAL)
        return Credential(name, **values) if {"target", "secret"} <= values.keys() else None

    def _view(self, name: str, value: Any) -> View | None:
        values = self._table(value, ("views", name), VIEW)
        return View(name, **values) if "noun" in values else None

    def _columns(self, noun: str, value: Any) -> tuple[str, ...] | None:
        shown: tuple[str, ...] | None = self._table(value, ("columns", noun), COLUMNS).get("shown")
        return shown

    def _preview(self, noun: str, value: Any) -> bool:
        return self._table(value, ("previews", noun), PREVIEW).get("shown") == "yes"

    def _command(self, name: str, value: Any) -> OwnCommand | None:
        from controlplane.owncommands import NAME, OwnCommand

        if not NAME.fullmatch(name):
            raise ValueError("a command's name has letters, digits, - and _, at most 32")
        values = self._table(value, ("commands", name), COMMAND)
        return OwnCommand(name, **values) if {"noun", "key", "run"} <= values.keys() else None

    def _log(self, name: str, value: Any) -> LogMapping | None:
        from json import dumps

        from controlplane.requestlogs.mappings import SHIPPED, LogMapping
        from controlplane.requestlogs.model import Format

        if name in (*Format, *SHIPPED):
            raise ValueError("is the name of a format that exists already; choose another")
        faults = len(self.faults)
        values = self._table(value, ("logs", name), LOG)
        if len(self.faults) > faults:
            return None
        mapping = LogMapping(name, f"own {dumps(value, sort_keys=True)}", **values)
        if fault := mapping.fault(mapping.tenant):
            raise ValueError(fault)
        return mapping

    def _entries(self, table: Any, name: str, make: Callable[[str, Any], Any]) -> dict[str, Any]:
        if not isinstance(table, dict):
            self.faults.append(((name,), f"expected a table, [{name}]"))
            return {}
        made = {}
        for key, value in table.items():
            if not NAME.fullmatch(key):
                self.faults.append(
                    ((name, key), "expected a name of up to 64 letters, digits, dots, dashes and underscores")
                )
                continue
            made[key] = self._try((name, key), partial(make, key, value))
        return {key: value for key, value in made.items() if value is not None}

    def _table(
        self, table: Any, at: tuple[str, ...], options: Mapping[str, Option], known: Iterable[str] = ()
    ) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise ValueError(f"expected a table, [{'.'.join(at)}]")
        values = {}
        for key, value in table.items():
            if key not in options:
                self.faults.append(((*at, key), "there is no such key" + near(key, [*options, *known])))
                continue
            result = self._try((*at, key), partial(options[key].read, value))
            if result is not None:
                values[key] = result
        for key, option in options.items():
            if option.needed and key not in table:
                self.faults.append(((*at, key), "is missing"))
        return values

    def _one_variable_each(self, names: Iterable[tuple[str, str]]) -> None:
        """Two that share a variable, or an entry of the keyring, would send one's secret to the other's server."""
        owners: dict[str, tuple[str, str]] = {}
        for table, name in names:
            other = owners.setdefault(name.lower().replace("-", "_").replace(".", "_"), (table, name))
            if other != (table, name):
                from controlplane.secrets import variable

                like = f"like the {other[0].removesuffix('s')} {other[1]!r}"
                words = f"would take its password from {variable(name)}, {like}; rename one"
                self.faults.append(((table, name), words))

    def _try(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        try:
            return make()
        except ValueError as fault:
            self.faults.append((key, str(fault)))
        except Usage as fault:
            self.faults.append((key, f"{fault.message} {fault.hint}".strip()))
        return None


def _line(lines: Mapping[tuple[str, ...], int], key: tuple[str, ...]) -> int:
    """The line of a key, or of the table that should hold it."""
    return next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), 1)


def _given(text: str, key: tuple[str, ...]) -> bool:
    import tomllib

    here: Any = tomllib.loads(text)
    for part in key:
        if not isinstance(here, dict) or part not in here:
            return False
        here = here[part]
    return True


def invalid(faults: list[str]) -> Usage:
    from controlplane.text import clean  # a key may hold anything that TOML can write

    faults = [clean(fault) for fault in faults]
    count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    message = "\n  ".join([f"The settings file has {count}, so nothing was read from it:", *faults])
    return Usage(
        "settings_invalid", message, "`watchfloor settings init` writes a file with all options explained.", faults
    )
