"""Starting, pausing, resuming and stopping a run."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, JsonValue, model_validator

from controlplane.audit.model import Record
from controlplane.errors import Refusal, Usage
from controlplane.filters import grammar as filters
from controlplane.nouns import list_named
from controlplane.operations import Made, Operation, Request, Risk, Subject, as_result, operation
from controlplane.refusals import NO_UNDO
from controlplane.runs import rules
from controlplane.runs.bulk import PACE, acted_on, in_bulk
from controlplane.runs.model import Run, RunItem, RunStore
from controlplane.runs.newkeys import prepare
from controlplane.runs.refusals import RUN_THING_TWICE

if TYPE_CHECKING:
    from controlplane.changes import Change

SAMPLE_ITEMS = 5
_ADDRESS = re.compile(r"[\w.%+-]@[A-Za-z0-9][\w-]*\.\w")


class OneRun(Request):
    id: Annotated[int, Field(ge=1, description="the run's number")]


RUN = Subject(Run, lambda change, request: change.of(RunStore).lock(request.id))


class RunStart(Request):
    """Either `subjects`, each with the subject's fields and, if known, the version that was seen, or a `filter`."""

    subject = ("operation",)
    operation: str
    fields: Annotated[dict[str, JsonValue], Field(default_factory=dict, description="what all requests share")]
    subjects: Annotated[list[dict[str, JsonValue]] | None, Field(default=None, max_length=rules.MAX_RUN_ITEMS)]
    filter: Annotated[str | None, Field(default=None, description="all things that match it now")]
    per_second: Annotated[
        float,
        Field(
            default=rules.PER_SECOND,
            ge=0.01,
            le=rules.MAX_PER_SECOND,
            description=PACE["per_second"],
        ),
    ]
    breaker_share: Annotated[
        float,
        Field(default=rules.BREAKER_SHARE, ge=0, le=1, description=PACE["breaker_share"]),
    ]

    @model_validator(mode="after")
    def _one_source(self) -> RunStart:
        if (self.subjects is None) == (self.filter is None):
            raise ValueError("give either subjects or a filter")
        return self


def target(name: str) -> Operation[Any]:
    """An operation that can be done in bulk; its undo only if that can be too. Raises Usage `not_in_bulk`."""
    from controlplane.registry import operations  # it imports this module

    every = operations()
    found = every.get(name)
    if found is None or not in_bulk(found):
        raise Usage(
            "not_in_bulk",
            f"{name} cannot be done to many things at once.",
            f"Those that can: {', '.join(sorted(each.name for each in every.values() if in_bulk(each)))}.",
        )
    undo = every.get(found.undo or "")
    return found if undo is None or in_bulk(undo) else replace(found, undo=None)


def item_fields(operation: Operation[Any], fields: Record, item: RunItem) -> Record:
    """The fields of one item's request: those that all share, the thing, and the version that was seen."""
    seen = {} if item.version is None else {"version": item.version}
    return fields | item.subject | seen


def dead_secrets(run: Run) -> str:
    """In words, which secrets that were made for a run are good for nothing; empty when there are none."""
    if not (run.refused or run.skipped) or not target(run.operation).makes_secret:
        return ""
    return "The secrets of keys that were refused or skipped never work: no key has the id in their lines."


async def start(change: Change, request: RunStart) -> Made:
    """Start a run: fix what it will be done to, and the keys that it will make."""
    operation = target(request.operation)
    run = await change.of(RunStore).create(
        {
            "operation": operation.name,
            "fields": _shared(operation, request.fields),
            "filter": request.filter,
            "reason": change.reason,
            "per_second": request.per_second,
            "breaker_share": request.breaker_share,
        }
    )
    if request.subjects is not None:
        subjects = _read_subjects(operation, request.fields, request.subjects)
        await change.of(RunStore).add_named(run.id, acted_on(operation), subjects)
    else:
        await change.of(RunStore).add_matching(
            run.id, acted_on(operation), terms_of(operation, request.filter or ""), change.now
        )
    started = await _started(change, run.id)
    secrets = await prepare(change, run.id, started["waiting"]) if operation.makes_secret else ()
    return Made(started, secrets=secrets)


