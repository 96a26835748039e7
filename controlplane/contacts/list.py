"""The list of contacts: where each person is paged."""

from __future__ import annotations

from controlplane.contacts.model import Contact, ContactDirectory
from controlplane.contacts.refusals import NO_CONTACT
from controlplane.lists import ID, TIME, Column, ListOf, choice
from controlplane.routes.secrets import CHANNELS
from controlplane.text import clean

CONTACTS: ListOf[Contact] = ListOf(
    "contacts",
    Contact,
    of=lambda plane: plane.of(ContactDirectory),
    order="person",
    summary="List where people are paged.",
    means="Where each person is paged, by channel. Without an address, the page goes to the route's own target.",
    nothing="Nobody has an address: pages go to the targets of their routes. Press a, then n, to add yours.",
    missing=NO_CONTACT,
    label=lambda contact: f"{contact.person} on {contact.channel}",
    search=lambda contact: (contact.person, contact.target),
    few=True,
    columns=(
        Column("person", priority=1, width=16, grow=True, sorts=True),
        Column("channel", choice(*CHANNELS), priority=2, width=10, sorts=True),
        Column("target", filters=False, priority=3, width=20, grow=True, title="ADDRESS",
               value=lambda c: clean(c.target, 300)),
        Column("since", TIME, priority=4, field="target_at", sorts=True),
        Column("by", priority=5, width=12, field="created_by"),
        Column("id", ID, priority=6, width=4, title="NO", value=lambda c: c.key),
    ),
)  # fmt: skip
