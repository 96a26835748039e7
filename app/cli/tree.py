"""All commands: nouns with their verbs. Operations come from the registry; the few others are named here.

Only what the words ask for is imported: a list needs neither the registry nor what changes things.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

from cyclopts import App, Parameter

from app.cli.asked import READING, Reading
from app.start import version

NOUNS = {
    "tenants": "Tenants: list, show, and everything that can be done to them.",
    "projects": "Projects of tenants.",
    "keys": "API keys: made, rotated, revoked; who uses them.",
    "plans": "The catalogue of plans.",
    "subscriptions": "What a tenant is subscribed to, what it may use, and what it uses.",
    "objectives": "Objectives (SLOs): their error budgets, how fast they burn, and what fires.",
    "audit": "The trail: what was done, by whom, when and why.",
    "operators": "The people who may log in, and their roles.",
    "runs": "What was done to many things at once.",
    "jobs": "What is done in the background, and what became of it.",
    "workers": "The programs that do the jobs: watchfloor worker.",
    "requests": "Request logs.",
    "telemetry": "Requests over time, who has most, and how long it is kept.",
    "home": "The PostgreSQL that everything is kept in.",
    "settings": "The settings file.",
    "secrets": "Passwords of profiles.",
    "contexts": "The control planes that can be opened, and opening one for writing.",
}

READS: dict[tuple[str, str], str] = {
    ("tenants", "list"): "app.cli.lists:tenants",
    ("tenants", "show"): "app.cli.lists:show_tenant",
    ("projects", "list"): "app.cli.lists:projects",
    ("projects", "show"): "app.cli.lists:show_project",
    ("keys", "list"): "app.cli.keys:keys",
    ("keys", "show"): "app.cli.keys:show_key",
    ("keys", "rotations"): "app.cli.keys:rotations",
    ("keys", "stale"): "app.cli.keys:stale",
    ("keys", "verify"): "app.cli.keys:verify_key",
    ("audit", "list"): "app.cli.lists:audit_rows",
    ("audit", "show"): "app.cli.lists:show_audit_row",
    ("audit", "checkpoint"): "app.cli.audit:checkpoint",
    ("audit", "status"): "app.cli.audit:status",
    ("audit", "verify"): "app.cli.audit:verify",
    ("audit", "export"): "app.cli.audit:export",
    ("plans", "list"): "app.cli.plans:plans",
    ("plans", "show"): "app.cli.plans:show_plan",
    ("subscriptions", "show"): "app.cli.subscriptions:show_subscription",
    ("subscriptions", "effective"): "app.cli.subscriptions:effective",
    ("subscriptions", "usage"): "app.cli.subscriptions:usage",
    ("objectives", "list"): "app.cli.objectives:objectives",
    ("objectives", "show"): "app.cli.objectives:show_objective",
    ("objectives", "budget"): "app.cli.objectives:budget",
    ("objectives", "what-if"): "app.cli.objectives:what_if",
    ("tenants", "impersonations"): "app.cli.support:impersonations",
    ("operators", "list"): "app.cli.lists:operators",
    ("runs", "list"): "app.cli.lists:runs",
    ("runs", "show"): "app.cli.bulk:show",
    ("runs", "resume"): "app.cli.bulk:resume",
    ("runs", "undo"): "app.cli.bulk:undo",
    ("jobs", "list"): "app.cli.jobs:jobs",
    ("jobs", "show"): "app.cli.jobs:show_job",
    ("workers", "list"): "app.cli.jobs:workers",
    ("requests", "import"): "app.cli.importing:requests",
    ("requests", "ingest"): "app.cli.ingesting:ingest",
    ("telemetry", "series"): "app.cli.telemetry:series",
    ("telemetry", "top"): "app.cli.telemetry:top",
    ("telemetry", "export"): "app.cli.telemetry:export",
    ("telemetry", "saturation"): "app.cli.saturation:saturation",
    ("telemetry", "anomalies"): "app.cli.key_usage:anomalies",
    ("telemetry", "status"): "app.cli.telemetry:status",
    ("telemetry", "roll-up"): "app.cli.telemetry:roll_up",
    ("telemetry", "verify"): "app.cli.telemetry:verify",
    ("home", "status"): "app.cli.homes:status",
    ("home", "migrate"): "app.cli.homes:migrate",
    ("home", "backup"): "app.cli.backups:backup",
    ("home", "restore"): "app.cli.backups:restore",
    ("home", "stop"): "app.cli.homes:stop",
    ("home", "destroy"): "app.cli.homes:destroy",
    ("settings", "init"): "app.cli.upkeep:init",
    ("settings", "check"): "app.cli.upkeep:check",
    ("settings", "show"): "app.cli.upkeep:show",
    ("secrets", "doctor"): "app.cli.upkeep:doctor",
    ("secrets", "set"): "app.cli.upkeep:put",
    ("secrets", "forget"): "app.cli.upkeep:forget",
    ("contexts", "list"): "app.cli.homes:contexts",
}
"""The commands that are no operations, or do more than one, and where each is."""

SINGLE: dict[str, str] = {
    "undo": "app.cli.undoing:undo",
    "overview": "app.cli.overview:overview",
    "find": "app.cli.support:find",
    "operations": "app.cli.tree:list_operations",
    "completion": "app.cli.completion:print_script",
    "worker": "app.cli.worker:worker",
    "demo": "app.cli.tree:demo",
}


EXIT_CODES = (
    "Exit codes: 0 done, 1 refused, 2 usage, 3 not permitted, 4 not found, 5 conflict, 6 home unreachable, "
    "7 outcome unknown, 8 done but the answer could not be written."
)


def tree(words: list[str]) -> App:
    """The commands that `words` can mean; all of them when that is not plain from the first two."""
    from controlplane.errors import Usage

    app = App(
        "watchfloor",
        help="The control plane of a multi-tenant SaaS.",
        help_epilogue=EXIT_CODES,
        version=version,
        help_format="plaintext",
    )
    asked = tuple(words[:2])
    if asked in READS:
        noun = App(asked[0], help=NOUNS[asked[0]])
        noun.command(_load(READS[asked]), name=asked[1])
        app.command(noun)
    elif words and words[0] in SINGLE:
        app.command(_load(SINGLE[words[0]]), name=words[0])
    else:
        nouns = whole(app)
        verb = words[1] if len(words) > 1 else "-"
        if words and words[0] in nouns and verb.startswith("-") and verb not in ("--help", "-h"):
            verbs = ", ".join(sorted(name for name in nouns[words[0]] if not name.startswith("-")))
            raise Usage("verb_missing", f"{words[0]}: what is to be done?", f"watchfloor {words[0]} {verbs}")
    return app


def whole(app: App) -> dict[str, App]:
    """Put every command into `app`; the nouns among them."""
    from app.cli.generated import command
    from controlplane.registry import operations

    nouns: dict[str, App] = {}

    def noun(name: str) -> App:
        if name not in nouns:
            nouns[name] = App(name, help=NOUNS.get(name, name.capitalize() + "."))
            app.command(nouns[name])
        return nouns[name]

    for (name, verb), place in READS.items():
        noun(name).command(_load(place), name=verb)
    for operation in operations().values():
        if (operation.noun, operation.verb) not in READS:
            noun(operation.noun).command(command(operation), name=operation.verb)
    for name, place in SINGLE.items():
        app.command(_load(place), name=name)
    return nouns


def _load(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def list_operations(*, asked: Reading = READING) -> None:
    """List everything that an operator can do: role, risk, undo, and the request's JSON Schema."""
    from app.cli.output import Column, document, table
    from controlplane.clock import machine_now
    from controlplane.registry import describe, operations

    found = operations().values()
    if asked.json:
        items = [describe(operation) for operation in found]
        document({"items": items, "next": None, "total": len(items), "as_of": machine_now()})
        return
    columns = [Column("OPERATION"), Column("ROLE"), Column("RISK"), Column("UNDO"), Column("WHAT IT DOES")]
    table(columns, [[o.name, o.role, o.risk.value, o.undo or "–", o.summary] for o in found])


def demo(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Open the console on a throw-away home with the demonstration estate."""
    from app.demo import run

    code: int = run(list(words))
    return code
