"""The requests of the operations on keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from controlplane.audit.model import Record
from controlplane.errors import Usage
from controlplane.formatting import parse_duration
from controlplane.keys.model import Env
from controlplane.keys.pasted import as_pasted
from controlplane.operations import Request
from controlplane.plans.currencies import money, read_money
from controlplane.tenants.operations import Email, Id, Readable, Version, Word, readable

KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the key's id, key_…")]
NEVER, NO_CAP = "never", "none"
MAX_SPEND_CAP = 2**63 - 1


def instant(text: str, now: datetime) -> datetime | None:
    """The time that "90d", "0" or "2027-01-01T00:00:00Z" means from `now`; None for "never". Raises ValueError."""
    if text == NEVER:
        return None
    if text == "0":
        return now
    if text[4:5] == "-":
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
    try:
        return now + timedelta(seconds=parse_duration(text))
    except Usage as fault:
        raise ValueError(f"{fault.message} {fault.hint}") from None


def _timely(value: str | None) -> str | None:
    """A time is written out in full, with its zone, so that the home reads it alike."""
    if value is None:
        return None
    at = instant(value, datetime.fromisoformat("2000-01-01T00:00:00+00:00"))
    return at.isoformat() if at is not None and value[4:5] == "-" else value


class OneKey(Request):
    """A key, at the version that was seen."""

    id: KeyId
    version: Version


class KeyFacts(Request):
    """The fields that can be changed later."""

    personal = ("owner_email",)
    label: Annotated[
        Annotated[str, Field(max_length=200), Readable] | None, Field(default=None, description="what it is for")
    ]
    owner_email: Email | None = None
    scopes: Annotated[
        list[Word] | None,
        Field(default=None, max_length=100, description="what it may do; what is not named is denied"),
    ]
    addresses: Annotated[
        list[str] | None,
        Field(default=None, max_length=100, description="where it may be used from, 10.0.0.0/8; empty: anywhere"),
    ]
    spend_cap: Annotated[
        int | str | None,
        Field(default=None, description="per month: 5000, in minor units, or 50.00 EUR; none: no cap"),
    ]

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: list[str] | None) -> list[str] | None:
        for scope in value or []:
            if " " in readable(scope):
                raise ValueError("a scope has no blanks")
        return None if value is None else list(dict.fromkeys(value))

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else list(dict.fromkeys(str(ip_network(address)) for address in value))

    @field_validator("spend_cap")
    @classmethod
    def _cap(cls, value: int | str | None) -> int | str | None:
        """Minor units; or an amount with all its decimals and its currency."""
        if value is None or value == NO_CAP:
            return value
        named = not str(value).removeprefix("-").isdecimal()
        try:
            amount, currency = read_money(str(value)) if named else (int(value), None)
        except Usage as fault:
            raise ValueError(f"{fault.message} {fault.hint}".rstrip()) from None
        if not 0 <= amount <= MAX_SPEND_CAP:
            raise ValueError("a cap is 0 or more")
        return money(amount, currency) if named else amount

    def columns(self) -> Record:
        """What was given, as columns; an empty e-mail removes it. A cap that names its currency stays a text."""
        given = self.model_dump(include=set(KeyFacts.model_fields), exclude_none=True)
        if "owner_email" in given:
            given["owner_email"] = given["owner_email"] or None
        if given.get("spend_cap") == NO_CAP:
            given["spend_cap"] = None
        return given


class KeyCreate(KeyFacts):
    subject = ("tenant_id",)
    makes_a = "key"
    tenant_id: Annotated[Id, Field(description="the tenant")]
    env: Annotated[Env, Field(default="live", description="live or test")]
    project_id: Annotated[Id | None, Field(default=None, description="only for this project of the tenant")]
    expires_in: Annotated[str | None, Field(default=None, description="90d; default: never")]

    @field_validator("expires_in")
    @classmethod
    def _lives(cls, value: str | None) -> str | None:
        if value == "0":
            raise ValueError("a key must live longer than that")
        return _timely(value)


class KeyRegister(KeyCreate):
    display: Annotated[
        str,
        Field(min_length=1, max_length=24, description="its first characters, to recognise it by; never all"),
        Readable,
    ]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="the SHA-256 of the secret, in hex")]

    @field_validator("sha256", mode="before")
    @classmethod
    def _hex(cls, value: object) -> object:
        """Checked before the pattern, whose message would be that of an id."""
        value = as_pasted(value) if isinstance(value, str) else value
        if not isinstance(value, str) or len(value) != 64 or set(value.lower()) - set("0123456789abcdef"):
            raise ValueError("64 hex digits: printf %s SECRET | sha256sum")
        return value.lower()

    @model_validator(mode="after")
    def _no_secret(self) -> KeyRegister:
        from hashlib import sha256

        if sha256(self.display.encode()).hexdigest() == self.sha256:
            raise ValueError("display is the whole secret; give its first characters only")
        return self


class KeyEdit(KeyFacts):
    id: KeyId
    version: Version
    expires: Annotated[str | None, Field(default=None, description="from now on (90d), a time, or never")]

    _expires = field_validator("expires")(_timely)

    @model_validator(mode="after")
    def _something(self) -> KeyEdit:
        if not self.columns() and self.expires is None:
            raise ValueError("nothing to change was given")
        return self


class KeyRotate(OneKey):
    grace: Annotated[str, Field(default="24h", description="how long the old key stays valid: 0, 1h, 24h, 7d …")]

    _grace = field_validator("grace")(_timely)

    @field_validator("grace")
    @classmethod
    def _ends(cls, value: str) -> str:
        if value == NEVER:
            raise ValueError("a grace must end")
        return value


class KeyGrace(KeyRotate):
    grace: Annotated[str, Field(description="how long from now (0 ends it), or until when")]
