"""The file of sources: where messages are dead outside the home, and how each place is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from backends.http.client import is_url
from backends.sources.shipped import SHIPPED
from controlplane.errors import NotFound, Refusal, Usage
from controlplane.secrets import Reference
from controlplane.text import clean
from controlplane.urls import odd_port, redact, shown_name

NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AWS = re.compile(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com")
OWN = ("jobs", "deliveries", "sources")
"""Names that this home's own sources have."""
GUIDE = "docs/queues.md explains each line."
PLACEHOLDERS = ("$ids", "$table")


def _reference(text: object) -> object:
    if isinstance(text, Reference):
        return text
    if not isinstance(text, str):
        raise ValueError("expected where the secret is kept")
    try:
        return Reference.parse(text)
    except Usage as fault:
        raise ValueError(f"expected where the secret is kept, never the secret itself. {fault.hint}") from None


def _postgres(text: object) -> object:
    if not isinstance(text, str) or not text.startswith(("postgresql://", "postgres://")) or not text.isprintable():
        raise ValueError("expected postgresql://user@host:5432/database")
    if redact(text) != text:  # neither is repeated
        raise ValueError("holds a password: name where it is kept, as password")
    if odd_port(text):
        raise ValueError("its port is not a number")
    return text


def _queue(text: object) -> object:
    """The URL of a queue. A secret of ours is signed, not sent, so plain HTTP is allowed on this machine alone."""
    if not isinstance(text, str) or not is_url(text):
        raise ValueError("expected https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
    parts = urlsplit(text)
    if parts.username is not None or parts.query or parts.fragment or not parts.hostname or len(parts.path) < 2:
        raise ValueError("expected https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, and nothing besides")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("expected https://")
    return text


def _nats(text: object) -> object:
    wanted = "expected tls://host:4222, or nats:// without TLS"
    if not isinstance(text, str) or not text.isprintable():
        raise ValueError(wanted)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:  # its text repeats the URL, which may hold a password
        raise ValueError(wanted) from None
    if parts.scheme not in ("tls", "nats") or not parts.hostname or parts.username is not None or parts.path.strip("/"):
        raise ValueError(f"{wanted}, and no user or password in it")
    return text


def _statement(text: object) -> object:
    if not isinstance(text, str) or "$ids" not in text:
        raise ValueError("expected SQL in quotes with $ids for the messages' ids: … WHERE id = ANY ($ids)")
    return text


Kept = Annotated[Reference, BeforeValidator(_reference)]
PostgresUrl = Annotated[str, BeforeValidator(_postgres)]
Statement = Annotated[str, BeforeValidator(_statement)]
Seconds = Annotated[float, Field(gt=0, le=60)]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class Columns(Settings):
    """Each is a column's name, or an expression in SQL over the table, which is called t. Times without a zone are
    UTC.
    """

    id: str
    payload: str = ""
    headers: str = ""
    error: str = ""
    error_class: str = ""
    attempts: str = ""
    state: str = ""
    created: str = ""
    died: str = ""
    tenant: str = ""
    handler: str = ""
    queue: str = ""
    key: str = ""
    release: str = ""

    def given(self) -> dict[str, str]:
        return {name: value for name, value in self if value}


class Outbox(Settings):
    """Any table of any PostgreSQL. `dead`: the states that are dead, or a condition in SQL. `requeue`, `discard`: SQL
    that does it to the messages `$ids`; `$table` is the table. `lock`: lock rows before; without it the login need not
    be allowed to update the table itself. `timeout`: seconds that a statement may take.
    """

    kind: Literal["outbox"] = "outbox"
    url: PostgresUrl
    password: Kept | None = None
    mapping: str = ""
    table: str
    columns: Columns
    dead: str | list[str]
    requeue: Statement
    discard: Statement | None = None
    lock: bool = True
    timeout: Seconds = 5.0

    @model_validator(mode="after")
    def _dead_has_its_column(self) -> Self:
        if isinstance(self.dead, list) and not self.columns.state:
            raise ValueError("dead: a list of states needs columns.state, the column that holds the state")
        return self


class Pgmq(Settings):
    """A queue of pgmq. `held`: where its dead messages are: archived after `max_reads` readings, or still in the queue
    after so many.
    """

    kind: Literal["pgmq"]
    url: PostgresUrl
    password: Kept | None = None
    queue: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,47}$")]
    max_reads: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    held: Literal["archive", "queue"] = "archive"
    tenant: str = ""
    handler: str = ""
    timeout: Seconds = 5.0


