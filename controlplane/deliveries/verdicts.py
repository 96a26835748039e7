"""What an answer, or its absence, means for a delivery: pure functions.

A 4xx says no, for good, apart from those that mean "not now". Whatever else is not a yes may be different tomorrow,
redirects among them: they are never followed, because what they lead to was not checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from controlplane.deliveries.model import Answer, Outcome, Trouble, Verdict
from controlplane.formatting import spell
from controlplane.text import clean, clean_lines
from controlplane.urls import HIDDEN

NOT_NOW = (408, 425, 429)
GONE = 410
MAX_RETRY_AFTER = 3600.0
"""Seconds. A receiver may ask for a pause, not for silence."""
MAX_KEPT_CHARACTERS = 2000


def verdict_of(outcome: Outcome, now: datetime) -> Verdict:
    """`now`: when the answer came, for a Retry-After that is a date."""
    if isinstance(outcome, Trouble):
        return Verdict("refused" if outcome.kind == "refused_here" else "retry", outcome.kind, outcome.words)
    return _of_mail(outcome) if outcome.protocol == "smtp" else _of_http(outcome, now)


def retry_after(header: str, now: datetime) -> float | None:
    """Seconds, at most MAX_RETRY_AFTER; None for no header, one that cannot be read, and a date that is over."""
    text = header.strip()
    if re.fullmatch(r"[0-9]{1,40}", text):
        return min(float(text), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return min(seconds, MAX_RETRY_AFTER) if seconds > 0 else None


def kept_text(text: str, secrets: Iterable[str] = ()) -> str:
    """The start of an answer, fit to be stored and shown; what it repeats of our secrets is made unreadable."""
    for secret in sorted((each for each in secrets if each), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return clean_lines(text, MAX_KEPT_CHARACTERS).strip()


def _of_http(answer: Answer, now: datetime) -> Verdict:
    code, pause = f"http_{answer.status}", retry_after(answer.retry_after, now)
    if 200 <= answer.status < 300:
        return Verdict("delivered", code, f"The receiver took it ({answer.status}).")
    if 300 <= answer.status < 400:
        where = f" to {clean(answer.location, 200)}" if answer.location else ""
        words = f"The receiver redirects{where} ({answer.status}); no redirect is followed: give the last address."
        return Verdict("retry", code, words, pause)
    if 400 <= answer.status < 500 and answer.status not in NOT_NOW:
        if answer.status == GONE:
            return Verdict("refused", code, f"The receiver is gone ({GONE}).", gone=True)
        return Verdict("refused", code, f"The receiver says no ({answer.status}).")
    asks = f", and asks to wait {spell(pause)}" if pause is not None else ""
    return Verdict("retry", code, f"The receiver cannot take it now ({answer.status}){asks}.", pause)


def _of_mail(answer: Answer) -> Verdict:
    code = f"smtp_{answer.status}"
    if 200 <= answer.status < 300:
        return Verdict("delivered", code, f"The mail server took it ({answer.status}).")
    if 500 <= answer.status < 600:
        return Verdict("refused", code, f"The mail server says no ({answer.status}).")
    return Verdict("retry", code, f"The mail server cannot take it now ({answer.status}).")