def _shared(operation: Operation[Any], fields: Record) -> Record:
    """The fields that all requests share as the operation reads them, with its defaults: whoever carries the run need
    not know how they are read.
    """
    own = {*operation.request.subject, "version"} & fields.keys()
    if own:
        raise Usage("run_fields", f"{', '.join(sorted(own))} differs from thing to thing.", "Leave it out.")
    if personal := set(operation.request.personal) & fields.keys():
        raise Usage(
            "run_personal",
            f"{', '.join(sorted(personal))} is personal: it is not kept with a run.",
            "Change it one by one.",
        )
    of_any: Request = operation.parse(fields | dict.fromkeys(operation.request.subject, "1"))  # a name, or a number
    return of_any.model_dump(mode="json", exclude={*operation.request.subject, "version"}, exclude_none=True)


def _read_subjects(operation: Operation[Any], fields: Record, subjects: list[Record]) -> list[Record]:
    """As the operation reads them: "01" names the alert 1."""
    known, seen, found = {*operation.request.subject, "version"}, set[str](), []
    for subject in subjects:
        if other := subject.keys() - known:
            raise Usage("run_fields", f"{', '.join(sorted(other))} does not name a thing.", "Give it once, for all.")
        read = operation.parse(fields | subject)
        if read.thing in seen:
            raise RUN_THING_TWICE(f"{read.thing} is in the list twice.")
        seen.add(read.thing)
        found.append(subject | {name: getattr(read, name) for name in operation.request.subject})
    return found


def terms_of(operation: Operation[Any], text: str) -> tuple[filters.Term, ...]:
    """Read a filter. Raises Usage when it cannot be read, would match everything, is fuzzy, or names a person."""
    terms = filters.parse(text, list_named(acted_on(operation)).fields)
    if not terms:
        raise Usage("run_filter_empty", "An empty filter would mean everything.", "If you mean that: -status:erased")
    if any(term.field == "owner" for term in terms):
        raise Usage(
            "run_personal",
            "An owner is personal: a filter by one is not kept with a run.",
            "List them, and name the things.",
        )
    if any(_ADDRESS.search(str(value)) for term in terms for value in term.values):
        raise Usage(
            "run_personal",
            "The filter holds an e-mail address, which is personal: it is not kept with a run.",
            "List what it finds, and name or mark the things.",
        )
    if any(term.operator == "like" for term in terms):
        raise Usage("run_filter_fuzzy", "A fuzzy filter finds more than it shows.", "Mark the things, or narrow it.")
    return terms


async def _started(change: Change, run_id: int) -> Record:
    run, first = await change.of(RunStore).lock(run_id), await change.of(RunStore).first(run_id, SAMPLE_ITEMS)
    if not first:
        raise Refusal("run_empty", "Nothing matches: there is nothing to do.", "Look at the list with that filter.")
    items = {"first": [as_result(item) for item in first], "preview_hash": await change.of(RunStore).items_hash(run_id)}
    return as_result(run) | items


def check_undo(run: Run, now: datetime) -> None:
    """Raises Refusal `no_undo`, `run_running`."""
    if target(run.operation).undo is None:
        raise NO_UNDO(f"{run.operation} cannot be undone.")
    if run.standing == "running":
        raise Refusal("run_running", f"Run {run.id} is still running.", "Pause or stop it first.")


