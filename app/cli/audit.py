"""`watchfloor audit show|checkpoint|status|verify|export`: a change of the trail after the fact is found."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from app.cli.asked import READING, Reading, chosen, opened
from app.cli.lists import Told, field_lines
from app.cli.output import document, facts, say, write
from app.cli.parameters import Parameter
from controlplane import jsontext
from controlplane.audit.chain import Link, Verdict, Verification, status_words
from controlplane.audit.chain import late as lag_of
from controlplane.audit.checkpoints import Checkpoint, PublicKey
from controlplane.audit.model import AuditDirectory, AuditRow
from controlplane.errors import Refusal, Usage
from controlplane.formatting import count
from controlplane.text import clean

if TYPE_CHECKING:
    from backends.postgres.home import Home
    from controlplane.changes import ControlPlane

Trail = Annotated[Path | None, Parameter(help="A file that audit export wrote; then no home is asked.")]
Folder = Annotated[
    Path | None, Parameter(help="Where the checkpoints are; default: where this machine's worker writes them.")
]
Published = Annotated[tuple[str, ...], Parameter(help="A place that bundles are published to: s3://…; repeatable.")]
Keys = Annotated[
    tuple[str, ...],
    Parameter(help="A public key to trust; repeatable. Default: this account's own."),
]


async def show_row(plane: ControlPlane, row: AuditRow) -> Told:
    """Show one change: who, when, why, before and after."""
    from controlplane.previews import row_lines

    about = ("seq", "at", "actor", "operation", "reason", "request_id", "out_of_band", "impersonation", "carried_by")
    return Told(lines=[*field_lines({name: getattr(row, name) for name in about}), *row_lines(row)])


async def checkpoint(*, asked: Reading = READING) -> None:
    """Chain what was done until now and sign it, as a worker does every 5 minutes. Needs the role worker."""
    from app.cli.worker import reached
    from app.notary import notary_of

    choice, settings = chosen(asked)
    conninfo = await asyncio.to_thread(reached, choice, settings)
    notary = await asyncio.to_thread(notary_of, conninfo, choice, settings)
    signed = await notary.sign_in_turn()
    if signed is None:
        raise Usage("trail_empty", "The trail has no row yet: there is nothing to sign.")
    made, public = signed.checkpoint, notary.key.public(signed.checkpoint.origin)
    if asked.json:
        item = {
            "origin": made.origin,
            "size": made.size,
            "head": made.head.hex(),
            "at": made.at,
            "new": signed.new,
            "public_key": str(public),
            "folder": str(notary.folder.path),
            "note": signed.note,
        }
        document({"item": item})
        return
    words = "signed just now" if signed.new else "signed before; nothing new since"
    facts(
        [
            ("rows", f"{count(made.size)}, {words}"),
            ("at", f"{made.at:%Y-%m-%d %H:%M:%S} UTC"),
            ("folder", str(notary.folder.path)),
            ("public key", str(public)),
        ]
    )


async def export(*, asked: Reading = READING) -> None:
    """Print the chained trail, to be verified elsewhere: a line for each row, with its head."""
    if asked.json:
        raise Usage("usage", "The export is a file of its own, not one document.", "Leave --json out.")
    async with opened(asked) as context:
        write(await context.home.of(AuditDirectory).origin() + "\n")
        async for link in _links(context.home):
            write(f"{link.head.hex()} {link.canonical or ''}\n")


async def status(*, asked: Reading = READING) -> int:
    """How far the trail is chained and signed, and why it goes no further; exit code 1 when it lags or was refused."""
    async with opened(asked) as context:
        found = await context.home.of(AuditDirectory).chain_status()
        now = context.home.clock.now()
    late = found.late(now)
    if asked.json:
        document({"item": {**dataclasses.asdict(found), "late": late}})
        return 1 if late else 0
    facts(
        [
            ("rows", count(found.written)),
            ("chained to", count(found.chained)),
            ("signed to", "no checkpoint yet" if found.signed is None else count(found.signed)),
            ("state", f"{'✕' if late else '●'} {status_words(found, now)}"),
            *([("refused", clean(found.trouble, 500))] if found.trouble else []),
        ]
    )
    return 1 if late else 0


async def verify(
    *,
    trail: Trail = None,
    checkpoints: Folder = None,
    published: Published = (),
    public_key: Keys = (),
    asked: Reading = READING,
) -> int:
    """Compute the chain again and compare it with the signed checkpoints; exit code 1 when something is wrong.

    Without a checkpoint neither a cut tail nor a rewritten trail can be found: that counts as a fault as well. With
    published, those count too that bundles have taken to where whoever owns the home and its worker cannot change them.
    """
    if trail is not None:
        said, lines = _read_trail(trail)
        verification = await asyncio.to_thread(_verification, said, checkpoints, published, public_key, asked)
        for link in lines:
            if not verification.step(link):
                break
        return _say(verification.end(), asked)
    async with opened(asked) as context:
        home = context.home
        said = await home.of(AuditDirectory).origin()
        verification = await asyncio.to_thread(_verification, said, checkpoints, published, public_key, asked)
        async for link in _links(home):
            if not verification.step(link):
                return _say(verification.end(), asked)
        there, due = await home.of(AuditDirectory).behind(verification.size)
        verdict = verification.end(there, due)
        if (lag := lag_of((await home.of(AuditDirectory).chain_status()).waits_since, home.clock.now())) is not None:
            verdict.faults.append(lag)
        return _say(verdict, asked)


async def _links(home: Home) -> AsyncIterator[Link]:
    """The links of the chain; the next page is read while this one is computed."""
    coming = asyncio.create_task(home.of(AuditDirectory).links(0))
    try:
        while page := await coming:
            coming = asyncio.create_task(home.of(AuditDirectory).links(page[-1].seq))
            for link in page:
                yield link
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _verification(
    said: str, folder: Path | None, places: Sequence[str], texts: Sequence[str], asked: Reading
) -> Verification:
    """Which trail it must be, and what was signed of it, come from outside the trail. Blocks. Raises Refusal."""
    from app.notary import checkpoint_folder
    from app.settings import config_folder
    from backends.checkpoint_folder import CheckpointFolder, signing_key

    usual = checkpoint_folder(*chosen(asked)) if folder is None else CheckpointFolder(folder)
    keys = [PublicKey.parse(text) for text in texts]
    pinned = [] if keys and folder is not None else usual.trusted()
    own = None if keys else signing_key(config_folder(), make=False)
    if own is not None:
        keys = [own.public(origin) for origin in sorted({key.origin for key in pinned} or {said})]
    if (folder is not None or places) and not keys:
        raise Usage(
            "public_key_needed",
            "No key to trust: this account has none of its own.",
            "--public-key NAME+ID+KEY, as audit checkpoint prints it",
        )
    origins = {key.origin for key in keys or pinned}
    found = list(usual.read_all(keys)) if keys and (folder is not None or usual.path.is_dir()) else []
    taken = [each for place in places for each in _published(place, keys)]
    return Verification(said if said in origins or not origins else min(origins), found, said, taken)


def _published(place: str, keys: Sequence[PublicKey]) -> Iterator[Checkpoint | None]:
    """The checkpoints at a place that are of the trails of these keys; None: none of them has signed it."""
    from app.credentials import opening
    from app.settings import load
    from controlplane.audit.checkpoints import read
    from controlplane.evidence.publishing import Target

    origins = {key.origin for key in keys}
    for note in opening(load())(Target.parse(place)).checkpoints():
        text = note.decode(errors="replace")
        if text.partition("\n")[0] not in origins:
            continue  # of another home that publishes there as well
        try:
            yield read(text, keys)
        except Refusal as refusal:
            if refusal.code != "checkpoint_unsigned":
                raise
            yield None


def _read_trail(path: Path) -> tuple[str, Any]:
    try:
        file = path.open(encoding="utf-8", newline="\n")
    except OSError as error:
        raise Usage("trail_unreadable", f"{clean(path)} cannot be read: {error.strerror}.") from None
    origin = file.readline().rstrip("\n")

    def lines() -> Any:
        with file:
            for number, line in enumerate(file, 1):
                head, _, canonical = line.rstrip("\n").partition(" ")
                try:
                    seq = jsontext.read(canonical)["seq"] if canonical else number
                    yield Link(seq, canonical or None, bytes.fromhex(head))
                except (ValueError, KeyError, TypeError):
                    raise Usage(
                        "trail_unreadable", f"Line {number + 1} of {clean(path)} is no row of a trail."
                    ) from None

    return origin, lines()


def _say(verdict: Verdict, asked: Reading) -> int:
    held = not verdict.faults
    if asked.json:
        document({"item": {**dataclasses.asdict(verdict), "held": held}})
        return 0 if held else 1
    for fault in verdict.faults:
        say(clean(f"✕ {f'row {fault.seq}: ' if fault.seq else ''}{fault.words} [{fault.code}]", 400))
    say(f"{'●' if held else '✕'} rows as they were chained: {count(verdict.size)}")
    if verdict.checkpoints:
        say(f"● checkpoints compared with it: {count(verdict.checkpoints)}, the last of row {count(verdict.signed)}")
    if verdict.cut:
        say(f"● rows too large to be read, compared by the digest of their parts: {count(verdict.cut)}")
    if verdict.waiting:
        say(f"? newer rows that are not chained yet, not verified: {count(verdict.waiting)}")
    return 0 if held else 1
