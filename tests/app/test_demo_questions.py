"""The README's ten questions have answers in the demonstration, found by the commands that it names."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.demo import folders, opening, prepared, present, traffic
from app.demo.audit import do, people
from app.demo.estate import DEFAULT_SEED, ONSET
from app.demo.month import BEFORE, BROKEN
from app.demo.requests import rows
from app.environment import show_libpq
from controlplane.requestlogs.model import RequestRow
from tests import demonstration
from tests.app.commands import Cli
from tests.postgres import Database

README = Path(__file__).parents[2] / "README.md"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def shown() -> Iterator[opening.Shown]:
    """A demonstration as it is when the console opens, without the traffic that goes on."""
    folder, _held = folders.make()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(demonstration.cache()))
            with ThreadPoolExecutor(1) as beside:
                start = prepared.start(DEFAULT_SEED, folders.home(folder), beside, careless=True)
                yield opening.opened(DEFAULT_SEED, start, lambda words: None, careless=True, at_work=False)
    finally:
        folders.remove(folder)
        show_libpq()


@pytest.fixture
def ask(shown: opening.Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setenv("WATCHFLOOR_HOME", str(shown.home.folder))
    return Cli(Database(shown.site.owner, "watchfloor"), monkeypatch, capsys)


def asked(question: str) -> list[str]:
    """The words of the README's command for a question."""
    [row] = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {question}")]
    command = re.findall(r"`watchfloor ([^`]*)`", row)[-1]
    return shlex.split(command)


def answer(ask: Cli, question: str) -> list[dict[str, Any]]:
    return list(ask.done(*asked(question))["items"])


def test_who_fails_most_and_since_when(ask: Cli, shown: opening.Shown) -> None:
    found = answer(ask, "Which tenant fails most")  # one request of a quiet tenant may be a large share of its few
    worst = next(each for each in found[:2] if each["id"] == shown.estate.failing)
    assert worst["error_share"] > 0.05
    steps = ask.done("telemetry", "series", "--tenant", worst["id"], "--window", "1h", "--step", "5m")["items"]
    bad = [datetime.fromisoformat(step["at"]) for step in steps if (step["errors_5xx"] or 0) >= 5]
    began = shown.until - ONSET
    assert began - timedelta(minutes=6) < bad[0] < began + timedelta(minutes=15)


def test_what_changed_then(ask: Cli, shown: opening.Shown) -> None:
    newest = answer(ask, "What changed just before")[0]
    assert (newest["actor"], newest["operation"]) == ("ben", "subscriptions.grant") and "import" in newest["reason"]
    before = shown.until - ONSET - datetime.fromisoformat(newest["at"])
    assert timedelta() < before < timedelta(minutes=3)


def test_what_broke_two_days_ago(ask: Cli, shown: opening.Shown) -> None:
    told = sorted(answer(ask, "What broke two days ago"), key=lambda event: str(event["happened_at"]))
    words = " ".join(str(event["words"]) for event in told)
    assert str(told[0]["words"]).startswith(f"deployed {BROKEN}") and f"deployed {BEFORE}" in words
    assert "root cause" in words and "mitigated" in words
    began = datetime.fromtimestamp(shown.estate.outage.began, shown.until.tzinfo)
    assert timedelta(hours=46) < shown.until - began < timedelta(hours=58)
    window = ("--region", shown.estate.outage.region, "--start", f"{began:%Y-%m-%dT%H:00Z}", "--step", "1h")
    region = "SELECT sum(errors_5xx)::float8 / sum(n) FROM wf.request_hours h JOIN wf.tenants t ON t.id = h.tenant_id"
    region += " WHERE dim = 'route' AND t.region = %s AND hour = date_trunc('hour', %s::timestamptz) + %s"
    shares = [ask.sql(region, window[1], began, timedelta(hours=n))[0][0] for n in (-1, 0, 2)]
    assert shares[1] > 0.08 > 0.02 > max(shares[0], shares[2]), "the charts say the same"


def test_which_budget_is_gone(ask: Cli) -> None:
    found = ask.done(*asked("Which budget is gone"))["item"]
    assert found["remaining"] < 0 and found["route"] == "/v1/reports"
    burned = [each["bad"] for each in found["attribution"]["tenants"]]
    assert burned == sorted(burned, reverse=True) and burned[0] > 100
    assert ask.done("objectives", "list")["items"][0]["remaining"] < 0


def test_who_still_calls_with_an_old_key(ask: Cli, shown: opening.Shown) -> None:
    late = [row for row in answer(ask, "Who still calls") if row["old_calls"] > 20]
    assert [row["tenant_id"] for row in late] == [shown.estate.noisy]


