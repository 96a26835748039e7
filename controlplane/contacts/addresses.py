"""A person's address on a channel: checked when it is saved, kept encrypted, and read before each attempt.

It is written as a route's target is, but on Slack: there it is the person's member id, and they are mentioned where the
route tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from controlplane.contacts.refusals import CONTACT_ADDRESS
from controlplane.deliveries.channels import Target
from controlplane.deliveries.slack import SlackTarget
from controlplane.deliveries.targets import Allowed
from controlplane.encryption import Place
from controlplane.errors import Refusal, Usage
from controlplane.routes.secrets import Channel, Checked, check_target, shown_of, target_of

MEMBER_SHOWN = "a member"
_MEMBER = re.compile(r"[UW][A-Z0-9]{5,30}")


def check_address(channel: Channel, address: str, allowed: Allowed) -> Checked:
    """Raises Usage, Refusal, which repeat nothing of it."""
    if channel != "slack":
        return check_target(channel, address, {}, "standard", allowed)
    if not _MEMBER.fullmatch(address):
        raise Usage(
            "slack_member",
            "This is not the id of a member of Slack.",
            "It is in the member's profile, under More: U012AB3CD.",
        )
    return Checked(MEMBER_SHOWN, {"member": address})


def address_target(channel: str, text: str, shown: str, route: Target, signing: Sequence[str], sender: str) -> Target:
    """`text`: the decrypted address; `route`: the route's own target; the rest as of `target_of`. It is sent to only
    where its contact shows it.

    Raises Refusal `contact_address_unfit`.
    """
    try:
        if channel == "slack":
            member = json.loads(text)["member"]
            if _MEMBER.fullmatch(member) and isinstance(route, SlackTarget):
                return replace(route, member=member)
        elif shown_of(channel, text) == shown:
            return target_of(channel, text, signing, sender)
    except (ValueError, KeyError, TypeError, Refusal):
        pass
    raise CONTACT_ADDRESS()


def place_of(contact: int, channel: str) -> Place:
    """What an address is bound to: it decrypts as no other one, and of no other contact."""
    return Place("wf.contact_secrets", str(contact), channel)
