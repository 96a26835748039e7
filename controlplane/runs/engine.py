"""One engine for everything that is done in bulk.

`preview_run` shows what would happen, `start_run` fixes the list of things, `drive` does them in batches or one by one,
`undo_run` starts a run that takes all of it back. The driving program may be killed at any point: call `drive` again,
and it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from controlplane.carrying import Ask, Question, carry_out, level
from controlplane.errors import Conflict, Refusal, Usage
from controlplane.operations import Call, Keep, Operation, Outcome, Risk, authorise, check_reason, execute
from controlplane.registry import named
from controlplane.runs import rules
from controlplane.runs.bulk import OUTSIDE
from controlplane.runs.driver import Driver, LentDriver, request_of
from controlplane.runs.left import is_lent
from controlplane.runs.model import Run, RunDirectory, RunItem
from controlplane.runs.operations import START, UNDO, OneRun, RunStart, target
from controlplane.runs.things import expected_refusals, fixed

if TYPE_CHECKING:
    from controlplane.audit.model import Record
    from controlplane.changes import ControlPlane

FOLLOW_SECONDS = 0.5
CARRIED_BY = "A console, a shell or a worker whose settings name that source carries it: docs/queues.md."


@dataclass(frozen=True)
class RunPreview:
    """What a run would do: to how many things, the first few tried and rolled back, and which would be refused.

    `refusals`: code → how many of all things would meet it, judged by their rows; `words`: one example of each.
    """

    total: int
    sample: tuple[tuple[str, Outcome | Refusal], ...]
    refusals: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunQuestion:
    """What is asked before a run starts: `operation` is what is done to each thing."""

    operation: Operation[Any]
    preview: RunPreview
    risk: Risk

    @property
    def name(self) -> str:
        return str(self.preview.total)


AskRun = Callable[[RunQuestion], Awaitable[bool]]


async def preview_run(plane: ControlPlane, request: RunStart, reason: str | None) -> RunPreview:
    """A dry run; nothing is kept. Raises what `start_run` raises."""
    operation = _permitted(plane, request.operation, reason)
    request = await fixed(plane, operation, request)
    tried = await execute(plane, START, request, Call(reason, dry_run=True))
    return await _preview_start(plane, operation, request, reason, tried)


async def start_run(
    plane: ControlPlane,
    request: RunStart,
    reason: str | None,
    request_id: str = "",
    ask: AskRun | None = None,
    *,
    keep: Keep | None = None,
    production: bool = False,
    repeating: bool = False,
) -> Run:
    """Show, ask, then record what will be done, to what, and why. Nothing is done yet: `drive` does it.

    `keep` stores the secrets of the keys that the run will make; nothing starts without them. Raises Usage
    (`not_in_bulk`, `run_filter_…`, `run_thing_twice`, `run_too_large`, `secrets_to_needed`), Refusal `run_empty`, and
    what `keep` and `carry_out` raise.
    """
    operation = _permitted(plane, request.operation, reason)
    check_kept(operation, keep is not None)
    request = await fixed(plane, operation, request)
    asks = ask and _asking(
        ask, operation, lambda tried: _preview_start(plane, operation, request, reason, tried), production
    )
    outcome = await carry_out(plane, START, request, Call(reason, request_id, keep=keep), asks, repeating=repeating)
    return await _ask_release(plane, await plane.of(RunDirectory).get(outcome.result["id"]))


async def undo_run(
    plane: ControlPlane,
    run_id: int,
    reason: str | None = None,
    request_id: str = "",
    ask: AskRun | None = None,
    *,
    production: bool = False,
    repeating: bool = False,
) -> Run:
    """Start a run that takes back every done item of another, last first. A thing that was changed since is refused."""
    asks = None
    if name := target((await plane.of(RunDirectory).get(run_id)).operation).undo:
        undo = _permitted(plane, name, reason or "undo")
        asks = ask and _asking(ask, undo, lambda tried: _preview_items(plane, undo, {}, reason, tried), production)
    request, call = OneRun(id=run_id), Call(reason, request_id)
    outcome = await carry_out(plane, UNDO, request, call, asks, repeating=repeating)
    return await _ask_release(plane, await plane.of(RunDirectory).get(outcome.result["id"]))


async def _ask_release(plane: ControlPlane, run: Run) -> Run:
    """Ask a second person about a run that is held; the person who started it has seen what it would do."""
    from controlplane.approvals.seconding import ask_for

    if run.held:
        with suppress(Conflict):  # asked for already: the start was repeated
            await ask_for(plane, named("runs.release"), OneRun(id=run.id), Call(run.reason or run.operation))
    return run


def _asking(
    ask: AskRun, operation: Operation[Any], look: Callable[[Outcome], Awaitable[RunPreview]], production: bool
) -> Ask:
    """Ask about a run that was started and rolled back; `look` previews what it would do to each thing."""

    async def asked(question: Question) -> bool:
        preview = await look(question.preview)
        return await ask(RunQuestion(operation, preview, _level(operation, production, preview)))

    return asked


def _permitted(plane: ControlPlane, name: str, reason: str | None) -> Operation[Any]:
    operation = target(name)
    authorise(plane, operation)
    check_reason(operation, reason)
    return operation


def _level(operation: Operation[Any], production: bool, preview: RunPreview) -> Risk:
    """A run asks for a yes at least, even when it is of one thing."""
    risk = level(operation, production=production, number=preview.total)
    return Risk.CONFIRM if risk in (Risk.SAFE, Risk.PREVIEW) else risk


async def _preview_start(
    plane: ControlPlane, operation: Operation[Any], request: RunStart, reason: str | None, tried: Outcome
) -> RunPreview:
    preview = await _preview_items(plane, operation, request.fields, reason, tried)
    counts, words = await expected_refusals(plane, operation, request)
    return replace(preview, refusals=counts, words=words)


async def _preview_items(
    plane: ControlPlane, operation: Operation[Any], fields: Record, reason: str | None, tried: Outcome
) -> RunPreview:
    """The first things of a run that was started and rolled back, each tried and rolled back too."""
    sample: list[tuple[str, Outcome | Refusal]] = []
    for first in tried.result["first"]:
        item = RunItem(**first)
        try:
            asked, why = await request_of(plane, operation, fields, item, reason)
            sample.append((item.thing, await execute(plane, operation, asked, Call(why, dry_run=True))))
        except Refusal as refusal:
            sample.append((item.thing, refusal))
    return RunPreview(tried.result["waiting"], tuple(sample))


async def drive(
    plane: ControlPlane,
    run_id: int,
    *,
    clock: rules.Clock | None = None,
    on_progress: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Do the items of a run until it is done, paused or stopped, and return it as it is then.

    A run that is not running is returned as it is. Raises Conflict `run_driven` when another program drives it,
    HomeUnreachable and OutcomeUnknown when the link is lost: then call `drive` again.

    With a worker's login, the home does each item as the person who started the run.
    """
    run = await plane.of(RunDirectory).get(run_id)
    operation = named(run.operation)
    if not is_lent(plane):
        authorise(plane, operation)
    if run.state != "running":
        return run
    if why := await lacks(plane, run):
        raise Refusal("run_source", f"Run {run.id} is not carried here: {why}", CARRIED_BY)
    driver = _driver(plane, operation)(plane, operation, clock or rules.RealClock(), on_progress)
    run = await driver.hold(run_id)
    try:
        await driver.to_the_end(run)
    finally:
        await plane.of(RunDirectory).release(run_id, driver.holder)
    return await plane.of(RunDirectory).get(run_id)


