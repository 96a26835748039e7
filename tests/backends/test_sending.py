"""Deliveries over HTTP to real receivers: kind ones, broken ones, and ones that want us to call somebody else."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from backends.drills import MAX_FILE_BYTES, Drills
from backends.http import connections
from backends.http.client import Http
from backends.http.connections import MAX_KEPT
from backends.http.guard import Guard, Resolve, resolved
from backends.sending import MAX_ANSWER_BYTES, Courier
from controlplane.deliveries.channels import Target, prepare
from controlplane.deliveries.drill import DrillTarget
from controlplane.deliveries.model import Answer, Outcome, Trouble
from controlplane.deliveries.pagerduty import PagerDutyTarget
from controlplane.deliveries.retries import next_attempt
from controlplane.deliveries.signing import new_secret
from controlplane.deliveries.slack import SlackTarget
from controlplane.deliveries.targets import read_allowed
from controlplane.deliveries.templates import preview
from controlplane.deliveries.verdicts import MAX_KEPT_CHARACTERS, verdict_of
from controlplane.deliveries.webhook import WebhookTarget
from controlplane.deliveries.words import built_in
from tests.controlplane.notices import notice
from tests.receivers import NAME, Answering, Authority, Heard, Receiver, drips, hangs, raw, receiving, says

SECRET, OLDER = new_secret(), new_secret()
PATIENCE = 0.3
"""Seconds that an attempt may take where the receiver never answers."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> ssl.SSLContext:
    return authority.server(NAME)


Made = Callable[..., Courier]


@pytest.fixture
async def courier(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Made]:
    monkeypatch.setattr(connections, "KEPT_SECONDS", 1000.0)  # however slow the machine is
    made: list[Courier] = []

    def make(*allowed: str, names: Resolve | None = None, seconds: float = 10.0) -> Courier:
        guard = Guard(read_allowed(allowed), names or at("127.0.0.1"))
        made.append(Courier(guard, Http(guard, authority.trusted()), None, Drills(None), seconds))
        return made[-1]

    yield make
    for each in made:
        await each.close()


class at:
    """Names that resolve to these addresses; `asked` counts how often."""

    def __init__(self, *addresses: str, then: Sequence[str] = ()) -> None:
        self.addresses = addresses
        self.then = then
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.then if self.then and len(self.asked) > 1 else self.addresses


def webhook(receiver: Receiver, path: str = "/hook", scheme: str = "https", name: str = NAME) -> WebhookTarget:
    return WebhookTarget(f"{scheme}://{name}:{receiver.port}{path}", (SECRET, OLDER), (("x-token", "visible-token"),))


def send(courier: Courier, target: Target) -> Awaitable[Outcome]:
    told = notice()
    return courier.send(prepare(told, built_in(told), target, datetime.now(UTC)))


async def answered(courier: Courier, target: Target) -> Answer:
    outcome = await send(courier, target)
    assert isinstance(outcome, Answer), outcome
    return outcome


async def failed(courier: Courier, target: Target) -> Trouble:
    outcome = await send(courier, target)
    assert isinstance(outcome, Trouble), outcome
    assert outcome.words.isprintable() and len(outcome.words) < 500 and SECRET not in outcome.words
    return outcome


