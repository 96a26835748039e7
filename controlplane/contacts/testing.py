"""A real delivery to somebody's own address, marked as a test: whether a page would reach them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.audit.model import Record
from controlplane.contacts.model import Contact
from controlplane.contacts.operations import CONTACT, Number, check_there
from controlplane.deliveries.endpoints import outcome_of_test, send_test_to
from controlplane.operations import Request, Risk, operation

if TYPE_CHECKING:
    from controlplane.changes import Change


class ContactTest(Request):
    id: Number


@operation(
    "contacts.test",
    ContactTest,
    role="support",
    risk=Risk.SAFE,
    key="y",
    on=CONTACT,
    check=check_there,
    writes="deliveries",
    completes=outcome_of_test,
)
async def test(change: Change, request: ContactTest, contact: Contact) -> Record:
    """Send a test to a contact: a real delivery marked TEST, by the first route of that channel."""
    made = await send_test_to(change, contact.id)
    return {"delivery": made.id, "person": contact.person, "channel": contact.channel}
