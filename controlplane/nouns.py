"""The table of nouns: a line for each, and everything else reads it.

A place is written "module:name" and imported when it is first needed, so that this table costs nothing to load and
makes no package import another.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from controlplane.lists import ListOf


class Noun(NamedTuple):
    """`digit`: the key that goes to its list. `list`: its declaration. `within`: the declaration of the list inside one
    thing, which is shown when the thing is opened; `detail`: a screen for one thing instead. `screen`: a screen for the
    list, where it shows more than its declaration says. `operations`: the modules that register its operations.
    `commands`: the verbs that are neither `list` nor an operation. `listed`: the command that lists, where that is not
    `NOUN list`. `readers` and `writers`: the classes that a home and a change look up by port; `refusals`: the module
    of its refusals; `jobs`: its background jobs.
    """

    name: str
    help: str
    digit: str = ""
    list: str = ""
    within: str = ""
    detail: str = ""
    screen: str = ""
    operations: tuple[str, ...] = ()
    commands: Mapping[str, str] = {}
    listed: str = ""
    readers: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    refusals: str = ""
    jobs: str = ""


NOUNS: tuple[Noun, ...] = (
    Noun(
        "overview",
        "What needs looking at now.",
        digit="0",
        screen="screens.overview:OverviewScreen",
        readers=("backends.postgres.overview:Overview",),
    ),
    Noun(
        "tenants",
        "Tenants: list, show, and everything that can be done to them.",
        digit="1",
        list="controlplane.tenants.list:TENANTS",
        screen="screens.tenants.list:TenantsScreen",
        detail="screens.tenants.detail:TenantScreen",
        operations=("controlplane.tenants.operations", "controlplane.tenants.apply"),
        commands={"show": "app.cli.lists:show_tenant"},
        readers=("backends.postgres.tenants:Tenants",),
        writers=("backends.postgres.tenants:TenantWriter",),
        refusals="controlplane.tenants.refusals",
    ),
    Noun(
        "projects",
        "Projects of tenants.",
        list="controlplane.tenants.list:PROJECTS",
        operations=("controlplane.tenants.projects",),
        commands={"show": "app.cli.lists:show_project"},
        readers=("backends.postgres.tenants:Projects",),
        writers=("backends.postgres.tenants:ProjectWriter",),
    ),
    Noun(
        "keys",
        "API keys: made, rotated, revoked; who uses them.",
        digit="2",
        list="controlplane.keys.list:KEYS",
        detail="screens.keys.detail:KeyScreen",
        operations=("controlplane.keys.operations",),
        commands={"show": "app.cli.keys:show_key", "verify": "app.cli.keys:verify_key"},
        readers=("backends.postgres.keys:Keys",),
        writers=("backends.postgres.keys:KeyWriter",),
        refusals="controlplane.keys.refusals",
        jobs="backends.postgres.keys:UPKEEP",
    ),
    Noun(
        "rotations",
        "Keys that are being rotated.",
        list="controlplane.keys.list:ROTATIONS",
        detail="screens.keys.detail:KeyScreen",
        listed="keys rotations",
    ),
    Noun(
        "stale",
        "Keys that are too old.",
        list="controlplane.keys.list:STALE",
        screen="screens.keys.list:StaleScreen",
        detail="screens.keys.detail:KeyScreen",
        commands={},
        listed="keys stale",
    ),
    Noun(
        "plans",
        "The catalogue of plans.",
        list="controlplane.plans.list:PLANS",
        screen="screens.plans.list:PlansScreen",
        operations=("controlplane.plans.operations",),
        commands={"show": "app.cli.plans:show_plan"},
        readers=("backends.postgres.plans:Plans",),
        writers=("backends.postgres.plans:PlanWriter",),
        refusals="controlplane.plans.refusals",
    ),
    Noun(
        "subscriptions",
        "What a tenant is subscribed to, what it may use, and what it uses.",
        list="controlplane.subscriptions.list:SUBSCRIPTIONS",
        detail="screens.subscriptions.detail:SubscriptionScreen",
        operations=("controlplane.subscriptions.operations", "controlplane.subscriptions.trials"),
        commands={
            "show": "app.cli.subscriptions:show_subscription",
            "effective": "app.cli.subscriptions:effective",
            "usage": "app.cli.subscriptions:usage",
        },
        readers=("backends.postgres.subscriptions:Subscriptions",),
        writers=("backends.postgres.subscriptions:SubscriptionWriter",),
        refusals="controlplane.subscriptions.refusals",
        jobs="backends.postgres.subscriptions:UPKEEP",
    ),
    Noun(
        "telemetry",
        "Requests over time, who makes the most, and how long they are kept.",
        digit="4",
        screen="screens.telemetry.screen:TelemetryScreen",
        detail="screens.telemetry.screen:TelemetryScreen",
        operations=("controlplane.telemetry.operations",),
        commands={
            "series": "app.cli.telemetry:series",
            "top": "app.cli.telemetry:top",
            "export": "app.cli.telemetry:export",
            "saturation": "app.cli.saturation:saturation",
            "anomalies": "app.cli.key_usage:anomalies",
            "status": "app.cli.telemetry:status",
            "roll-up": "app.cli.telemetry:roll_up",
            "verify": "app.cli.telemetry:verify",
        },
        readers=(
            "backends.postgres.telemetry:Telemetry",
            "backends.postgres.rollups:Rollups",
        ),
        writers=("backends.postgres.rollups:RetentionWriter",),
        refusals="controlplane.telemetry.refusals",
        jobs="backends.postgres.rollups:UPKEEP",
    ),
    Noun(
        "objectives",
        "Objectives (SLOs): their error budgets, how fast they burn, and what fires.",
        digit="8",
        list="controlplane.objectives.list:OBJECTIVES",
        detail="screens.objectives.detail:ObjectiveScreen",
        operations=("controlplane.objectives.operations",),
        commands={
            "show": "app.cli.objectives:show_objective",
            "budget": "app.cli.objectives:budget",
            "what-if": "app.cli.objectives:what_if",
        },
        readers=("backends.postgres.objectives:Objectives",),
        writers=("backends.postgres.objectives:ObjectiveWriter",),
        refusals="controlplane.objectives.refusals",
        jobs="backends.postgres.objectives:UPKEEP",
    ),
    Noun(
        "audit",
        "The trail: what was done, by whom, when and why.",
        digit="9",
        list="controlplane.audit.list:AUDIT",
        screen="screens.audit:AuditScreen",
        commands={
            "show": "app.cli.lists:show_audit_row",
            "checkpoint": "app.cli.audit:checkpoint",
            "status": "app.cli.audit:status",
            "verify": "app.cli.audit:verify",
            "export": "app.cli.audit:export",
        },
        readers=("backends.postgres.audit:AuditTrail",),
        refusals="controlplane.audit.refusals",
        jobs="backends.postgres.audit:UPKEEP",
    ),
    Noun(
        "runs",
        "What was done to many things at once.",
        list="controlplane.runs.list:RUNS",
        within="controlplane.runs.list:ITEMS",
        screen="screens.runs:RunsScreen",
        operations=("controlplane.runs.operations",),
        commands={
            "show": "app.cli.bulk:show",
            "resume": "app.cli.bulk:resume",
            "undo": "app.cli.bulk:undo",
        },
        readers=("backends.postgres.runs:Runs",),
        writers=("backends.postgres.runs:RunWriter",),
        refusals="controlplane.runs.refusals",
    ),
    Noun(
        "impersonations",
        "Who acts for which tenant.",
        list="controlplane.impersonations.list:IMPERSONATIONS",
        operations=("controlplane.impersonations.operations",),
        listed="tenants impersonations",
        readers=("backends.postgres.impersonations:Impersonations",),
        writers=("backends.postgres.impersonations:ImpersonationWriter",),
        refusals="controlplane.impersonations.refusals",
    ),
    Noun(
        "operators",
        "The people who may log in, and their roles.",
        list="controlplane.operators.list:OPERATORS",
        operations=("controlplane.operators.operations",),
        readers=("backends.postgres.operators:Operators",),
        writers=("backends.postgres.operators:OperatorWriter",),
        refusals="controlplane.operators.refusals",
    ),
    Noun(
        "jobs",
        "What is done in the background, and what became of it.",
        list="controlplane.jobs.list:JOBS",
        within="controlplane.jobs.list:ATTEMPTS",
        operations=("controlplane.jobs.operations",),
        commands={"show": "app.cli.jobs:show_job"},
        readers=("backends.postgres.jobs:Jobs",),
        writers=("backends.postgres.jobs:JobWriter",),
        refusals="controlplane.jobs.refusals",
        jobs="backends.postgres.jobs:UPKEEP",
    ),
    Noun(
        "workers",
        "The programs that do the jobs: watchfloor worker.",
        list="controlplane.jobs.list:WORKERS",
        readers=("backends.postgres.jobs:Workers",),
    ),
    Noun("find", "What a text belongs to.", readers=("backends.postgres.find:Finder",)),
    Noun(
        "requests",
        "Request logs.",
        commands={"import": "app.cli.importing:requests", "ingest": "app.cli.ingesting:ingest"},
    ),
    Noun(
        "home",
        "The PostgreSQL that everything is kept in.",
        commands={
            "status": "app.cli.homes:status",
            "migrate": "app.cli.homes:migrate",
            "backup": "app.cli.backups:backup",
            "restore": "app.cli.backups:restore",
            "stop": "app.cli.homes:stop",
            "destroy": "app.cli.homes:destroy",
        },
    ),
    Noun(
        "settings",
        "The settings file.",
        commands={
            "init": "app.cli.upkeep:init",
            "check": "app.cli.upkeep:check",
            "show": "app.cli.upkeep:show",
        },
    ),
    Noun(
        "secrets",
        "Passwords of profiles.",
        commands={
            "doctor": "app.cli.upkeep:doctor",
            "set": "app.cli.upkeep:put",
            "forget": "app.cli.upkeep:forget",
        },
    ),
    Noun(
        "contexts",
        "The control planes that can be opened, and opening one for writing.",
        operations=("controlplane.contexts",),
        commands={"list": "app.cli.homes:contexts"},
    ),
)
FIRST = "overview"
"""What the console shows first."""


def noun_named(name: str) -> Noun | None:
    return next((noun for noun in NOUNS if noun.name == name), None)


def shown() -> list[Noun]:
    """The nouns that have a screen in the console: those with a digit first, by digit."""
    return sorted((noun for noun in NOUNS if noun.list or noun.screen), key=lambda noun: noun.digit or "~")


def shown_named(name: str) -> Noun | None:
    return next((noun for noun in shown() if noun.name == name), None)


def load(place: str) -> Any:
    """What is at "module:name"."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def list_named(noun: str) -> ListOf[Any]:
    """The declaration of a noun that has a list."""
    found = noun_named(noun)
    assert found is not None and found.list, noun
    declared: ListOf[Any] = load(found.list)
    return declared
