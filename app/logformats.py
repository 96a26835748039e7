"""The formats of request logs by name: our own, those that are shipped, and those of the settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.errors import Usage
from controlplane.text import clean

if TYPE_CHECKING:
    from app.settings import Settings
    from controlplane.requestlogs.mappings import LogMapping, TenantSource
    from controlplane.requestlogs.model import Format


def names(settings: Settings) -> list[str]:
    from controlplane.requestlogs.mappings import SHIPPED
    from controlplane.requestlogs.model import Format

    return [*Format, *SHIPPED, *settings.logs]


def log_format(name: str, settings: Settings) -> Format | LogMapping:
    """Raises Usage."""
    from controlplane.requestlogs.mappings import SHIPPED
    from controlplane.requestlogs.model import Format

    if mapping := SHIPPED.get(name) or settings.logs.get(name):
        return mapping
    try:
        return Format(name)
    except ValueError:
        raise Usage(
            "format_unknown",
            f"There is no log format {clean(name, 64)}.",
            f"There are: {', '.join(names(settings))}. Own ones are written under [logs] in the settings file.",
        ) from None


def tenant_source(text: str | None) -> TenantSource | None:
    """Raises Usage."""
    from controlplane.requestlogs.mappings import TenantSource

    try:
        return TenantSource.parse(text) if text else None
    except ValueError as fault:
        raise Usage("tenant_from_format", f"{clean(text, 64)} does not say where the tenant is: {fault}.") from None
