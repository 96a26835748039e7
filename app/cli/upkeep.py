"""`watchfloor settings …` and `watchfloor secrets …`: the person's own files, not the control plane."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

from app.cli import asking
from app.cli.asked import READING, Reading
from app.cli.output import Column, document, listed, say, table
from app.cli.parameters import Parameter
from app.settings import Settings, load, settings_path
from controlplane.clock import machine_now
from controlplane.errors import NotFound, Refusal, Usage
from controlplane.secrets import Finding
from controlplane.text import clean
from controlplane.urls import shown_url

ADDRESS = Annotated[Path | None, Parameter(help="The file; default: the usual place, or WATCHFLOOR_SETTINGS.")]


def init(*, path: ADDRESS = None, overwrite: bool = False, asked: Reading = READING) -> None:
    """Write the settings file with every option explained, none of them set."""
    from app.settings_text import write_default

    target = (path or settings_path()).absolute()
    write_default(target, overwrite=overwrite)
    _item(asked, {"path": str(target)}, f"written: {target}")


def check(*, asked: Reading = READING) -> None:
    """Read the settings file and report every fault in it."""
    settings = _load()
    where = str(settings.path) if settings.text else f"no file at {settings.path}: all is default"
    _item(asked, {"path": str(settings.path), "exists": bool(settings.text)}, f"no faults: {where}")


def show(*, asked: Reading = READING) -> None:
    """Show every setting that is in force, and where its value comes from."""
    settings = _load()
    values = [
        {"key": field.name, "value": _plain(getattr(settings, field.name)), "source": settings.source(field.name)}
        for field in dataclasses.fields(Settings)
        if field.repr
        and field.name not in ("path", "profiles", "views", "logs", "credentials", "columns", "previews", "commands")
    ]
    for name, profile in settings.profiles.items():
        parts = {"url": shown_url(profile.url), "environment": profile.environment, "read_only": profile.read_only}
        parts["password"] = str(profile.password) if profile.password else None
        for key, value in parts.items():
            source = settings.source("profiles", name, key)
            values.append({"key": f"profiles.{name}.{key}", "value": value, "source": source})
    for name, credential in settings.credentials.items():
        for key in ("target", "user", "secret", "endpoint", "region"):
            source = settings.source("credentials", name, key)
            values.append(
                {"key": f"credentials.{name}.{key}", "value": str(getattr(credential, key)), "source": source}
            )
    for name, mapping in settings.logs.items():
        fields = ", ".join(mapping.wanted(mapping.tenant))
        values.append({"key": f"logs.{name}", "value": fields, "source": settings.source("logs", name)})
    if asked.json:
        listed(values, machine_now())
        return
    columns = [Column("SETTING"), Column("VALUE"), Column("FROM")]
    table(columns, [[str(v["key"]), _shown(v["value"]), str(v["source"])] for v in values])


def _load() -> Settings:
    import themes
    from app.commanding import check_commands

    settings = load(os.environ, themes.NAMES)
    check_commands(settings)
    return settings


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value) if hasattr(value, "items") else value


def _shown(value: Any) -> str:
    return "–" if value is None or value in ("", {}, []) else str(value)


def doctor(*, asked: Reading = READING) -> None:
    """Show which places for passwords can be used here, and whether each profile's password is found."""
    from app.credentials import finding

    settings, vault = _vault()
    findings = vault.doctor({name: profile.password for name, profile in settings.profiles.items()})
    findings += [finding(each, vault) for each in settings.credentials.values()]
    _findings(asked, findings)


def put(
    profile: str,
    /,
    *,
    password_from: Annotated[str | None, Parameter(help="Copy it from there; - is stdin.")] = None,
    asked: Reading = READING,
) -> None:
    """Keep the password of a profile, or the secret of a credential, in the system keyring, else in the encrypted
    file.
    """
    from app.cli.passwords import first_line, resolved

    settings, vault = _vault()
    _known(settings, profile)
    if password_from is not None:
        value = first_line() if password_from == "-" else resolved(password_from)
    elif asking.can_ask():
        value = asking.password(profile)
    else:
        raise Usage(
            "password_missing", "There is no terminal to ask for the password on.", "--password-from - reads stdin."
        )
    if not value:
        raise Refusal("not_confirmed", "No password was typed: nothing was kept.")
    where = vault.store(profile, value)
    _item(asked, {"profile": profile, "kept_in": where}, f"kept in {where}")


def forget(profile: str, /, *, asked: Reading = READING) -> None:
    """Remove a profile's password from the keyring and the encrypted file."""
    _, vault = _vault()
    findings = vault.forget(profile)
    if not findings:
        raise NotFound(
            "secret_not_found", f"No password of {clean(profile, 80)} was kept.", "watchfloor secrets doctor"
        )
    _findings(asked, findings)


def _vault() -> Any:
    from app.profiles import open_vault

    settings = load()
    return settings, open_vault(settings, before_the_screen=True)


def _known(settings: Settings, profile: str) -> None:
    if profile not in settings.profiles and profile not in settings.credentials:
        raise NotFound(
            "no_profile",
            f"There is no profile {clean(profile, 80)} in {settings.path}.",
            f"Profiles: {', '.join(settings.profiles) or 'none'}."
            + (f" Credentials: {', '.join(settings.credentials)}." if settings.credentials else ""),
        )


def _findings(asked: Reading, findings: list[Finding]) -> None:
    if asked.json:
        listed([dataclasses.asdict(finding) for finding in findings], machine_now())
        return
    for finding in findings:
        say(f"{finding.state:8}{clean(finding.subject)}: {clean(finding.text)}")


def _item(asked: Reading, item: dict[str, Any], words: str) -> None:
    if asked.json:
        document({"item": item})
    else:
        say(clean(words))
