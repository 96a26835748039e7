"""Starting, pausing, resuming and stopping a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, JsonValue, model_validator

from controlplane.audit.model import Record
from controlplane.errors import Refusal, Usage
from controlplane.filters import grammar as filters
from controlplane.nouns import list_named
from controlplane.operations import Operation, Request, Risk, Subject, as_result, operation
from controlplane.refusals import NO_UNDO
from controlplane.runs import rules
from controlplane.runs.model import Run, RunItem, RunStore
from controlplane.runs.refusals import RUN_THING_TWICE

if TYPE_CHECKING:
    from controlplane.changes import Change

NOUNS = ("tenants", "projects", "keys")
"""The nouns that a run can be about."""
SAMPLE_ITEMS = 5


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
    per_second: Annotated[float, Field(default=rules.PER_SECOND, ge=0.01, le=1000)]
    breaker_share: Annotated[
        float, Field(default=rules.BREAKER_SHARE, ge=0, le=1, description="pause above this share of refusals")
    ]

    @model_validator(mode="after")
    def _one_source(self) -> RunStart:
        if (self.subjects is None) == (self.filter is None):
            raise ValueError("give either subjects or a filter")
        return self


def in_bulk(operation: Operation[Any]) -> bool:
    """Whether it can be done in bulk: it is done to one thing of a list, at the version that was seen."""
    return operation.noun in NOUNS and "version" in operation.request.model_fields


def target(name: str) -> Operation[Any]:
    """An operation that can be done in bulk. Raises Usage `not_in_bulk`."""
    from controlplane.registry import operations  # it imports this module

    every = operations()
    found = every.get(name)
    if found is None or not in_bulk(found):
        raise Usage(
            "not_in_bulk",
            f"{name} cannot be done to many things at once.",
            f"Those that can: {', '.join(sorted(each.name for each in every.values() if in_bulk(each)))}.",
        )
    return found


def item_fields(operation: Operation[Any], fields: Record, item: RunItem) -> Record:
    """The fields of one item's request: those that all share, the thing, and the version that was seen."""
    seen = {} if item.version is None else {"version": item.version}
    return fields | item.subject | seen


async def start(change: Change, request: RunStart) -> Record:
    """Start a run: fix what it will be done to."""
    operation = target(request.operation)
    _check_fields(operation, request.fields)
    run_id = await change.of(RunStore).create(
        {
            "operation": operation.name,
            "fields": request.fields,
            "filter": request.filter,
            "reason": change.reason,
            "per_second": request.per_second,
            "breaker_share": request.breaker_share,
        }
    )
    if request.subjects is not None:
        _check_subjects(operation, request.fields, request.subjects)
        await change.of(RunStore).add_named(run_id, operation.noun, request.subjects)
    else:
        await change.of(RunStore).add_matching(
            run_id, operation.noun, terms_of(operation, request.filter or ""), change.now
        )
    return await _started(change, run_id, operation, request.fields)


def _check_fields(operation: Operation[Any], fields: Mapping[str, Any]) -> None:
    own = {*operation.request.subject, "version"} & fields.keys()
    if own:
        raise Usage("run_fields", f"{', '.join(sorted(own))} differs from thing to thing.", "Leave it out.")
    if personal := set(operation.request.personal) & fields.keys():
        raise Usage(
            "run_personal",
            f"{', '.join(sorted(personal))} is personal: it is not kept with a run.",
            "Change it one by one.",
        )


def _check_subjects(operation: Operation[Any], fields: Record, subjects: list[Record]) -> None:
    known, seen = {*operation.request.subject, "version"}, set[str]()
    for subject in subjects:
        if other := subject.keys() - known:
            raise Usage("run_fields", f"{', '.join(sorted(other))} does not name a thing.", "Give it once, for all.")
        thing = operation.parse(fields | subject).thing
        if thing in seen:
            raise RUN_THING_TWICE(f"{thing} is in the list twice.")
        seen.add(thing)


def terms_of(operation: Operation[Any], text: str) -> tuple[filters.Term, ...]:
    """Read a filter. Raises Usage when it cannot be read, would match everything, is fuzzy, or names a person."""
    terms = filters.parse(text, list_named(operation.noun).fields)
    if not terms:
        raise Usage("run_filter_empty", "An empty filter would mean everything.", "If you mean that: -status:erased")
    if any(term.field == "owner" for term in terms):
        raise Usage(
            "run_personal",
            "An owner is personal: a filter by one is not kept with a run.",
            "List them, and name the things.",
        )
    if any(term.operator == "like" for term in terms):
        raise Usage("run_filter_fuzzy", "A fuzzy filter finds more than it shows.", "Mark the things, or narrow it.")
    return terms


async def _started(change: Change, run_id: int, operation: Operation[Any], fields: Record | None) -> Record:
    run, first = await change.of(RunStore).lock(run_id), await change.of(RunStore).first(run_id, SAMPLE_ITEMS)
    if not first:
        raise Refusal("run_empty", "Nothing matches: there is nothing to do.", "Look at the list with that filter.")
    if fields is not None:
        operation.parse(item_fields(operation, fields, first[0]))  # shows faults in the shared fields early
    items = {"first": [as_result(item) for item in first], "preview_hash": await change.of(RunStore).items_hash(run_id)}
    return as_result(run) | items


async def start_undo(change: Change, request: OneRun, undone: Run) -> Record:
    """Start a run that takes back what another did, last first."""
    undo = target(undone.operation).undo
    if undo is None:
        raise NO_UNDO(f"{undone.operation} cannot be taken back.")
    if undone.standing == "running":
        raise Refusal("run_running", f"Run {undone.id} is still running.", "Pause or stop it first.")
    if undone.state == "running":  # the program that drove it is gone, and no other may go on with it
        await change.of(RunStore).set_state(undone.id, "stopped", "it is taken back")
    run_id = await change.of(RunStore).create(
        {
            "operation": undo,
            "undoes": undone.id,
            "reason": change.reason or f"undo of run {undone.id}",
            "per_second": undone.per_second,
            "breaker_share": undone.breaker_share,
        }
    )
    await change.of(RunStore).add_undone(run_id, undone.id)
    return await _started(change, run_id, target(undo), None)


async def complete(change: Change, request: OneRun) -> Record:
    """Record that every item of a run has its verdict."""
    return as_result(await change.of(RunStore).set_state(request.id, "done", None))


START: Operation[RunStart] = Operation(
    "runs.start", "Start a run", RunStart, start, role="operator", risk=Risk.CONFIRM, key="n"
)
UNDO: Operation[OneRun] = Operation(
    "runs.undo", "Take a run back", OneRun, start_undo, role="operator", risk=Risk.CONFIRM, key="u", on=RUN
)
COMPLETE: Operation[OneRun] = Operation(
    "runs.complete", "Complete a run", OneRun, complete, role="operator", risk=Risk.SAFE, key="c"
)
"""Not in the registry: screens and commands offer the operation that is done in bulk instead, see `engine`."""


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
    return await change.of(RunStore).set_state(run.id, "paused", change.reason)


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
    """Let a paused run go on; its breaker counts anew."""
    if rules.is_left(run):
        return run
    return await change.of(RunStore).set_state(run.id, "running", change.reason)


@operation(
    "runs.stop",
    OneRun,
    role="operator",
    risk=Risk.SAFE,
    key="x",
    on=RUN,
    check=lambda run, now: rules.check_state(run, "stopped", "stopped"),
)
async def stop(change: Change, request: OneRun, run: Run) -> Run:
    """Stop a run for good: what was not done yet is left as it is."""
    return await change.of(RunStore).set_state(run.id, "stopped", change.reason)
