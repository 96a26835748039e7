"""What a channel needs to reach its target: checked when it is saved, kept encrypted, and read before each attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane import jsontext
from controlplane.deliveries.channels import Target
from controlplane.deliveries.drill import DrillTarget, check_file
from controlplane.deliveries.mail import MailTarget, check_address
from controlplane.deliveries.pagerduty import URL, URL_EU, PagerDutyTarget, check_routing_key
from controlplane.deliveries.slack import SlackTarget
from controlplane.deliveries.targets import NOTHING_ALLOWED, Allowed, check_url, shown_target
from controlplane.deliveries.webhook import WebhookTarget, check_headers
from controlplane.routes.refusals import ROUTE_TARGET
from controlplane.text import clean

Channel = Literal["webhook", "slack", "pagerduty", "mail", "drill"]
CHANNELS: tuple[Channel, ...] = ("webhook", "slack", "pagerduty", "mail", "drill")
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """A target that can be saved. `shown` tells nothing of its secret."""

    shown: str
    document: Document = field(repr=False)


def check_target(channel: Channel, target: str, headers: Mapping[str, str], form: str, allowed: Allowed) -> Checked:
    """`target`: of a webhook and of Slack the URL, of PagerDuty the routing key ("eu:…" in Europe), of mail the
    address, of a drill a file's name or "-". Raises Usage, Refusal, which repeat nothing of it.
    """
    if channel != "webhook" and (headers or form != "standard"):
        raise ROUTE_TARGET("Only a webhook has headers and a form.")
    match channel:
        case "webhook":
            check_url(target, allowed)
            return Checked(shown_target(target), {"url": target, "headers": dict(check_headers(headers)), "form": form})
        case "slack":
            check_url(target, allowed)
            return Checked(shown_target(target), {"url": target})
        case "pagerduty":
            key = check_routing_key(target.removeprefix("eu:"))
            eu = target.startswith("eu:")
            return Checked(f"a routing key{' (EU)' if eu else ''}", {"key": key, "eu": eu})
        case "mail":
            address = check_address(target)
            name, _, host = address.rpartition("@")
            return Checked(f"{name[:1]}…@{host}", {"address": address})
        case "drill":
            file = "" if target == "-" else check_file(target)
            return Checked(file or "standard output", {"file": file})


def as_text(document: Document) -> str:
    return jsontext.write(document).decode()


def target_of(channel: str, text: str, signing: Sequence[str], sender: str) -> Target:
    """`text`: the decrypted target; `signing`: the secrets that are active, the newest first; `sender`: of mails.

    Raises Refusal `route_target` for a target that cannot be read.
    """
    try:
        document = json.loads(text)
        match channel:
            case "webhook":
                headers = tuple((str(name), str(value)) for name, value in document["headers"].items())
                return WebhookTarget(document["url"], tuple(signing), headers, document["form"])
            case "slack":
                return SlackTarget(document["url"])
            case "pagerduty":
                return PagerDutyTarget(document["key"], URL_EU if document["eu"] else URL)
            case "mail":
                return MailTarget(document["address"], sender)
            case "drill":
                return DrillTarget(document["file"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ROUTE_TARGET(f"The target of this {clean(channel, 20)} cannot be read.")


def shown_of(channel: str, text: str) -> str:
    """As `check_target` showed it: a target is sent to only where its route shows it."""
    try:
        document = json.loads(text)
        match channel:
            case "webhook" | "slack":
                return shown_target(document["url"])
            case "pagerduty":
                named = f"{'eu:' if document['eu'] else ''}{document['key']}"
                return check_target("pagerduty", named, {}, "standard", NOTHING_ALLOWED).shown
            case "mail":
                return check_target("mail", document["address"], {}, "standard", NOTHING_ALLOWED).shown
            case "drill":
                return check_target("drill", document["file"] or "-", {}, "standard", NOTHING_ALLOWED).shown
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ROUTE_TARGET(f"The target of this {clean(channel, 20)} cannot be read.")
