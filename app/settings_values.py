"""What the values of the settings file may be: each reader refuses a wrong value with what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from app.homes import check_url
from controlplane.errors import Usage

if TYPE_CHECKING:
    from controlplane.requestlogs.mappings import TenantSource
    from controlplane.secrets import Reference

PRODUCTION = "production"


class Option(NamedTuple):
    """`read` turns a TOML value into ours, or raises ValueError or Usage with what was expected."""

    read: Callable[[Any], Any]
    needed: bool = False


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,253}(/[A-Za-z0-9._/-]*)?")


def _text(value: Any) -> str:
    if isinstance(value, str) and value.isprintable():
        return value
    raise ValueError("expected a text of printable characters in quotes")


def name_of(value: Any) -> str:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError("expected a name in quotes: letters, digits, dots, dashes and underscores")


def _prefix(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]{1,16}", value):
        return value
    raise ValueError("expected 1 to 16 letters and digits in quotes")


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(part, str) and part and part.isprintable() for part in value):
        return tuple(value)
    raise ValueError('expected a list of texts, ["like", "this"]')


def _paths(value: Any) -> tuple[str, ...]:
    """A place in a line of JSON, or several, of which the first with a value counts."""
    return _texts([value] if isinstance(value, str) else value)


def _headers(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and value.count("*") == 1:
        return value
    raise ValueError('expected where headers are, with one * for the name, as in "request.headers.*"')


def _source(value: Any) -> TenantSource:
    from controlplane.requestlogs.mappings import TenantSource

    return TenantSource.parse(_text(value))


def _targets(value: Any) -> tuple[str, ...]:
    from controlplane.evidence.publishing import Target

    return tuple(str(Target.parse(each)) for each in _texts(value))


def _target(value: Any) -> str:
    [target] = _targets([_text(value)])
    return target


def _endpoint(value: Any) -> str:
    """An address with a login or parameters could hold a secret, so none is taken, or repeated."""
    if isinstance(value, str) and ENDPOINT.fullmatch(value):
        return value
    raise ValueError("expected https://HOST, https://HOST:PORT or http://…, without a login and without parameters")


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("expected true or false, without quotes")


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.2 <= value <= 3600:
        return float(value)
    raise ValueError("expected seconds, a number from 0.2 to 3600")


def one_of(*names: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value in names:
            return str(value)
        raise ValueError(f"expected one of {', '.join(names)}{near(value, names)}")

    return read


def _url(value: Any) -> str:
    check_url(_text(value))
    return str(value)


def _environment(value: Any) -> str:
    """The word decides whether a profile opens read-only, so one that only resembles "production" is refused."""
    import difflib

    word = name_of(value).lower()
    found = difflib.get_close_matches(word, [PRODUCTION], 1, 0.8)
    if word != PRODUCTION and (found or word in ("prod", "prd", "live")):
        raise ValueError('write "production" in full, so that the profile opens read-only')
    return word


def _reference(value: Any) -> Reference:
    from controlplane.secrets import Reference

    try:
        return Reference.parse(_text(value))
    except (Usage, ValueError):
        scheme = value.partition(":")[0] if isinstance(value, str) and ":" in value else ""
        hint = near(scheme, ["env", "file", "cred", "keyring", "age", "cmd"]) if scheme else ""
        raise ValueError(
            "expected where the password is kept, never the password itself: env:NAME, file:/path, cred:name, "
            f'keyring:service/user, age:/path#key or cmd:["program", "argument"]{hint}; '
            "keep it with: watchfloor secrets set PROFILE, and remove this line"
        ) from None


def keys_of(name: str, value: Any) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in value.split(",")) if isinstance(value, str) else ()
    if keys and all(key and key.isprintable() for key in keys):
        return keys
    raise ValueError('expected keys in quotes with commas between, "j,down" (the comma itself is "comma")')


TOP = {
    "home": Option(_text),
    "keymap": Option(one_of("default", "vim", "tmux-safe")),
    "mouse": Option(one_of("auto", "on", "off")),
    "refresh": Option(_seconds),
    "time": Option(one_of("age", "utc", "local")),
    "bell": Option(one_of("bell", "osc9", "off")),
    "glyphs": Option(one_of("auto", "unicode", "ascii")),
    "key_prefix": Option(_prefix),
    "checkpoints": Option(_text),
    "prometheus": Option(_text),
    "sources": Option(_text),
    "password_command": Option(_texts),
    "allowed_targets": Option(_texts),
    "mail_server": Option(_text),
    "mail_from": Option(_text),
    "mail_user": Option(_text),
    "mail_password": Option(lambda value: _reference(value) if value != "" else None),
    "controls": Option(_text),
    "evidence": Option(_text),
    "runbooks": Option(_text),
    "publish_to": Option(_targets),
}
PROFILE = {
    "url": Option(_url, needed=True),
    "environment": Option(_environment, needed=True),
    "read_only": Option(_flag),
    "password": Option(_reference),
    "prometheus": Option(_text),
    "sources": Option(_text),
    "encryption_key": Option(_reference),
    "allowed_targets": Option(_texts),
}
CREDENTIAL = {
    "target": Option(_target, needed=True),
    "secret": Option(_reference, needed=True),
    "user": Option(_text),
    "endpoint": Option(_endpoint),
    "region": Option(_text),
}
VIEW = {
    "noun": Option(name_of, needed=True),
    "filter": Option(_text),
    "sort": Option(_text),
    "columns": Option(_texts),
}


COLUMNS = {"shown": Option(_texts, needed=True)}
PREVIEW = {"shown": Option(one_of("yes", "no"), needed=True)}


def _letter(value: Any) -> str:
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value.isalnum():
        return value
    raise ValueError("expected one letter or digit: its key in the menu of actions")


def _program(value: Any) -> tuple[str, ...]:
    words = _texts(value)
    if words and words[0]:
        return words
    raise ValueError('expected the program and its arguments, each on its own: ["program", "--tenant={id}"]')


COMMAND = {
    "noun": Option(name_of, needed=True),
    "key": Option(_letter, needed=True),
    "run": Option(_program, needed=True),
    "what": Option(_text),
    "seconds": Option(_seconds),
}


PLACES = ("route", "method", "request", "latency", "bytes", "request_id", "project_id", "key_prefix", "region", "host")
LOG = {
    "at": Option(_paths, needed=True),
    "status": Option(_paths, needed=True),
    **dict.fromkeys(PLACES, Option(_paths)),
    "at_unit": Option(one_of("s", "ms", "us", "ns")),
    "latency_unit": Option(one_of("s", "ms", "us", "ns")),
    "headers": Option(_headers),
    "tenant": Option(_source),
}


def near(word: object, known: Iterable[str]) -> str:
    import difflib

    found = difflib.get_close_matches(str(word), list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""
