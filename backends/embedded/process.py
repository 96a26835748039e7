"""The PostgreSQL process of an embedded home: set up, launch, stop, find its pid. All under the home's lock."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from backends.embedded import folder as disk
from backends.embedded.binaries import Account, programs_for
from controlplane.errors import HomeUnreachable, Refusal

OWNER = "wf_owner"
PORT = 5432  # names the socket's file; the server listens on no network
STOP_SECONDS = 30.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "reserved_connections": "5",  # for admins, when all others are taken
    "shared_buffers": "128MB",
    "jit": "off",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log must hold neither passwords nor personal data: no statements, and no rows that violated a constraint.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


def initialise(folder: Path, account: Account, lock: int) -> None:
    """Runs initdb in a scrap folder and renames it at the end, so that a killed initdb leaves nothing like data."""
    programs = programs_for(account, folder)
    scrap = Path(tempfile.mkdtemp(prefix="scrap-", dir=folder))
    password = secrets.token_urlsafe(24)
    disk.write_secret(scrap / "password", password)
    disk.give(scrap / "password", account, 0o600)
    disk.give(scrap, account, 0o700)
    command = [str(programs / "initdb"), "--username", OWNER, "--pgdata", str(scrap / "data")]
    command += ["--auth=scram-sha-256", "--pwfile", str(scrap / "password"), "--data-checksums"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    for name, value in SETTINGS.items():
        command += ["--set", f"{name}={value}"]
    # initdb inherits our lock: when we are killed, the next program waits for it to end before it cleans up.
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=(lock,), **account.spawn())
    if done.returncode != 0:
        shutil.rmtree(scrap, ignore_errors=True)
        raise failed(folder, "PostgreSQL could not be set up", done.stderr)
    disk.write_secret(folder / disk.OWNER_FILE, password)
    (scrap / "data").rename(folder / "data")
    shutil.rmtree(scrap)


def launch(folder: Path, account: Account, server_lock: int) -> int:
    """Start the server, which inherits the lock. Returns the offset in the log at which its output begins."""
    socket = disk.make_socket_folder(folder, account)
    # The lock is free, so no server lives: the pids in these files are dead or belong to other processes by now.
    for stale in (folder / "data" / "postmaster.pid", socket / f"{disk.SOCKET_NAME}.lock", socket / disk.SOCKET_NAME):
        stale.unlink(missing_ok=True)
    postgres = programs_for(account, folder) / "postgres"
    # Not by pg_ctl, which pastes the paths into a shell command, while a folder may have any name. The shell ends at
    # once and leaves the server to init, in a session of its own, out of reach of a terminal's ctrl+c or hang-up.
    command = ["/bin/sh", "-c", 'exec "$@" &', "sh", str(postgres)]
    command += ["-D", str(folder / "data"), "-k", str(socket), "-p", str(PORT)]
    log = disk.open_log(folder, "postgres.log")
    try:
        begin = os.fstat(log).st_size
        subprocess.run(
            command,
            check=True,
            stdout=log,
            stderr=log,
            pass_fds=(server_lock,),
            start_new_session=True,
            **account.spawn(),
        )
        return begin
    finally:
        os.close(log)


def stop(folder: Path) -> bool:
    """True when it was running. First a fast shutdown (sessions are ended), then an immediate one."""
    if not disk.server_alive(folder):
        return False
    for sign, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, STOP_SECONDS)):
        deadline, told = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            pid = postmaster(folder)
            if pid is not None and pid != told:
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
                told = pid
            time.sleep(0.01)
            if not disk.server_alive(folder):
                return True
    raise HomeUnreachable(
        "home_stop_failed",
        f"PostgreSQL in {folder} did not stop within {2 * STOP_SECONDS:.0f} s.",
        f"See {folder / 'postgres.log'}.",
    )


def postmaster(folder: Path) -> int | None:
    """The server's pid, if the pid in postmaster.pid really belongs to a server of this data."""
    data = folder / "data"
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n")[0])
        if Path("/proc/self/cmdline").exists():
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return pid if os.fsencode(data) in arguments else None
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid


def failed(folder: Path, what: str, said: str) -> Refusal:
    for cause in (*disk.FULL, "Read-only file system"):
        if cause in said:
            return disk.unwritable(folder, cause)
    lines = [line for line in said.splitlines() if line.strip()] or ["it said nothing"]
    telling = [line for line in lines if "FATAL" in line or "error" in line.lower()]
    if not telling and (full := disk.out_of_room(folder)):  # which holds its log as well
        return full
    return HomeUnreachable(
        "home_start_failed", f"{what}: {(telling or lines)[-1]}", f"More may be in {folder / 'postgres.log'}."
    )
