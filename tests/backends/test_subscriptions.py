"""What the home guards of plans and subscriptions, past the console."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from backends.postgres.home import Home
from backends.postgres.refusals import words
from controlplane.errors import Conflict, Refusal
from controlplane.operations import Call, execute
from controlplane.plans.currencies import PLACES
from controlplane.plans.model import Plan, PlanDirectory
from controlplane.plans.rules import kind_of
from controlplane.registry import named
from controlplane.subscriptions import rules
from controlplane.subscriptions.model import STATES, Facts, Grant, SubscriptionDirectory
from tests.backends.psql import Psql, denied, logins, one, refused
from tests.backends.runs import opened
from tests.backends.subscriptions import TENANTS, admitted, do, unguarded
from tests.postgres import Database, Server

TRANSITIONS = {(was, becomes) for was, after in rules.FOLLOWS.items() for becomes in after}


@pytest.fixture
def psql(database: Database) -> Iterator[Psql]:
    with logins(database) as connect:
        connect("owner").execute(TENANTS)
        yield connect


@pytest.fixture
async def admin(database: Database, psql: Psql) -> Any:
    async with opened(database.login("admin")) as home:
        yield home


# Plans and subscriptions


def test_every_constraint_of_this_part_has_words(psql: Psql) -> None:
    named_ = psql("owner").execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid::regclass::text IN ('wf.plans',"
        " 'wf.subscriptions', 'wf.entitlement_grants', 'wf.plan_changes', 'wf.usage')"
    )
    assert {name for (name,) in named_} - set(words()) == set()


def test_a_version_of_a_plan_never_changes_and_only_admins_make_one(psql: Psql) -> None:
    make = (
        "INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing)"
        " VALUES ('starter', {}, 'S', 'EUR', 1, 1, 'arrears')"
    )
    denied(psql("operator"), make.format(2))
    denied(psql("admin"), "UPDATE wf.plans SET month_price = 1", "DELETE FROM wf.plans", "TRUNCATE wf.plans CASCADE")
    refused(psql("owner"), "plan_version_fixed", "UPDATE wf.plans SET month_price = 1")
    refused(psql("owner"), "plan_version_fixed", "DELETE FROM wf.plans")
    refused(psql("admin"), "plan_version_next", make.format(3))
    psql("admin").execute(make.format(2))
    assert one(psql("viewer"), "SELECT plan_version FROM wf.subscriptions WHERE tenant_id = 'acme'") == (1,)


def test_a_fresh_home_has_the_catalogue_and_every_tenant_a_subscription(psql: Psql) -> None:
    shipped = psql("viewer").execute("SELECT code, version FROM wf.plans ORDER BY 1").fetchall()
    assert shipped == [("enterprise", 1), ("growth", 1), ("pro", 1), ("starter", 1), ("trial", 1)]
    rows = psql("viewer").execute("SELECT tenant_id, plan_version, state FROM wf.subscriptions").fetchall()
    assert set(rows) == {
        ("default", 1, "active"),
        ("acme", 1, "active"),
        ("trying", 1, "trial"),
        ("odd", None, "active"),
    }
    denied(psql("admin"), "INSERT INTO wf.subscriptions (tenant_id) VALUES ('x')", "DELETE FROM wf.subscriptions")


def test_a_subscription_follows_its_tenants_plan(psql: Psql) -> None:
    operator = psql("operator")
    held = "SELECT plan_version, previous_plan, state FROM wf.subscriptions WHERE tenant_id = '{}'"
    operator.execute("UPDATE wf.tenants SET plan = 'nobody-knows' WHERE id = 'acme'")
    assert one(operator, held.format("acme")) == (None, "starter", "active")
    operator.execute("UPDATE wf.tenants SET plan = 'growth' WHERE id IN ('acme', 'trying')")
    assert one(operator, held.format("acme")) == (1, "nobody-knows", "active")
    assert one(operator, held.format("trying")) == (1, "trial", "active"), "who is given a plan does not try any more"
    audit = "SELECT noun, thing FROM wf.audit WHERE out_of_band ORDER BY seq DESC LIMIT 4"
    rows = operator.execute(audit).fetchall()[::-1]
    assert [noun for noun, _ in rows] == ["tenants", "tenants", "subscriptions", "subscriptions"]
    assert [sorted(name for _, name in half) for half in (rows[:2], rows[2:])] == [["acme", "trying"]] * 2


def test_the_heart_and_the_home_hold_the_same_transitions(psql: Psql) -> None:
    assert set(psql("viewer").execute("SELECT was, becomes FROM wf.subscription_transitions").fetchall()) == TRANSITIONS


def test_a_state_follows_on_another_only_as_the_table_says(psql: Psql) -> None:
    owner, operator = psql("owner"), psql("operator")
    ends = "now() + interval '1 day'"
    unguarded(
        owner,
        f"trial_plan = 'pro', trial_version = 1, trial_start = now(), trial_end = {ends}, trial_return = 'active',"
        f" grace_until = {ends}",
    )
    for was, becomes in itertools.permutations(STATES, 2):
        unguarded(owner, f"state = '{was}'")
        change = f"UPDATE wf.subscriptions SET state = '{becomes}' WHERE tenant_id = 'acme'"
        if (was, becomes) in TRANSITIONS:
            operator.execute(change)
        else:
            refused(operator, "subscription_transition", change)


def test_the_home_guards_trials_graces_zones_and_versions(psql: Psql) -> None:
    operator = psql("operator")
    change = "UPDATE wf.subscriptions SET {} WHERE tenant_id = '{}'"
    refused(operator, "trial_once", change.format("trial_start = now()", "trying"))
    refused(operator, "trial_shortened", change.format("trial_end = now()", "trying"))
    refused(operator, "trial_length", change.format("trial_end = trial_end + interval '9 years'", "trying"))
    for _ in range(3):
        operator.execute(change.format("trial_end = trial_end + interval '1 day'", "trying"))
    refused(operator, "trial_extensions", change.format("trial_end = trial_end + interval '1 day'", "trying"))
    refused(operator, "subscription_trial", change.format("state = 'trial'", "acme"))
    refused(operator, "subscription_grace", change.format("state = 'grace'", "acme"))
    refused(operator, "grace_over", change.format("state = 'grace', grace_until = now()", "acme"))
    refused(operator, "billing_zone", change.format("billing_zone = 'Mars/Olympus'", "acme"))
    refused(operator, "plan_version_unknown", change.format("plan_version = 7", "acme"))
    refused(operator, "plan_version_unknown", change.format("plan_version = NULL", "acme"))
    denied(
        operator,
        change.format("extensions = 0", "trying"),
        change.format("tenant_id = 'x'", "acme"),
        "UPDATE wf.entitlement_grants SET ends_at = 'infinity'",
        "DELETE FROM wf.entitlement_grants",
        "UPDATE wf.plan_changes SET lines = '[]'",
    )
    denied(psql("support"), change.format("state = 'suspended'", "acme"))


def test_a_grant_is_of_a_known_kind_and_is_ended_once(psql: Psql) -> None:
    operator = psql("operator")
    give = (
        "INSERT INTO wf.entitlement_grants (tenant_id, name, value, source, ends_at, reason)"
        " VALUES ('acme', 'seats', '{}', '{}', now() + interval '{}', '{}')"
    )
    for value in ("0", "null", '{"hard": 0, "period": "day"}', '{"rps": 0, "burst": 1}', '{"hard": 5}'):
        refused(operator, "grant_value", give.format(value, "override", "1 day", "why"))
    refused(operator, "grant_source", give.format("5", "plan", "1 day", "why"))
    refused(operator, "grant_time", give.format("5", "override", "-1 day", "why"))
    refused(operator, "grant_reason", give.format("5", "override", "1 day", " "))
    operator.execute(give.format("5", "override", "1 day", "why"))
    operator.execute("UPDATE wf.entitlement_grants SET ended_at = '2000-01-01'")
    assert one(operator, "SELECT ended_at > now() - interval '1 minute', by FROM wf.entitlement_grants") == (
        True,
        "t_operator",
    )
    refused(operator, "grant_over", "UPDATE wf.entitlement_grants SET ended_at = NULL")


VALUES = st.one_of(
    st.booleans(),
    st.integers(-2, 3),
    st.integers(10**17, 10**18),
    st.floats(0, 5),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=3),
    st.fixed_dictionaries(
        {"hard": st.integers(-1, 5)},
        optional={"soft": st.integers(0, 9), "burst": st.integers(-1, 3), "period": st.sampled_from(["day", "year"])},
    ),
    st.fixed_dictionaries(
        {"rps": st.one_of(st.floats(0, 5), st.integers(0, 2_000_000))},
        optional={"burst": st.integers(0, 4), "max_wait_ms": st.integers(-1, 2), "x": st.just(1)},
    ),
    st.none(),
    st.lists(st.integers(), max_size=1),
)
HOURS = st.integers(-3, 3)
GRANTS = st.lists(
    st.tuples(
        st.sampled_from(["seats", "sso"]), st.integers(1, 99), st.sampled_from(["override", "incident"]), HOURS,
        st.integers(1, 4), st.none() | st.integers(-2, 2),
    ),
    max_size=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def bench(postgres_server: Server, template_database: str) -> Iterator[psycopg.Connection]:
    database = postgres_server.create(template=template_database)
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute(TENANTS)
        yield owner
    postgres_server.drop(database)


@given(VALUES)
@settings(max_examples=300)
def test_the_heart_and_the_home_know_the_same_kinds(bench: psycopg.Connection, value: object) -> None:
    assert one(bench, "SELECT wf.entitlement_kind(%s)", Jsonb(value)) == (kind_of(value),)


@given(
    st.dictionaries(st.sampled_from(["seats", "sso", "weight"]), st.integers(1, 9)) | st.none(), st.booleans(), GRANTS
)
@settings(max_examples=60)
def test_the_heart_and_the_home_agree_what_holds(
    bench: psycopg.Connection, entitlements: dict | None, tries: bool, grants: list
) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    with bench.transaction(force_rollback=True):
        bench.execute("ALTER TABLE wf.subscriptions DISABLE TRIGGER guard")
        bench.execute("ALTER TABLE wf.entitlement_grants DISABLE TRIGGER guard")
        plan = trial = None
        if entitlements is not None:
            bench.execute(
                "INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing, entitlements)"
                " VALUES ('mystery', 1, 'M', 'EUR', 1, 1, 'arrears', %s)",
                [Jsonb(entitlements)],
            )
            plan = Plan("mystery", 1, "M", "EUR", 1, 1, "arrears", 0, entitlements, now, "x")
        if tries:
            bench.execute(
                "UPDATE wf.subscriptions SET state = 'trial', trial_plan = 'starter', trial_version = 1,"
                " trial_start = %s, trial_end = %s, trial_return = 'active' WHERE tenant_id = 'odd'",
                [now - hour, now + hour],
            )
            (starter,) = one(bench, "SELECT entitlements FROM wf.plans WHERE code = 'starter'")
            trial = Plan("starter", 1, "S", "EUR", 1, 1, "arrears", 0, starter, now, "x")
        made = []
        for name, value, source, start, length, ended in grants:
            row = (name, value, source, now + start * hour, now + (start + length) * hour)
            end = None if ended is None else now + ended * hour
            (number,) = one(
                bench,
                "INSERT INTO wf.entitlement_grants"
                " (tenant_id, name, value, source, starts_at, ends_at, reason, ended_at)"
                " VALUES ('odd', %s, %s, %s, %s, %s, 'why', %s) RETURNING id",
                *(row[0], Jsonb(row[1]), *row[2:], end),
            )
            made.append(Grant(number, "odd", *row, "why", "x", end))  # type: ignore[arg-type]
        facts = Facts(plan, trial, "trial" if tries else "active", now - hour, now + hour, tuple(made))
        for at in (now - 2 * hour, now - hour, now, now + hour):
            theirs: dict[str, list] = {}
            for row in bench.execute(
                "SELECT name, value, source, expires_at, grant_id FROM wf.entitlement_sources('odd', %s)"
                " ORDER BY place",
                [at],
            ):
                theirs.setdefault(row[0], []).append(row[1:])
            ours = {
                name: [(c.value, c.source, c.expires_at, c.grant) for c in (found.holds, *found.losers)]
                for name, found in rules.effective(facts, at).items()
            }
            assert ours == theirs
            for name in ("seats", "sso", "recall", "nothing"):  # as `admit` asks
                alone = bench.execute(
                    "SELECT value, source, expires_at, grant_id"
                    " FROM wf.entitlement_claims('odd', %s, %s) ORDER BY place",
                    [at, name],
                )
                assert alone.fetchall() == ours.get(name, [])


# What operations do


async def test_a_change_costs_what_its_preview_said_or_is_refused(admin: Home, psql: Psql) -> None:
    operation = named("subscriptions.change")
    asked = {"tenant_id": "acme", "plan": "growth"}
    seen = await execute(admin, operation, operation.parse(asked), Call("grows", dry_run=True))
    assert seen.result["lines"] and one(psql("viewer"), "SELECT count(*) FROM wf.plan_changes") == (0,)
    await do(admin, "subscriptions.zone", tenant_id="acme", zone="Europe/Berlin")
    with pytest.raises(Conflict) as found:
        await do(admin, "subscriptions.change", **asked, preview_hash=seen.result["preview_hash"])
    assert found.value.code == "preview_changed"
    again = await execute(admin, operation, operation.parse(asked), Call("grows", dry_run=True))
    done = await do(admin, "subscriptions.change", **asked, preview_hash=again.result["preview_hash"])
    assert {n: done.result[n] for n in ("lines", "summary")} == {n: again.result[n] for n in ("lines", "summary")}
    assert one(psql("viewer"), "SELECT plan FROM wf.tenant_list WHERE id = 'acme'") == ("growth",)
    assert one(psql("viewer"), "SELECT lines FROM wf.plan_changes")[0] == done.result["lines"]
    assert done.undo is not None and done.undo.request["plan"] == "starter"
    back = await do(admin, done.undo.operation, **done.undo.request)
    assert (back.result["direction"], back.result["applied"]) == ("downgrade", True), "taken back at once"
    assert one(psql("viewer"), "SELECT plan FROM wf.tenant_list WHERE id = 'acme'") == ("starter",)


async def test_a_downgrade_waits_the_newest_word_counts_and_its_day_comes_once(admin: Home, psql: Psql) -> None:
    owner = psql("owner")
    done = await do(admin, "subscriptions.change", tenant_id="acme", plan="trial")
    assert done.result["direction"] == "downgrade" and done.result["applied"] is False
    await do(admin, "subscriptions.change", tenant_id="acme", plan="trial", cycle="year")
    assert one(owner, "SELECT count(*) FILTER (WHERE canceled_at IS NULL), count(*) FROM wf.plan_changes") == (1, 2)
    refused(
        owner,
        "plan_change_pending",
        "INSERT INTO wf.plan_changes (tenant_id, from_plan, from_cycle, plan, version, cycle, direction, effective_on,"
        " period_start, period_end, currency, lines, summary, preview_hash) SELECT tenant_id, from_plan, from_cycle,"
        " plan, version, cycle, direction, effective_on, period_start, period_end, currency, lines, summary,"
        " preview_hash"
        " FROM wf.plan_changes WHERE canceled_at IS NULL",
    )
    assert (await do(admin, "subscriptions.apply-due")).result == {"applied": 0}
    owner.execute("ALTER TABLE wf.plan_changes DISABLE TRIGGER guard")
    owner.execute("UPDATE wf.plan_changes SET effective_on = current_date - 1")
    owner.execute("ALTER TABLE wf.plan_changes ENABLE TRIGGER guard")
    assert (await do(admin, "subscriptions.apply-due")).result == {"applied": 1}
    assert (await do(admin, "subscriptions.apply-due")).result == {"applied": 0}
    standing = await admin.of(SubscriptionDirectory).standing("acme")
    held = standing.subscription
    assert (held.plan, held.plan_version, held.cycle, standing.pending) == ("trial", 1, "year", None)


async def test_the_catalogue_changes_as_a_whole_and_tenants_keep_their_version(admin: Home, psql: Psql) -> None:
    spec = {
        "name": "S",
        "currency": "EUR",
        "month_price": 1,
        "year_price": 10,
        "billing": "arrears",
        "entitlements": {},
    }
    plans = [spec | {"code": "starter"}, spec | {"code": "mystery", "entitlements": {"seats": 2}}]
    assert (await do(admin, "plans.apply", plans=plans)).result == {"created": 1, "new_versions": 1, "unchanged": 0}
    assert (await do(admin, "plans.apply", plans=plans)).result == {"created": 0, "new_versions": 0, "unchanged": 2}
    assert (await admin.of(SubscriptionDirectory).standing("acme")).subscription.plan_version == 1
    odd = await admin.of(SubscriptionDirectory).standing("odd")
    assert odd.subscription.plan_version == 1 and odd.effective[0].holds.value == 2, "the catalogue learnt the code"
    [(newest, none), (first, acme)] = await admin.of(PlanDirectory).versions("starter")
    assert (newest.version, none, first.version, acme) == (2, 0, 1, 1)
    await do(admin, "subscriptions.change", tenant_id="acme", on=str(datetime.now(UTC).date()))
    assert (await admin.of(SubscriptionDirectory).standing("acme")).subscription.plan_version == 2


async def test_suspending_and_resuming_loses_no_capability(admin: Home, psql: Psql) -> None:
    await do(admin, "subscriptions.raise", tenant_id="acme", name="seats", to=60, until="7d")
    before = (await admin.of(SubscriptionDirectory).standing("acme")).effective
    done = await do(admin, "subscriptions.state", tenant_id="acme", state="suspended")
    assert admitted(psql, "acme")[:2] == (False, "subscription_suspended")
    assert done.undo is not None
    await do(admin, done.undo.operation, **done.undo.request)
    assert (await admin.of(SubscriptionDirectory).standing("acme")).effective == before
    assert admitted(psql, "acme")[0] is True


async def test_a_trial_is_extended_three_times_expires_once_and_converts(admin: Home, psql: Psql) -> None:
    owner = psql("owner")
    for _ in range(3):
        await do(admin, "subscriptions.extend-trial", "they asked", tenant_id="trying", days=5)
    with pytest.raises(Refusal) as found:
        await do(admin, "subscriptions.extend-trial", tenant_id="trying", days=5)
    assert found.value.code == "trial_extensions"
    kept = "SELECT actor, reason FROM wf.audit WHERE operation = 'subscriptions.extend-trial' AND tenant_id = 'trying'"
    assert owner.execute(kept).fetchall() == [("t_admin", "they asked")] * 3
    for left, reminded in (("6 days", 1), ("5 days", 0), ("2 days", 1), ("20 hours", 1), ("1 hour", 0)):
        # The end is the same; the time to it is made shorter by moving both.
        owner.execute("ALTER TABLE wf.subscriptions DISABLE TRIGGER guard")
        owner.execute(f"UPDATE wf.subscriptions SET trial_end = now() + interval '{left}' WHERE state = 'trial'")
        owner.execute("ALTER TABLE wf.subscriptions ENABLE TRIGGER guard")
        owner.execute(
            "UPDATE wf.trial_reminders SET trial_end = (SELECT trial_end FROM wf.subscriptions WHERE state = 'trial')"
        )
        result = (await do(admin, "subscriptions.expire-trials")).result
        assert result == {"ended": 0, "reminded": reminded}, left
        assert (await do(admin, "subscriptions.expire-trials")).result == {"ended": 0, "reminded": 0}
    unguarded(owner, "trial_start = now() - interval '9 days', trial_end = now() - interval '1 s'", "trying")
    assert admitted(psql, "trying")[:2] == (False, "subscription_expired"), "before it is written down"
    assert (await do(admin, "subscriptions.expire-trials")).result == {"ended": 1, "reminded": 0}
    assert (await do(admin, "subscriptions.expire-trials")).result == {"ended": 0, "reminded": 0}
    await do(admin, "subscriptions.convert-trial", tenant_id="trying", plan="growth", cycle="year")
    held = (await admin.of(SubscriptionDirectory).standing("trying")).subscription
    assert (held.state, held.plan, held.cycle, held.plan_version) == ("active", "growth", "year", 1)


async def test_a_trial_of_another_plan_falls_back_to_the_one_that_is_paid(admin: Home, psql: Psql) -> None:
    await do(admin, "subscriptions.start-trial", tenant_id="acme", plan="pro", days=3)
    tried = {each.name: each.holds for each in (await admin.of(SubscriptionDirectory).standing("acme")).effective}
    assert (tried["seats"].value, tried["seats"].source) == (100, "trial")
    unguarded(psql("owner"), "trial_start = now() - interval '9 days', trial_end = now() - interval '1 s'")
    await do(admin, "subscriptions.expire-trials")
    standing = await admin.of(SubscriptionDirectory).standing("acme")
    assert standing.subscription.state == "active"
    assert next(each for each in standing.effective if each.name == "seats").holds.value == 5


async def test_converting_settles_what_was_paid_beside_the_trial(admin: Home, psql: Psql) -> None:
    await do(admin, "subscriptions.start-trial", tenant_id="acme", plan="pro", days=3)
    unguarded(psql("owner"), "period_start = current_date - 10")
    done = await do(admin, "subscriptions.convert-trial", tenant_id="acme")
    [used, rest] = done.result["lines"]
    assert (used["plan"], used["days"], rest["plan"]) == ("starter v1", 10, "pro v1")
    standing = await admin.of(SubscriptionDirectory).standing("acme")
    assert (standing.subscription.state, standing.subscription.plan) == ("active", "pro")
    assert {each.holds.source for each in standing.effective} == {"plan"}


def test_the_home_knows_the_currencies_that_the_program_knows(psql: Psql) -> None:
    owner = psql("owner")
    codes = [f"{a}{b}{c}" for a, b, c in itertools.product(string.ascii_uppercase, repeat=3)]
    rows = owner.execute(
        "SELECT c, wf.currency_places(c) FROM unnest(%s::text[]) c WHERE wf.currency_places(c) IS NOT NULL", [codes]
    ).fetchall()
    assert dict(rows) == PLACES
    insert = "INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing) VALUES"
    for currency in ("ZZZ", "XAU", "BGN"):
        refused(psql("admin"), "plan_currency", f"{insert} ('odd', 1, 'Odd', '{currency}', 1, 1, 'arrears')")
    psql("admin").execute(f"{insert} ('dakar', 1, 'Dakar', 'XOF', 15000, 150000, 'arrears')")