def test_who_tries_the_leaked_key(ask: Cli) -> None:
    leaked = next(row["thing"] for row in answer(ask, "Who tries the key") if row["before"])
    shows = ask("keys", "show", leaked)
    assert "leak 1:" in shows.out and shows.code == 0
    calls = "SELECT count(*), bool_and(status = 401), count(DISTINCT address) FROM wf.requests WHERE key_id = %s"
    [(number, refused, addresses)] = ask.sql(calls, leaked)
    assert number > 3 and refused and addresses >= 1


def test_why_a_limit_is_what_it_is(ask: Cli) -> None:
    said = ask(*asked("Why is this limit"))
    assert said.code == 0 and said.out.count("overridden") == 2 and "launch week" in said.out


def test_what_failed_for_good(ask: Cli) -> None:
    causes = {row["handler"]: row for row in answer(ask, "What failed for good")}
    assert set(causes) == {"invoice.send", "report.render", "webhook.fan-out"}
    assert causes["invoice.send"]["dead"] == 180 and "no answer" in causes["invoice.send"]["cause"]


def test_what_stands_in_the_way_of_the_release(ask: Cli) -> None:
    gates = {(row["gate"], row["environment"]): row for row in answer(ask, "May the release go out")}
    closed = gates["storefront", "production"]
    assert closed["standing"] == "NO_GO" and closed["blocking"] == ["dead-letters"]


def test_what_one_person_did_today(ask: Cli) -> None:
    done = answer(ask, "What did ana do today")
    assert len({row["operation"] for row in done}) >= 5 and {row["actor"] for row in done} == {"ana"}
    acted = ask.done("tenants", "impersonations")["items"]
    assert len(acted) == 4 and all(row["ticket"].startswith("SUP-") and row["state"] == "ended" for row in acted)


def test_the_trail_verifies(ask: Cli, shown: opening.Shown) -> None:
    [key] = (shown.home.folder / "checkpoints" / "trusted-keys").read_text().split()
    verified = ask("audit", "verify", "--public-key", key)
    assert verified.code == 0 and "checkpoints compared with it: 2" in verified.out


def test_the_trail_cannot_be_dated_back_by_any_login(shown: opening.Shown) -> None:
    """It takes the server's superuser."""
    for name in ("ana", "chi", "demo_traffic", "demo_service"):
        with psycopg.connect(shown.site.logins[name]) as login:
            for attempt in (
                "SET session_replication_role = replica",
                "UPDATE wf.audit SET at = now() - interval '1 day'",
                "ALTER TABLE wf.audit DISABLE TRIGGER ALL",
                "UPDATE wf.deploys SET at = now() - interval '1 day'",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    login.execute(attempt.encode())
                login.rollback()
    with psycopg.connect(shown.site.owner) as owner:
        left = owner.execute("SELECT count(*) FROM pg_proc WHERE proname = 'moved'").fetchone()
        assert left == (0,)


async def test_what_a_person_does_has_effects(shown: opening.Shown) -> None:
    """A suspended tenant's traffic stops, a revoked key's calls are refused, errors end with their cause."""
    site, made = shown.site, traffic.Traffic(shown.estate, shown.until)
    async with people(site) as homes:
        await traffic._look(made, homes["ana"])
        assert made.estate.mended == math.inf and shown.estate.noisy not in made.quiet
        second = int(shown.until.timestamp())
        before = [row for row in traffic_of(made, second) if row.tenant_id == shown.estate.failing]
        used = next(row.key_id for row in before if row.key_id and row.status == 200)
        await do(homes, ("ana", "tenants.suspend", {"id": shown.estate.noisy}, "a load test"))
        await do(homes, ("chi", "keys.revoke", {"id": used}, "it was found in a log"))
        with psycopg.connect(site.owner) as owner:
            found = "SELECT id FROM wf.entitlement_grants WHERE reason = %s"
            [(given,)] = owner.execute(found, [present.step(shown.estate)[3]]).fetchall()
        await do(homes, ("ana", "subscriptions.end-grant", {"tenant_id": shown.estate.failing, "grant": given}, "back"))
        await traffic._look(made, homes["ana"])
    after = traffic_of(made, second + 3600)
    assert not [row for row in after if row.tenant_id == shown.estate.noisy]
    theirs = [row for row in after if row.tenant_id == shown.estate.failing]
    assert {row.status for row in theirs if row.key_id == used} == {401}
    assert sum(row.status >= 500 for row in theirs) < len(theirs) / 10 and len(theirs) > 20


def traffic_of(made: traffic.Traffic, second: int) -> list[RequestRow]:
    return list(rows(made.estate, second, second + 300, made.callers, made.quiet))
