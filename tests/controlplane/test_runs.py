"""The rules of a run: canary, breaker, pace, which state follows on which."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import Refusal, Usage
from controlplane.registry import operations
from controlplane.runs.bulk import in_bulk
from controlplane.runs.model import STANDINGS
from controlplane.runs.operations import RunStart, target
from controlplane.runs.rules import (
    BATCH_SECONDS,
    FOLLOWS,
    MAX_BATCH,
    WINDOW,
    BatchSize,
    Pace,
    allowed,
    by_pace,
    check_resume,
    check_state,
    is_left,
    stage,
    tripped,
)
from tests.controlplane.runs import Ticks, a_run

shares = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9])


def paused_at(verdicts: list[bool], share: float, resumed: int = 0) -> int | None:
    """How many items are settled when a run with these verdicts pauses."""
    for settled in range(resumed, len(verdicts) + 1):
        if tripped(settled, verdicts[max(0, settled - WINDOW) : settled], share, resumed):
            return settled
    return None


def test_the_canary_is_one_then_ten_then_the_rest() -> None:
    assert [stage(settled) for settled in (0, 1, 10, 11, 500)] == [
        "canary of 1",
        "canary of 10",
        "canary of 10",
        "the rest",
        "the rest",
    ]


@given(shares, st.lists(st.booleans(), max_size=60))
def test_a_refused_first_item_always_pauses(share: float, others: list[bool]) -> None:
    assert paused_at([True, *others], share) == 1


def paused_in_batches(verdicts: list[bool], share: float, resumed: int, per_second: float) -> int | None:
    """The same when items are done in batches, each judged at its end alone."""
    settled = resumed
    while True:
        recent = verdicts[max(0, settled - WINDOW) : settled]
        if tripped(settled, recent, share, resumed):
            return settled
        if settled == len(verdicts):
            return None
        run = replace(
            a_run("running"), done=settled, breaker_share=share, settled_before=resumed, per_second=per_second
        )
        most, failures = allowed(run, recent)
        batch = verdicts[settled : settled + most]
        ends = [place for place, refused in enumerate(batch, 1) if refused]
        settled += ends[failures - 1] if len(ends) >= failures else len(batch)


@given(shares, st.lists(st.booleans(), max_size=80), st.integers(0, 30), st.sampled_from([1.0, 50.0, 300.0, 10_000.0]))
def test_a_batch_ends_wherever_the_breaker_would_pause(
    share: float, verdicts: list[bool], resumed: int, per_second: float
) -> None:
    resumed = min(resumed, len(verdicts))
    assert paused_in_batches(verdicts, share, resumed, per_second) == paused_at(verdicts, share, resumed)


def test_a_batch_keeps_the_rate_in_steps_of_a_tenth_of_a_second() -> None:
    assert [by_pace(rate) for rate in (0.01, 10, 19, 20, 300, 10_000)] == [1, 1, 1, 2, 30, MAX_BATCH]
    clock = Ticks()
    pace = Pace(300, clock)
    pace.begin(30)
    assert pace.left() == pytest.approx(0.1)
    clock.at += 0.1
    assert pace.left() == pytest.approx(0.0)
    began, clock.at = clock.at, clock.at + 0.07
    pace.begin(30, began)
    assert pace.left() == pytest.approx(0.03), "a batch takes its own time out of its share of the rate"


def test_batches_grow_while_they_are_quick_and_halve_when_they_fail_or_are_slow() -> None:
    size = BatchSize()
    assert size.now == 64
    size.went(BATCH_SECONDS)
    size.went(BATCH_SECONDS * 2)
    assert size.now == 64
    for _ in range(20):
        size.went(BATCH_SECONDS / 2)
    assert size.now == MAX_BATCH
    size.went(BATCH_SECONDS * 1.5)
    assert size.now == MAX_BATCH
    size.went(BATCH_SECONDS * 3)
    assert size.now == MAX_BATCH // 2
    for _ in range(20):
        size.failed()
    assert size.now == 1


@given(st.integers(0, 10))
def test_the_canary_of_ten_is_judged_by_itself_at_its_end(refused: int) -> None:
    verdicts = [False] + [True] * refused + [False] * (10 - refused)
    pauses = paused_at(verdicts, 0.2)
    # More than 4 of 20 trip before it ends; 3 or 4 of 10 at its end; 2 of 10 are within the share.
    assert pauses == (None if refused <= 2 else 11 if refused <= 4 else 6)


@given(shares, st.lists(st.booleans(), min_size=11, max_size=80))
def test_the_breaker_pauses_as_soon_as_the_last_twenty_hold_too_many(share: float, tail: list[bool]) -> None:
    verdicts = [False] * 11 + tail
    expected = next(
        (end for end in range(12, len(verdicts) + 1) if sum(verdicts[max(0, end - WINDOW) : end]) > share * WINDOW),
        None,
    )
    assert paused_at(verdicts, share) == expected


@given(st.lists(st.booleans(), max_size=60))
def test_all_may_be_refused_when_the_share_is_everything(verdicts: list[bool]) -> None:
    assert paused_at(verdicts, 1.0) is None


@given(shares, st.lists(st.booleans(), min_size=1, max_size=40), st.lists(st.just(False), max_size=30))
def test_what_was_refused_before_a_resume_counts_no_more(share: float, before: list[bool], after: list[bool]) -> None:
    assert paused_at(before + after, share, resumed=len(before)) is None


def test_a_resumed_run_pauses_again_when_it_goes_on_badly() -> None:
    assert paused_at([True] * 40, 0.2, resumed=20) == 25


def test_the_breaker_looks_at_twenty_and_says_what_it_saw() -> None:
    few = [True, *[False] * 15, *[True] * 4]
    assert tripped(100, few, 0.2) == "5 of the last 20 refused"
    assert tripped(100, [True, False, *few[1:]], 0.2) is None, "the oldest is not looked at any more"
    assert tripped(11, [False] * 8 + [True] * 3, 0.2) == "3 of the canary of 10 refused"


@pytest.mark.parametrize("state", FOLLOWS)
def test_only_what_may_follow_is_let_through(state: str) -> None:
    for becomes in FOLLOWS:
        if becomes in FOLLOWS[state]:
            check_state(a_run(state), becomes, "changed")
        else:
            with pytest.raises(Refusal) as refused:
                check_state(a_run(state), becomes, "changed")
            assert refused.value.code == "run_transition" and state in refused.value.message


def test_only_a_paused_run_is_resumed() -> None:
    check_resume(a_run("paused"))
    for state in ("running", "stopped", "done"):
        with pytest.raises(Refusal):
            check_resume(a_run(state))


def test_a_run_is_left_when_nobody_drives_it_though_it_shall_go_on() -> None:
    left = {each for each in STANDINGS if is_left(replace(a_run("running"), standing=each))}
    assert left == {"waiting", "interrupted"}


def test_a_run_of_which_nothing_is_said_goes_slowly_and_stops_early() -> None:
    asked = {"operation": "tenants.suspend", "subjects": [{"id": "acme"}]}
    run = RunStart.model_validate(asked)
    assert (run.per_second, run.breaker_share) == (10, 0.2)
    assert len(RunStart.model_validate(asked | {"subjects": [{}] * 100_000}).subjects or ()) == 100_000
    with pytest.raises(ValueError, match="at most 100000"):
        RunStart.model_validate(asked | {"subjects": [{}] * 100_001})


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 100), max_size=30))
async def test_the_pace_is_never_exceeded(per_second: float, busy: list[float]) -> None:
    clock = Ticks()
    pace, begun = Pace(per_second, clock), []
    for spent in busy:
        await clock.sleep(pace.left())
        pace.begin()
        begun.append(clock.now())
        await clock.sleep(spent)
    gaps = [b - a for a, b in itertools.pairwise(begun)]
    assert all(gap >= 1 / per_second - 1e-6 for gap in gaps)
    # What was slow by itself is not made slower.
    assert all(gap <= max(1 / per_second, spent) + 1e-6 for gap, spent in zip(gaps, busy, strict=False))


def test_only_what_is_done_to_one_thing_as_it_was_seen_can_be_done_in_bulk() -> None:
    can = {operation.name for operation in operations().values() if in_bulk(operation)}
    assert {"tenants.suspend", "tenants.edit", "projects.archive"} <= can
    assert not can & {"tenants.create", "tenants.apply", "tenants.reveal", "operators.add", "runs.pause"}
    with pytest.raises(Usage, match=r"tenants.create cannot .* tenants\.suspend"):
        target("tenants.create")


@pytest.mark.parametrize("given", [{}, {"subjects": [], "filter": "x"}])
def test_a_run_has_one_source(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either subjects or a filter"):
        RunStart.model_validate({"operation": "tenants.suspend", **given})


def test_every_item_of_a_run_is_counted_once() -> None:
    run = replace(a_run("running"), waiting=1, done=20, refused=300, skipped=4000)
    assert (run.settled, run.total) == (320, 4321)