class Attributes(Settings):
    """The names of a message's own attributes that hold these."""

    error: str = "ErrorMessage"
    error_class: str = "ErrorCode"
    tenant: str = "tenant"
    handler: str = "handler"


class Sqs(Settings):
    """A dead-letter queue of AWS SQS, by its URL. `region` follows from an AWS URL. `peek`: messages that are looked at
    when its messages are listed.
    """

    kind: Literal["sqs"]
    queue: Annotated[str, BeforeValidator(_queue)]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,40}$")] = ""
    access_key: Annotated[str, Field(pattern=r"^\w{4,128}$")]
    secret_key: Kept
    session_token: Kept | None = None
    attributes: Attributes = Attributes()
    peek: Annotated[int, Field(ge=1, le=200)] = 50
    timeout: Seconds = 10.0

    @model_validator(mode="after")
    def _region_is_known(self) -> Self:
        if not self.place:
            raise ValueError("region: it does not follow from the queue's URL; name it")
        return self

    @property
    def place(self) -> str:
        found = _AWS.match(self.queue)
        return self.region or (found[1] if found else "")


class Nats(Settings):
    """The `stream` of a JetStream that keeps the advisories of messages that were delivered too often. `tenant`: the
    header of a message that names its tenant.
    """

    kind: Literal["nats"]
    url: Annotated[str, BeforeValidator(_nats)]
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
    user: str = ""
    password: Kept | None = None
    token: Kept | None = None
    tenant: str = "tenant"
    timeout: Seconds = 10.0

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.user) != bool(self.password):
            raise ValueError("user and password: give both or neither")
        if self.user and self.token:
            raise ValueError("token: give either a token or user and password, not both")
        parts = urlsplit(self.url)
        if (self.password or self.token) and parts.scheme == "nats" and parts.hostname not in LOOPBACK:
            raise ValueError("url: a secret goes over tls:// only")
        return self


_KINDS: Mapping[str, type[Settings]] = {"outbox": Outbox, "pgmq": Pgmq, "sqs": Sqs, "nats": Nats}


def read(path: Path) -> dict[str, Any]:
    """Name → the settings of a source, in the order of the file. Raises NotFound `sources_missing`, Refusal
    `sources_unreadable`, Usage `sources_invalid` with every fault.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise NotFound(
            "sources_missing", f"There is no file {clean(path)}.", "docs/queues.md has one to start from."
        ) from None
    except OSError as error:
        raise Refusal("sources_unreadable", f"{clean(path)} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise _invalid(path, [f"this cannot be read as TOML: {error}"]) from None
    found, faults = {}, []
    for name, value in given.items():
        try:
            found[name] = _source(name, value)
        except ValidationError as error:
            faults += [f"{shown_name(name)}.{_words(each['loc'], each['msg'])}" for each in error.errors()]
        except ValueError as error:
            faults.append(f"{shown_name(name)}: {error}")
    if faults:
        raise _invalid(path, faults)
    return found


def _source(name: str, value: Any) -> Settings:
    if not NAME.fullmatch(name):
        raise ValueError("a source is called by small letters, digits, '.', '_' and '-'")
    if name in OWN:
        raise ValueError("this is the name of a source of the home; choose another")
    if not isinstance(value, dict):
        raise ValueError(f"expected a table, [{name}]")
    kind = value.get("kind", "outbox")
    if kind not in _KINDS:
        raise ValueError(f"kind: expected one of {', '.join(_KINDS)}")
    if kind == "outbox" and (shipped := value.get("mapping")) is not None:
        if shipped not in SHIPPED:
            raise ValueError(f"mapping: expected one of {', '.join(SHIPPED)}")
        own = value.get("columns", {})
        value = SHIPPED[shipped] | value
        value["columns"] = SHIPPED[shipped]["columns"] | (own if isinstance(own, dict) else {})
    return TypeAdapter(_KINDS[kind]).validate_python(value)


def _words(place: tuple[int | str, ...], message: str) -> str:
    words = message.removeprefix("Value error, ")
    return f"{'.'.join(shown_name(str(part)) for part in place)}: {words}" if place else words


def _invalid(path: Path, faults: list[str]) -> Usage:
    said = [clean(fault, 300) for fault in faults]
    return Usage("sources_invalid", "\n  ".join([f"The sources in {clean(path)} cannot be used:", *said]), GUIDE, said)
