"""The protocol of NATS, as far as requests and their answers go: one connection, many requests under way at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_LINE = 1 << 20
MAX_BODY = 64 << 20


@dataclass(frozen=True)
class Login:
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Answer:
    """`status`: "503" when nobody answers there."""

    status: str
    body: bytes


class Lost(Exception):
    """The connection is gone, or never was; or what came is no NATS."""


class NatsLine:
    """Open it with `open`; every method raises Lost. Close it after a Lost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._inbox = f"_INBOX.{secrets.token_hex(12)}"
        self._number = 0

    @classmethod
    async def open(cls, host: str, port: int, login: Login, *, tls: bool) -> NatsLine:
        context = ssl.create_default_context() if tls else None
        try:
            reader, writer = await asyncio.open_connection(host, port, limit=MAX_LINE)
            line = cls(reader, writer)
            info = await line._info()
            if tls or info.get("tls_required"):
                await writer.start_tls(context or ssl.create_default_context(), server_hostname=host)
            await line._greet(login)
        except OSError as error:
            raise Lost(error.strerror or str(error) or type(error).__name__) from None
        return line

    async def ask(self, requests: Sequence[tuple[str, bytes, Mapping[str, str]]]) -> list[Answer]:
        """Each request is a subject, a body and headers; their answers, in that order."""
        waiting: dict[str, int] = {}
        for place, (subject, body, headers) in enumerate(requests):
            self._number += 1
            reply = f"{self._inbox}.{self._number}"
            waiting[reply] = place
            self._writer.write(_published(subject, reply, body, headers))
        found: list[Answer | None] = [None] * len(requests)
        try:
            await self._writer.drain()
            while waiting:
                subject, answer = await self._next()
                place = waiting.pop(subject, -1)
                if place >= 0:
                    found[place] = answer
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise Lost(str(error) or type(error).__name__) from None
        return [each for each in found if each is not None]

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _info(self) -> dict[str, Any]:
        first = await self._reader.readline()
        if not first.startswith(b"INFO "):
            raise Lost("what answers there is no NATS")
        try:
            said = json.loads(first[5:])
        except ValueError:
            raise Lost("what answers there is no NATS") from None
        return said if isinstance(said, dict) else {}

    async def _greet(self, login: Login) -> None:
        said: dict[str, Any] = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "protocol": 1,
                                "name": "watchfloor", "headers": True, "no_responders": True}  # fmt: skip
        if login.user:
            said |= {"user": login.user, "pass": login.password}
        if login.token:
            said["auth_token"] = login.token
        self._writer.write(f"CONNECT {json.dumps(said)}\r\nSUB {self._inbox}.* 1\r\nPING\r\n".encode())
        await self._writer.drain()
        try:
            while not (line := await self._reader.readline()).startswith(b"PONG"):
                self._check(line)
        except ValueError:
            raise Lost("what answers there is no NATS") from None

    async def _next(self) -> tuple[str, Answer]:
        """The next message for us."""
        while True:
            line = await self._reader.readline()
            words = line.split()
            if line.startswith(b"PING"):
                self._writer.write(b"PONG\r\n")
            elif line.startswith(b"MSG "):
                return words[1].decode(), Answer("", await self._body(int(words[-1])))
            elif line.startswith(b"HMSG "):
                head, whole = int(words[-2]), int(words[-1])
                read = await self._body(whole)
                status = read[:head].split(b"\r\n", 1)[0].split(b" ")
                return words[1].decode(), Answer(status[1].decode() if len(status) > 1 else "", read[head:])
            else:
                self._check(line)

    async def _body(self, size: int) -> bytes:
        if not 0 <= size <= MAX_BODY:
            raise ValueError("an answer is too large")
        return (await self._reader.readexactly(size + 2))[:-2]

    def _check(self, line: bytes) -> None:
        if not line:
            raise Lost("it hung up")
        if line.startswith(b"-ERR"):
            raise Lost(line[5:].decode("utf-8", "replace").strip().strip("'"))


def _published(subject: str, reply: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    if any(character in subject for character in " \r\n\t"):
        raise Lost("a subject cannot hold a blank")
    if not headers:
        return f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if not {"\r", "\n"} & set(name + value))
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    return f"HPUB {subject} {reply} {len(head)} {len(head) + len(body)}\r\n".encode() + head + body + b"\r\n"
