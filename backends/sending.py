"""Sends what is prepared, whichever channel it is for."""

from __future__ import annotations

import asyncio
import time

from backends.drills import Drills
from backends.http.client import Http
from backends.http.guard import Guard
from backends.smtp import Smtp
from controlplane.deliveries.model import Answer, DrillLine, HttpRequest, Mail, Outcome, Prepared, Trouble
from controlplane.deliveries.targets import check_url
from controlplane.deliveries.verdicts import kept_text
from controlplane.errors import Refusal
from controlplane.text import clean

SECONDS = 20.0
"""What an attempt may take. Standard Webhooks asks for 15 to 30 s."""
MAX_ANSWER_BYTES = 16 * 1024
MAX_KEPT_HEADER = 300


class Courier:
    """`smtp`, None where no mail server is set. It never raises but for its own faults: what happens is an outcome."""

    def __init__(self, guard: Guard, http: Http, smtp: Smtp | None, drills: Drills, seconds: float = SECONDS) -> None:
        self._guard = guard
        self._http = http
        self._smtp = smtp
        self._drills = drills
        self._seconds = seconds

    async def send(self, prepared: Prepared) -> Outcome:
        try:
            match prepared:
                case HttpRequest():
                    return await self._post(prepared)
                case Mail():
                    if self._smtp is None:
                        return Trouble("refused_here", "No mail server is set: mail cannot be sent.")
                    return await self._smtp.send(prepared, self._seconds)
                case DrillLine():
                    return await asyncio.to_thread(self._drills.send, prepared)
        except Trouble as trouble:
            return trouble

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, request: HttpRequest) -> Answer | Trouble:
        try:
            check_url(request.url, self._guard.allowed)
        except Refusal as refusal:
            return Trouble("refused_here", f"{refusal.message} {refusal.hint}")
        start = time.monotonic()
        # An answer whose body never ends is an answer: its status says whether the receiver has it.
        received = await self._http.post(
            request.url, request.headers, request.body, seconds=self._seconds, most=MAX_ANSWER_BYTES
        )
        return Answer(
            received.status,
            kept_text(received.body.decode("utf-8", "replace"), request.secrets),
            retry_after=clean(received.headers.get("retry-after", ""), MAX_KEPT_HEADER),
            location=clean(kept_text(received.headers.get("location", ""), request.secrets), MAX_KEPT_HEADER),
            seconds=time.monotonic() - start,
        )
