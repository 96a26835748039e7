"""Rehearsing a runbook, and what an execution proves: a signed statement in a file, recorded as evidence."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.asked import Changing, Reading, chosen
from app.cli.output import document, say, tell
from app.cli.stepping import AtTerminal
from controlplane.errors import Usage
from controlplane.formatting import spell
from controlplane.runbooks.model import RunbookDirectory, StepRow, Whole
from controlplane.text import clean

if TYPE_CHECKING:
    from app.contexts import Context


LOOKS = 20
"""How often a drill looks again at a check that does not pass yet: the worker of a scratch home has just begun."""


@asynccontextmanager
async def scratch_home() -> AsyncIterator[tuple[Context, str]]:
    """A home that is made for the block, and where it is; it is removed after it, or by the next demonstration."""
    from app.contexts import connect
    from app.demo import folders
    from app.homes import HomeChoice
    from app.settings import load

    tell("making a temporary home …")
    folder, held = await asyncio.to_thread(folders.make)
    choice = HomeChoice("folder", str(folders.home(folder)), None, "a scratch home")
    try:
        context = await connect(choice, settings=load())
        try:
            yield context, str(folders.home(folder))
        finally:
            await context.close()
    finally:
        await asyncio.to_thread(folders.remove, folder)
        os.close(held)


async def rehearse(context: Context, name: str, path: Path, asked: Reading, *, by_hand: bool) -> int:
    from controlplane.runbooks.drill import Player, begin, walk
    from controlplane.runbooks.scenarios import scenario

    home = context.home
    runbook = await home.of(RunbookDirectory).runbook(name)
    answers = await scenario(name)(home)
    number = await begin(home, name, drill=True)
    hands = AtTerminal(context, Changing(yes=True), answers) if by_hand else Player(home, answers, looks=LOOKS)

    def told(row: StepRow) -> None:
        if not asked.json:
            say(_timed(row, runbook.step(row.place).spec.within))

    whole = await walk(home, number, hands, told)
    recorded = await prove(context, whole, path, Changing(home=asked.home, json=asked.json, yes=True))
    passed = whole.execution.state == "passed"
    if asked.json:
        document({"item": recorded})
    took = whole.execution.ended_at
    words = "" if took is None else f" after {spell((took - whole.execution.started_at).total_seconds())}"
    if not asked.json and recorded["public_key"]:
        say(f"public key {recorded['public_key']}")
    tell(f"{whole.execution.state if passed else 'FAILED'}{words}; the evidence is in {clean(path, 400)}")
    return 0 if passed else 1


def _timed(row: StepRow, within: int | None) -> str:
    took = (row.ended_at - row.begun_at).total_seconds() if row.ended_at and row.begun_at else 0.0
    held = f" (within {spell(within)})" if within else ""
    return clean(f"{row.verdict or 'waits':<8} {row.place}. {row.name}: {took:.2f} s{held}", 300)


async def prove(context: Context, whole: Whole, path: Path, asked: Changing) -> dict[str, Any]:
    """Raises Usage `evidence_unwritable`."""
    from app.cli.changing import carry_out
    from app.evidence import signer_of
    from controlplane.evidence.collecting import TrailParts
    from controlplane.evidence.envelopes import Ed25519Signer
    from controlplane.registry import named
    from controlplane.runbooks.record import EXECUTION, execution_record, sealed

    trail = (await context.home.of(TrailParts).since(whole.execution.started_at)).origin
    signer = (await asyncio.to_thread(signer_of, chosen(asked)[0], None))(trail)
    text = sealed(whole, trail, signer)
    try:
        with path.open("xb") as file:
            file.write(text)
    except OSError as error:
        raise Usage(
            "evidence_unwritable", f"{clean(path, 400)} cannot be written: {error.strerror}.", "Name another: --to FILE"
        ) from None
    operation = named("evidence.add")
    at = whole.execution.ended_at or context.home.clock.now()
    fields = {
        "sha256": hashlib.sha256(text).hexdigest(),
        "bytes": len(text),
        "name": clean(path.name, 200),
        "kind": EXECUTION,
        "about": f"{whole.execution.runbook}, execution {whole.execution.id}",
        "about_sha256": whole.execution.sha256,
        "environment": context.environment,
        "at": f"{at:%Y-%m-%dT%H:%M:%S}",
        "signature": "good",
        "signer": signer.name,
    }
    outcome = await carry_out(context, operation, operation.parse(fields), Changing(yes=True))
    public = str(signer.public) if isinstance(signer, Ed25519Signer) else ""
    record = execution_record(whole, trail)
    return {**record, "file": str(path), "evidence": outcome.result["id"], "public_key": public}
