"""What tells whether a request id is used again for the same request."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from controlplane.operations import Request


def fingerprint(operation: str, request: Request) -> str:
    """The request as SHA-256. Personal fields are left out: an address can be guessed from its hash."""
    asked = _impersonal(request.model_dump(mode="json", exclude_unset=True), request.personal)
    return hashlib.sha256(json.dumps([operation, asked], sort_keys=True).encode()).hexdigest()


def _impersonal(value: Any, personal: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {name: _impersonal(each, personal) for name, each in value.items() if name not in personal}
    return [_impersonal(each, personal) for each in value] if isinstance(value, list) else value
