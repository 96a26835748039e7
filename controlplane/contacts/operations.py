"""Where people are paged: each sets their own addresses, an admin everybody's. The home guards the same."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from controlplane.audit.model import Record
from controlplane.contacts.addresses import check_address, place_of
from controlplane.contacts.model import Contact, ContactStore
from controlplane.contacts.refusals import CONTACT_REMOVED
from controlplane.errors import Usage
from controlplane.operations import Request, Risk, Subject, operation
from controlplane.operators.model import Operator
from controlplane.operators.operations import LoginName
from controlplane.routes.secrets import Channel, Checked, as_text
from controlplane.tenants.operations import Version

if TYPE_CHECKING:
    from controlplane.changes import Change

Number = Annotated[int, Field(ge=1, description="the contact's number")]
Address = Annotated[
    str,
    Field(
        default="",
        max_length=2048,
        repr=False,
        description="mail address, Slack member id, PagerDuty key, webhook URL, or a drill's file",
    ),
]


class ContactAdd(Request):
    subject = ("person",)
    makes_a = "address"
    personal = ("address",)
    person: LoginName
    channel: Annotated[Channel, Field(description="pages by routes of this channel go there")]
    address: Address


class ContactEdit(Request):
    personal = ("address",)
    id: Number
    version: Version
    address: Address


class OneContact(Request):
    id: Number
    version: Version


CONTACT = Subject(Contact, lambda change, request: change.of(ContactStore).lock(request.id))


def check_there(contact: Contact, now: datetime) -> None:
    """Raises Refusal `contact_removed`."""
    if contact.removed_at is not None:
        raise CONTACT_REMOVED()


def _result(contact: Contact) -> Record:
    told = ("id", "person", "channel", "target", "version")
    return {name: getattr(contact, name) for name in told}


def _checked(change: Change, channel: Channel, address: str) -> Checked:
    if not address:
        raise Usage("contact_address_needed", "Give the address.", "--address-from env:NAME (or file:, keyring:, -).")
    return check_address(channel, address, change.sealing.allowed)


async def _keep(change: Change, contact: Contact, checked: Checked) -> None:
    keys = await change.sealing.keys()
    stored = keys.encrypt(as_text(checked.document), place_of(contact.id, contact.channel))
    await change.of(ContactStore).put_address(contact.id, stored)


@operation(
    "contacts.add",
    ContactAdd,
    role="support",
    risk=Risk.CONFIRM,
    key="n",
    undo="contacts.remove",
    begins={Operator: lambda rows: {"person": rows[0].name}, Contact: lambda rows: {"person": rows[0].person}},
)
async def add(change: Change, request: ContactAdd) -> Record:
    """Add a contact: where somebody is paged by the routes of a channel; yourself, or as an admin anybody."""
    checked = _checked(change, request.channel, request.address)
    columns = {"person": request.person, "channel": request.channel, "target": checked.shown}
    contact = await change.of(ContactStore).create(columns)
    await _keep(change, contact, checked)
    return _result(contact)


@operation(
    "contacts.edit",
    ContactEdit,
    role="support",
    risk=Risk.CONFIRM,
    key="e",
    on=CONTACT,
    check=check_there,
    way_back="Edit it again: the old address is not kept.",
)
async def edit(change: Change, request: ContactEdit, contact: Contact) -> Record:
    """Change a contact's address."""
    checked = _checked(change, contact.channel, request.address)  # type: ignore[arg-type]
    columns = {"target": checked.shown, "target_at": change.now}
    changed = await change.of(ContactStore).update(contact.id, columns)
    await _keep(change, changed, checked)
    return _result(changed)


@operation(
    "contacts.remove",
    OneContact,
    role="support",
    risk=Risk.CONFIRM,
    key="x",
    on=CONTACT,
    check=check_there,
    way_back="Add it again: a removed address is not kept.",
)
async def remove(change: Change, request: OneContact, contact: Contact) -> Record:
    """Remove a contact: that person's pages on that channel go to the route's own target."""
    return _result(await change.of(ContactStore).update(contact.id, {"removed_at": change.now}))
