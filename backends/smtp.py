"""Sends a mail through one mail server, over TLS unless that server is allowed to go without."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import aiosmtplib

from backends.http.client import of_tls
from backends.http.guard import Guard
from controlplane.deliveries.model import Answer, Mail, Trouble
from controlplane.deliveries.targets import PORTS, Origin
from controlplane.deliveries.verdicts import kept_text
from controlplane.text import clean

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """`security`: TLS begun by STARTTLS (port 587), from the start (465), or none. `user`: "" for no login."""

    host: str
    port: int = 587
    security: Security = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)


class Smtp:
    """A connection for each mail. `context`: the authorities to trust."""

    def __init__(self, server: MailServer, guard: Guard, context: ssl.SSLContext) -> None:
        self._server = server
        self._guard = guard
        self._context = context

    async def send(self, mail: Mail, seconds: float) -> Answer:
        """Within so many seconds. Raises Trouble."""
        start = time.monotonic()

        def took() -> float:
            return time.monotonic() - start

        try:
            async with asyncio.timeout(seconds):
                status, words = await self._send(mail)
        except Trouble as trouble:
            trouble.seconds = took()
            raise
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            raise Trouble("slow", f"The mail server did not take it within {seconds:g} s.", took()) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._trouble(error, took()) from None
        return Answer(status, self._kept(words), seconds=took(), protocol="smtp")

    async def _send(self, mail: Mail) -> tuple[int, str]:
        server = self._server
        self._check()
        connected = await self._guard.socket(server.host, server.port)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=connected,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._context if server.security != "none" else None,
            username=server.user or None,
            password=server.password or None,
            local_hostname="watchfloor",  # asked of the system it blocks, and tells the server our name
            timeout=None,
        )
        try:
            await client.connect()
            return await self._answer(client, mail)
        finally:
            client.close()  # and with it the socket, which is the transport's since it connected

    async def _answer(self, client: aiosmtplib.SMTP, mail: Mail) -> tuple[int, str]:
        try:
            _, words = await client.send_message(mail.message, sender=mail.sender, recipients=[mail.to])
        except aiosmtplib.SMTPRecipientsRefused as error:
            return error.recipients[0].code, error.recipients[0].message
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            return error.code, error.message
        if client.protocol is not None:
            with suppress(aiosmtplib.SMTPServerDisconnected):
                client.protocol.write(b"QUIT\r\n")  # not waited for: it has taken the mail, whatever comes now
        return 250, words

    def _check(self) -> None:
        """Raises Trouble `refused_here`."""
        server = self._server
        if Origin("smtp", server.host.lower(), server.port) in self._guard.allowed:
            return
        if server.security == "none":
            raise Trouble("refused_here", "Mail goes over TLS only, unless the profile allows that server.")
        if server.port not in PORTS["smtp"]:
            raise Trouble("refused_here", f"Port {server.port} is none of a mail server that takes mail for others.")

    def _kept(self, words: str) -> str:
        return kept_text(words, (self._server.password,))

    def _trouble(self, error: Exception, seconds: float) -> Trouble:
        words = clean(self._kept(str(error)) or type(error).__name__, 200).rstrip(".")
        if of_tls(error):
            return Trouble("tls", f"No secure connection could be made: {words}.", seconds)
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            return Trouble("login", f"The mail server does not let us in: {words}.", seconds)
        if isinstance(error, OSError) and not isinstance(error, aiosmtplib.SMTPResponseException):
            return Trouble("unreachable", f"The mail server cannot be reached: {words}.", seconds)
        return Trouble("protocol", f"The mail server cannot be used: {words}.", seconds)
