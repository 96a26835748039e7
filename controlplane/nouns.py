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
    `commands`: the verbs that are neither `list`, `show` nor an operation, and a `show` that takes options of its own.
    `shows`: what `show` says beyond the fields of a row. `ways`: verb → how a screen carries out an operation that
    takes more than a form and a question. `acts_on`: the noun whose things its operations are done on in bulk, where
    that is not itself. `listed`: the command that lists, where that is not `NOUN list`. `readers`
    and `writers`: the classes that a home and a change look up by port; `refusals`: the module of its refusals; `jobs`:
    its background jobs.
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
    shows: str = ""
    ways: Mapping[str, str] = {}
    acts_on: str = ""
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
        shows="app.cli.tenants:show_tenant",
        readers=("backends.postgres.tenants:Tenants",),
        writers=("backends.postgres.tenants:TenantWriter",),
        refusals="controlplane.tenants.refusals",
    ),
    Noun(
        "projects",
        "Projects of tenants.",
        list="controlplane.tenants.list:PROJECTS",
        operations=("controlplane.tenants.projects",),
        readers=("backends.postgres.tenants:Projects",),
        writers=("backends.postgres.tenants:ProjectWriter",),
    ),
    Noun(
        "keys",
        "API keys: make, rotate and revoke them; see who uses them.",
        digit="2",
        list="controlplane.keys.list:KEYS",
        detail="screens.keys.detail:KeyScreen",
        operations=("controlplane.keys.operations",),
        commands={"verify": "app.cli.keys:verify_key"},
        shows="app.cli.keys:show_key",
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
        listed="keys stale",
    ),
    Noun(
        "plans",
        "The catalogue of plans.",
        list="controlplane.plans.list:PLANS",
        screen="screens.plans.list:PlansScreen",
        operations=("controlplane.plans.operations",),
        shows="app.cli.plans:show_plan",
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
        commands={"effective": "app.cli.subscriptions:effective", "usage": "app.cli.subscriptions:usage"},
        shows="app.cli.subscriptions:show_subscription",
        readers=("backends.postgres.subscriptions:Subscriptions",),
        writers=("backends.postgres.subscriptions:SubscriptionWriter",),
        refusals="controlplane.subscriptions.refusals",
        jobs="backends.postgres.subscriptions:UPKEEP",
    ),
    Noun(
        "alerts",
        "Alerts: what is wrong, who has it, how it ended.",
        digit="3",
        list="controlplane.alerts.list:ALERTS",
        detail="screens.alerts.detail:AlertScreen",
        operations=("controlplane.alerts.operations", "controlplane.routes.escalating"),
        shows="app.cli.alerts:show_alert",
        commands={
            "explain": "app.cli.routing:explain",
            "simulate": "app.cli.routing:simulate",
            "replay-policy": "app.cli.routing:replay_policy",
        },
        readers=("backends.postgres.alerts:Alerts",),
        writers=("backends.postgres.alerts:AlertWriter",),
        refusals="controlplane.alerts.refusals",
        jobs="backends.postgres.alerts:UPKEEP",
    ),
    Noun(
        "routes",
        "Routes: which alerts are sent to whom.",
        list="controlplane.routes.list:ROUTES",
        detail="screens.routes:RouteScreen",
        operations=("controlplane.routes.operations", "controlplane.routes.testing"),
        shows="app.cli.routes:show_route",
        readers=("backends.postgres.routes:Routes",),
        writers=("backends.postgres.routes:RouteWriter",),
        refusals="controlplane.routes.refusals",
        jobs="backends.postgres.deliveries:UPKEEP",
    ),
    Noun(
        "deliveries",
        "Deliveries: what was sent to whom, and whether it was received.",
        list="controlplane.deliveries.list:DELIVERIES",
        detail="screens.deliveries:DeliveryScreen",
        operations=("controlplane.deliveries.operations",),
        shows="app.cli.routes:show_delivery",
        readers=("backends.postgres.deliveries:Deliveries",),
        writers=("backends.postgres.deliveries:DeliveryWriter",),
        refusals="controlplane.deliveries.refusals",
    ),
    Noun(
        "webhooks",
        "Tenants' webhooks: where each is told what happens to it.",
        list="controlplane.webhooks.list:WEBHOOKS",
        detail="screens.webhooks:WebhookScreen",
        operations=("controlplane.webhooks.operations",),
        shows="app.cli.webhooks:show_webhook",
        readers=("backends.postgres.webhooks:Webhooks",),
        writers=("backends.postgres.webhooks:WebhookWriter",),
        refusals="controlplane.webhooks.refusals",
        jobs="backends.postgres.webhooks:UPKEEP",
    ),
    Noun(
        "events",
        "What happened to tenants that have webhooks.",
        list="controlplane.webhooks.list:TENANT_EVENTS",
        shows="app.cli.webhooks:show_event",
        readers=("backends.postgres.webhooks:TenantEvents",),
    ),
    Noun(
        "detectors",
        "Detectors, which find alerts: their last evaluation, their cost, a dry run.",
        list="controlplane.detectors.list:DETECTORS",
        detail="screens.alerts.detector:DetectorScreen",
        operations=("controlplane.detectors.operations", "controlplane.detectors.own"),
        shows="app.cli.alerts:show_detector",
        readers=("backends.postgres.detectors:Detectors",),
        writers=("backends.postgres.detectors:DetectorWriter", "backends.postgres.own_detectors:OwnDetectorWriter"),
        refusals="controlplane.detectors.refusals",
        jobs="backends.postgres.detectors:UPKEEP",
    ),
    Noun(
        "thresholds",
        "The thresholds of detectors: for all, for a plan, for a tenant.",
        list="controlplane.detectors.list:THRESHOLDS",
        commands={"show": "app.cli.alerts:show_threshold"},
        readers=("backends.postgres.detectors:Thresholds",),
    ),
    Noun(
        "heartbeats",
        "Heartbeats: signs of life from programs outside.",
        list="controlplane.heartbeats.list:HEARTBEATS",
        operations=("controlplane.heartbeats.operations",),
        readers=("backends.postgres.heartbeats:Heartbeats",),
        writers=("backends.postgres.heartbeats:HeartbeatWriter",),
        refusals="controlplane.heartbeats.refusals",
    ),
    Noun(
        "silences",
        "Silences: of which alerts nobody is told, until when, and why.",
        list="controlplane.silences.list:SILENCES",
        detail="screens.silences:SilenceScreen",
        operations=("controlplane.silences.operations",),
        shows="app.cli.silences:show_silence",
        readers=("backends.postgres.silences:Silences",),
        writers=("backends.postgres.silences:SilenceWriter",),
        refusals="controlplane.silences.refusals",
        jobs="backends.postgres.silences:UPKEEP",
    ),
    Noun(
        "schedules",
        "On-call schedules: who is on call, who is next, and when nobody is.",
        list="controlplane.schedules.list:SCHEDULES",
        detail="screens.schedules:ScheduleScreen",
        operations=("controlplane.schedules.operations",),
        commands={"show": "app.cli.schedules:show_schedule", "prove": "app.cli.schedules:prove"},
        readers=("backends.postgres.schedules:Schedules",),
        writers=("backends.postgres.schedules:ScheduleWriter",),
        refusals="controlplane.schedules.refusals",
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
        "queues",
        "Dead letters by cause: replay, edit, discard or hold them.",
        digit="5",
        list="controlplane.queues.list:CAUSES",
        screen="screens.queues.list:QueuesScreen",
        operations=("controlplane.queues.operations",),
        acts_on="letters",
        commands={"drill": "app.cli.queues:drill"},
        readers=("backends.postgres.queues:Causes",),
        writers=("backends.postgres.queues:LetterWriter", "backends.postgres.queues:CauseWriter"),
        refusals="controlplane.queues.refusals",
        jobs="backends.postgres.queues:UPKEEP",
    ),
    Noun(
        "letters",
        "Dead messages, one by one.",
        list="controlplane.queues.list:LETTERS",
        detail="screens.queues.letter:LetterScreen",
        listed="queues letters",
        shows="app.cli.queues:show_letter",
        readers=("backends.postgres.queues:Letters",),
    ),
    Noun(
        "sources",
        "Sources of dead letters: this home, and other systems.",
        list="controlplane.queues.source_lists:SOURCES",
        operations=("controlplane.queues.redriving",),
        readers=("backends.postgres.sources:SourceRows",),
    ),
    Noun(
        "messages",
        "Dead messages of other systems, one by one.",
        list="controlplane.queues.source_lists:MESSAGES",
        detail="screens.queues.message:MessageScreen",
        operations=("controlplane.queues.source_operations",),
        shows="app.cli.queues:show_message",
        readers=("backends.postgres.sources:Messages", "backends.postgres.sources:RunActsHere"),
        writers=("backends.postgres.sources:SourceActWriter",),
        jobs="backends.postgres.sources:UPKEEP",
    ),
    Noun(
        "gates",
        "Gates: may we release, why not, and what must change.",
        digit="6",
        list="controlplane.gates.list:GATES",
        detail="screens.gates.detail:GateScreen",
        operations=("controlplane.gates.operations",),
        commands={
            "run": "app.cli.gates:run",
            "decide": "app.cli.gates:decide",
            "compare": "app.cli.gates:compare",
            "shipped": "app.cli.gates:shipped",
            "schema": "app.cli.gates:print_schema",
        },
        shows="app.cli.gates:show_gate",
        ways={"run": "screens.gates.running:run"},
        readers=("backends.postgres.gates:Gates", "backends.postgres.gates:Checks"),
        writers=("backends.postgres.gate_writing:GateWriter",),
        refusals="controlplane.gates.refusals",
        jobs="backends.postgres.gates:UPKEEP",
    ),
    Noun(
        "decisions",
        "Runs of gates: what each found, and what it decided.",
        list="controlplane.gates.list:DECISIONS",
        detail="screens.gates.decision:DecisionScreen",
        listed="gates decisions",
        shows="app.cli.gates:show_decision",
        readers=("backends.postgres.gates:GateRuns",),
    ),
    Noun(
        "waivers",
        "Waivers: checks of gates that count as open although they do not pass, until when, and why.",
        list="controlplane.gates.list:WAIVERS",
        operations=("controlplane.gates.waiving",),
        readers=("backends.postgres.gates:Waivers",),
        writers=("backends.postgres.gate_writing:WaiverWriter",),
    ),
    Noun(
        "incidents",
        "Incidents: trouble that customers notice, who deals with it, and all that happened.",
        digit="7",
        list="controlplane.incidents.list:INCIDENTS",
        detail="screens.incidents:IncidentScreen",
        operations=("controlplane.incidents.operations", "controlplane.incidents.roles"),
        shows="app.cli.incidents:show_incident",
        commands={
            "post-mortem": "app.cli.incidents:write_post_mortem",
            "catch-up": "app.cli.incidents:catch_up",
        },
        readers=("backends.postgres.incidents:Incidents",),
        writers=("backends.postgres.incidents:IncidentWriter",),
        refusals="controlplane.incidents.refusals",
        jobs="backends.postgres.incidents:UPKEEP",
    ),
    Noun(
        "timeline",
        "What happened in incidents.",
        list="controlplane.incidents.list:TIMELINE",
        listed="incidents timeline",
        readers=("backends.postgres.incidents:Timeline",),
    ),
    Noun(
        "update-intervals",
        "How often customers are told while an incident is under way.",
        list="controlplane.incidents.list:INTERVALS",
        listed="incidents intervals",
        readers=("backends.postgres.incidents:Intervals",),
    ),
    Noun(
        "objectives",
        "Objectives (SLOs): their error budgets, how fast they burn, and what fires.",
        digit="8",
        list="controlplane.objectives.list:OBJECTIVES",
        detail="screens.objectives.detail:ObjectiveScreen",
        operations=("controlplane.objectives.operations",),
        commands={"budget": "app.cli.objectives:budget", "what-if": "app.cli.objectives:what_if"},
        shows="app.cli.objectives:show_objective",
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
            "checkpoint": "app.cli.audit:checkpoint",
            "status": "app.cli.audit:status",
            "verify": "app.cli.audit:verify",
            "export": "app.cli.audit:export",
        },
        shows="app.cli.audit:show_row",
        readers=("backends.postgres.audit:AuditTrail",),
        refusals="controlplane.audit.refusals",
        jobs="backends.postgres.audit:UPKEEP",
    ),
    Noun(
        "evidence",
        "Evidence: files that prove something. Collect, verify, record and publish them.",
        list="controlplane.evidence.list:EVIDENCE",
        detail="screens.evidence:EvidenceScreen",
        operations=("controlplane.evidence.operations",),
        commands={
            "add": "app.cli.evidence:add",
            "collect": "app.cli.evidence:collect",
            "pack": "app.cli.evidence:pack",
            "verify": "app.cli.evidence:verify",
        },
        readers=("backends.postgres.evidence:Registry", "backends.postgres.evidence:Trail"),
        writers=(
            "backends.postgres.evidence:EvidenceWriter",
            "backends.postgres.publications:PublicationWriter",
            "backends.postgres.publications:TargetWriter",
        ),
        refusals="controlplane.evidence.refusals",
    ),
    Noun(
        "publications",
        "Publications of evidence: where, and what the provider says.",
        list="controlplane.evidence.list:PUBLICATIONS",
        detail="screens.evidence:PublicationScreen",
        listed="evidence publications",
        shows="app.cli.publications:show_publication",
        readers=("backends.postgres.publications:Publications",),
    ),
    Noun(
        "targets",
        "Where evidence is published to, and what each place can do.",
        list="controlplane.evidence.list:TARGETS",
        listed="evidence targets",
        shows="app.cli.publications:show_target",
        readers=("backends.postgres.publications:Targets",),
    ),
    Noun(
        "coverage",
        "Controls, and whether there is fresh evidence for them.",
        list="controlplane.evidence.list:CONTROLS",
        listed="evidence coverage",
        readers=("backends.postgres.evidence:Coverage",),
    ),
    Noun(
        "reports",
        "Governance reports: what was decided, waived and proven in a week or for a release.",
        list="controlplane.reports.list:REPORTS",
        detail="screens.reports:ReportScreen",
        operations=("controlplane.reports.operations",),
        commands={"write": "app.cli.reports:write"},
        shows="app.cli.reports:show_report",
        readers=("backends.postgres.reports:Reports",),
        writers=("backends.postgres.reports:ReportWriter",),
        refusals="controlplane.reports.refusals",
        jobs="backends.postgres.reports:UPKEEP",
    ),
    Noun(
        "runs",
        "Runs: one operation done to many things.",
        list="controlplane.runs.list:RUNS",
        within="controlplane.runs.list:ITEMS",
        operations=("controlplane.runs.operations",),
        commands={"resume": "app.cli.bulk:resume", "undo": "app.cli.bulk:undo"},
        shows="app.cli.bulk:show_run",
        ways={"resume": "screens.bulk:resume", "undo": "screens.bulk:take_back"},
        readers=("backends.postgres.runs:Runs",),
        writers=("backends.postgres.runs:RunWriter",),
        refusals="controlplane.runs.refusals",
    ),
    Noun(
        "approvals",
        "Requests for the approval of a second person, and what became of them.",
        list="controlplane.approvals.list:APPROVALS",
        detail="screens.approvals:ApprovalScreen",
        operations=("controlplane.approvals.operations",),
        shows="app.cli.approvals:show_approval",
        readers=("backends.postgres.approvals:Approvals",),
        writers=("backends.postgres.approvals:ApprovalWriter",),
        refusals="controlplane.approvals.refusals",
        jobs="backends.postgres.approvals:UPKEEP",
    ),
    Noun(
        "approval-rules",
        "Which operations need a second person, and of which role.",
        list="controlplane.approvals.list:RULES",
        listed="approvals rules",
        readers=("backends.postgres.approvals:Rules",),
    ),
    Noun(
        "raises",
        "Roles that are raised for a while.",
        list="controlplane.approvals.list:RAISES",
        operations=("controlplane.approvals.raising",),
        listed="operators raises",
        readers=("backends.postgres.approvals:Raises",),
    ),
    Noun(
        "runbooks",
        "Runbooks: what to do, step by step. Run, resume or rehearse them.",
        list="controlplane.runbooks.list:RUNBOOKS",
        detail="screens.runbooks.detail:RunbookScreen",
        operations=("controlplane.runbooks.operations",),
        commands={
            "run": "app.cli.runbooks:run",
            "resume": "app.cli.runbooks:resume",
            "do": "app.cli.runbooks:do",
            "drill": "app.cli.runbooks:drill",
            "evidence": "app.cli.runbooks:evidence",
            "check": "app.cli.runbooks:check",
        },
        shows="app.cli.runbooks:show_runbook",
        ways={"run": "screens.runbooks.doing:run", "do": "screens.runbooks.doing:do"},
        readers=("backends.postgres.runbooks:Runbooks",),
        writers=("backends.postgres.runbooks:ExecutionWriter",),
        refusals="controlplane.runbooks.refusals",
    ),
    Noun(
        "executions",
        "Executions of runbooks: who does which step, and the results.",
        list="controlplane.runbooks.list:EXECUTIONS",
        detail="screens.runbooks.execution:ExecutionScreen",
        listed="runbooks executions",
        shows="app.cli.runbooks:show_execution",
        readers=("backends.postgres.runbooks:Executions", "backends.postgres.runbooks:Steps"),
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
        "contacts",
        "Where people are paged: an address for each channel.",
        list="controlplane.contacts.list:CONTACTS",
        operations=("controlplane.contacts.operations", "controlplane.contacts.testing"),
        readers=("backends.postgres.contacts:Contacts",),
        writers=("backends.postgres.contacts:ContactWriter",),
        refusals="controlplane.contacts.refusals",
    ),
    Noun(
        "jobs",
        "Background work, and how it ended.",
        list="controlplane.jobs.list:JOBS",
        within="controlplane.jobs.list:ATTEMPTS",
        operations=("controlplane.jobs.operations",),
        shows="app.cli.jobs:show_job",
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
    Noun("find", "Find what a text belongs to.", readers=("backends.postgres.find:Finder",)),
    Noun(
        "requests",
        "Single requests as they come, and request logs.",
        list="controlplane.requests.list:REQUESTS",
        screen="screens.requests:RequestsScreen",
        commands={
            "import": "app.cli.importing:requests",
            "ingest": "app.cli.ingesting:ingest",
            "tail": "app.cli.tailing:tail",
        },
        readers=("backends.postgres.request_list:RequestList",),
        refusals="controlplane.requests.refusals",
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
        "consoles",
        "The consoles that are open: who looks at what.",
        list="controlplane.presence.list:CONSOLES",
        screen="screens.consoles:ConsolesScreen",
        readers=("backends.postgres.presence:Presences",),
        refusals="controlplane.presence.refusals",
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
