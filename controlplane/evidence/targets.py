"""What a target can do: found out by trying, before it is used; and what it then holds, looked at again later."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from controlplane.errors import Refusal
from controlplane.evidence.publishing import Check, Remote, Target
from controlplane.text import clean

RANGE = 8 << 20
MAX_FAULTS = 20
MAX_ITEMS = 200
MAX_GIVEN_UP = 10_000


@dataclass(frozen=True)
class Lock:
    """Until when a provider keeps an object from being changed or removed, and how strictly."""

    mode: str
    until: datetime


@dataclass(frozen=True)
class Held:
    """What a provider says of an object only when it is asked for that. `metageneration`: of GCS."""

    lock: Lock | None = None
    metageneration: str | None = None


@dataclass(frozen=True)
class Unfinished:
    """An upload that was begun and neither finished nor given up. `upload`: the provider's number of it."""

    key: str
    upload: str
    since: datetime


class Provider(Remote, Protocol):
    """A target with what it is asked besides publishing."""

    def read_range(self, key: str, start: int, end: int, etag: str | None) -> bytes | None:
        """Some bytes of the object that has this ETag; None: there is no such object any more."""
        ...

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        """How each is held. Raises Refusal `target_unasked` where that cannot be found out."""
        ...

    def refuses_wrong_digest(self, key: str) -> bool:
        """Offers an object with a wrong digest. Raises Refusal `target_unasked`."""
        ...

    def unfinished(self, before: datetime) -> Sequence[Unfinished]:
        """Uploads of ours that were begun before that. Raises Refusal `target_unasked`."""
        ...

    def give_up(self, upload: Unfinished) -> None:
        """End it, and drop what is there of it."""
        ...


@dataclass(frozen=True)
class Abilities:
    """What a target showed. None: it could not be found out.

    `creates`: an object is made only where there is none. `versions`: what is replaced or removed is kept. `digests`:
    an object that does not match the digest that is sent with it is refused. `locks`: what is new is kept from being
    removed, so strictly (`mode`), for so many days.
    """

    creates: bool
    versions: bool | None = None
    digests: bool | None = None
    locks: bool | None = None
    mode: str | None = None
    days: float | None = None

    def record(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("creates", "versions", "digests", "locks", "mode", "days")}


def probe(remote: Provider, target: Target, now: datetime) -> Abilities:
    """Try it with two small objects, the same ones for a month. Raises Refusal `target_failed`, `target_unfit`."""
    key, content = f"probes/{now:%Y-%m}", b"What this place can do was found out with this object.\n"
    remote.create(key, content)
    creates = remote.create(key, content) is None
    if not creates:
        raise Refusal(
            "target_unfit",
            f"{target} replaces an object that was to be made only once: a manifest would not be safe there.",
            "Publish to a provider with conditional writes (If-None-Match).",
        )
    there = remote.look(key)
    if there is None or there.size != len(content):
        raise Refusal("target_failed", f"{target} does not hold what was just stored there.")
    held = _asked(lambda: remote.held([key])[key])
    lock = held and held.lock
    days = lock and round(max(0.0, (lock.until - now).total_seconds()) / 86_400, 2)
    digests = _asked(lambda: remote.refuses_wrong_digest(f"{key}-digest"))
    return Abilities(
        creates,
        there.version is not None,
        digests,
        None if held is None else lock is not None,
        lock and lock.mode,
        days,
    )


