"""A person's address on a channel: what is taken, and when it may be sent to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controlplane.contacts.addresses import MEMBER_SHOWN, address_target, check_address, place_of
from controlplane.deliveries.channels import Target
from controlplane.deliveries.mail import MailTarget
from controlplane.deliveries.slack import SlackTarget
from controlplane.deliveries.targets import NOTHING_ALLOWED
from controlplane.errors import Refusal, Usage
from controlplane.routes.secrets import as_text

SLACK = SlackTarget("https://hooks.slack.example/T1")
MEMBER = '{"member": "U012AB3CD"}'
MAIL = '{"address": "ana@acme.example"}'


@pytest.mark.parametrize("member", ["U01234", "W0A1B2", "U" + "A" * 30])
def test_on_slack_it_is_the_id_of_a_member(member: str) -> None:
    checked = check_address("slack", member, NOTHING_ALLOWED)
    assert checked.shown == MEMBER_SHOWN and checked.document == {"member": member}


@pytest.mark.parametrize(
    "member", ["", "U0123", "U" + "A" * 31, "u012ab3cd", "C012AB3CD", "<@U012AB3CD>", "U012AB3CD\n"]
)
def test_what_is_no_member_is_refused_without_being_repeated(member: str) -> None:
    with pytest.raises(Usage) as refused:
        check_address("slack", member, NOTHING_ALLOWED)
    assert refused.value.code == "slack_member" and (not member or member not in str(refused.value))


def test_elsewhere_it_is_written_as_a_target_is() -> None:
    checked = check_address("mail", "ana@acme.example", NOTHING_ALLOWED)
    assert checked.shown == "a…@acme.example"
    sent = address_target("mail", as_text(checked.document), checked.shown, SLACK, (), "wf@acme.example")
    assert sent == MailTarget("ana@acme.example", "wf@acme.example")


def test_a_member_is_mentioned_where_the_route_tells() -> None:
    assert address_target("slack", MEMBER, MEMBER_SHOWN, SLACK, (), "") == replace(SLACK, member="U012AB3CD")


@pytest.mark.parametrize(
    ("channel", "text", "shown", "route"),
    [
        ("mail", MAIL, "b…@acme.example", SLACK),
        ("mail", '{"address": 5}', "a…@acme.example", SLACK),
        ("mail", "{}", "a…@acme.example", SLACK),
        ("mail", "no JSON", "a…@acme.example", SLACK),
        ("slack", MEMBER, MEMBER_SHOWN, MailTarget("a@b.c", "d@e.f")),
        ("slack", '{"member": "<!channel>"}', MEMBER_SHOWN, SLACK),
        ("slack", '{"member": null}', MEMBER_SHOWN, SLACK),
        ("slack", MAIL, MEMBER_SHOWN, SLACK),
    ],
)
def test_nothing_is_sent_to_what_its_contact_does_not_show(channel: str, text: str, shown: str, route: Target) -> None:
    with pytest.raises(Refusal) as refused:
        address_target(channel, text, shown, route, (), "wf@acme.example")
    assert refused.value.code == "contact_address_unfit" and "acme" not in str(refused.value)


def test_an_address_decrypts_only_in_its_own_place() -> None:
    places = {place_of(1, "mail"), place_of(2, "mail"), place_of(1, "slack")}
    assert len(places) == 3 and place_of(1, "mail") == place_of(1, "mail")
