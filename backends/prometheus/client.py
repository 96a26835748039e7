"""Asks a Prometheus over HTTP; its answer is not trusted to be fast, small, or from a Prometheus."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

from backends.prometheus import mapping
from backends.prometheus.answers import Answer, answer_of
from controlplane.errors import Refusal
from controlplane.secrets import Secret
from controlplane.text import clean

MAX_ANSWER_BYTES = 8 << 20
MAX_SERIES = 1000
BUSY = (408, 425, 429)
"""Statuses below 500 that mean: not now."""
SHORTER = "Ask for a shorter window or less at once, or raise the timeout in the mapping file."
NARROWER = "Its query in the mapping file must sum by one label: sum by (code) (…)."


class Client:
    """One connection pool to one Prometheus. The first query opens it and looks up the secret.

    `secret` may block; None: no secret is needed.
    """

    def __init__(self, source: mapping.Mapping, secret: Callable[[], Secret] | None = None) -> None:
        self.source = source
        self._secret = secret
        self._http: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def range(self, query: str, start: datetime, end: datetime, seconds: int) -> Answer:
        """The values at start, start + seconds, … end.

        Raises Refusal: `prometheus_unreachable`, `prometheus_slow`, `prometheus_refused`, `prometheus_too_wide`,
        `prometheus_unreadable`, and what looking up its secret raises.
        """
        form = {
            "query": query,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": str(seconds),
            "timeout": f"{math.ceil(self.source.timeout * 1000)}ms",  # its durations are whole numbers
        }
        try:
            async with asyncio.timeout(self.source.timeout):
                status, body = await self._post("/api/v1/query_range", form)
        except TimeoutError:
            raise Refusal(
                "prometheus_slow",
                f"Prometheus at {self.source.host} gave no answer within {self.source.timeout:g} s.",
                SHORTER,
            ) from None
        except httpx.HTTPError as error:
            raise Refusal(
                "prometheus_unreachable",
                f"Prometheus at {self.source.host} cannot be asked: {clean(str(error) or type(error).__name__, 120)}.",
                "What the home itself has is shown without source:prometheus.",
            ) from None
        return await asyncio.to_thread(self._read, status, body)

    async def _post(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        http = self._http or await self._open()
        body = bytearray()
        async with http.stream("POST", self.source.url.rstrip("/") + path, data=form) as response:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_ANSWER_BYTES:
                    raise self._too_wide(f"more than {MAX_ANSWER_BYTES >> 20} MB")
        return response.status_code, bytes(body)

    async def _open(self) -> httpx.AsyncClient:
        secret = None if self._secret is None else (await asyncio.to_thread(self._secret)).value
        if secret and not secret.isprintable():  # the HTTP library's own error would repeat the secret
            raise Refusal("secret_unusable", "The password or token of Prometheus holds characters no header can hold.")
        auth = httpx.BasicAuth(self.source.user, secret) if secret and self.source.user else None
        headers = {b"Authorization": f"Bearer {secret}".encode()} if secret and not self.source.user else {}
        self._http = httpx.AsyncClient(auth=auth, headers=headers, timeout=None)
        return self._http

    def _read(self, status: int, body: bytes) -> Answer:
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            said = None
        if status in (401, 403):
            raise Refusal(
                "prometheus_refused",
                f"Prometheus at {self.source.host} does not let us in ({status}).",
                "Check user, password or token in the mapping file.",
            )
        failed = isinstance(said, dict) and said.get("status") == "error"
        words = clean(str(said.get("error", "")), 300) if failed else ""
        if failed and said.get("errorType") == "timeout":
            raise Refusal("prometheus_slow", f"Prometheus at {self.source.host} took too long: {words}", SHORTER)
        if status in BUSY or status >= 500:
            raise Refusal(
                "prometheus_unreachable",
                f"Prometheus at {self.source.host} is not ready ({status}){words and ': '}{words or '.'}",
                "It is starting or overloaded, or the proxy in front cannot reach it: try again in a moment.",
            )
        if failed:
            raise Refusal("prometheus_refused", f"Prometheus at {self.source.host} refused the query: {words}")
        if status != 200 or not isinstance(said, dict) or said.get("status") != "success":
            raise self._unreadable(f"HTTP {status}, " + ("not an answer" if said is None else "an unknown answer"))
        try:
            return self._answer(said)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._unreadable("an answer that cannot be read") from None

    def _answer(self, said: dict[str, Any]) -> Answer:
        if said["data"]["resultType"] != "matrix":
            raise self._unreadable(f"a {clean(str(said['data']['resultType']), 20)} instead of curves")
        found = said["data"]["result"]
        if not isinstance(found, list):
            raise TypeError
        if len(found) > MAX_SERIES:
            raise self._too_wide(f"{len(found):,} series")
        return answer_of(said)

    def _too_wide(self, what: str) -> Refusal:
        return Refusal("prometheus_too_wide", f"Prometheus at {self.source.host} answered with {what}.", NARROWER)

    def _unreadable(self, what: str) -> Refusal:
        return Refusal(
            "prometheus_unreadable",
            f"{self.source.host} gave {what}: it is not a Prometheus.",
            "Check url in the mapping file: it is the part of the address before /api/v1.",
        )
