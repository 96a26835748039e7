"""What a target is asked that the library has no call for, by addresses that are signed for some minutes: how objects
are held, whether a wrong digest is refused, which uploads were never finished.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from backends.evidence.signing import with_query
from backends.http.client import Http, Received
from controlplane.deliveries.model import Trouble
from controlplane.errors import Refusal
from controlplane.evidence.publishing import Target
from controlplane.evidence.targets import Held, Lock, Unfinished
from controlplane.text import clean

GOOD_FOR = timedelta(minutes=15)
SECONDS = 60.0
MOST = 4 << 20
AT_ONCE = 16
PAGES = 100
LOCKS = (
    ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"),
    ("x-goog-object-lock-mode", "x-goog-object-lock-retain-until-date"),
    ("x-ms-immutability-policy-mode", "x-ms-immutability-policy-until-date"),
)
WRONG = "AAAAAAAAAAAAAAAAAAAAAA=="
"""The MD5 of nothing that anybody ever stored."""
OURS = re.compile(r"(data/sha256/[0-9a-f]{2}/[0-9a-f]{64}|bundles/[0-9a-f]{64}(/[0-9a-f]{8}\.dsse)?\.json)")
T = TypeVar("T")
STAGED = re.compile(OURS.pattern + r"#[0-9]+")
"""What the library calls a file that it has not finished."""


def unasked(target: Target, why: str) -> Refusal:
    return Refusal("target_unasked", f"{target} was not asked: {why}.")


def held(target: Target, addresses: Mapping[str, str]) -> Mapping[str, Held]:
    """How each object is held, by its key. Raises Refusal."""

    async def ask(http: Http) -> dict[str, Held]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(url: str) -> Held:
            async with room:
                return _held(await _said(http, target, "HEAD", url))

        found = await asyncio.gather(*(one(url) for url in addresses.values()))
        return dict(zip(addresses, found, strict=True))

    return _run(ask)


def _held(said: Received) -> Held:
    for mode, until in LOCKS:
        if (at := _moment(said.headers.get(until, ""))) is not None:
            lock = Lock(clean(said.headers.get(mode, "") or "unknown", 40), at)
            break
    else:
        lock = None
    generation = said.headers.get("x-goog-metageneration")
    return Held(lock, generation and clean(generation, 40))


def _moment(text: str) -> datetime | None:
    """ISO 8601 or RFC 5322; None: neither."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def refuses_wrong_digest(target: Target, url: str) -> bool:
    headers = [("content-md5", WRONG), ("content-type", "text/plain")]
    if target.scheme == "az":
        headers.append(("x-ms-blob-type", "BlockBlob"))

    async def ask(http: Http) -> Received:
        return await _sent(http, target, "PUT", url, headers, b"probe")

    said = _run(ask)
    if 200 <= said.status < 300:
        return False
    if said.status == 400:
        return True
    raise unasked(target, f"it answered {said.status}")


def unfinished(target: Target, prefix: str, url: str, secret: str, before: datetime) -> Sequence[Unfinished]:
    """Multipart uploads of ours below a prefix, of S3. `url`: of the bucket. Raises Refusal."""

    async def ask(http: Http) -> list[Unfinished]:
        found: list[Unfinished] = []
        marks: dict[str, str] = {}
        for _ in range(PAGES):
            address = with_query(url, "GET", {"uploads": "", "prefix": prefix, **marks}, secret)
            page = _tree(target, await _said(http, target, "GET", address))
            for each in page.iter("Upload"):
                key, number = (each.findtext(name) or "" for name in ("Key", "UploadId"))
                since = _moment(each.findtext("Initiated") or "")
                name = key.removeprefix(prefix)
                if since is not None and since < before and number and OURS.fullmatch(name) and key == prefix + name:
                    found.append(Unfinished(name, number, since))
            if page.findtext("IsTruncated") != "true":
                break
            marks = {
                "key-marker": page.findtext("NextKeyMarker") or "",
                "upload-id-marker": page.findtext("NextUploadIdMarker") or "",
            }
        return sorted(found, key=lambda each: (each.key, each.upload))

    return _run(ask)


def _tree(target: Target, said: Received) -> ElementTree.Element:
    try:
        if said.cut or b"<!" in said.body:  # no document of theirs has entities
            raise ValueError
        root = ElementTree.fromstring(bytes(said.body))
    except (ElementTree.ParseError, ValueError):
        raise Refusal("target_failed", f"{target}: its list of uploads cannot be read.") from None
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    return root


def give_up(target: Target, url: str, secret: str, upload: Unfinished) -> None:
    address = with_query(url, "DELETE", {"uploadId": upload.upload}, secret)

    async def ask(http: Http) -> Received:
        return await _sent(http, target, "DELETE", address)

    said = _run(ask)
    if not (200 <= said.status < 300 or said.status == 404):
        raise _failed(target, said.status)


def unfinished_files(folder: Path, before: datetime) -> Sequence[Unfinished]:
    found = []
    for path in sorted((*folder.glob("data/sha256/*/*#*"), *folder.glob("bundles/*#*"), *folder.glob("bundles/*/*#*"))):
        name = path.relative_to(folder).as_posix()
        try:
            since = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
        except (OSError, OverflowError, ValueError):
            continue
        if STAGED.fullmatch(name) and since < before:
            found.append(Unfinished(name, name, since))
    return found


def remove_unfinished(folder: Path, upload: Unfinished) -> None:
    if STAGED.fullmatch(upload.upload):
        try:
            (folder / upload.upload).unlink(missing_ok=True)
        except OSError as error:
            raise Refusal("target_failed", f"{clean(folder, 300)}: {error.strerror}.") from None


def _run(ask: Callable[[Http], Awaitable[T]]) -> T:
    async def with_client() -> T:
        http = Http()
        try:
            return await ask(http)
        finally:
            await http.close()

    return asyncio.run(with_client())


async def _said(http: Http, target: Target, method: str, url: str) -> Received:
    """Raises Refusal `target_failed` when it is anything but a success, `target_unasked` when we may not."""
    said = await _sent(http, target, method, url)
    if said.status in (401, 403):
        raise unasked(target, "it does not let this worker ask")
    if not 200 <= said.status < 300 or said.broken:
        raise _failed(target, said.status)
    return said


async def _sent(
    http: Http, target: Target, method: str, url: str, headers: Sequence[tuple[str, str]] = (), content: bytes = b""
) -> Received:
    try:
        return await http.ask(method, url, headers, content, seconds=SECONDS, most=MOST)
    except Trouble:  # its words may hold the signed address
        raise Refusal("target_failed", f"{target}: it cannot be reached.") from None


def _failed(target: Target, status: int) -> Refusal:
    return Refusal("target_failed", f"{target}: it refuses with {status}.")
