"""The mapping file: how to ask a Prometheus for the requests of a scope, in PromQL."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from backends.http.client import is_url
from controlplane.errors import NotFound, Refusal, Usage
from controlplane.secrets import Reference
from controlplane.telemetry.model import Scope
from controlplane.text import clean

LOOPBACK = ("localhost", "127.0.0.1", "::1")
MIN_SCRAPES = 4
"""The fewest scrapes in a step: from fewer, increase() is a guess or nothing."""
_PLACE = re.compile(r"\$(match|step)\b")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _template(text: object) -> object:
    if not isinstance(text, str) or {found[1] for found in _PLACE.finditer(text)} != {"match", "step"}:
        raise ValueError("expected PromQL in quotes with $match among its matchers and $step as its range")
    return text


def _label(text: object) -> object:
    if not isinstance(text, str) or not _LABEL.fullmatch(text):
        raise ValueError("expected the name of a label")
    return text


def _reference(text: object) -> object:
    if not isinstance(text, str):
        raise ValueError("expected where the secret is kept")
    try:
        return Reference.parse(text)
    except Usage as fault:
        raise ValueError(f"expected where the secret is kept, never the secret itself. {fault.hint}") from None


Template = Annotated[str, BeforeValidator(_template)]
Label = Annotated[str, BeforeValidator(_label)]
Kept = Annotated[Reference, BeforeValidator(_reference)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class Requests(_Table):
    """`query` gives the number of requests in a step, for each value of the label `status`."""

    query: Template
    status: Label = "code"


class Latency(_Table):
    """`query` gives a classic histogram's increase in a step, for each value of the label `le`, in `unit`."""

    query: Template
    unit: Literal["s", "ms"] = "s"


class Mapping(_Table):
    """`scrape`: seconds between two scrapes. `timeout`: seconds that an answer may take. `labels`: ours to theirs."""

    url: str
    scrape: Annotated[float, Field(gt=0, le=3600)] = 15
    timeout: Annotated[float, Field(gt=0, le=120)] = 10
    user: str = ""
    password: Kept | None = None
    token: Kept | None = None
    requests: Requests
    latency: Latency | None = None
    labels: dict[Literal["tenant", "route", "key", "region"], Label]

    @model_validator(mode="after")
    def _url_is_fit(self) -> Self:
        try:
            parts = urlsplit(self.url)
            _ = parts.port  # read only to hear whether it is a number
        except ValueError:  # its text repeats the URL, which may hold a password
            raise ValueError("url: its host or its port is not valid") from None
        if not is_url(self.url):
            raise ValueError("url: its host or its port is not valid")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url: expected https://host:port/path")
        if parts.username is not None or parts.password is not None:
            raise ValueError("url: no user and no password belong in it; use user, password or token")
        if self.token and (self.password or self.user):
            raise ValueError("token: give either a token or user and password, not both")
        if bool(self.password) != bool(self.user):
            raise ValueError("user and password: give both or neither")
        if (self.token or self.password) and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ValueError("url: a secret goes over https only")
        return self

    @property
    def host(self) -> str:
        return clean(urlsplit(self.url).netloc, 60)

    def asking(self, template: str, scope: Scope, seconds: int) -> str:
        """The query for a scope and a step. Raises Usage `scope_unreadable` for a part of the scope without a label."""
        match = ",".join(f"{label}={quoted(value)}" for label, value in self._matchers(scope))
        places = {"match": match, "step": f"{seconds}s"}
        return _PLACE.sub(lambda found: places[found[1]], template)

    def _matchers(self, scope: Scope) -> list[tuple[str, str]]:
        asked = {"tenant": scope.tenant_id, "route": scope.route, "key": scope.key_prefix, "region": scope.region}
        named = dict(self.labels)
        found = []
        for ours, value in asked.items():
            if value is None:
                continue
            label = next((theirs for name, theirs in named.items() if name == ours), None)
            if label is None:
                raise Usage(
                    "scope_unreadable",
                    f"Prometheus cannot be asked for one {ours}: the mapping file names no label for it.",
                    f'Add {ours} = "…" to its [labels], or leave the {ours} out.',
                )
            found.append((label, value))
        return found


def quoted(value: str) -> str:
    """Any text as a PromQL string: PromQL understands all of JSON's escapes."""
    return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False)


def read_mapping(path: Path) -> Mapping:
    """Raises NotFound `mapping_missing`, Refusal `mapping_unreadable`, Usage `mapping_invalid` with every fault."""
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise NotFound(
            "mapping_missing", f"There is no mapping file {path}.", "docs/prometheus.md has one to start from."
        ) from None
    except OSError as error:
        raise Refusal("mapping_unreadable", f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise _invalid(path, [f"this cannot be read as TOML: {error}"]) from None
    try:
        return Mapping.model_validate(given)
    except ValidationError as error:
        raise _invalid(path, [_words(each["loc"], each["msg"]) for each in error.errors(include_url=False)]) from None


def _words(place: tuple[int | str, ...], message: str) -> str:
    words = message.removeprefix("Value error, ")
    return f"{'.'.join(map(str, place))}: {words}" if place else words


def _invalid(path: Path, faults: list[str]) -> Usage:
    said = [clean(fault, 300) for fault in faults]
    message = "\n  ".join([f"The mapping file {path} cannot be used:", *said])
    return Usage("mapping_invalid", message, "docs/prometheus.md explains each line.", said)
