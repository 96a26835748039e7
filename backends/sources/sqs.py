"""A dead-letter queue of AWS SQS: it can be counted, looked into, and moved back as a whole, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from backends.http.client import Http
from backends.sources.mapping import Sqs
from backends.sources.postgres import Secrets
from backends.sources.sigv4 import Keys, signed
from controlplane.deliveries.model import Trouble
from controlplane.errors import NotFound, NotPermitted, OutcomeUnknown, Refusal
from controlplane.queues.refusals import SOURCE_CANNOT
from controlplane.queues.source import (
    MAX_ERROR,
    MAX_PAYLOAD,
    Acted,
    Can,
    Counted,
    DeadMessage,
    DeadPage,
    Redriver,
    Said,
)
from controlplane.text import clean

MAX_ANSWER_BYTES = 4 << 20
AT_ONCE = 10
"""Messages of one ReceiveMessage; SQS gives no more."""
HIDDEN_SECONDS = 30
"""How long messages that are looked at are hidden from others, unless they are given back before, as they are."""
WHOLE = "SQS moves a queue as a whole: watchfloor sources redrive"
RUNNING = ("RUNNING", "CANCELLING")


class SqsSource(Redriver):
    """`now`: the time, which AWS wants to within five minutes."""

    kind = "sqs"
    can = Can(replay=False, discard=False, browse=False, redrive=True, why={"replay": WHOLE, "discard": WHOLE})

    def __init__(self, name: str, settings: Sqs, secret: Secrets, now: Callable[[], datetime]) -> None:
        self.name, self.settings = name, settings
        self._secret, self._now = secret, now
        self._keys: Keys | None = None
        self._http = Http()
        self._seen: dict[str, tuple[DeadMessage, Said]] = {}
        parts = urlsplit(settings.queue)
        self._endpoint = f"{parts.scheme}://{parts.netloc}/"

    @property
    def where(self) -> str:
        return self.settings.queue

    async def count(self) -> Counted:
        attributes = await self._attributes()
        number = sum(
            int(attributes.get(f"ApproximateNumberOfMessages{more}", 0)) for more in ("", "NotVisible", "Delayed")
        )
        return Counted(number, exact=False, moving=moving_words(await self._tasks(attributes["QueueArn"])))

    async def page(self, after: str | None, limit: int) -> DeadPage:
        """Look into the queue: some of its messages, received and given back at once, which SQS counts as readings."""
        attributes = await self._attributes()
        kept = timedelta(seconds=int(attributes.get("MessageRetentionPeriod", 345_600)))
        found: dict[str, tuple[DeadMessage, Said]] = {}
        while len(found) < min(limit, self.settings.peek):
            received = await self._ask(
                "ReceiveMessage",
                QueueUrl=self.settings.queue,
                MaxNumberOfMessages=AT_ONCE,
                VisibilityTimeout=HIDDEN_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            messages = received.get("Messages") or []
            new = [each for each in messages if each["MessageId"] not in found]
            found |= {each["MessageId"]: self._message(each, kept) for each in messages}
            if not new:
                break
        await self._give_back([said.headers["receipt"] for _, said in found.values()])
        for _, said in found.values():
            said.headers.pop("receipt")
        self._seen = found
        return DeadPage([message for message, _ in found.values()])

    async def look(self, names: Sequence[str]) -> Mapping[str, DeadMessage]:
        """As they were last seen: SQS finds no message by its name."""
        return {name: self._seen[name][0] for name in names if name in self._seen}

    async def fetch(self, name: str) -> tuple[DeadMessage, Said]:
        if name not in self._seen:
            raise NotFound(
                "message_unseen",
                f"{self.name} has shown no message {clean(name, 100)} here.",
                f"Look into it first: watchfloor messages list source:{self.name}",
            )
        return self._seen[name]

    async def replay(self, names: Sequence[str]) -> Acted:
        raise SOURCE_CANNOT(f"{self.name}: {WHOLE} {self.name}")

    async def discard(self, names: Sequence[str]) -> Acted:
        raise SOURCE_CANNOT(f"{self.name}: {WHOLE} {self.name}")

    async def redrive(self, per_second: int | None) -> str:
        arn = (await self._attributes())["QueueArn"]
        pace = {} if per_second is None else {"MaxNumberOfMessagesPerSecond": per_second}
        said = await self._ask("StartMessageMoveTask", SourceArn=arn, sends=True, **pace)
        return str(said.get("TaskHandle", ""))

    async def cancel(self) -> int:
        tasks = await self._tasks((await self._attributes())["QueueArn"])
        running = next((task for task in tasks if task.get("Status") in RUNNING and task.get("TaskHandle")), None)
        if running is None:
            raise Refusal("nothing_moves", f"Nothing is being moved out of {self.name}.", "Look again: sources list")
        said = await self._ask("CancelMessageMoveTask", TaskHandle=running["TaskHandle"], sends=True)
        return int(said.get("ApproximateNumberOfMessagesMoved", 0))

    async def moving(self) -> str:
        return moving_words(await self._tasks((await self._attributes())["QueueArn"]))

    async def close(self) -> None:
        await self._http.close()

    # Asking

    async def _attributes(self) -> dict[str, Any]:
        said = await self._ask("GetQueueAttributes", QueueUrl=self.settings.queue, AttributeNames=["All"])
        found: dict[str, Any] = said.get("Attributes") or {}
        if "QueueArn" not in found:
            raise self._unreadable()
        return found

    async def _tasks(self, arn: str) -> Sequence[Mapping[str, Any]]:
        """The newest first; none where the login may not list them."""
        try:
            return (await self._ask("ListMessageMoveTasks", SourceArn=arn, MaxResults=1)).get("Results") or []
        except Refusal as refusal:
            if refusal.code in ("source_not_permitted", "source_refused_sqs"):
                return []
            raise

    async def _give_back(self, receipts: Sequence[str]) -> None:
        for first in range(0, len(receipts), AT_ONCE):
            entries = [
                {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for place, receipt in enumerate(receipts[first : first + AT_ONCE])
            ]
            await self._ask("ChangeMessageVisibilityBatch", QueueUrl=self.settings.queue, Entries=entries)

    async def _ask(self, action: str, *, sends: bool = False, **fields: Any) -> dict[str, Any]:
        """`sends`: it changes something, so that without an answer the outcome is unknown."""
        if self._keys is None:
            self._keys = await asyncio.to_thread(self._resolved)
        body = json.dumps(fields).encode()
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
        sent = signed(self._keys, self.settings.place, "sqs", "POST", self._endpoint, headers, body, self._now())
        sent.pop("host")  # the client says it
        try:
            received = await self._http.post(
                self._endpoint, sent.items(), body, seconds=self.settings.timeout, most=MAX_ANSWER_BYTES
            )
        except Trouble as trouble:
            if sends and trouble.kind not in ("unreachable", "tls"):
                raise OutcomeUnknown("source_outcome_unknown", f"{self.name} gave no answer to {action}.") from None
            raise Refusal("source_unreachable", f"{self.name} cannot be reached: {trouble.words}") from None
        return self._read(action, received.status, bytes(received.body))

    def _read(self, action: str, status: int, body: bytes) -> dict[str, Any]:
        try:
            said = json.loads(body or b"{}")
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise self._unreadable()
        if status == 200:
            return said
        code = str(said.get("__type", "")).rpartition("#")[2] or f"HTTP {status}"
        words = clean(said.get("message") or said.get("Message") or code, 300).rstrip(".")
        if status in (401, 403) or code in ("AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch"):
            raise NotPermitted(
                "source_not_permitted", f"{self.name} does not permit {action}: {words}.", "Check its keys."
            )
        if status >= 500 or "Throttl" in code:
            raise Refusal("source_unreachable", f"{self.name} is not ready ({status}): {words}.", "Try again.")
        raise Refusal("source_refused_sqs", f"{self.name} refused {action}: {words} ({clean(code, 100)}).")

    def _resolved(self) -> Keys:
        token = self._secret(self.settings.session_token).value if self.settings.session_token else ""
        return Keys(self.settings.access_key, self._secret(self.settings.secret_key).value, token)

    def _unreadable(self) -> Refusal:
        return Refusal("source_unreadable", f"What answers at {clean(self._endpoint, 200)} is no SQS.")

    def _message(self, said: Mapping[str, Any], kept: timedelta) -> tuple[DeadMessage, Said]:
        system, own = said.get("Attributes") or {}, said.get("MessageAttributes") or {}
        texts = {name: value.get("StringValue") for name, value in own.items() if isinstance(value, dict)}
        named = {_fit(name): _fit(value) for name, value in texts.items() if isinstance(value, str)}
        sent = _time(system.get("SentTimestamp"))
        source = str(system.get("DeadLetterQueueSourceArn") or "").rpartition(":")[2]
        attribute = self.settings.attributes
        message = DeadMessage(
            source=self.name,
            name=_fit(said["MessageId"]),
            queue=source or self.name,
            handler=named.get(attribute.handler) or source or self.name,
            error_class=named.get(attribute.error_class) or "",
            error=(named.get(attribute.error) or "")[:MAX_ERROR],
            tenant_id=named.get(attribute.tenant) or None,
            attempts=_number(system.get("ApproximateReceiveCount")),
            created_at=sent,
            idempotency_key=system.get("MessageDeduplicationId"),
        )
        body = _fit(said.get("Body", "")).encode()
        headers = {**system, **named, "receipt": said.get("ReceiptHandle", "")}
        if sent is not None:  # a standard queue counts from when the message was first sent, not from its death
            headers["deleted_at_the_latest"] = f"{sent + kept:%Y-%m-%d %H:%M} UTC"
        return message, Said(body[:MAX_PAYLOAD], len(body), headers)


def moving_words(tasks: Sequence[Mapping[str, Any]]) -> str:
    """What the newest move of a queue does; "" when there never was one, or it is long over."""
    if not tasks:
        return ""
    task = tasks[0]
    moved, whole = task.get("ApproximateNumberOfMessagesMoved", 0), task.get("ApproximateNumberOfMessagesToMove")
    pace = f" at {task['MaxNumberOfMessagesPerSecond']}/s" if task.get("MaxNumberOfMessagesPerSecond") else ""
    of = f" of {whole:,}" if isinstance(whole, int) else ""
    why = f": {task['FailureReason']}" if task.get("FailureReason") else ""
    return clean(f"{str(task.get('Status', 'unknown')).lower()}, moved about {moved:,}{of}{pace}{why}", 200)


def _fit(text: Any) -> str:
    """JSON may hold halves of characters, which no UTF-8 has."""
    return str(text).encode("utf-8", "replace").decode()


def _time(milliseconds: Any) -> datetime | None:
    number = _number(milliseconds)
    return None if number is None else datetime.fromtimestamp(number / 1000, UTC)


def _number(text: Any) -> int | None:
    return int(text) if isinstance(text, str | int) and str(text).isdigit() and len(str(text)) < 15 else None
