"""A request in words: what it would change, who must approve it, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from controlplane.approvals.model import Approval, Desk
from controlplane.formatting import relative
from controlplane.lists import Line
from controlplane.previews import value_words
from controlplane.text import clean

SOON_MINUTES = 5
"""So long before its end a request reminds of itself."""
FIRST_THINGS = 8
VERBS = ("changed", "new", "gone")


def needs_words(roles: Sequence[str]) -> str:
    """ "an operator", "an operator and an admin" """
    return " and ".join(f"{'a' if role == 'support' else 'an'} {role}" for role in roles)


def needs_lines(approval: Approval) -> str:
    got = len(approval.approvers)
    more = f"; {got} of {len(approval.roles)} approved" if len(approval.roles) > 1 else ""
    return f"it takes {needs_words(approval.roles)} or a higher role{more}"


def fact_lines(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What it would change, a line for each thing and field; what is changed comes first. Facts that somebody made up
    are shown as they are.
    """
    if isinstance(facts, Mapping):  # nested too deep to be read
        return [clean(f"{name}: {value}", 300) for name, value in facts.items()]
    lines = [value_words(fact) for fact in facts if not isinstance(fact, Mapping)]
    told = [fact for fact in facts if isinstance(fact, Mapping)]
    for fact in sorted(told, key=lambda fact: VERBS.index(fact["verb"]) if fact.get("verb") in VERBS else len(VERBS)):
        if "more" in fact:
            lines.append(clean(f"… and {fact['more']} more (sha256 {str(fact.get('sha256'))[:12]})", 100))
            continue
        lines.append(clean(f"{fact.get('noun')} {fact.get('thing')}: {fact.get('verb')}", 300))
        run, before, after = (fact.get(name) for name in ("run", "before", "after"))
        if isinstance(run, dict):
            lines += _run_lines(run)
        elif isinstance(after, dict):
            was = before if isinstance(before, dict) else {}
            for name, value in after.items():
                old = f"{value_words(was.get(name))} → " if fact.get("verb") == "changed" else ""
                lines.append(clean(f"  {name}: {old}{value_words(value)}", 300))
    return lines


def _run_lines(run: Mapping[str, Any]) -> list[str]:
    first = run.get("first")
    names = [clean(str(each), 60) for each in first[:FIRST_THINGS]] if isinstance(first, list) else []
    more = ", …" if isinstance(first, list) and len(first) > FIRST_THINGS else ""
    things = run.get("things")
    many = f"{things:,}" if isinstance(things, int) else str(things)
    lines = [
        clean(f"  {run.get('operation')} on {many} things: {', '.join(names)}{more}", 600),
        f"  the run shows all; sha256 of the things {clean(str(run.get('sha256')), 12)}",
    ]
    if run.get("fields"):
        lines.append(f"  with {value_words(run['fields'])}")
    if run.get("filter"):
        lines.append(f"  found by {clean(str(run['filter']), 200)}")
    return lines


def vote_lines(approval: Approval) -> list[Line]:
    return [
        (_vote_words(**{name: vote[name] for name in ("person", "role", "vote", "reason")}),
         "good" if vote["vote"] == "approve" else "bad")
        for vote in approval.votes
    ]  # fmt: skip


def _vote_words(person: str, role: str, vote: str, reason: str | None) -> str:
    return clean(f"{person} ({role}) {vote}d{': ' + reason if reason else ''}", 400)


def standing_words(approval: Approval, now: datetime) -> str:
    ends = f"ends {relative(approval.expires_at, now)}"
    match approval.standing:
        case "waiting":
            return f"waits: {needs_lines(approval)}; {ends}"
        case "approved":
            return f"approved: {clean(approval.asked_by, 60)} carries it out, once: does the same again; {ends}"
        case "done":
            return "done, exactly as it was approved"
        case "expired":
            return "its time is over; ask again"
        case "void":
            return "void: something was changed since; ask again"
        case _:
            return approval.standing


def desk_words(desk: Desk, now: datetime) -> list[str]:
    """For the header: a raised role with its minutes, and the requests; with the minutes to the next end when few are
    left.
    """
    words = []
    if desk.raised_until is not None and (left := (desk.raised_until - now).total_seconds()) > 0:
        words.append(f"{desk.raised_role} {ceil(left / 60)}m")
    ends = (desk.next_end - now).total_seconds() / 60 if desk.next_end is not None else None
    soon = f" ends {max(ceil(ends), 0)}m" if ends is not None and ends <= SOON_MINUTES else ""
    if desk.to_decide:
        words.append(f"{desk.to_decide} to approve{soon}")
    elif soon:
        words.append(f"your request{soon}")
    if desk.approved:
        words.append(f"{desk.approved} approved")
    return words


def why_lines(approval: Approval, now: datetime) -> list[Line]:
    return [
        (f"request {approval.id}: {approval.operation} {clean(approval.thing, 80)}", "title"),
        standing_words(approval, now),
        f"{clean(approval.asked_by, 60)} asked {relative(approval.asked_at, now)}: {clean(approval.reason, 300)}",
        *vote_lines(approval),
        (f"what it would change has the sha256 {approval.sha256}", "muted"),
    ]