async def lacks(plane: ControlPlane, run: Run) -> str:
    """Why this program cannot carry a run: it lacks what the run's source takes. "": it can."""
    if not run.operation.startswith(f"{OUTSIDE}."):
        return ""
    from controlplane.runs.outside import missing

    return await missing(plane, run)


def _driver(plane: ControlPlane, operation: Operation[Any]) -> type[Driver]:
    if operation.noun == OUTSIDE:
        from controlplane.runs.outside import LentOutsideDriver, OutsideDriver

        return LentOutsideDriver if is_lent(plane) else OutsideDriver
    return LentDriver if is_lent(plane) else Driver


async def follow(
    plane: ControlPlane, run_id: int, *, clock: rules.Clock | None = None, on_progress: Callable[[Run], None]
) -> Run:
    """Watch a run that another program drives, until the run ends or that program is gone."""
    while (run := await plane.of(RunDirectory).get(run_id)).standing == "running":
        on_progress(run)
        await (clock or rules.RealClock()).sleep(FOLLOW_SECONDS)
    return run


def check_kept(operation: Operation[Any], kept: bool) -> None:
    """The secrets of a run are never shown: they need a file. Raises Usage `secrets_to_needed`."""
    if operation.makes_secret and not kept:
        raise Usage(
            "secrets_to_needed",
            f"{operation.name} makes a secret for each of many keys: they go to a file that only you can read.",
            "Name it: --secrets-to FILE",
        )