def _asked(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Refusal as refusal:
        if refusal.code != "target_unasked":
            raise
        return None


def with_locks(attestation: Mapping[str, Any], held: Mapping[str, Held]) -> Mapping[str, Any]:
    """The attestation with how each object is held; `lock` of all: until the first of them ends; None: one has none."""

    def told(each: Mapping[str, Any]) -> dict[str, Any]:
        found = held.get(each["key"], Held())
        more = {} if found.metageneration is None else {"metageneration": found.metageneration}
        return {**each, "lock": lock_record(found.lock), **more}

    objects, manifest = [told(each) for each in attestation["objects"]], told(attestation["manifest"])
    locks = [held.get(each["key"], Held()).lock for each in (*objects, manifest)]
    return {**attestation, "objects": objects, "manifest": manifest, "lock": lock_record(first_to_end(locks))}


def first_to_end(locks: Sequence[Lock | None]) -> Lock | None:
    known = [each for each in locks if each is not None]
    return min(known, key=lambda each: each.until) if known and len(known) == len(locks) else None


def lock_record(lock: Lock | None) -> dict[str, str] | None:
    return None if lock is None else {"mode": lock.mode, "until": f"{lock.until:%Y-%m-%dT%H:%M:%SZ}"}


class Pace:
    """Lets so many bytes a second pass, from any number of threads; None: any number.

    `now`: seconds of a clock that only goes forward; `wait`: for so many seconds; it raises to break off.
    """

    def __init__(self, rate: float | None, now: Callable[[], float], wait: Callable[[float], None]) -> None:
        self._rate, self._now, self._wait = rate, now, wait
        self._free = now()
        self._turn = threading.Lock()

    def __call__(self, number: int) -> None:
        pause = 0.0
        if self._rate is not None:
            with self._turn:
                at = self._now()
                pause = max(0.0, self._free - at)
                self._free = max(self._free, at) + number / self._rate
        self._wait(pause)


@dataclass
class Progress:
    """How far a verification has come: whole objects, and the bytes of all."""

    objects: int = 0
    bytes: int = 0
    faults: list[dict[str, str]] = field(default_factory=list)
    faulty: int = 0


def verify_published(
    remote: Provider,
    attestation: Mapping[str, Any],
    check: Check = lambda number: None,
    progress: Progress | None = None,
    part: int = RANGE,
) -> Progress:
    """Read again all that was attested, by ranges, and hold it against the attestation. It goes on from `progress`,
    after the objects that are done. Raises Refusal `target_failed`.
    """
    done = progress or Progress()
    for each in attested(attestation)[done.objects :]:
        before = done.bytes
        try:
            words = _fault(remote, each, check, done, part)
        except BaseException:
            done.bytes = before
            raise
        if words is not None:
            done.faulty += 1
            done.faults = [*done.faults, {"path": clean(each["path"], 100), "fault": words}][:MAX_FAULTS]
        done.objects += 1
    return done


def attested(attestation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objects of an attestation, each once."""
    return list({each["key"]: each for each in attestation["objects"]}.values())


def _fault(remote: Provider, each: Mapping[str, Any], check: Check, done: Progress, part: int) -> str | None:
    there = remote.look(each["key"])
    if there is None:
        return "it is gone"
    if there.size != each["bytes"]:
        return f"it has {there.size:,} bytes, and had {each['bytes']:,}"
    if each["etag"] is not None and there.etag != each["etag"]:
        return "it was replaced: its ETag is another one"
    if each["version"] is not None and there.version != each["version"]:
        return "it was replaced: its version is another one"
    hashing, at = hashlib.sha256(), 0
    while at < each["bytes"]:
        check(min(part, each["bytes"] - at))
        piece = remote.read_range(each["key"], at, min(at + part, each["bytes"]), there.etag)
        if not piece:
            return "it was replaced while it was read"
        hashing.update(piece)
        at += len(piece)
        done.bytes += len(piece)
    return None if hashing.hexdigest() == each["sha256"] else "its content is another one"


def sweep(remote: Provider, before: datetime, remove: bool, check: Check = lambda number: None) -> dict[str, Any]:
    """Find uploads that were begun before that and never ended, and end them with `remove`; without, that is a dry run.

    Raises Refusal `target_unasked`, `target_failed`.
    """
    found = remote.unfinished(before)[:MAX_GIVEN_UP]
    gone: list[Unfinished] = []
    for each in found if remove else ():
        check(0)
        remote.give_up(each)
        gone.append(each)
    items = [{"key": each.key, "since": f"{each.since:%Y-%m-%dT%H:%M:%SZ}"} for each in found[:MAX_ITEMS]]
    return {"found": len(found), "removed": len(gone), "remove": remove, "items": items}


def bytes_of(attestation: Mapping[str, Any]) -> int:
    each: Iterable[Mapping[str, Any]] = attested(attestation)
    return sum(one["bytes"] for one in each)
