"""What a pasted text can be: pure classification. Only the hash of a secret leaves this module."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from controlplane.errors import Usage
from controlplane.keys.pasted import as_pasted
from controlplane.listing import Page, Position, Query
from controlplane.lists import Column, ListOf
from controlplane.memorylist import MemoryList
from controlplane.text import showable

if TYPE_CHECKING:
    from controlplane.changes import ControlPlane

Kind = Literal["tenant", "owner", "project", "key", "secret", "change", "request", "operator"]
MAX_SOUGHT_CHARACTERS = 320
MAX_FOUND_PER_KIND = 20
"""At most this many of each kind are shown; the lists and their filters find the rest."""

# Patterns are compiled when something is looked for: this module is loaded as soon as a line is typed.
_KEY_SECRET = r"[A-Za-z0-9]{1,20}_(live|test)_\S{12,}"  # the prefix that may be shown is shorter
_LONG_RUN = r"[A-Za-z0-9]{28,}"
_LONGER_RUN = r"[A-Za-z0-9+_=-]{40,}"  # with lower-case and upper-case letters and digits
_KEY_ID = r"key_[0-9A-HJKMNP-TV-Z]{26}"
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TRACE_ID = r"[0-9a-f]{32}"  # without dashes; another vendor's key may look the same, but it is not one of ours
_PLAIN = rf"{_KEY_ID}|{_UUID}|{_TRACE_ID}"
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True)
class Sought:
    """What is looked for. For a secret this holds only its SHA-256, and `text` is empty."""

    kinds: tuple[Kind, ...]
    text: str = ""
    hash: bytes = field(default=b"", repr=False)

    @property
    def words(self) -> str:
        """What may be shown of it."""
        return "a secret, by its hash" if self.hash else self.text


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that the text belongs to. `tenant_id`: its tenant, None when it has none."""

    kind: Kind
    id: str
    tenant_id: str | None
    words: str
    state: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.tenant_id or ''}/{self.id}"


def _opens(found: Found) -> tuple[str, str] | None:
    """What enter shows: the thing, or the rows of the trail that a request or a person left."""
    if found.kind == "change":
        return "audit", f"?request:{found.id}"
    if found.kind == "operator":
        return "audit", f"?actor:{found.id}"
    if found.kind == "key":
        return "keys", found.id
    return None if found.tenant_id is None else ("tenants", found.tenant_id)


FOUND = ListOf(
    "find",
    Found,
    of=lambda plane, sought: Results(plane, sought),
    means="What a text belongs to: tenants, owners by the whole address, keys, projects, request ids, operators. "
    "A secret is hashed before it is looked for, and kept nowhere.",
    nothing="Nothing was found. Press f to look for something else.",
    label=lambda found: found.id,
    opens=_opens,
    operations=(),
    columns=(
        Column("kind", priority=1, width=8, title="WHAT"),
        Column("id", priority=2, width=18, grow=True),
        Column("words", priority=4, width=24, title="ABOUT", grow=True),
        Column("state", priority=3, width=16),
        Column("tenant", priority=5, width=14, field="tenant_id", grow=True, cell=lambda f, now: f.tenant_id or "–"),
    ),
)


class Finder(Protocol):
    async def look(self, sought: Sought) -> tuple[Found, ...]:
        """All that the text can belong to, exact matches first, at most MAX_FOUND_PER_KIND of each kind."""
        ...


class Results(MemoryList[Found]):
    """What was found. To read it from the start is to look again; a count does not look once more."""

    declared = FOUND

    def __init__(self, plane: ControlPlane, sought: Sought) -> None:
        self.plane = plane
        self.sought = sought
        self.found: tuple[Found, ...] | None = None

    async def rows(self) -> tuple[tuple[Found, ...], datetime]:
        if self.found is None:
            self.found = await self.plane.of(Finder).look(self.sought)
        return self.found, self.plane.clock.now()

    async def page(self, query: Query, *, start: Position | None = None, **more: Any) -> Page[Found]:
        if start is None:
            self.found = None
        return await super().page(query, start=start, **more)


def looks_secret(word: str) -> bool:
    """Whether it could be a key's secret or another long token: then it is not kept, shown or sent anywhere."""
    if re.search(r"\s", word) or re.fullmatch(_PLAIN, word, re.IGNORECASE):
        return False
    if re.fullmatch(_KEY_SECRET, word):
        return True
    return any(_mixed(run, "[0-9]", "[A-Za-z]") for run in re.findall(_LONG_RUN, word)) or any(
        _mixed(run, "[0-9]", "[A-Z]", "[a-z]") for run in re.findall(_LONGER_RUN, word)
    )


def _mixed(run: str, *kinds: str) -> bool:
    return all(re.search(kind, run) for kind in kinds)


def holds_secret(line: str) -> bool:
    return any(looks_secret(as_pasted(word)) for word in line.split())


def seek(text: str) -> Sought:
    """Raises Usage `find_unreadable`; the message never repeats the text."""
    text = text.strip()
    if looks_secret(alone := as_pasted(text)):
        return Sought(("secret",), hash=_sha256(alone))
    text = text.strip("'\"").strip()
    if not text:
        raise Usage("find_unreadable", "Say what to look for.", "Any part of a tenant, an e-mail, a key, an id.")
    if holds_secret(text):
        raise Usage("find_unreadable", "There is a secret among other words.", "Give it alone, and it is only hashed.")
    if len(text) > MAX_SOUGHT_CHARACTERS or not showable(text):
        raise Usage("find_unreadable", f"That is not one line of at most {MAX_SOUGHT_CHARACTERS} printable characters.")
    return Sought(_kinds(text), text)


def _kinds(text: str) -> tuple[Kind, ...]:
    if re.fullmatch(_KEY_ID, text, re.IGNORECASE):
        return ("key",)
    if re.fullmatch(rf"{_UUID}|{_TRACE_ID}", text, re.IGNORECASE):
        return ("change", "request", "tenant")
    if text.count("@") == 1 and not re.search(r"\s", text):
        return ("owner", "tenant", "operator")
    if re.fullmatch(rf"{_ID}/{_ID}", text):
        return ("project", "change", "request", "tenant")
    if re.search(r"\s", text):
        return ("tenant", "project", "key")
    return ("tenant", "project", "key", "change", "request", "operator")


def _sha256(text: str) -> bytes:
    import hashlib

    return hashlib.sha256(text.encode()).digest()
