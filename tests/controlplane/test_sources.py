"""Sources outside, without any: what is held of each and for how long, their causes, their bites, and what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from controlplane.errors import NotFound, Refusal, Usage
from controlplane.previews import command_line
from controlplane.queues.causes import fingerprint
from controlplane.queues.held import EVERY_SECONDS, PEEK_SECONDS, SAMPLE, Held, Sources
from controlplane.queues.source import Acted, Can, Counted, DeadMessage, DeadPage, Said, Source, Verb, masked
from controlplane.queues.source_operations import OneMessage, replay, state_of
from controlplane.queues.source_words import act_lines, indented, source_lines
from controlplane.queues.sources import LONG, SourceAct, causes_of, noted, outside

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def message(name: str, error: str = "no answer from 10.0.0.1", **more: object) -> DeadMessage:
    return DeadMessage("orders", name, "q", "ship", "", error, **more)  # type: ignore[arg-type]


class Shelf(Source):
    """A source in memory, in which faults and delays can be put."""

    kind, where = "shelf", "here"

    def __init__(self, name: str, *names: str, can: Can | None = None) -> None:
        self.name, self.can = name, can or Can()
        self.dead = {each: message(each) for each in names}
        self.fault: BaseException | None = None
        self.gate: asyncio.Event | None = None
        self.asked, self.bites, self.poison = 0, list[int](), ""
        self.closed = False

    async def count(self) -> Counted:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return Counted(len(self.dead), exact=False)

    async def page(self, after: str | None, limit: int) -> DeadPage:
        rows = [each for each in self.dead.values() if after is None or int(each.name) > int(after)][:limit]
        return DeadPage(rows, rows[-1].name if len(rows) == limit else None)

    async def fetch(self, name: str) -> tuple[DeadMessage, Said]:
        return self.dead[name], Said(b"", 0)

    async def look(self, names: Sequence[str]) -> Mapping[str, DeadMessage]:
        return {name: self.dead[name] for name in names if name in self.dead}

    async def replay(self, names: Sequence[str]) -> Acted:
        self.bites.append(len(names))
        if self.poison in names:
            return Acted(dict.fromkeys(names, "refused"), "no")
        return Acted(dict.fromkeys(names, "done"))

    discard = replay

    async def close(self) -> None:
        self.closed = True


class Watch:
    at = 0.0


def book(*sources: Source, patience: float = 5.0) -> tuple[Sources, Watch]:
    watch = Watch()
    return Sources(lambda: sources, lambda: NOW, patience, lambda: watch.at), watch


async def test_a_source_that_is_slow_or_away_holds_up_neither_the_others_nor_who_looks() -> None:
    quick, slow, away = Shelf("quick", "1", "2"), Shelf("slow", "1"), Shelf("away")
    slow.gate, away.fault = asyncio.Event(), Refusal("source_unreachable", "away cannot be reached.")
    held, watch = book(quick, slow, away, patience=0.05)
    first = {each.name: each for each in await held.look()}
    assert len(first["quick"].messages) == 2 and first["quick"].counted == Counted(2)
    assert (first["slow"].counted, first["slow"].fault) == (None, None)
    assert first["away"].fault is away.fault and outside(first["away"], (), NOW).state == "down"
    assert outside(first["slow"], (), NOW).state == "unknown"
    slow.gate.set()
    away.fault, quick.fault = None, RuntimeError("a fault of ours: password=hunter2")
    watch.at += EVERY_SECONDS - 0.1
    await held.look()
    assert quick.asked == 1  # not yet
    watch.at += 0.2
    await held.look()
    await asyncio.gather(*held._tasks.values())
    second = {each.name: each for each in await held.look()}
    assert second["slow"].counted == Counted(1) and second["away"].fault is None
    assert len(second["quick"].messages) == 2 and second["quick"].as_of == NOW  # the last that was known
    assert second["quick"].fault is not None and "hunter2" not in str(second["quick"].fault)
    with pytest.raises(NotFound):
        held.source("nobody")
    await held.close()
    assert quick.closed


async def test_a_file_that_cannot_be_used_is_one_line() -> None:
    def broken() -> Sequence[Source]:
        raise Usage("sources_invalid", "a.url: holds a password")

    held = Sources(broken, lambda: NOW, 1.0)
    [only] = await held.look()
    assert outside(only, (), NOW).fault == "a.url: holds a password"
    with pytest.raises(Usage):
        held.source("a")
    await held.close()


async def test_what_is_held_is_bounded_and_what_was_settled_is_shown_no_longer() -> None:
    large = Shelf("large", *map(str, range(1, SAMPLE + 500)))
    held, _ = book(large)
    [found] = await held.look()
    assert len(found.messages) == SAMPLE and not found.whole and found.counted == Counted(SAMPLE + 499, exact=False)
    large.gate = asyncio.Event()  # it is being read again, and does not answer
    held._patience = 0.01
    held.settled("large", {"1", "2"})
    [after] = await held.look()
    assert after.counted is not None and after.counted.waiting == SAMPLE + 497
    assert after.messages[0].name == "3"
    await held.close()


async def test_a_source_that_reading_would_change_is_looked_into_only_when_asked() -> None:
    queue = Shelf("queue", "1", "2", can=Can(browse=False))
    held, watch = book(queue)
    [found] = await held.look()
    assert (found.messages, found.whole, found.counted) == ((), False, Counted(2, exact=False))
    await held.peek("queue")
    queue.dead.pop("1")
    watch.at += PEEK_SECONDS - 1
    await held.peek("queue")
    await held.peek("nobody")
    [found] = await held.look()
    assert len(found.messages) == 2
    watch.at += 2
    await held.peek("queue")
    [found] = await held.look()
    assert len(found.messages) == 1
    await held.close()


def test_what_became_of_an_act_is_the_worst_that_is_not_known() -> None:
    assert state_of(Acted({"1": "done", "2": "unknown"})) == "unknown"
    assert state_of(Acted({"1": "done", "2": "refused"})) == "done"
    assert state_of(Acted({"1": "left", "2": "refused"})) == "refused"


def test_causes_are_those_of_the_home_and_count_what_is_held() -> None:
    at = NOW - timedelta(hours=2)
    messages = (
        message("1", dead_at=at, tenant_id="acme", release="2.0"),
        message("2", "no answer from 10.0.0.2", dead_at=NOW, tenant_id="globex"),
        message("3", "card declined", created_at=at),
    )
    held = Held("orders", "outbox", counted=Counted(9, False), messages=messages, whole=False, as_of=NOW)
    many, one = causes_of(held, NOW)
    assert many.fingerprint == fingerprint("q", "ship", "", "no answer from 10.0.0.9")
    assert (many.waiting, many.tenants, many.releases, many.whole) == (2, 2, ["2.0"], False)
    assert many.hours[21:] == [1, 0, 1] and (many.first_seen, many.last_seen) == (at, NOW)
    assert one.hours[21:] == [1, 0, 0]


def act(number: int, verb: Verb, state: str, *things: str, ago: timedelta = timedelta(0), **others: str) -> SourceAct:
    done = len(things) - len(others) if state == "done" else 0
    named = {name.removeprefix("m"): verdict for name, verdict in others.items()}
    said = "said \x1b[31mno"
    return SourceAct(number, "orders", verb, [*things], state, done, named, said, "ana", "back", NOW - ago, None)


def test_what_was_done_from_here_is_beside_each_message() -> None:
    acts = [act(4, "replay", "open", "1", ago=LONG * 2), act(3, "discard", "open", "2"),
            act(2, "replay", "done", "1", "3", m3="busy"), act(1, "replay", "done", "1")]  # fmt: skip
    one, two, three = noted([message("1"), message("2"), message("3")], acts, NOW)
    assert (one.replays, one.act) == (2, "replay unknown")  # cut off: nobody knows
    assert (two.replays, two.act, three.replays, three.act) == (0, "discard open", 0, "")
    lines = [line if isinstance(line, str) else line[0] for line in act_lines(acts, NOW)]
    assert lines[0].startswith("replay unknown, 4 m ago by ana") and "\x1b" not in "".join(lines)
    held = Held("orders", counted=Counted(3), as_of=NOW)
    assert outside(held, acts, NOW).settled == 2


def test_words_of_sources_and_payloads() -> None:
    down = Held("a", counted=Counted(5, False, NOW - timedelta(days=3)), as_of=NOW - timedelta(minutes=7),
                fault=Refusal("x", "a cannot be reached.", "Later."))  # fmt: skip
    rows = [outside(down, (), NOW), *(outside(Held(f"s{n}"), (), NOW) for n in range(9))]
    lines = source_lines(rows, NOW)
    assert lines[0] == ("a ~5, oldest 3d, in –, out 0/h · as of 7m ago: cannot be reached. Later.", "bad")
    assert lines[1:] == [*((f"s{n}: being read", "muted") for n in range(5)), ("… 4 more: :sources", "muted")]
    exact = b'{"a": 9007199254740993, "b": 1.10e2, "c": [], "d": [0.1]}'
    assert indented(exact) == '{\n  "a": 9007199254740993,\n  "b": 1.10e2,\n  "c": [],\n  "d": [\n    0.1\n  ]\n}'
    for none in (b"\xff", b"{", b"[" * 5000, b"9" * 5000):
        assert indented(none) is None
    assert masked(message("1", "no mail for ana@acme.example, b@c")).error == "no mail for a•••@acme.example, b•••@c"


def test_a_message_is_named_by_its_source_and_its_name_there() -> None:
    asked = OneMessage(id="orders/a/b c")
    assert (asked.source, asked.name, asked.thing) == ("orders", "a/b c", "orders/a/b c")
    for wrong in ("", "x" * 466):
        with pytest.raises(ValueError):
            OneMessage(id=wrong)
    assert command_line(replay, {"id": "s/a b"}, None) == "watchfloor messages replay 's/a b'"
