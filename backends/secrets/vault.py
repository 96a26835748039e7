"""All sources together: a reference is looked up where it points; without one, the sources are tried in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from backends.secrets import sources
from backends.secrets.age_file import AgeFile
from backends.secrets.system_keyring import SystemKeyring
from controlplane.errors import NotFound, Refusal
from controlplane.secrets import Finding, Reference, Secret, variable

SERVICE = "watchfloor"
_STORE = "Keep it with: watchfloor secrets set"


class Vault:
    """Implements `controlplane.secrets.Secrets`.

    `folder` holds `secrets.age` and `identity.txt`. `command` is tried last: an argument list in which `{profile}`
    stands for the profile's name; empty when there is none. `ask` asks on the terminal; it is None where there is none,
    and once the console runs.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = (),
        env: Mapping[str, str] = os.environ,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        self._command = tuple(command)
        self._env = env
        self._ask = ask
        self._keyring = SystemKeyring()
        self._identity = folder / "identity.txt"
        self._file = AgeFile(folder / "secrets.age", self._identity, ask)
        self._others: dict[str, AgeFile] = {}

    def resolve(self, profile: str, reference: Reference | None) -> Secret:
        if reference is None:
            return self._search(profile)
        try:
            value = self._follow(reference)
        except Refusal as refusal:
            raise type(refusal)(
                refusal.code,
                f"The password of the profile {profile!r} is to come from {reference}: {refusal.message}.",
                "Only this place is asked, because the profile names it. See: watchfloor secrets doctor",
                (f"{reference}: {refusal.message}",),
            ) from None
        return Secret(value, str(reference), (f"{reference}: named by the profile",))

    def store(self, profile: str, value: str) -> str:
        if not value or not value.isprintable():
            raise Refusal("secret_unusable", "A password is one line of printable text, and not empty.")
        try:
            self._keyring.set(SERVICE, profile, value)
        except Refusal as refusal:
            self._file.set(profile, value)
            return f"the encrypted file {self._file.path} ({refusal.message})"
        return f"the system keyring, entry {SERVICE}/{profile}"

    def forget(self, profile: str) -> list[Finding]:
        keyring = f"system keyring, entry {SERVICE}/{profile}"
        places: list[tuple[str, Callable[[], bool]]] = [
            (keyring, lambda: self._keyring.remove(SERVICE, profile)),
            (f"encrypted file {self._file.path}", lambda: self._file.remove(profile)),
        ]
        findings = []
        for place, remove in places:
            try:
                if remove():
                    findings.append(Finding(place, "good", "removed"))
            except Refusal as refusal:
                findings.append(Finding(place, "unknown", f"could not be asked: {refusal.message}"))
        return findings

    def doctor(self, profiles: Mapping[str, Reference | None]) -> list[Finding]:
        findings = [self._keyring.finding(), self._file.finding(), self._command_finding()]
        for name, reference in profiles.items():
            subject = f"profile {name}"
            try:
                findings.append(Finding(subject, "good", f"found in {self.resolve(name, reference).source}"))
            except Refusal as refusal:
                if reference is None:
                    text = f"{'; '.join(refusal.why)}. The password is left to PGPASSWORD and ~/.pgpass"
                    findings.append(Finding(subject, "unknown", text))
                else:
                    findings.append(Finding(subject, "bad", refusal.why[0]))
        return findings

    def _search(self, profile: str) -> Secret:
        why: list[str] = []
        for place, get in self._places(profile):
            try:
                value = get()
            except Refusal as refusal:
                why.append(f"{place}: {refusal.message}")
                continue
            return Secret(value, place, (*why, f"{place}: found"))
        message = f"No password was found for the profile {profile!r}. Asked, in this order: {'; '.join(why)}."
        raise NotFound("secret_not_found", message, f"{_STORE} {profile}", why)

    def _places(self, profile: str) -> Iterator[tuple[str, Callable[[], str]]]:
        yield f"system keyring, entry {SERVICE}/{profile}", lambda: self._keyring.get(SERVICE, profile)
        yield f"encrypted file {self._file.path}", lambda: self._file.get(profile)
        name = variable(profile)
        yield f"environment variable {name}", lambda: sources.from_environment(name, self._env)
        yield "password_command", lambda: self._run(profile)

    def _run(self, profile: str) -> str:
        if not self._command:
            raise NotFound("secret_not_found", "the settings name none")
        return sources.from_command([part.replace("{profile}", profile) for part in self._command])

    def _follow(self, reference: Reference) -> str:
        match reference.scheme:
            case "env":
                return sources.from_environment(reference.target, self._env)
            case "file":
                return sources.from_file(reference.target)
            case "cred":
                return sources.from_credential(reference.target, self._env)
            case "keyring":
                return self._keyring.get(reference.target, reference.key)
            case "age":
                path = reference.target
                file = self._others.setdefault(path, AgeFile(Path(path).expanduser(), self._identity, self._ask))
                return file.get(reference.key)
            case "cmd":
                return sources.from_command(reference.argv)

    def _command_finding(self) -> Finding:
        if not self._command:
            return Finding("password_command", "unknown", "the settings name none")
        return Finding("password_command", "good", f"{self._command[0]!r} is asked last")
