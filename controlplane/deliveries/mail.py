"""A notice as an e-mail: plain text, one recipient, and one thread for each alert."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from controlplane.deliveries.model import Mail, Notice, Text
from controlplane.errors import Usage
from controlplane.text import clean

MAX_SUBJECT = 200
MAX_ADDRESS = 254
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class MailTarget:
    """`sender` is the address of the installation."""

    address: str
    sender: str


def check_address(address: str) -> str:
    """Raises Usage `mail_address`."""
    if len(address) > MAX_ADDRESS or not _ADDRESS.fullmatch(address):
        raise Usage(
            "mail_address",
            "This is not an e-mail address that can be sent to.",
            f"Write name@host.example: one address, in ASCII, of at most {MAX_ADDRESS} characters.",
        )
    return address


def notice_mail(notice: Notice, text: Text, target: MailTarget, at: datetime) -> Mail:
    """`at`: when this attempt begins. Raises as `check_address` does."""
    to, sender = check_address(target.address), check_address(target.sender)
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Watchfloor <{sender}>"
    message["To"] = to
    message["Subject"] = clean(text.title, MAX_SUBJECT)
    message["Date"] = format_datetime(at)
    # The same in every attempt: most mail servers show a message that they get twice once.
    message["Message-ID"] = f"<{_token(notice.key)}@{domain}>"
    message["References"] = f"<{_token(notice.thread)}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes come back
    message.set_content(f"{text.body}\n\ndelivery: {clean(notice.key, 200)}\n")
    return Mail(to, sender, message)


def _token(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]