async def start_undo(change: Change, request: OneRun, undone: Run) -> Record:
    """Undo a run, by another run.

    Another run does it, item by item, last first.
    """
    undo = target(undone.operation).undo
    assert undo is not None  # see check_undo
    if undone.state == "running":  # the program that drove it is gone, and no other may go on with it
        await change.of(RunStore).update(undone.id, {"state": "stopped", "why": "it is undone"})
    run = await change.of(RunStore).create(
        {
            "operation": undo,
            "undoes": undone.id,
            "reason": change.reason or f"undo of run {undone.id}",
            "per_second": undone.per_second,
            "breaker_share": undone.breaker_share,
        }
    )
    await change.of(RunStore).add_undone(run.id, undone.id)
    return await _started(change, run.id)


async def complete(change: Change, request: OneRun) -> Record:
    """Record that every item of a run has its verdict."""
    return as_result(await change.of(RunStore).update(request.id, {"state": "done", "why": None}))


START: Operation[RunStart] = Operation(
    "runs.start", "Start a run", RunStart, start, role="operator", risk=Risk.CONFIRM, key="n"
)
COMPLETE: Operation[OneRun] = Operation(
    "runs.complete", "Complete a run", OneRun, complete, role="operator", risk=Risk.SAFE, key="c"
)
"""Not in the registry: screens and commands offer the operation that is done in bulk instead, see `engine`."""
UNDO = operation("runs.undo", OneRun, role="operator", risk=Risk.CONFIRM, key="u", on=RUN, check=check_undo)(start_undo)


@operation(
    "runs.pause",
    OneRun,
    role="operator",
    risk=Risk.SAFE,
    key="p",
    undo="runs.resume",
    on=RUN,
    check=lambda run, now: rules.check_state(run, "paused", "paused"),
)
async def pause(change: Change, request: OneRun, run: Run) -> Run:
    """Pause a run: the item under way is finished, none begins."""
    return await change.of(RunStore).update(run.id, {"state": "paused", "why": change.reason})


@operation(
    "runs.resume",
    OneRun,
    role="operator",
    risk=Risk.SAFE,
    key="r",
    undo="runs.pause",
    on=RUN,
    check=lambda run, now: rules.check_resume(run),
)
async def resume(change: Change, request: OneRun, run: Run) -> Run:
    """Resume a paused run; its breaker counts anew."""
    if rules.is_left(run):
        return run
    return await change.of(RunStore).update(run.id, {"state": "running", "why": change.reason})


class RunRate(OneRun):
    per_second: Annotated[
        float, Field(ge=0.01, le=rules.MAX_PER_SECOND, description="how many to begin a second, at most")
    ]


@operation(
    "runs.rate",
    RunRate,
    role="operator",
    risk=Risk.SAFE,
    key="s",
    undo="runs.rate",
    on=RUN,
    check=lambda run, now: rules.check_over(run),
    begins={Run: lambda rows: {"per_second": rows[0].per_second}},
)
async def rate(change: Change, request: RunRate, run: Run) -> Run:
    """Change a run's rate, in things a second; it applies within 3 seconds."""
    return await change.of(RunStore).update(run.id, {"per_second": request.per_second})


@operation(
    "runs.release",
    OneRun,
    role="operator",
    risk=Risk.TWO_PERSON,
    key="l",
    needs_reason=True,
    on=RUN,
    check=lambda run, now: rules.check_release(run),
    way_back="Stop it: what was not done yet is left as it is.",
)
async def release(change: Change, request: OneRun, run: Run) -> Run:
    """Release a run that waits for a second person; one must have approved it."""
    return await change.of(RunStore).update(run.id, {"state": "running", "why": None})


@operation(
    "runs.stop",
    OneRun,
    role="operator",
    risk=Risk.SAFE,
    key="x",
    on=RUN,
    check=lambda run, now: rules.check_state(run, "stopped", "stopped"),
    way_back="What was not done yet can be done by a new run.",
)
async def stop(change: Change, request: OneRun, run: Run) -> Run:
    """Stop a run for good: what is not done yet is left as it is."""
    return await change.of(RunStore).update(run.id, {"state": "stopped", "why": change.reason})
