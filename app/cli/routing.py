"""Who is told of an alert and why, on the command line: explained, simulated, and replayed with another policy."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from app.cli.asked import READING, Reading, opened
from app.cli.lists import text_lines
from app.cli.output import document, say
from app.cli.parameters import Parameter
from controlplane import jsontext
from controlplane.alerts.model import Severity
from controlplane.deliveries.kept import DeliveryDirectory
from controlplane.deliveries.reports import told_lines
from controlplane.errors import Usage
from controlplane.formatting import count_words, parse_time
from controlplane.lists import Line
from controlplane.routes import replay
from controlplane.routes.kept import RouteDirectory
from controlplane.routes.model import Decision
from controlplane.routes.reading import read_policy
from controlplane.routes.reasons import REASONS
from controlplane.routes.stored import stages_document
from controlplane.routes.words import decision_lines
from controlplane.text import clean
from controlplane.zones import parse_local

MAX_FILE_BYTES = 1 << 20
MAX_SHOWN = 50


def _say(lines: Sequence[Line]) -> None:
    for line in text_lines(lines):
        say(clean(line))


def _record(decision: Decision) -> dict[str, Any]:
    return {
        "alert": decision.alert,
        "at": decision.at,
        "tried": stages_document(decision.tried),
        "routes": [
            {
                "route": each.route.id,
                "name": each.route.name,
                "stages": stages_document(each.stages),
                "notices": [dataclasses.asdict(notice) for notice in each.notices],
                "next_action_at": each.next_action_at,
            }
            for each in decision.routes
        ],
    }


async def explain(number: int, /, *, asked: Reading = READING) -> None:
    """Explain who is told of an alert and who is not, now: every route and stage with its verdict, and who was told."""
    async with opened(asked) as context:
        decision = await context.home.of(RouteDirectory).explain(number)
        told = await context.home.of(DeliveryDirectory).of_alert(number)
        now = context.home.clock.now()
    if asked.json:
        document({"item": _record(decision) | {"deliveries": [dataclasses.asdict(each) for each in told]}})
        return
    _say([*decision_lines(decision), "", "who was told", *told_lines(told, number, now)])


async def simulate(
    *,
    labels: Annotated[
        list[str] | None, Parameter(help="NAME=VALUE, repeatable; tenant and kind are labels too.")
    ] = None,
    severity: Annotated[Severity, Parameter(help="Its severity.")] = "warning",
    at: Annotated[str, Parameter(help='When: now, or "2026-03-08 02:30 America/New_York".')] = "now",
    hours: Annotated[int, Parameter(help="For how many hours it fires.")] = 24,
    asked: Reading = READING,
) -> None:
    """Simulate an alert: the production's own decision at any time, and who would be told while nobody acts."""
    if not 0 < hours <= 24 * 31:
        raise Usage("hours_invalid", "An alert is followed for 1 to 744 hours.")
    named = dict(_label(word) for word in labels or ())
    async with opened(asked) as context:
        facts, now = await context.home.of(RouteDirectory).facts()
    moment, odd = _moment(at, now)
    found = await asyncio.to_thread(replay.simulate, named, severity, moment, facts, timedelta(hours=hours))
    if asked.json:
        sent = [dataclasses.asdict(each) for each in found.sent]
        document({"item": _record(found.decision) | {"odd": odd, "sent": sent}})
        return
    say(clean(f"at {moment:%Y-%m-%d %H:%M:%S} UTC"))
    if odd:
        say(clean(odd))
    _say(decision_lines(found.decision))
    say("")
    say("who would be told" if found.sent else "nobody would be told")
    _say([_sent(each) for each in found.sent[:MAX_SHOWN]])
    if len(found.sent) > MAX_SHOWN:
        say(f"and {len(found.sent) - MAX_SHOWN:,} more notices")


async def replay_policy(
    file: Annotated[str, Parameter(help="The policy, as JSON.")],
    /,
    *,
    route: Annotated[str, Parameter(help="The route that would have it, by name or number.")],
    days: Annotated[int, Parameter(help="How far back.")] = 30,
    asked: Reading = READING,
) -> None:
    """Replay stored alerts with another policy of a route: what would have been told more, less, or at another time."""
    if not 0 < days <= 400:
        raise Usage("days_invalid", "Alerts of 1 to 400 days can be replayed.")
    policy = read_policy(_document(file))
    async with opened(asked) as context:
        routes = context.home.of(RouteDirectory)
        row = await routes.named(route)
        facts, now = await routes.facts()
        stories, more = await routes.stories(now - timedelta(days=days))
    changed = [dataclasses.replace(each, policy=policy) if each.id == row.id else each for each in facts.routes]
    found = await asyncio.to_thread(replay.replay_policy, facts.routes, changed, stories, facts, now)
    if asked.json:
        document(
            {"item": {"alerts": len(stories), "more": more, "by": {k: dataclasses.asdict(v) for k, v in found.items()}}}
        )
        return
    say(
        f"{count_words(len(stories), 'alert')} of {count_words(days, 'day')}"
        + (", the newest; there are more" if more else "")
    )
    if not found:
        say("everybody would have been told the same")
    for listener, each in found.items():
        say(clean(f"{listener}: {len(each.added)} more, {len(each.removed)} less, {len(each.moved)} at another time"))
        _say([f"  + {_sent(one)}" for one in each.added[:MAX_SHOWN]])
        _say([f"  - {_sent(one)}" for one in each.removed[:MAX_SHOWN]])
        _say([f"  ~ {_sent(old)}, then {new.at:%m-%d %H:%M:%S}Z" for old, new in each.moved[:MAX_SHOWN]])


def _sent(sent: replay.Sent) -> str:
    notice = sent.notice
    alerts = ", ".join((*notice.alerts, *notice.resolved)[:5])
    return clean(
        f"{sent.at:%Y-%m-%d %H:%M:%S}Z {notice.action} {notice.severity} to {sent.listener}:"
        f" {REASONS[notice.reason]} ({alerts})",
        400,
    )


def _label(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not name or not equals:
        raise Usage("label_unreadable", f'"{clean(word, 60)}" is not NAME=VALUE.')
    return name, value


def _moment(text: str, now: datetime) -> tuple[datetime, str]:
    if text == "now":
        return now, ""
    return parse_local(text) if text.strip().rpartition(" ")[2][:1].isalpha() else (parse_time(text), "")


def _document(file: str) -> Any:
    try:
        with Path(file).expanduser().open("rb") as opened_file:
            content = opened_file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise Usage("file_unreadable", f"{clean(file, 200)} is larger than 1 MB.")
        return jsontext.read(content)
    except OSError as error:
        raise Usage("file_unreadable", f"{clean(file, 200)} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise Usage("file_unreadable", f"{clean(file, 200)} is not JSON: {clean(error, 200)}.") from None
