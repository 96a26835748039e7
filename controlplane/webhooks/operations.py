"""What an operator can do with tenants' webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from controlplane.audit.model import Record
from controlplane.deliveries.endpoints import keep_secret, outcome_of_test, send_test
from controlplane.deliveries.signing import new_secret
from controlplane.errors import Usage
from controlplane.formatting import count, parse_duration, parse_moment
from controlplane.operations import Made, Request, Risk, Subject, operation
from controlplane.routes.operations import DAY, Seconds
from controlplane.routes.secrets import Checked, as_text, check_target
from controlplane.tenants.operations import Id, Readable, Version
from controlplane.tenants.ports import TenantStore
from controlplane.tenants.rules import check_open
from controlplane.webhooks.events import ALL, EVENTS
from controlplane.webhooks.model import Webhook, WebhookDirectory, WebhookStore
from controlplane.webhooks.refusals import SPAN_EMPTY, WEBHOOK_IDLE, WEBHOOK_OFF, WEBHOOK_ON

if TYPE_CHECKING:
    from controlplane.changes import Change, ControlPlane

MAX_REPLAYED = 10_000
What = Literal["undelivered", "all"]
REPLAYED: dict[What, tuple[str, ...]] = {"undelivered": ("failed", "held"), "all": ("delivered", "failed", "held")}
SINCE, UNTIL = "2h ago, or a time", "now, 1h ago, or a time"
Label = Annotated[str, Field(max_length=100, description="what it is for"), Readable]
Events = Annotated[list[str], Field(min_length=1, max_length=50, description="types of events: plan.changed …; *: all")]
Address = Annotated[str, Field(max_length=2048, repr=False, description="the URL, https://…")]
Moment = Annotated[str, Field(min_length=1, max_length=60)]


def known(events: list[str] | None) -> list[str] | None:
    unknown = [each for each in events or () if each != ALL and each not in EVENTS]
    if unknown:
        raise ValueError(f"there is no event {unknown[0][:60]}; there are {', '.join(EVENTS)}, and {ALL} for all")
    return events


class WebhookCreate(Request):
    subject = ("tenant_id",)
    makes_a = "webhook"
    personal = ("address",)
    tenant_id: Id
    address: Annotated[Address, Field(default="")]
    label: Label = ""
    events: Annotated[Events, Field(description="types of events: plan.changed …; *: all")] = [ALL]
    _known = field_validator("events")(known)


class OneWebhook(Request):
    """A webhook, at the version that was seen."""

    id: Annotated[int, Field(ge=1, description="the webhook's number")]
    version: Version


class WebhookEdit(OneWebhook):
    personal = ("address",)
    address: Annotated[Address, Field(default="")]
    label: Annotated[Label | None, Field(default=None)]
    events: Annotated[Events | None, Field(default=None)]
    _known = field_validator("events")(known)

    @model_validator(mode="after")
    def _something(self) -> WebhookEdit:
        if not self.address and self.label is None and self.events is None:
            raise ValueError("nothing to change was given")
        return self


class WebhookRotate(OneWebhook):
    keeps: Annotated[
        Seconds, Field(description="how long the old secret still signs too: 24h", validate_default=True)
    ] = DAY


class WebhookTest(Request):
    id: Annotated[int, Field(ge=1, description="the webhook's number")]


class WebhookReplay(OneWebhook):
    since: Annotated[Moment, Field(description=SINCE)]
    until: Annotated[Moment, Field(description=UNTIL)] = "now"
    what: Annotated[What, Field(description="what was held or failed; or all, also what was delivered")] = "undelivered"


WEBHOOK = Subject(Webhook, lambda change, request: change.of(WebhookStore).lock(request.id))


def moment_before(text: str, now: datetime) -> datetime:
    """ "2h" is two hours before now. Raises Usage; Refusal `zone_unknown`."""
    text = text.strip().removesuffix(" ago")
    if text[:1].isdigit() and text[-1:].isalpha() and "T" not in text and " " not in text:
        return now - timedelta(seconds=parse_duration(text))
    return parse_moment(text, now)


def span_of(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    """Raises Usage `webhook_span`."""
    begins, ends = moment_before(since, now), moment_before(until, now)
    if begins >= ends:
        raise SPAN_EMPTY()
    return begins, ends


def check_idle(webhook: Webhook, now: datetime) -> None:
    """Raises Refusal `webhook_idle`."""
    if webhook.disabled is not None:
        raise WEBHOOK_IDLE(f"Webhook {webhook.id} is {webhook.state}, so nothing is sent to it.")


def check_enable(webhook: Webhook, now: datetime) -> None:
    if webhook.state == "on":
        raise WEBHOOK_ON(f"Webhook {webhook.id} is enabled, and so is its endpoint.")


def check_disable(webhook: Webhook, now: datetime) -> None:
    if not webhook.enabled:
        raise WEBHOOK_OFF(f"Webhook {webhook.id} is disabled already.")


def result(webhook: Webhook) -> Record:
    """What an operation tells of it."""
    told = ("id", "tenant_id", "label", "target", "events", "state", "version")
    return {name: getattr(webhook, name) for name in told}


def _checked(change: Change, address: str) -> Checked:
    return check_target("webhook", address, {}, "standard", change.sealing.allowed)


def _as_it_is(webhooks: Sequence[Webhook]) -> Record:
    [webhook, *more] = webhooks
    return {} if more else {"label": webhook.label, "events": list(webhook.events)}


@operation(
    "webhooks.create",
    WebhookCreate,
    role="operator",
    risk=Risk.CONFIRM,
    key="n",
    undo="webhooks.delete",
    makes_secret=True,
)
async def create(change: Change, request: WebhookCreate) -> Made:
    """Create a webhook for a tenant: an address that is told of what happens to it; its secret is shown once."""
    if not request.address:
        raise Usage("webhook_address_needed", "A webhook needs an address.", "--address-from env:NAME (or file:, -).")
    target = _checked(change, request.address)
    check_open(await change.of(TenantStore).get(request.tenant_id), "given webhooks")
    columns = {"tenant_id": request.tenant_id, "label": request.label, "events": request.events, "target": target.shown}
    webhook = await change.of(WebhookStore).create(columns | {"secret_at": change.now})
    await keep_secret(change, webhook.id, "target", as_text(target.document))
    secret = change.drawn.draw(new_secret)
    await keep_secret(change, webhook.id, "signing", secret)
    return Made(result(webhook), secret)


@operation(
    "webhooks.edit",
    WebhookEdit,
    role="operator",
    risk=Risk.CONFIRM,
    key="e",
    begins={Webhook: _as_it_is},
    undo="webhooks.edit",
    on=WEBHOOK,
)
async def edit(change: Change, request: WebhookEdit, webhook: Webhook) -> Record:
    """Change a webhook's label or events; a new address replaces the old one."""
    columns = request.model_dump(include={"label", "events"}, exclude_none=True)
    target = _checked(change, request.address) if request.address else None
    if target is not None:
        columns |= {"target": target.shown, "target_at": change.now}
    changed = await change.of(WebhookStore).update(webhook.id, columns)
    if target is not None:
        await keep_secret(change, webhook.id, "target", as_text(target.document))
    return result(changed)


