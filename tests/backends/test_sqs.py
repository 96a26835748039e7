"""A dead-letter queue of SQS: counted, looked into, moved back at a pace, stopped; and the signature of AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.postgres.home import Home
from backends.sources.sigv4 import Keys, signed
from backends.sources.sqs import SqsSource, moving_words
from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal, Usage
from controlplane.filters.grammar import parse
from controlplane.listing import Query
from controlplane.operations import Call, Outcome, execute
from controlplane.queues.source_lists import MESSAGES
from controlplane.queues.source_words import indented
from controlplane.queues.sources import MessageDirectory, SourceDirectory
from controlplane.registry import named
from tests.backends.outside import booked, sources_of
from tests.backends.runs import opened
from tests.postgres import Database
from tests.sqs import address, make_queues, settings, waiting

VECTORS = {
    "get-vanilla": ("GET", "", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "post-vanilla": ("POST", "", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "get-vanilla-query-order-key-case": (
        "GET", "?Param2=value2&Param1=value1", {}, b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    "post-x-www-form-urlencoded": (
        "POST", "", {"Content-Type": "application/x-www-form-urlencoded"}, b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_it_signs_as_the_vectors_of_aws_say(name: str) -> None:
    method, query, headers, body, signature = VECTORS[name]
    keys, at = (
        Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )
    url = f"https://example.amazonaws.com/{query}"
    said = signed(keys, "us-east-1", "service", method, url, headers, body, at)["authorization"]
    assert said == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={'content-type;' if headers else ''}host;x-amz-date, Signature={signature}"
    )
    assert "wJalrXUtn" not in repr(keys)
    temporary = signed(Keys("A", "b", "token"), "us-east-1", "sqs", "POST", url, {}, b"", at)
    assert temporary["x-amz-security-token"] == "token" and "x-amz-security-token" in temporary["authorization"]


async def test_a_queue_is_looked_into_moved_back_at_a_pace_and_stopped(database: Database, tmp_path: Path) -> None:
    orders, dead = make_queues(9)
    book = booked(sources_of(tmp_path, settings("dead-orders", dead), "very secret"))
    async with opened(database.login("operator")) as home:
        home.sources = book
        sources, messages = home.of(SourceDirectory), home.of(MessageDirectory)
        [row] = await sources.lines()
        assert (row.state, row.waiting, row.exact, row.moving) == ("ok", 9, False, "")
        assert (await messages.page(Query(), limit=9)).rows == ()  # nobody asked for them: that would be a reading
        page = await messages.page(Query(parse("source:dead-orders tenant:acme", MESSAGES.fields), "age", True))
        assert len(page.rows) == 9 and len({each.cause_id for each in page.rows}) == 1
        assert waiting(dead) == 9  # given back at once
        first = page.rows[0]
        said = await messages.said(first)
        assert said is not None and '"n": 9007199254740993' in (indented(said.payload) or "")
        assert "deleted_at_the_latest" in said.headers and "receipt" not in said.headers
        with pytest.raises(Refusal) as whole:
            await act(home, "messages.replay", id=first.id)
        assert whole.value.code == "source_cannot" and "as a whole" in str(whole.value)
        done = await act(home, "sources.redrive", id="dead-orders", per_second=2)
        assert done.result["said"].startswith("it moves as move-")
        [row] = await sources.lines()
        assert row.moving == "running, moved about 2 of 9 at 2/s"
        with pytest.raises(Conflict) as twice:
            await act(home, "sources.redrive", id="dead-orders")
        assert twice.value.code == "source_moving"
        stopped = await act(home, "sources.cancel", id="dead-orders")
        assert stopped.result["said"] == "stopped; about 8 were moved"  # each look moved two
        assert (waiting(orders), waiting(dead)) == (8, 1)
        with pytest.raises(Refusal) as nothing:
            await act(home, "sources.cancel", id="dead-orders")
        assert nothing.value.code == "nothing_moves"
        acts = await messages.acts("dead-orders", dead)
        assert [(each.verb, each.state) for each in acts] == [
            ("cancel", "refused"), ("cancel", "done"), ("redrive", "done")]  # fmt: skip
        with pytest.raises(Refusal) as other:
            await act(home, "sources.redrive", id="jobs")
        assert other.value.code == "source_unknown"
    await book.close()


async def act(home: Home, name: str, **fields: object) -> Outcome:
    operation = named(name)
    return await execute(home, operation, operation.parse(fields), Call("the receiver is back"))


async def test_what_sqs_refuses_or_is_none_is_told_and_no_secret_with_it(tmp_path: Path) -> None:
    text = '[{0}]\nkind = "sqs"\nqueue = "{1}"\nregion = "eu-west-1"\naccess_key = "AKID"\nsecret_key = "env:X"\n'
    sources = sources_of(
        tmp_path,
        text.format("none", f"{address()}/123456789012/nowhere") + text.format("away", "http://127.0.0.1:9/1/x"),
        "very secret",
    )
    for name, code in (("none", "source_refused_sqs"), ("away", "source_unreachable")):
        with pytest.raises(Refusal) as found:
            await sources[name].count()
        assert found.value.code == code and "very secret" not in str(found.value)
        with pytest.raises(NotFound):
            await sources[name].fetch("1")
        await sources[name].close()
    for queue in ("http://sqs.example/1/x", "https://user@sqs.example/1/x", "https://sqs.example", "ftp://x/y"):
        with pytest.raises(Usage, match="expected https"):
            sources_of(tmp_path, text.format("a", queue))
    with pytest.raises(Usage, match="region"):
        sources_of(tmp_path, text.format("a", "https://sqs.example/1/x").replace('region = "eu-west-1"\n', ""))
    assert issubclass(NotPermitted, Refusal)


def test_how_a_redrive_stands_in_words() -> None:
    assert moving_words([]) == ""
    failed = {"Status": "FAILED", "ApproximateNumberOfMessagesMoved": 3, "FailureReason": "AccessDenied\x1b[31m"}
    assert moving_words([failed]) == "failed, moved about 3: AccessDenied␛[31m"


def test_halves_of_characters_harm_nobody(tmp_path: Path) -> None:
    text = settings("dead", "https://sqs.eu-west-1.amazonaws.com/1/x")
    source = sources_of(tmp_path, text, "x")["dead"]
    assert isinstance(source, SqsSource)
    half = "\ud800"
    said = {"MessageId": "1", "Body": half, "MessageAttributes": {"ErrorMessage": {"StringValue": half}, half: None}}
    message, content = source._message(said, timedelta(days=4))
    assert (message.error, content.payload, len(message.fingerprint)) == ("?", b"?", 64)