async def test_a_webhook_arrives_signed_with_every_active_secret(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(says("200 OK", b"thank you"), server) as receiver:
        names = at("127.0.0.1")
        answer = await answered(courier(f"{NAME}:{receiver.port}", names=names), webhook(receiver))
    assert (answer.status, answer.text) == (200, "thank you") and answer.seconds > 0
    assert verdict_of(answer, datetime.now(UTC)).state == "delivered"
    (heard,) = receiver.heard
    for secret in (SECRET, OLDER):
        assert Webhook(secret).verify(heard.body, heard.headers)["type"] == "key_rotation_sla_failed"
    assert heard.path == "/hook" and heard.headers["x-token"] == "visible-token"
    assert heard.headers["host"] == f"{NAME}:{receiver.port}" and heard.headers["user-agent"] == "watchfloor"
    assert heard.server_name == NAME, "TLS is for the name, wherever it was found"
    assert names.asked == [NAME], "only the name that was asked here is known to nobody else"


async def test_slack_and_pagerduty_go_the_same_way(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(says("202 Accepted", b'{"status":"success"}'), server) as receiver:
        made = courier(f"{NAME}:{receiver.port}")
        url = f"https://{NAME}:{receiver.port}"
        assert (await answered(made, SlackTarget(f"{url}/services/T0/B0/x"))).status == 202
        assert (await answered(made, PagerDutyTarget("k" * 32, f"{url}/v2/enqueue"))).status == 202
    slack, pagerduty = (json.loads(heard.body) for heard in receiver.heard)
    assert slack["text"].startswith("[CRITICAL] ") and pagerduty["routing_key"] == "k" * 32
    assert receiver.connections == 1, "a connection is kept for the next one"


async def test_a_name_is_resolved_once_for_a_connection(courier: Made, server: ssl.SSLContext) -> None:
    """Had it been asked again, between check and connection, it would have been somewhere else."""
    async with receiving(context=server) as receiver:
        names = at("127.0.0.1", then=["127.0.0.77"])
        made = courier(f"{NAME}:{receiver.port}", names=names)
        for _ in range(3):
            await answered(made, webhook(receiver))
    assert names.asked == [NAME] and receiver.connections == 1


BAD = [
    *("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "192.0.0.8"),
    *("168.63.129.16", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1"),
    *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::"),
    *("2001:0:53aa:64c:0:0:80ff:fffe", "2001:db8::1", "100::1", "2a00::5efe:10.0.0.1", "not an address", ""),
]


@pytest.mark.parametrize("address", BAD)
@pytest.mark.parametrize("others", [[], ["93.184.216.34"], ["2606:4700::1111", "93.184.216.34"]])
async def test_a_name_with_one_bad_address_is_not_connected_to(courier: Made, address: str, others: list[str]) -> None:
    names = at(*others, address)
    trouble = await failed(courier(names=names), WebhookTarget("https://evil.example/", (SECRET,)))
    assert trouble.kind == "refused_here" and "evil.example is at " in trouble.words
    assert verdict_of(trouble, datetime.now(UTC)).state == "refused" and names.asked == ["evil.example"]


async def test_a_public_name_is_let_through_by_the_guard() -> None:
    names = at(*[f"93.184.216.{number}" for number in range(9)], "93.184.216.0")
    found = await Guard(resolve=names).addresses("Example.com.", 443)
    assert found == [f"93.184.216.{number}" for number in range(4)] and names.asked == ["example.com"]


async def test_an_allowance_is_for_one_host_and_port(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(context=server) as receiver, receiving(context=server) as other:
        made = courier(f"{NAME}:{receiver.port}")
        assert (await answered(made, webhook(receiver))).status == 200
        for target in (webhook(other), webhook(receiver, name="other.test"), webhook(receiver, scheme="http")):
            assert (await failed(made, target)).kind == "refused_here"
        trouble = await failed(made, WebhookTarget(f"https://{NAME}/", (SECRET,)))
        assert trouble.kind == "refused_here" and "loopback" in trouble.words
    assert not other.heard and len(receiver.heard) == 1


async def test_plain_http_only_where_the_profile_allows_it(courier: Made) -> None:
    async with receiving() as receiver:
        assert (await failed(courier(f"{NAME}:{receiver.port}"), webhook(receiver, scheme="http"))).words.startswith(
            "Notices go over https only."
        )
        made = courier(f"http://{NAME}:{receiver.port}")
        assert (await answered(made, webhook(receiver, scheme="http"))).status == 200
    assert len(receiver.heard) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://ana:s3cret@hooks.test/",
        "https://hooks.test:22/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://2130706433/",
        "file:///etc/passwd",
        "https://hooks.test/\r\nHost: evil",
        "",
    ],
)
async def test_an_address_that_is_not_taken_is_not_even_resolved(courier: Made, url: str) -> None:
    names = at("127.0.0.1")
    trouble = await failed(courier(names=names), WebhookTarget(url, (SECRET,)))
    assert trouble.kind == "refused_here" and "s3cret" not in trouble.words and names.asked == []


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_no_redirect_is_followed(courier: Made, server: ssl.SSLContext, status: str) -> None:
    async with receiving(context=server) as private:
        for place in (
            f"https://127.0.0.1:{private.port}/",
            f"https://{NAME}:{private.port}/",
            "https://10.0.0.1/",
            "//x",
        ):
            async with receiving(says(status, headers={"Location": place}), server) as receiver:
                # Even one that would be allowed by itself.
                made = courier(f"{NAME}:{receiver.port}", f"{NAME}:{private.port}", f"127.0.0.1:{private.port}")
                answer = await answered(made, webhook(receiver))
            verdict = verdict_of(answer, datetime.now(UTC))
            assert verdict.state == "retry" and f"redirects to {place}" in verdict.words
            assert len(receiver.heard) == 1
    assert private.connections == 0


@pytest.mark.parametrize(
    ("status", "state"),
    [("500 x", "retry"), ("503 x", "retry"), ("400 x", "refused"), ("404 x", "refused"), ("410 x", "refused")],
)
async def test_a_failure_is_judged_by_its_status(
    courier: Made, server: ssl.SSLContext, status: str, state: str
) -> None:
    async with receiving(says(status, b"\x1b[2Jno\xff"), server) as receiver:
        answer = await answered(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
    assert verdict_of(answer, datetime.now(UTC)).state == state and answer.text == "␛[2Jno�"


async def test_a_pause_that_is_asked_for_is_kept(courier: Made, server: ssl.SSLContext) -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    date = format_datetime(now + timedelta(seconds=90), usegmt=True)
    for header, seconds in (("7", 7), (date, 90), ("86400", 3600)):
        async with receiving(says("429 Too Many Requests", headers={"Retry-After": header}), server) as receiver:
            verdict = verdict_of(await answered(courier(f"{NAME}:{receiver.port}"), webhook(receiver)), now)
        assert (verdict.state, verdict.retry_after) == ("retry", seconds)
        assert next_attempt(1, now, 0.0, verdict.retry_after) == now + timedelta(seconds=seconds)


async def test_one_that_hangs_is_left_and_holds_up_nobody(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(hangs, server) as slow, receiving(context=server) as quick:
        made = courier(f"{NAME}:{slow.port}", f"{NAME}:{quick.port}", seconds=100)
        stuck = [asyncio.ensure_future(send(made, webhook(slow))) for _ in range(20)]
        await slow.until(20)
        assert (await answered(made, webhook(quick))).status == 200
        assert not any(task.done() for task in stuck), "they still hang"
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        impatient = courier(f"{NAME}:{slow.port}", seconds=PATIENCE)
        assert (await failed(impatient, webhook(slow))).kind == "slow"


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 200 O", b"K"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
async def test_one_that_drips_is_left_in_time(
    courier: Made, server: ssl.SSLContext, first: bytes, piece: bytes
) -> None:
    async with receiving(drips(first, piece), server) as receiver:
        trouble = await failed(courier(f"{NAME}:{receiver.port}", seconds=PATIENCE), webhook(receiver))
    assert trouble.kind == "slow" and trouble.seconds >= PATIENCE * 0.9
    assert verdict_of(trouble, datetime.now(UTC)).state == "retry"


@pytest.mark.parametrize(
    "answer",
    [
        drips(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nok", b"a"),
        drips(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", b"1\r\na\r\n"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"),
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nxyz\r\n"),
    ],
)
async def test_a_yes_whose_end_never_comes_is_a_yes(courier: Made, server: ssl.SSLContext, answer: Answering) -> None:
    """To send it once more would tell somebody twice who has said that he has it."""
    async with receiving(answer, server) as receiver:
        made = await answered(courier(f"{NAME}:{receiver.port}", seconds=3), webhook(receiver))
    assert made.text.startswith("ok") and verdict_of(made, datetime.now(UTC)).state == "delivered"


async def test_a_handshake_that_never_comes_is_left_in_time(courier: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        target = webhook(Receiver(port))
        assert (await failed(courier(f"{NAME}:{port}", seconds=PATIENCE), target)).kind == "slow"


async def test_a_name_server_that_hangs_is_left_in_time(courier: Made) -> None:
    async def never(host: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    made = courier(names=never, seconds=PATIENCE)
    assert (await failed(made, WebhookTarget("https://hooks.test/", (SECRET,)))).kind == "slow"


async def test_a_long_answer_is_read_to_a_bound(courier: Made, authority: Authority, server: ssl.SSLContext) -> None:
    async with receiving(says("500 x", b"a" * (1 << 20)), server) as receiver:
        answer = await answered(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
        assert answer.status == 500 and len(answer.text) == MAX_KEPT_CHARACTERS and answer.text.endswith("…")
        guard = Guard(read_allowed([f"{NAME}:{receiver.port}"]), at("127.0.0.1"))
        http = Http(guard, authority.trusted())
        url = f"https://{NAME}:{receiver.port}/"
        received = await http.post(url, (), b"", seconds=10, most=MAX_ANSWER_BYTES)
        assert len(received.body) == MAX_ANSWER_BYTES and received.cut
        assert (await http.post(url, (), b"", seconds=10, most=2 << 20)).cut is False
        await http.close()


async def test_an_answer_that_was_packed_to_be_huge_is_not_unpacked(courier: Made, server: ssl.SSLContext) -> None:
    bomb = gzip.compress(bytes(32 << 20))
    assert len(bomb) > MAX_ANSWER_BYTES
    async with receiving(says("200 OK", bomb, {"Content-Encoding": "gzip"}), server) as receiver:
        answer = await answered(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
    assert answer.status == 200 and len(answer.text) <= MAX_KEPT_CHARACTERS
    assert receiver.heard[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * (1 << 20) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000 + b"\r\n",
        b"\x00" * 1000,
    ],
)
async def test_what_is_no_http_is_words_and_tried_again(courier: Made, server: ssl.SSLContext, data: bytes) -> None:
    async with receiving(raw(data), server) as receiver:
        trouble = await failed(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
    assert trouble.kind in ("protocol", "unreachable")
    assert verdict_of(trouble, datetime.now(UTC)).state == "retry"


async def test_one_that_is_down_is_tried_again(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(context=server) as receiver:
        pass
    trouble = await failed(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
    assert trouble.kind == "unreachable" and verdict_of(trouble, datetime.now(UTC)).state == "retry"


async def test_when_the_first_address_is_down_the_next_is_tried(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(context=server) as receiver:
        made = courier(f"{NAME}:{receiver.port}", names=at("127.0.0.2", "::1", "127.0.0.1"))
        assert (await answered(made, webhook(receiver))).status == 200


async def test_a_certificate_must_be_for_the_name_and_by_someone_trusted(courier: Made, authority: Authority) -> None:
    for context in (authority.server("other.test"), authority.server("127.0.0.1"), Authority().server(NAME)):
        async with receiving(context=context) as receiver:
            trouble = await failed(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
        assert trouble.kind == "tls" and "CERTIFICATE_VERIFY_FAILED" in trouble.words
        assert not receiver.heard and verdict_of(trouble, datetime.now(UTC)).state == "retry"
    async with receiving() as plain:
        assert (await failed(courier(f"{NAME}:{plain.port}"), webhook(plain))).kind == "tls"


async def test_cookies_are_not_kept(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(says("200 OK", headers={"Set-Cookie": "who=1; Domain=hooks.test"}), server) as receiver:
        made = courier(f"{NAME}:{receiver.port}")
        for _ in range(2):
            await answered(made, webhook(receiver))
    assert not [heard for heard in receiver.heard if "cookie" in heard.headers]


async def test_a_proxy_of_the_environment_is_not_used(
    courier: Made, server: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would resolve the name by itself."""
    async with receiving() as proxy, receiving(context=server) as receiver:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await answered(courier(f"{NAME}:{receiver.port}"), webhook(receiver))).status == 200
    assert proxy.connections == 0


async def test_what_an_answer_repeats_of_our_secrets_is_not_kept(courier: Made, server: ssl.SSLContext) -> None:
    path = "/services/T0/B0/s3cret-part"
    echoed = f"POST {path} x-token: visible-token {SECRET} routing " + "k" * 32
    for status, headers in (("400 x", {}), ("302 x", {"Location": f"https://x.example{path}?visible-token"})):
        async with receiving(says(status, echoed.encode(), headers), server) as receiver:
            made = courier(f"{NAME}:{receiver.port}")
            url = f"https://{NAME}:{receiver.port}{path}"
            for target in (webhook(receiver, path), SlackTarget(url), PagerDutyTarget("k" * 32, url)):
                answer = await answered(made, target)
                kept = repr(answer) + verdict_of(answer, datetime.now(UTC)).words
                secrets = {WebhookTarget: ("s3cret-part", "visible-token", SECRET), SlackTarget: ("s3cret-part",)}
                assert not [each for each in secrets.get(type(target), ("k" * 32,)) if each in kept]


async def test_a_delivery_that_is_cancelled_leaves_nothing_behind(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving([hangs, says("200 OK")], server) as receiver:
        made = courier(f"{NAME}:{receiver.port}")
        task = asyncio.ensure_future(send(made, webhook(receiver)))
        await receiver.until(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await answered(made, webhook(receiver))).status == 200
    assert receiver.connections == 2


async def test_many_at_once_all_arrive_once(courier: Made, server: ssl.SSLContext) -> None:
    async with receiving(context=server) as receiver:
        made = courier(f"{NAME}:{receiver.port}")
        told = [notice(key=f"msg_{number}") for number in range(100)]
        target = webhook(receiver)
        prepared = [prepare(each, built_in(each), target, datetime.now(UTC)) for each in told]
        outcomes = await asyncio.gather(*map(made.send, prepared))
    assert all(isinstance(outcome, Answer) and outcome.status == 200 for outcome in outcomes)
    assert sorted(heard.headers["webhook-id"] for heard in receiver.heard) == sorted(each.key for each in told)


async def test_connections_are_kept_up_to_a_bound_and_each_is_of_one_request(
    courier: Made, server: ssl.SSLContext
) -> None:
    at_once, most = 0, 0

    async def counts(heard: Heard, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        await receiver.until(MAX_KEPT + 8)
        await says("200 OK")(heard, writer)
        at_once -= 1

    async with receiving(counts, server) as receiver:
        made, target = courier(f"{NAME}:{receiver.port}"), webhook(receiver)
        await asyncio.gather(*(answered(made, target) for _ in range(MAX_KEPT + 8)))
        assert receiver.connections == most == MAX_KEPT + 8
        await asyncio.gather(*(answered(made, target) for _ in range(MAX_KEPT + 8)))
        assert receiver.connections == MAX_KEPT + 16, "of those that were kept each was used again"


@pytest.mark.parametrize("fault", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
async def test_a_name_without_an_address_is_tried_again(courier: Made, fault: Exception) -> None:
    async def none(host: str) -> Sequence[str]:
        raise fault

    async def empty(host: str) -> Sequence[str]:
        return []

    for names in (none, empty):
        trouble = await failed(courier(names=names), WebhookTarget("https://gone.example/", (SECRET,)))
        assert trouble.kind == "unresolved" and trouble.words == "gone.example has no address."
        assert verdict_of(trouble, datetime.now(UTC)).state == "retry"


async def test_the_systems_own_resolver() -> None:
    assert set(await resolved("localhost")) <= {"127.0.0.1", "::1"}
    assert await resolved("127.0.0.1") == ["127.0.0.1"]
    assert await resolved("0x7f.1") == ["127.0.0.1"], "which is why addresses are checked and not names"
    trouble = await failed_of(Guard().addresses("a" * 64 + ".example", 443))
    assert trouble.kind == "unresolved"
    trouble = await failed_of(Guard().addresses("localhost", 443))
    assert trouble.kind == "refused_here"


async def failed_of(work: Awaitable[object]) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await work
    return caught.value


async def test_mail_without_a_server_says_so(courier: Made) -> None:
    from controlplane.deliveries.mail import MailTarget

    trouble = await failed(courier(), MailTarget("ana@example.com", "watchfloor@ops.example"))
    assert trouble.kind == "refused_here" and "No mail server is set" in trouble.words


def drills(folder: Path | None, lines: list[bytes]) -> Courier:
    guard = Guard()
    return Courier(guard, Http(guard), None, Drills(folder, lines.append))


async def test_a_drill_is_written_to_its_file_or_shown(tmp_path: Path) -> None:
    lines: list[bytes] = []
    made = drills(tmp_path, lines)
    for _ in range(2):
        assert (await answered(made, DrillTarget("fire.jsonl"))).text == "written"
    assert (await answered(made, DrillTarget())).status == 200
    written = (tmp_path / "fire.jsonl").read_bytes().splitlines(keepends=True)
    assert len(written) == 2 and json.loads(written[0])["type"] == json.loads(lines[0])["type"]
    assert (tmp_path / "fire.jsonl").stat().st_mode & 0o777 == 0o600


async def test_a_drill_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    lines: list[bytes] = []
    assert (await failed(drills(None, lines), DrillTarget("x"))).kind == "refused_here"
    assert (await failed(drills(tmp_path / "none", lines), DrillTarget("x"))).kind == "unwritable"
    outside = tmp_path / "outside"
    outside.write_text("")
    folder = tmp_path / "drills"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    assert (await failed(drills(folder, lines), DrillTarget("link"))).kind == "unwritable"
    with (folder / "full").open("wb") as full:
        full.truncate(MAX_FILE_BYTES)
    assert "is full: 64 MB" in (await failed(drills(folder, lines), DrillTarget("full"))).words
    assert outside.read_text() == "" and not lines


async def test_the_older_form_is_heard_as_its_receivers_expect_it(courier: Made, server: ssl.SSLContext) -> None:
    import hashlib
    import hmac

    async with receiving(context=server) as receiver:
        target = replace(webhook(receiver), form="aionis", secrets=("s3cret",))
        await answered(courier(f"{NAME}:{receiver.port}"), target)
    (heard,) = receiver.heard
    signed = heard.headers["x-aionis-signature-ts"].encode() + b"." + heard.body
    assert heard.headers["x-aionis-signature"] == hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert json.loads(heard.body)["route"]["channel"] == "webhook"


async def test_the_documented_receiver_verifies_what_is_sent(courier: Made, server: ssl.SSLContext) -> None:
    page = (Path(__file__).parents[2] / "docs/deliveries.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    async with receiving(context=server) as receiver:
        await answered(courier(f"{NAME}:{receiver.port}"), webhook(receiver))
    (heard,) = receiver.heard
    for secret in (SECRET, OLDER):
        assert names["verify"](secret, heard.headers, heard.body)
    assert not names["verify"](new_secret(), heard.headers, heard.body)
    assert not names["verify"](SECRET, heard.headers, heard.body + b" ")
    template = page.partition("```jinja\n")[2].partition("```")[0]
    shown = preview(template, notice(details={"regions": ["eu", "us"]}))
    assert shown.body == "2 keys, threshold 1\n- eu\n- us"