@operation(
    "webhooks.rotate-secret",
    WebhookRotate,
    role="operator",
    risk=Risk.CONFIRM,
    key="o",
    on=WEBHOOK,
    makes_secret=True,
    way_back="The old secret signs too, until it ends.",
)
async def rotate_secret(change: Change, request: WebhookRotate, webhook: Webhook) -> Made:
    """Rotate the secret that a webhook signs with; the old one signs as well for a while."""
    changed = await change.of(WebhookStore).update(webhook.id, {"secret_at": change.now})
    secret = change.drawn.draw(new_secret)
    await keep_secret(change, webhook.id, "signing", secret, request.keeps)
    return Made(result(changed), secret)


@operation(
    "webhooks.disable",
    OneWebhook,
    role="operator",
    risk=Risk.CONFIRM,
    key="d",
    needs_reason=True,
    undo="webhooks.enable",
    on=WEBHOOK,
    check=check_disable,
)
async def disable(change: Change, request: OneWebhook, webhook: Webhook) -> Record:
    """Disable a webhook: what happens meanwhile is held for it, and can be replayed."""
    return result(await change.of(WebhookStore).update(webhook.id, {"enabled": False}))


@operation(
    "webhooks.enable",
    OneWebhook,
    role="operator",
    risk=Risk.CONFIRM,
    key="b",
    undo="webhooks.disable",
    on=WEBHOOK,
    check=check_enable,
)
async def enable(change: Change, request: OneWebhook, webhook: Webhook) -> Record:
    """Enable a webhook and its endpoint; what was held is sent when somebody replays it."""
    return result(await change.of(WebhookStore).update(webhook.id, {"enabled": True, "revived_at": change.now}))


@operation(
    "webhooks.delete",
    OneWebhook,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    needs_reason=True,
    on=WEBHOOK,
    way_back="Make another one; what was sent stays on record.",
)
async def delete(change: Change, request: OneWebhook, webhook: Webhook) -> Record:
    """Delete a webhook with its secrets; its deliveries stay on record."""
    await change.of(WebhookStore).delete(webhook.id, change.now)
    return {"id": webhook.id, "tenant_id": webhook.tenant_id, "deleted": True}


@operation(
    "webhooks.test",
    WebhookTest,
    role="operator",
    risk=Risk.SAFE,
    key="y",
    on=WEBHOOK,
    writes="deliveries",
    completes=outcome_of_test,
)
async def test(change: Change, request: WebhookTest, webhook: Webhook) -> Record:
    """Send a test to a webhook: a real delivery marked TEST that counts toward nothing."""
    return {"delivery": (await send_test(change, webhook.id)).id, "webhook": webhook.id}


async def foresee(plane: ControlPlane, fields: Record) -> str:
    """How many deliveries the span as it is typed so far holds."""
    number, since = fields.get("id"), str(fields.get("since") or "").strip()
    if not number or not since:
        return ""
    what: What = "all" if fields.get("what") == "all" else "undelivered"
    begins, ends = span_of(since, str(fields.get("until") or "now"), plane.clock.now())
    found = await plane.of(WebhookDirectory).count_replayable(int(number), begins, ends, REPLAYED[what])
    if found > MAX_REPLAYED:
        return f"more than {count(MAX_REPLAYED)} deliveries: choose a shorter span"
    return f"{count(found)} deliveries are sent again"


@operation(
    "webhooks.replay",
    WebhookReplay,
    role="operator",
    risk=Risk.CONFIRM,
    key="p",
    on=WEBHOOK,
    check=check_idle,
    foresees=foresee,
    way_back="What was sent cannot be called back.",
)
async def replay(change: Change, request: WebhookReplay, webhook: Webhook) -> Record:
    """Send all deliveries of a span again; each keeps its key and is signed with the current secrets."""
    begins, ends = span_of(request.since, request.until, change.now)
    many = await change.of(WebhookStore).replay(webhook.id, begins, ends, REPLAYED[request.what])
    return {"id": webhook.id, "replayed": many, "since": begins, "until": ends}
