"""The sources of a secret that need only the operating system: environment, file, credential, command.

Each function returns the secret, or raises NotFound `secret_not_found` (nothing is there) or Refusal
`secret_unusable` (something is there that must not be used). No message holds a value or a command's output.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from backends.secrets.patience import within
from controlplane.errors import NotFound, Refusal

LIMIT = 64 * 1024  # bytes; no password is longer, and a wrong path may lead to a disk image
COMMAND_SECONDS = 10.0


def from_environment(name: str, env: Mapping[str, str]) -> str:
    value = env.get(name, "")
    if not value:
        raise NotFound("secret_not_found", f"the environment variable {name} is not set")
    return value


def from_file(path: str) -> str:
    return first_line(read_checked(Path(path).expanduser(), 0o177), path)


def from_credential(name: str, env: Mapping[str, str]) -> str:
    """A credential that systemd passes to a service. It may belong to root, and its access list shows in the group's
    mode bits (0440), so only the bits for others are checked.
    """
    folder = env.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise NotFound("secret_not_found", "CREDENTIALS_DIRECTORY is not set: not started by systemd with credentials")
    return first_line(read_checked(Path(folder) / name, 0o007, owners=(0, os.geteuid())), name)


def from_command(argv: Sequence[str]) -> str:
    """The first line that the program prints. It runs in a session of its own, so that it cannot prompt on our
    terminal and can be killed together with everything that it started.
    """
    program = argv[0]
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise NotFound("secret_not_found", f"{program!r} cannot be started: {error.strerror}") from None
    try:
        line = within(COMMAND_SECONDS, lambda: _first_bytes(process))
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
        process.wait()
        raise Refusal("secret_unusable", f"{program!r} did not finish within {COMMAND_SECONDS:g} s") from None
    if process.returncode:
        raise Refusal("secret_unusable", f"{program!r} ended with exit code {process.returncode}")
    return first_line(line, program)


def read_checked(path: Path, forbidden: int, owners: Sequence[int] | None = None) -> bytes:
    """Read a regular file of ours whose mode has none of the `forbidden` bits. The open file is checked, so that it
    cannot be swapped in between; it is opened without waiting, so that a pipe cannot hang us.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound("secret_not_found", f"{path} does not exist") from None
    except OSError as error:
        raise Refusal("secret_unusable", f"{path} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        mode = stat.S_IMODE(about.st_mode)
        if not stat.S_ISREG(about.st_mode):
            raise Refusal("secret_unusable", f"{path} is not a file")
        if about.st_uid not in (owners or (os.geteuid(),)):
            raise Refusal("secret_unusable", f"{path} belongs to the user with the id {about.st_uid}, not to you")
        if mode & forbidden:
            raise Refusal(
                "secret_unusable", f"{path} has the mode {mode:04o}, which lets others at it; run: chmod 0600 {path}"
            )
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise Refusal("secret_unusable", f"{path} is larger than {LIMIT // 1024} KiB: this is not a secret")
    return content


def first_line(content: bytes, where: str) -> str:
    line = content.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line:
        raise NotFound("secret_not_found", f"the first line of {where!r} is empty")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refusal("secret_unusable", f"the first line of {where!r} is not UTF-8 text") from None
    if "\0" in text:
        raise Refusal("secret_unusable", f"the first line of {where!r} holds a NUL")
    return text


def _first_bytes(process: subprocess.Popen[bytes]) -> bytes:
    output: IO[bytes] | None = process.stdout
    assert output is not None
    with output:
        line = output.readline(LIMIT)
        while output.read(LIMIT):  # a program that prints more must not block for ever
            pass
    process.wait()
    return line
