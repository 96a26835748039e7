"""What an operator can do with routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, field_validator, model_validator

from controlplane.alerts.model import Severity
from controlplane.audit.model import AuditRow, Record
from controlplane.deliveries import templates
from controlplane.deliveries.endpoints import keep_secret
from controlplane.deliveries.signing import new_secret
from controlplane.errors import Usage
from controlplane.formatting import as_seconds
from controlplane.matchers import Matcher, parse_matchers
from controlplane.operations import Made, Request, Risk, Subject, operation
from controlplane.routes import checks
from controlplane.routes.kept import RouteRow, RouteStore
from controlplane.routes.reading import read_escalation, read_policy
from controlplane.routes.refusals import ROUTE_NO_SECRET
from controlplane.routes.secrets import Channel, Checked, as_text, check_target
from controlplane.tenants.operations import Id, Version
from controlplane.tenants.ports import TenantStore
from controlplane.tenants.rules import check_open

if TYPE_CHECKING:
    from controlplane.changes import Change

NEVER = "never"
DAY = 86_400


def as_matchers(value: Any) -> Any:
    """Those that are stored, as they are typed."""
    if isinstance(value, list):
        return ", ".join(str(Matcher(each["label"], each["op"], each["value"])) for each in value)
    return value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="what it is called: team-db …")]
Number = Annotated[int, Field(ge=1, description="the route's number")]
Matchers = Annotated[
    str, BeforeValidator(as_matchers), Field(max_length=10_000, description='tenant="acme", kind=~"jobs.*"; empty: all')
]
Events = Annotated[list[str], Field(min_length=1, max_length=50, description="types of events; *: all")]
Seconds = Annotated[int, BeforeValidator(as_seconds), Field(ge=0, le=DAY)]
Repeat = Annotated[
    Literal["never"] | Annotated[int, Field(ge=60, le=30 * DAY)],
    BeforeValidator(lambda value: value if value == NEVER else as_seconds(value)),
    Field(description="repeat while it still fires, every: 4h; never"),
]
Document = Annotated[dict[str, JsonValue] | None, Field(default=None)]
Address = Annotated[
    str,
    Field(max_length=2048, repr=False, description="URL, PagerDuty key, mail address, or a drill's file (- prints)"),
]


class RouteFields(Request):
    """What a route says; left out: as it is. `address` and `headers` are secrets."""

    personal = ("address", "headers")
    address: Annotated[Address, Field(default="")]
    headers: Annotated[
        dict[str, str] | None, Field(default=None, description="further headers of a webhook", repr=False)
    ]
    matchers: Annotated[Matchers | None, Field(default=None)]
    events: Annotated[Events | None, Field(default=None)]
    min_severity: Annotated[Severity | None, Field(default=None, description="this severity and above")]
    urgency: Annotated[Literal["high", "low"] | None, Field(default=None, description="low: recorded, nobody is told")]
    policy: Annotated[Document, Field(description="severity_thresholds, quiet_windows, dedupe, inhibit: a JSON object")]
    escalation: Annotated[Document, Field(description="levels with targets and minutes, repeat: a JSON object")]
    group_by: Annotated[
        list[str] | None, Field(default=None, max_length=20, description="tell those together that share")
    ]
    group_wait: Annotated[Seconds | None, Field(default=None, description="how long the first of a group waits: 30s")]
    group_interval: Annotated[Seconds | None, Field(default=None, description="between notices of further ones: 5m")]
    repeat: Annotated[Repeat | None, Field(default=None)]
    template: Annotated[str | None, Field(default=None, max_length=4000, description="of its texts, in minijinja")]
    parent: Annotated[int | None, Field(default=None, ge=1, description="the route above it")]
    position: Annotated[int | None, Field(default=None, ge=0, le=1_000_000, description="the lowest is tried first")]
    continues: Annotated[bool | None, Field(default=None, description="the next routes are tried too")]

    @field_validator("matchers")
    @classmethod
    def _matchers(cls, value: str | None) -> str | None:
        if value:
            try:
                parse_matchers(value)
            except Usage as fault:
                raise ValueError(fault.message) from None
        return value

    def columns(self) -> Record:
        """The columns that are given. Raises Usage, which names the field of a policy or escalation that is wrong."""
        found = self.model_dump(
            include={"events", "min_severity", "urgency", "group_by", "group_wait", "group_interval", "template"}
            | {"parent", "position", "continues"},
            exclude_none=True,
        )
        if self.matchers is not None:
            parsed = parse_matchers(self.matchers)
            found["matchers"] = [{"label": each.label, "op": each.op, "value": each.value} for each in parsed]
        if self.policy is not None:
            read_policy(self.policy)
            found["policy"] = self.policy
        if self.escalation is not None:
            read_escalation(self.escalation)
            found["escalation"] = self.escalation
        if self.repeat is not None:
            found["repeat_seconds"] = None if self.repeat == NEVER else self.repeat
        if self.template:
            templates.check(self.template)
        return found


class RouteCreate(RouteFields):
    subject = ("name",)
    makes = ("name",)
    name: Name
    channel: Annotated[Channel, Field(description="how it is told")]
    tenant_id: Annotated[Id | None, Field(default=None, description="one tenant; default: all")]
    form: Annotated[
        Literal["standard", "aionis"], Field(description="of a webhook: Standard Webhooks, or the older")
    ] = "standard"


class OneRoute(Request):
    """A route, at the version that was seen."""

    id: Number
    version: Version


class RouteEdit(RouteFields):
    id: Number
    version: Version
    form: Annotated[Literal["standard", "aionis"] | None, Field(default=None, description="with a new address")]
    alone: Annotated[bool, Field(default=False, description="one notice for each alert: no grouping")]
    no_escalation: Annotated[bool, Field(default=False, description="page nobody")]
    no_parent: Annotated[bool, Field(default=False, description="below no other route")]

    def columns(self) -> Record:
        removed = {"group_by": self.alone, "escalation": self.no_escalation, "parent": self.no_parent}
        return super().columns() | {name: None for name, gone in removed.items() if gone}

    @model_validator(mode="after")
    def _something(self) -> RouteEdit:
        if not self.address and self.model_fields_set <= {"id", "version", "address"}:
            raise ValueError("nothing to change was given")
        return self


class RouteRotate(OneRoute):
    keeps: Annotated[
        Seconds, Field(description="how long the old secret still signs too: 24h", validate_default=True)
    ] = DAY


ROUTE = Subject(RouteRow, lambda change, request: change.of(RouteStore).lock(request.id))


def was_edited(row: AuditRow) -> Record:
    """Fields of their own remove what was not there before. An address cannot come back: it is kept nowhere."""
    was = row.was
    fields: Record = {}
    if "repeat_seconds" in was:
        fields["repeat"] = was["repeat_seconds"] or NEVER
    for column, field in (("group_by", "alone"), ("escalation", "no_escalation"), ("parent", "no_parent")):
        if was.get(column, 0) is None:
            fields[field] = True
    return fields


def _checked(change: Change, channel: Channel, request: RouteFields, form: str) -> Checked:
    return check_target(channel, request.address, request.headers or {}, form, change.sealing.allowed)


@operation(
    "routes.create",
    RouteCreate,
    role="operator",
    risk=Risk.CONFIRM,
    key="n",
    undo="routes.retire",
    makes_secret=True,
)
async def create(change: Change, request: RouteCreate) -> Made:
    """Create a route: which alerts are told to whom; its signing secret is shown once."""
    if not request.address:
        raise Usage(
            "route_address_needed", "A route needs an address.", "--address-from env:NAME (or file:, keyring:, -)."
        )
    columns = request.columns()
    target = _checked(change, request.channel, request, request.form)
    if request.tenant_id is not None:
        check_open(await change.of(TenantStore).get(request.tenant_id), "given routes")
    signs = request.channel == "webhook"
    fixed = {"name": request.name, "tenant_id": request.tenant_id, "channel": request.channel, "target": target.shown}
    store = change.of(RouteStore)
    route = await store.create(fixed | columns | ({"secret_at": change.now} if signs else {}))
    await keep_secret(change, route.id, "target", as_text(target.document))
    secret = change.drawn.draw(new_secret) if signs else None
    if secret is not None:
        await keep_secret(change, route.id, "signing", secret)
    return Made(checks.result(route), secret)


@operation(
    "routes.edit",
    RouteEdit,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    undo="routes.edit",
    undo_request=was_edited,
    on=ROUTE,
    check=lambda route, now: checks.check_open(route),
)
async def edit(change: Change, request: RouteEdit, route: RouteRow) -> Record:
    """Change a route; a new address replaces the old one."""
    columns = request.columns()
    target = None
    if request.address:
        target = _checked(change, route.channel, request, request.form or "standard")
        columns |= {"target": target.shown, "target_at": change.now}
    elif request.headers is not None or request.form is not None:
        raise Usage("route_address_needed", "Headers and form are kept with the address: give that as well.")
    changed = await change.of(RouteStore).update(route.id, columns)
    if target is not None:
        await keep_secret(change, route.id, "target", as_text(target.document))
    return checks.result(changed)


@operation(
    "routes.rotate-secret",
    RouteRotate,
    role="operator",
    risk=Risk.CONFIRM,
    key="o",
    on=ROUTE,
    check=lambda route, now: checks.check_signs(route),
    makes_secret=True,
    way_back="The old secret signs too, until it ends.",
)
async def rotate_secret(change: Change, request: RouteRotate, route: RouteRow) -> Made:
    """Rotate the secret that a webhook signs with; the old one signs as well for a while."""
    if route.channel != "webhook":
        raise ROUTE_NO_SECRET()
    changed = await change.of(RouteStore).update(route.id, {"secret_at": change.now})
    secret = change.drawn.draw(new_secret)
    await keep_secret(change, route.id, "signing", secret, request.keeps)
    return Made(checks.result(changed), secret)


@operation(
    "routes.disable",
    OneRoute,
    role="operator",
    risk=Risk.CONFIRM,
    key="d",
    needs_reason=True,
    undo="routes.enable",
    on=ROUTE,
    check=lambda route, now: checks.check_disable(route),
)
async def disable(change: Change, request: OneRoute, route: RouteRow) -> Record:
    """Disable a route: it takes no new alerts; whoever was told of a trigger is still told of the resolve."""
    return checks.result(await change.of(RouteStore).update(route.id, {"enabled": False}))


@operation(
    "routes.enable",
    OneRoute,
    role="operator",
    risk=Risk.CONFIRM,
    key="b",
    undo="routes.disable",
    on=ROUTE,
    check=lambda route, now: checks.check_enable(route),
)
async def enable(change: Change, request: OneRoute, route: RouteRow) -> Record:
    """Enable a route and its endpoint; what was held is sent when somebody replays it."""
    return checks.result(await change.of(RouteStore).update(route.id, {"enabled": True, "revived_at": change.now}))


@operation(
    "routes.retire",
    OneRoute,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    undo="routes.restore",
    on=ROUTE,
    check=lambda route, now: checks.check_open(route),
)
async def retire(change: Change, request: OneRoute, route: RouteRow) -> Record:
    """Retire a route: it is no longer listed, and its name is free."""
    return checks.result(await change.of(RouteStore).update(route.id, {"retired_at": change.now}))


@operation(
    "routes.restore",
    OneRoute,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="routes.retire",
    on=ROUTE,
    check=lambda route, now: checks.check_restore(route),
)
async def restore(change: Change, request: OneRoute, route: RouteRow) -> Record:
    """Restore a retired route."""
    return checks.result(await change.of(RouteStore).update(route.id, {"retired_at": None}))
