"""A notice made ready for whichever channel its target is of."""

from __future__ import annotations

from datetime import datetime

from controlplane.deliveries import drill, mail, pagerduty, slack, webhook
from controlplane.deliveries.drill import DrillTarget
from controlplane.deliveries.mail import MailTarget
from controlplane.deliveries.model import Notice, Prepared, Text
from controlplane.deliveries.pagerduty import PagerDutyTarget
from controlplane.deliveries.slack import SlackTarget
from controlplane.deliveries.webhook import WebhookTarget

Target = WebhookTarget | SlackTarget | PagerDutyTarget | MailTarget | DrillTarget


def prepare(notice: Notice, text: Text, target: Target, at: datetime) -> Prepared:
    """`at`: when this attempt begins. Raises Usage for a secret, an address or a file name that cannot be used."""
    match target:
        case WebhookTarget():
            return webhook.notice_request(notice, text, target, at)
        case SlackTarget():
            return slack.notice_request(notice, text, target)
        case PagerDutyTarget():
            return pagerduty.notice_request(notice, text, target)
        case MailTarget():
            return mail.notice_mail(notice, text, target, at)
        case DrillTarget():
            return drill.notice_line(notice, text, target, at)
