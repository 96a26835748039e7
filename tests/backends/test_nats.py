"""Messages of NATS JetStream that were delivered too often, at a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.sources.natsline import Login, NatsLine, _published
from controlplane.errors import NotFound, Refusal, Usage
from controlplane.queues.held import read
from controlplane.queues.source import Source
from controlplane.queues.source_words import indented
from tests.backends.outside import NOW, sources_of

ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"
SETTINGS = '[dead]\nkind = "nats"\nurl = "nats://127.0.0.1:{}"\nstream = "DEAD"\nuser = "wf"\npassword = "env:NATS"\n'


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a server with JetStream."""
    folder = tmp_path_factory.mktemp("nats")
    program = Path(sys.executable).with_name("nats-server")
    words = [program, "-js", "-sd", folder, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder]
    with subprocess.Popen([*words, "--user", "wf", "--pass", "for tests only"], stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 30
        while not (ports := [*folder.glob("*.ports")]) or not (text := ports[0].read_text()).endswith("}"):
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.01)  # until it has said where it listens
        yield int(json.loads(text)["nats"][0].rpartition(":")[2])
        server.terminate()


class Peer:
    """A program that publishes and consumes."""

    def __init__(self, line: NatsLine) -> None:
        self.line = line

    async def api(self, place: str, **fields: Any) -> dict[str, Any]:
        [answer] = await self.line.ask([(f"$JS.API.{place}", json.dumps(fields).encode(), {})])
        said = dict(json.loads(answer.body))
        assert "error" not in said, said
        return said

    async def publish(self, subject: str, body: bytes, **headers: str) -> int:
        [answer] = await self.line.ask([(subject, body, headers)])
        return int(json.loads(answer.body)["seq"])

    async def die(self, number: int) -> None:
        """So many messages are delivered as often as their consumer allows, and never acknowledged."""
        for i in range(number):
            body = json.dumps({"n": 9007199254740993, "i": i}).encode()
            await self.publish("orders.new", body, tenant="acme", **{"Nats-Msg-Id": f"order-{time.monotonic_ns()}"})
        before = (await self.api("STREAM.INFO.DEAD"))["state"]["messages"]
        deadline = time.monotonic() + 20
        while (await self.api("STREAM.INFO.DEAD"))["state"]["messages"] < before + number:
            assert time.monotonic() < deadline
            for _ in range(number):  # what comes has its own subject, so nobody waits for it
                ask = json.dumps({"batch": 1, "no_wait": True}).encode()
                pull = "$JS.API.CONSUMER.MSG.NEXT.ORDERS.ship"
                self.line._writer.write(_published(pull, f"{self.line._inbox}.pulled", ask, {}))
            await asyncio.sleep(0.01)  # until the server finds that nobody acknowledged


async def peer(port: int) -> Peer:
    found = Peer(await NatsLine.open("127.0.0.1", port, Login("wf", "for tests only"), tls=False))
    await found.api("STREAM.CREATE.ORDERS", name="ORDERS", subjects=["orders.>"])
    await found.api("STREAM.CREATE.DEAD", name="DEAD", subjects=[ADVISORIES])
    consumer = {"durable_name": "ship", "ack_policy": "explicit", "ack_wait": 20_000_000, "max_deliver": 1}
    await found.api("CONSUMER.CREATE.ORDERS.ship", stream_name="ORDERS", config=consumer)
    return found


async def test_what_was_delivered_too_often_is_found_published_again_and_forgotten(port: int, tmp_path: Path) -> None:
    async with asyncio.timeout(30):
        other = await peer(port)
        await other.die(3)
    source: Source = sources_of(tmp_path, SETTINGS.format(port), "for tests only")["dead"]
    held = await read(source, lambda: NOW)
    assert held.counted is not None and (held.counted.waiting, held.whole) == (3, True)
    assert held.counted.oldest is not None
    one, two, three = held.messages
    assert (one.handler, one.queue, one.attempts, one.error_class) == ("ship", "ORDERS", 1, "max_deliveries")
    assert one.dead_at is not None and one.fingerprint == two.fingerprint
    message, said = await source.fetch(one.name)
    assert message.tenant_id == "acme" and '"n": 9007199254740993' in (indented(said.payload) or "")
    assert said.headers["subject"] == "orders.new"
    first = await source.page(None, 2)
    assert [m.name for m in first.rows] == [one.name, two.name] and first.next == two.name
    assert [m.name for m in (await source.page(first.next, 2)).rows] == [three.name]

    before = (await other.api("STREAM.INFO.ORDERS"))["state"]["messages"]
    assert (await source.replay([one.name, "99", "x"])).verdicts == {one.name: "done", "99": "settled", "x": "settled"}
    original = (await other.api("STREAM.MSG.GET.ORDERS", seq=said.headers["stream_seq"]))["message"]
    stored = (await other.api("STREAM.MSG.GET.ORDERS", last_by_subj="orders.new"))["message"]
    assert (stored["seq"], stored["data"]) == (before + 1, original["data"])
    assert (await source.replay([one.name])).verdicts == {one.name: "settled"}
    assert (await source.discard([two.name, one.name])).verdicts == {two.name: "done", one.name: "settled"}
    _, last = await source.fetch(three.name)
    await other.api("STREAM.MSG.DELETE.ORDERS", seq=last.headers["stream_seq"])
    acted = await source.replay([three.name])
    assert acted.verdicts == {three.name: "refused"} and acted.detail == "its stream has the message no longer"
    assert (await source.fetch(three.name))[1].headers == {"gone": "its stream has it no longer"}
    with pytest.raises(NotFound):
        await source.fetch(one.name)
    for body in (b"\xff", b"[]", b'{"stream": "a b", "stream_seq": 1}', b'{"stream": "ORDERS", "stream_seq": "x"}'):
        await other.publish("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ORDERS.x", body)  # of no server
    await source.close()
    assert [m.name for m in (await source.page(None, 9)).rows] == [three.name]  # it connects again
    await source.close()
    await other.line.close()


async def test_what_nats_refuses_or_is_none_is_told_and_no_secret_with_it(port: int, tmp_path: Path) -> None:
    wrong = sources_of(tmp_path, SETTINGS.format(port), "a wrong secret")["dead"]
    away = sources_of(tmp_path, SETTINGS.format(9), "a wrong secret")["dead"]
    nowhere = sources_of(tmp_path, SETTINGS.format(port).replace("DEAD", "NOWHERE"), "for tests only")["dead"]

    async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(chat, "127.0.0.1", 0)
    mail = sources_of(tmp_path, SETTINGS.format(server.sockets[0].getsockname()[1]), "a wrong secret")["dead"]
    told = {}
    for name, source in {"wrong": wrong, "away": away, "nowhere": nowhere, "mail": mail}.items():
        with pytest.raises(Refusal) as found:
            await source.count()
        told[name] = (found.value.code, str(found.value))
        assert "wrong secret" not in str(found.value)
        await source.close()
    assert [code for code, _ in told.values()] == [
        "source_unreachable", "source_unreachable", "source_refused_nats", "source_unreachable"]  # fmt: skip
    assert "Authorization Violation" in told["wrong"][1] and "no NATS" in told["mail"][1]
    assert "stream not found" in told["nowhere"][1]
    server.close()
    for line in (
        'url = "nats://me:x@h:1"',
        'url = "nats://h:1/x"',
        'url = "nats://far.example:4222"',
        'url = "https://h"',
    ):
        with pytest.raises(Usage, match=r"expected tls|a secret goes over tls"):
            sources_of(tmp_path, SETTINGS.replace('url = "nats://127.0.0.1:{}"', line))
