"""Asks a Prometheus over HTTP; its answer is not trusted to be fast, small, or from a Prometheus."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from backends.http.client import Http
from backends.prometheus import mapping
from backends.prometheus.answers import Answer, answer_of, values_of
from controlplane.deliveries.model import Trouble
from controlplane.errors import Refusal
from controlplane.secrets import Secret
from controlplane.text import clean

MAX_ANSWER_BYTES = 8 << 20
T = TypeVar("T")


class Wanted(NamedTuple):
    """A kind of answer, in its words and in ours, how many series it may have, and what to do when there are more."""

    kind: str
    words: str
    most: int
    narrower: str


CURVES = Wanted("matrix", "curves", 1000, "Its query in the mapping file must sum by one label: sum by (code) (…).")
VALUES = Wanted("vector", "a value for each series", 10_000, "Sum by fewer labels: sum by (tenant) (…).")
BUSY = (408, 425, 429)
"""Statuses below 500 that mean: not now."""
SHORTER = "Ask for a shorter window or less at once, or raise the timeout in the mapping file."


class Client:
    """One connection pool to one Prometheus. The first query opens it and looks up the secret.

    `secret` may block; None: no secret is needed.
    """

    def __init__(self, source: mapping.Mapping, secret: Callable[[], Secret] | None = None) -> None:
        self.source = source
        self._secret = secret
        self._headers: tuple[tuple[str, str], ...] | None = None
        self._http = Http()

    async def close(self) -> None:
        self._headers = None
        await self._http.close()

    async def range(self, query: str, start: datetime, end: datetime, seconds: int) -> Answer:
        """The values at start, start + seconds, … end.

        Raises what `_ask` does.
        """
        form = {
            "query": query,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": str(seconds),
        }
        status, body = await self._ask("/api/v1/query_range", form)
        return await asyncio.to_thread(self._read, status, body, CURVES, answer_of)

    async def instant(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The value of each series now, with its labels. Raises what `_ask` does."""
        status, body = await self._ask("/api/v1/query", {"query": query})
        return await asyncio.to_thread(self._read, status, body, VALUES, values_of)

    async def _ask(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        """Raises Refusal: `prometheus_unreachable`, `prometheus_slow`, `prometheus_refused`, `prometheus_too_wide`,
        `prometheus_unreadable`, and what looking up its secret raises.
        """
        form["timeout"] = f"{math.ceil(self.source.timeout * 1000)}ms"  # its durations are whole numbers
        try:
            return await self._post(path, form)
        except Trouble as trouble:
            if trouble.kind == "slow":
                words = f"Prometheus at {self.source.host} gave no answer within {self.source.timeout:g} s."
                raise Refusal("prometheus_slow", words, SHORTER) from None
            raise Refusal(
                "prometheus_unreachable",
                f"Prometheus at {self.source.host} cannot be asked. {trouble.words}",
                "What the home itself has is shown without source:prometheus.",
            ) from None

    async def _post(self, path: str, form: dict[str, str]) -> tuple[int, bytes]:
        headers = await self._with_secret()
        url, content = self.source.url.rstrip("/") + path, urlencode(form).encode()
        received = await self._http.post(url, headers, content, seconds=self.source.timeout, most=MAX_ANSWER_BYTES)
        if received.broken is not None:
            raise received.broken
        if received.cut:
            raise self._too_wide(f"more than {MAX_ANSWER_BYTES >> 20} MB", "Sum by fewer labels.")
        return received.status, bytes(received.body)

    async def _with_secret(self) -> tuple[tuple[str, str], ...]:
        """The headers of every query; the secret is looked up for the first one."""
        if self._headers is None:
            secret = None if self._secret is None else (await asyncio.to_thread(self._secret)).value
            if secret and not secret.isprintable():  # the HTTP library's own error would repeat the secret
                raise Refusal(
                    "secret_unusable", "The password or token of Prometheus holds characters no header can hold."
                )
            self._headers = (("content-type", "application/x-www-form-urlencoded"), *self._authorization(secret))
        return self._headers

    def _authorization(self, secret: str | None) -> tuple[tuple[str, str], ...]:
        if not secret:
            return ()
        if not self.source.user:
            return (("authorization", f"Bearer {secret}"),)
        pair = base64.b64encode(f"{self.source.user}:{secret}".encode()).decode()
        return (("authorization", f"Basic {pair}"),)

    def _read(self, status: int, body: bytes, wanted: Wanted, read: Callable[[dict[str, Any]], T]) -> T:
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
            return read(self._fit(said, wanted))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._unreadable("an answer that cannot be read") from None

    def _fit(self, said: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
        if said["data"]["resultType"] != wanted.kind:
            raise self._unreadable(f"a {clean(str(said['data']['resultType']), 20)} instead of {wanted.words}")
        found = said["data"]["result"]
        if not isinstance(found, list):
            raise TypeError
        if len(found) > wanted.most:
            raise self._too_wide(f"{len(found):,} series", wanted.narrower)
        return said

    def _too_wide(self, what: str, narrower: str) -> Refusal:
        return Refusal("prometheus_too_wide", f"Prometheus at {self.source.host} answered with {what}.", narrower)

    def _unreadable(self, what: str) -> Refusal:
        return Refusal(
            "prometheus_unreadable",
            f"{self.source.host} gave {what}: it is not a Prometheus.",
            "Check url in the mapping file: it is the part of the address before /api/v1.",
        )
