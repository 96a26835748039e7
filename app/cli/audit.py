"""`watchfloor audit checkpoint`, `verify`, `export`: that nobody can change what was done without being found out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from app.cli.asked import READING, Reading, chosen, opened
from app.cli.output import document, facts, say, write
from controlplane import jsontext
from controlplane.auditchain import Link, Verdict, Verification
from controlplane.checkpoints import Checkpoint, PublicKey
from controlplane.errors import Usage
from controlplane.moments import count
from controlplane.text import clean

if TYPE_CHECKING:
    from backends.postgres.home import Home

Trail = Annotated[Path | None, Parameter(help="What audit export wrote: no home is asked then.")]
Folder = Annotated[
    Path | None, Parameter(help="Where the checkpoints are; else where this machine's worker writes them.")
]
Keys = Annotated[
    tuple[str, ...],
    Parameter(help="A key whose signature counts; may be given again. Else this account's own.", negative=""),
]


async def checkpoint(*, asked: Reading = READING) -> None:
    """Chain what was done until now and sign it, as a worker does every 5 minutes. Needs the role worker."""
    from app.cli.work import reached
    from app.notary import notary_of

    choice, settings = chosen(asked)
    conninfo = await asyncio.to_thread(reached, choice, settings)
    notary = await asyncio.to_thread(notary_of, conninfo, choice, settings)
    signed = await notary.sign()
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
    words = "signed just now" if signed.new else "signed before; nothing was done since"
    facts(
        [
            ("rows", f"{count(made.size)}, {words}"),
            ("at", f"{made.at:%Y-%m-%d %H:%M:%S} UTC"),
            ("folder", str(notary.folder.path)),
            ("public key", str(public)),
        ]
    )


async def export(*, asked: Reading = READING) -> None:
    """Print the chained trail for whoever verifies it elsewhere: a line of head and row for each."""
    if asked.json:
        raise Usage("usage", "The export is a file of its own, not one document.", "Leave --json out.")
    async with opened(asked) as context:
        write(await context.home.audit.origin() + "\n")
        async for link in _links(context.home):
            write(f"{link.head.hex()} {link.canonical or ''}\n")


async def verify(
    *, trail: Trail = None, checkpoints: Folder = None, public_key: Keys = (), asked: Reading = READING
) -> int:
    """Compute the chain anew and hold it against the signed checkpoints; exit code 1 names the first bad row.

    Without any checkpoint a cut tail or a trail that was written anew is not found: that is said, and is exit code 1.
    """
    if trail is not None:
        origin, lines = _read_trail(trail)
        signed = await asyncio.to_thread(_signed, origin, checkpoints, public_key, asked)
        verification = Verification(origin, signed)
        for link in lines:
            if not verification.step(link):
                break
        return _say(verification.end(), asked)
    async with opened(asked) as context:
        home = context.home
        origin = await home.audit.origin()
        signed = await asyncio.to_thread(_signed, origin, checkpoints, public_key, asked)
        verification = Verification(origin, signed)
        async for link in _links(home):
            if not verification.step(link):
                return _say(verification.end(), asked)
        there, due = await home.audit.behind(verification.size)
        return _say(verification.end(there, due), asked)


async def _links(home: Home) -> AsyncIterator[Link]:
    after = 0
    while page := await home.audit.links(after):
        for link in page:
            yield link
        after = page[-1].seq


def _signed(origin: str, folder: Path | None, texts: Sequence[str], asked: Reading) -> list[Checkpoint | None]:
    """The checkpoints of a trail; None for one that no trusted key has signed. Blocks. Raises Refusal."""
    from app.notary import checkpoint_folder
    from app.settings import config_folder
    from backends.checkpoint_folder import CheckpointFolder, signing_key

    keys = [PublicKey.parse(text) for text in texts]
    if not keys and (own := signing_key(config_folder(), make=False)) is not None:
        keys = [own.public(origin)]
    if folder is not None:
        if not keys:
            raise Usage(
                "public_key_needed",
                "Whose signature counts is not known: this account has no key of its own.",
                "--public-key NAME+ID+KEY, as audit checkpoint prints it",
            )
        return list(CheckpointFolder(folder).read_all(keys))
    usual = checkpoint_folder(*chosen(asked))
    return list(usual.read_all(keys)) if keys and usual.path.is_dir() else []


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
    held = not verdict.faults and verdict.checkpoints > 0
    if asked.json:
        document({"item": {**dataclasses.asdict(verdict), "held": held}})
        return 0 if held else 1
    for fault in verdict.faults:
        say(clean(f"✕ row {fault.seq}: {fault.words} [{fault.code}]", 400))
    say(f"{'✕' if verdict.faults else '●'} rows that are what was chained: {count(verdict.size)}")
    if verdict.checkpoints:
        say(f"● checkpoints held against it: {count(verdict.checkpoints)}, the last of row {count(verdict.signed)}")
    else:
        say("? no checkpoint was held against it: a cut tail or a trail written anew would not be found [unsigned]")
    if verdict.others:
        say(f"? checkpoints that none of the trusted keys has signed, not counted: {count(verdict.others)}")
    if verdict.waiting:
        say(f"? newer rows that are not chained yet, of which nothing is said: {count(verdict.waiting)}")
    return 0 if held else 1
