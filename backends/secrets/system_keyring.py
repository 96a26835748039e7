"""The desktop's keyring, asked with a time limit, and only one that really encrypts.

The library's own choice is not used: it takes whatever is installed, set in PYTHON_KEYRING_BACKEND or named in a
configuration file, even stores of plain text and ones that prompt on the terminal. Here it is chosen from a fixed list.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from backends.secrets.patience import within
from controlplane.errors import NotFound, Refusal
from controlplane.secrets import Finding

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")
KEYRING_SECONDS = 5.0
ALLOWED = {
    "linux": (
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.kwallet.DBusKeyring",
        "keyring.backends.libsecret.Keyring",
    ),
    "darwin": ("keyring.backends.macOS.Keyring",),
    "win32": ("keyring.backends.Windows.WinVaultKeyring",),
}


class SystemKeyring:
    """Raises Refusal `secret_unusable` when there is no usable keyring. One that failed or did not answer is not
    asked again by this program: whoever dismissed its prompt does not want a second one.
    """

    def __init__(self) -> None:
        self._unusable = ""

    def get(self, service: str, user: str) -> str:
        """Raises NotFound `secret_not_found` when the keyring has no such entry."""
        value = self._ask(lambda backend: backend.get_password(service, user))
        if not value:
            raise NotFound("secret_not_found", f"the keyring has no entry {service}/{user}")
        return value

    def set(self, service: str, user: str, value: str) -> None:
        self._ask(lambda backend: backend.set_password(service, user, value))

    def remove(self, service: str, user: str) -> bool:
        """False when there was nothing to remove."""

        def work(backend: KeyringBackend) -> bool:
            if backend.get_password(service, user) is None:
                return False
            backend.delete_password(service, user)
            return True

        return self._ask(work)

    def finding(self) -> Finding:
        def work(backend: KeyringBackend) -> str:
            backend.get_password("watchfloor", "doctor")  # only a request shows that it is locked
            return type(backend).__module__.rpartition(".")[2]

        try:
            name = self._ask(work)
        except Refusal as refusal:
            return Finding("system keyring", "bad", refusal.message)
        return Finding("system keyring", "good", f"{name} is used")

    def _ask(self, work: Callable[[KeyringBackend], T]) -> T:
        if self._unusable:
            raise Refusal("secret_unusable", self._unusable)
        try:
            return within(KEYRING_SECONDS, lambda: work(_choose()))
        except TimeoutError:
            self._unusable = f"the keyring did not answer within {KEYRING_SECONDS:g} s (locked?)"
        except Refusal as refusal:
            self._unusable = refusal.message
        except Exception as error:
            # Only the type of the error: its text comes from other code and may hold the secret.
            self._unusable = f"the keyring failed with {type(error).__name__} (locked, or its prompt was dismissed?)"
        raise Refusal("secret_unusable", self._unusable)


def _choose() -> KeyringBackend:
    """The keyring of the list with the highest priority that works here. PYTHON_KEYRING_BACKEND may pick one of the
    list; any other value means no keyring, because whoever set it does not want the usual one.
    """
    allowed = ALLOWED.get(sys.platform, ALLOWED["linux"])
    wanted = os.environ.get("PYTHON_KEYRING_BACKEND", "")
    if wanted and wanted not in allowed:
        raise Refusal(
            "secret_unusable",
            f"PYTHON_KEYRING_BACKEND names {wanted!r}, which is not known to encrypt; unset it, or name one of: "
            + ", ".join(allowed),
        )
    import keyring

    reasons = []
    usable: list[tuple[float, type[KeyringBackend]]] = []
    for name in [wanted] if wanted else allowed:
        module, _, kind = name.rpartition(".")
        try:
            backend: type[KeyringBackend] = getattr(importlib.import_module(module), kind)
            usable.append((float(backend.priority), backend))
        except Exception as error:  # RuntimeError says why it does not work here; the D-Bus layer adds its own
            reasons.append(f"{module.rpartition('.')[2]}: {error or type(error).__name__}")
    if not usable:
        raise Refusal("secret_unusable", "no system keyring works here (" + "; ".join(reasons) + ")")
    chosen = max(usable, key=lambda pair: pair[0])[1]()
    keyring.set_keyring(chosen)
    return chosen
