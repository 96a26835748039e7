"""From the file of sources to the sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from backends.sources.mapping import Nats, Outbox, Pgmq, Sqs, read
from backends.sources.nats import NatsSource
from backends.sources.outbox import OutboxSource
from backends.sources.pgmq import PgmqSource
from backends.sources.postgres import Secrets
from backends.sources.sqs import SqsSource
from controlplane.queues.source import Source


def open_sources(path: Path, secret: Secrets, now: Callable[[], datetime]) -> Sequence[Source]:
    """Nothing is connected to yet. Raises what `mapping.read` does."""
    return [_made(name, settings, secret, now) for name, settings in read(path).items()]


def _made(name: str, settings: Any, secret: Secrets, now: Callable[[], datetime]) -> Source:
    if isinstance(settings, Outbox):
        return OutboxSource(name, settings, secret)
    if isinstance(settings, Sqs):
        return SqsSource(name, settings, secret, now)
    if isinstance(settings, Nats):
        return NatsSource(name, settings, secret)
    assert isinstance(settings, Pgmq)
    return PgmqSource(name, settings, secret)
