"""Mail to a real server: over TLS, to one person, and with its words about what went wrong."""

from __future__ import annotations

import email
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.policy import SMTP
from typing import Any

import pytest

from backends.http.guard import Guard
from backends.smtp import MailServer, Security, Smtp
from controlplane.deliveries.channels import prepare
from controlplane.deliveries.mail import MailTarget
from controlplane.deliveries.model import Answer, Mail, Trouble
from controlplane.deliveries.targets import read_allowed
from controlplane.deliveries.verdicts import verdict_of
from controlplane.deliveries.words import built_in
from tests.controlplane.notices import SENT, notice
from tests.receivers import Authority, Mailbox, mail_server

NAME = "mail.test"
PATIENCE = 0.3


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> ssl.SSLContext:
    return authority.server(NAME)


def mail(**changes: Any) -> Mail:
    told = notice(**changes)
    prepared = prepare(told, built_in(told), MailTarget("ana@example.com", "watchfloor@ops.example"), SENT)
    assert isinstance(prepared, Mail)
    return prepared


async def loopback(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


def smtp(
    mailbox: Mailbox, authority: Authority, security: Security = "starttls", user: str = "", allowed: bool = True
) -> Smtp:
    origins = read_allowed([f"smtp://{NAME}:{mailbox.port}"] if allowed else [])
    made = MailServer(NAME, mailbox.port, security, user, "s3cret" if user else "")
    return Smtp(made, Guard(origins, loopback), authority.trusted())


async def failed(made: Smtp, seconds: float = 10.0) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await made.send(mail(), seconds)
    assert caught.value.words.isprintable() and "s3cret" not in caught.value.words
    return caught.value


def judged(outcome: Answer | Trouble) -> str:
    return verdict_of(outcome, datetime.now(UTC)).state


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_arrives_over_tls(authority: Authority, server: ssl.SSLContext, security: Security) -> None:
    async with mail_server(server, implicit=security == "tls") as mailbox:
        made = smtp(mailbox, authority, security, user="ana")
        answer = await made.send(mail(summary="x\r\nBcc: eve@example.com\r\n\r\n.\r\nbody", test=True), 10)
    assert (answer.status, answer.text, answer.protocol) == (250, "queued as 41", "smtp")
    assert judged(answer) == "delivered" and answer.seconds > 0
    assert mailbox.logins == ["\0ana\0s3cret"]
    read = email.message_from_bytes(mailbox.mails[0], policy=SMTP)
    assert read["subject"] == "TEST [CRITICAL] x␍␊Bcc: eve@example.com␍␊␍␊.␍␊body" and read["bcc"] is None
    envelope = [each.partition(">")[0] for each in mailbox.commands if each.startswith(("MAIL", "RCPT"))]
    assert envelope == ["MAIL FROM:<watchfloor@ops.example", "RCPT TO:<ana@example.com"]
    assert mailbox.commands[0] == "EHLO watchfloor"


async def test_without_tls_nothing_is_said(authority: Authority, server: ssl.SSLContext) -> None:
    """Neither password nor mail goes to a server that does not offer it, or shows another's certificate."""
    async with mail_server(None) as mailbox:
        assert "STARTTLS extension not supported" in (await failed(smtp(mailbox, authority, user="ana"))).words
        assert mailbox.commands[0] == "EHLO watchfloor" and not mailbox.mails and not mailbox.logins
    for context in (authority.server("other.test"), Authority().server(NAME)):
        for security in ("starttls", "tls"):
            async with mail_server(context, implicit=security == "tls") as mailbox:
                trouble = await failed(smtp(mailbox, authority, security, user="ana"))  # type: ignore[arg-type]
            assert trouble.kind == "tls" and judged(trouble) == "retry"
            assert not mailbox.mails and not mailbox.logins


async def test_plain_only_where_the_profile_allows_it(authority: Authority) -> None:
    async with mail_server(None) as mailbox:
        refused = await failed(smtp(mailbox, authority, "none", allowed=False))
        assert refused.kind == "refused_here" and "TLS only" in refused.words and judged(refused) == "refused"
        assert not mailbox.commands
        assert (await smtp(mailbox, authority, "none").send(mail(), 10)).status == 250


async def test_a_mail_server_is_guarded_as_a_receiver_is(authority: Authority, server: ssl.SSLContext) -> None:
    async with mail_server(server) as mailbox:
        assert "Port" in (await failed(smtp(mailbox, authority, allowed=False))).words
        assert not mailbox.commands
    for port in (587, 465):
        made = Smtp(MailServer(NAME, port), Guard(resolve=loopback), authority.trusted())
        trouble = await failed(made)
        assert (
            trouble.kind == "refused_here"
            and f"{NAME} is at 127.0.0.1, which is loopback: notices go to public addresses only." in trouble.words
        )


@pytest.mark.parametrize(
    ("answers", "status", "state"),
    [
        ({"rcpt": b"550 5.1.1 no such person \x1b[2J\r\n"}, 550, "refused"),
        ({"rcpt": b"451 greylisted\r\n"}, 451, "retry"),
        ({"mail": b"553 not from you\r\n"}, 553, "refused"),
        ({"data": b"554 no\r\n"}, 554, "refused"),
        ({"end": b"552-too\r\n552 large\r\n"}, 552, "refused"),
        ({"end": b"452 full\r\n"}, 452, "retry"),
    ],
)
async def test_what_the_server_says_no_to_is_kept(
    authority: Authority, server: ssl.SSLContext, answers: dict[str, bytes], status: int, state: str
) -> None:
    async with mail_server(server, **answers) as mailbox:
        answer = await smtp(mailbox, authority).send(mail(), 10)
    assert (answer.status, judged(answer)) == (status, state)
    assert answer.text and all(line.isprintable() for line in answer.text.split("\n"))


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ({"auth": b"535 5.7.8 bad credentials for s3cret\r\n"}, "login"),
        ({"greeting": b"554 go away\r\n"}, "protocol"),
        ({"greeting": b"421 busy\r\n"}, "protocol"),
        ({"greeting": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "protocol"),
        ({"greeting": b"a" * 100_000 + b"\r\n"}, "protocol"),
        ({"ehlo": b"\xff\xfe\r\n"}, "protocol"),
        ({"starttls": b"454 not now\r\n"}, "protocol"),
    ],
)
async def test_a_server_that_does_not_let_us_in_is_tried_again(
    authority: Authority, server: ssl.SSLContext, answers: dict[str, bytes], kind: str
) -> None:
    async with mail_server(server, **answers) as mailbox:
        trouble = await failed(smtp(mailbox, authority, user="ana"))
    assert (trouble.kind, judged(trouble)) == (kind, "retry") and not mailbox.mails


async def test_one_that_says_nothing_is_left_in_time(authority: Authority, server: ssl.SSLContext) -> None:
    for verb in ("greeting", "ehlo", "rcpt", "end"):
        async with mail_server(server, **{verb: b""}) as mailbox:
            trouble = await failed(smtp(mailbox, authority), PATIENCE)
        assert trouble.kind == "slow" and judged(trouble) == "retry", verb


async def test_one_that_is_down_is_tried_again(authority: Authority, server: ssl.SSLContext) -> None:
    async with mail_server(server) as mailbox:
        pass
    trouble = await failed(smtp(mailbox, authority))
    assert trouble.kind == "unreachable" and judged(trouble) == "retry"


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n", b"500 no\r\n"])
async def test_a_server_that_does_not_say_goodbye_has_the_mail_all_the_same(
    authority: Authority, server: ssl.SSLContext, answer: bytes
) -> None:
    async with mail_server(server, quit=answer) as mailbox:
        assert (await smtp(mailbox, authority).send(mail(), 10)).status == 250
    assert len(mailbox.mails) == 1


def test_no_password_is_in_its_words() -> None:
    assert "s3cret" not in repr(MailServer(NAME, user="ana", password="s3cret"))
