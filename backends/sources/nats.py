"""Messages of NATS JetStream that were delivered too often, by the advisories that a stream keeps of them.

JetStream tells of such a message once, and keeps nothing of that itself: a stream over those subjects does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from backends.sources.mapping import Nats
from backends.sources.natsline import Answer, Login, Lost, NatsLine
from backends.sources.postgres import Secrets
from controlplane.errors import NotFound, Refusal
from controlplane.formatting import parse_time
from controlplane.queues.source import MAX_PAYLOAD, Acted, Can, Counted, DeadMessage, DeadPage, Said, Source, Verdict
from controlplane.text import clean

API = "$JS.API"
STREAM = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""Names of streams; what names another is no advisory of a server."""
NOT_FOUND = (10037, 10043)
"""JetStream's codes for: no message found; message not found."""
Ask = tuple[str, Mapping[str, Any]]


class NatsSource(Source):
    kind = "nats"
    can = Can()

    def __init__(self, name: str, settings: Nats, secret: Secrets) -> None:
        self.name, self.settings = name, settings
        self._secret = secret
        self._line: NatsLine | None = None
        self._turn = asyncio.Lock()

    @property
    def where(self) -> str:
        return f"{self.settings.url} {self.settings.stream}"

    async def count(self) -> Counted:
        state = await self._state()
        oldest = _time(state.get("first_ts")) if state.get("messages") else None
        return Counted(int(state.get("messages", 0)), True, oldest)

    async def page(self, after: str | None, limit: int) -> DeadPage:
        state = await self._state()
        first, last = int(state.get("first_seq", 0)), int(state.get("last_seq", 0))
        begin = max(first, int(after) + 1 if after is not None else first)
        end = min(last, begin + limit - 1)
        numbers = [str(number) for number in range(begin, end + 1)] if state.get("messages") else []
        found = await self.look(numbers)
        return DeadPage(list(found.values()), numbers[-1] if numbers and end < last else None)

    async def look(self, names: Sequence[str]) -> Mapping[str, DeadMessage]:
        return {name: self._message(name, advisory) for name, advisory in (await self._advisories(names)).items()}

    async def fetch(self, name: str) -> tuple[DeadMessage, Said]:
        advisory = (await self._advisories([name])).get(name)
        if advisory is None:
            raise NotFound("message_gone", f"{self.name} has no message {clean(name, 100)} any more.")
        [original] = await self._originals([advisory])
        if original is None:
            return self._message(name, advisory), Said(b"", 0, {"gone": "its stream has it no longer"})
        body, headers = _content(original)
        beside = {"subject": original.get("subject"), "stream_seq": advisory["stream_seq"], **headers}
        return self._message(name, advisory, headers), Said(body[:MAX_PAYLOAD], len(body), beside)

    async def replay(self, names: Sequence[str]) -> Acted:
        """Publish each again to its subject, then forget its advisory. The message carries an id that follows from the
        advisory, so a repeat within the stream's window for duplicates is none.
        """
        advisories = await self._advisories(names)
        originals = dict(zip(advisories, await self._originals(list(advisories.values())), strict=True))
        verdicts: dict[str, Verdict] = {name: "settled" for name in names if name not in advisories}
        details: list[str] = []
        for name, original in originals.items():
            if original is None:
                verdicts[name], detail = "refused", "its stream has the message no longer"
            else:
                verdicts[name], detail = await self._again(name, original)
            details += [detail] if detail else []
            if verdicts[name] == "unknown":  # the link is gone
                break
        return Acted({name: verdicts.get(name, "left") for name in names}, "; ".join(dict.fromkeys(details)))

    async def discard(self, names: Sequence[str]) -> Acted:
        advisories = await self._advisories(names)
        verdicts: dict[str, Verdict] = dict.fromkeys(names, "settled")
        for place, name in enumerate(advisories):
            try:
                verdicts[name] = "done" if await self._forget(name) else "settled"
            except Refusal as refusal:
                left: dict[str, Verdict] = dict.fromkeys([*advisories][place:], "left")
                verdicts |= left
                verdicts[name] = "unknown"
                return Acted(verdicts, refusal.message)
        return Acted(verdicts)

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def _again(self, name: str, original: Mapping[str, Any]) -> tuple[Verdict, str]:
        body, headers = _content(original)
        kept = {key: value for key, value in headers.items() if not key.startswith("Nats-")}
        kept["Nats-Msg-Id"] = f"watchfloor-{self.settings.stream}-{name}"
        try:
            [answer] = await self._ask([(str(original["subject"]), body, kept)])
            said = _json(answer)
            if answer.status == "503" or "stream" not in said:
                return "refused", _error(said) or "no stream keeps its subject"
            await self._forget(name)
        except Refusal as refusal:
            return "unknown", f"the link was lost after it was published: {refusal.message}"
        return "done", ""

    async def _forget(self, name: str) -> bool:
        [said] = await self._api([(f"STREAM.MSG.DELETE.{self.settings.stream}", {"seq": int(name), "no_erase": True})])
        return bool(said.get("success"))

    # Asking

    async def _state(self) -> Mapping[str, Any]:
        [said] = await self._api([(f"STREAM.INFO.{self.settings.stream}", {})])
        state: Mapping[str, Any] = said.get("state") or {}
        return state

    async def _advisories(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of these numbers that are kept, and can be read."""
        numbers = [name for name in names if name.isascii() and name.isdigit() and len(name) < 20]
        place = f"STREAM.MSG.GET.{self.settings.stream}"
        found: dict[str, dict[str, Any]] = {}
        for name, said in zip(numbers, await self._api([(place, {"seq": int(name)}) for name in numbers]), strict=True):
            body, _ = _content(said.get("message") or {})
            try:
                advisory = json.loads(body) if body else None
            except ValueError:
                continue
            if not isinstance(advisory, dict) or not STREAM.fullmatch(str(advisory.get("stream", ""))):
                continue
            if isinstance(advisory.get("stream_seq"), int):
                found[name] = advisory
        return found

    async def _originals(self, advisories: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | None]:
        asked = [(f"STREAM.MSG.GET.{each['stream']}", {"seq": each["stream_seq"]}) for each in advisories]
        return [said.get("message") for said in await self._api(asked)]

    async def _api(self, asked: Sequence[Ask]) -> list[dict[str, Any]]:
        answers = await self._ask([(f"{API}.{place}", json.dumps(body).encode(), {}) for place, body in asked])
        found = []
        for answer in answers:
            said = _json(answer)
            if answer.status == "503":
                raise Refusal("source_refused_nats", f"{self.name}: JetStream does not answer there.", "Is it enabled?")
            code = (said.get("error") or {}).get("err_code")
            if said.get("error") and code not in NOT_FOUND:
                raise Refusal("source_refused_nats", f"{self.name} refused it: {_error(said)}.")
            found.append(said)
        return found

    async def _ask(self, requests: Sequence[tuple[str, bytes, Mapping[str, str]]]) -> list[Answer]:
        if not requests:
            return []
        async with self._turn:
            try:
                async with asyncio.timeout(self.settings.timeout):
                    if self._line is None:
                        self._line = await self._opened()
                    return await self._line.ask(requests)
            except (Lost, TimeoutError, OSError) as error:
                await self.close()
                words = clean(error, 200).rstrip(".") or f"no answer within {self.settings.timeout:g} s"
                raise Refusal("source_unreachable", f"{self.name} cannot be reached: {words}.") from None

    async def _opened(self) -> NatsLine:
        parts = urlsplit(self.settings.url)
        login = await asyncio.to_thread(self._login)
        return await NatsLine.open(parts.hostname or "", parts.port or 4222, login, tls=parts.scheme == "tls")

    def _login(self) -> Login:
        settings = self.settings
        password = self._secret(settings.password).value if settings.password else ""
        return Login(settings.user, password, self._secret(settings.token).value if settings.token else "")

    def _message(self, name: str, advisory: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> DeadMessage:
        deliveries = advisory.get("deliveries")
        consumer = str(advisory.get("consumer", ""))[:400].encode("utf-8", "replace").decode()
        stream = str(advisory["stream"])
        return DeadMessage(
            self.name, name, stream, consumer, "max_deliveries", "delivered as often as its consumer allows, and never"
            " acknowledged", (headers or {}).get(self.settings.tenant) or None,
            deliveries if isinstance(deliveries, int) else None, None, _time(advisory.get("timestamp")),
        )  # fmt: skip


def _content(message: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Its body and its headers."""
    head = base64.b64decode(message.get("hdrs") or "").decode("utf-8", "replace")
    pairs = (line.partition(":") for line in head.split("\r\n")[1:] if ":" in line)
    return base64.b64decode(message.get("data") or ""), {name.strip(): value.strip() for name, _, value in pairs}


def _json(answer: Answer) -> dict[str, Any]:
    try:
        said = json.loads(answer.body or b"{}")
    except ValueError:
        return {"error": {"description": "an answer that cannot be read"}}
    return said if isinstance(said, dict) else {}


def _error(said: Mapping[str, Any]) -> str:
    return clean((said.get("error") or {}).get("description") or "", 300)


def _time(text: Any) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except Refusal:
        return None
