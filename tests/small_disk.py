"""A small disk of the test's own: a mount that only one forked process, and what it starts, can see.

It is gone with that process, whatever kills it. Root may mount at once; others in a namespace of their own users, where
the system allows one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postgres import scratch_folder

NEW_MOUNTS, NEW_USERS = 0x00020000, 0x10000000
PRIVATE = 0x40000 | 0x4000  # MS_PRIVATE | MS_REC
LIMIT_SECONDS = 180
NOT_PERMITTED = "this system lets no test mount a disk"


class SmallDisk:
    """One that holds `megabytes`."""

    def __init__(self, place: Path, megabytes: int) -> None:
        self.place = place
        _mount("none", "/", "", PRIVATE, "")
        _mount("small", str(place), "tmpfs", 0, f"size={megabytes}m,mode=711")

    @property
    def _ballast(self) -> Path:
        return self.place / "ballast"

    def fill(self) -> None:
        """To the last block."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)


def on_small_disk(work: Callable[[SmallDisk], None], megabytes: int = 160) -> None:
    """Do `work` in a forked process that has such a disk. Skips the test where mounting is not permitted."""
    place = scratch_folder()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        said = ""
        try:
            disk = _disk(place, megabytes)
            said = NOT_PERMITTED if disk is None else ""
            signal.signal(signal.SIGALRM, _too_late)
            signal.alarm(LIMIT_SECONDS)
            if disk is not None:
                work(disk)
        except BaseException:
            said = traceback.format_exc()
        finally:
            os.write(write, said.encode()[-60_000:])
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    shutil.rmtree(place)
    if said == NOT_PERMITTED:
        pytest.skip(NOT_PERMITTED)
    assert not said, said


def _too_late(number: int, frame: object) -> None:
    raise TimeoutError


def _disk(place: Path, megabytes: int) -> SmallDisk | None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            _call("unshare", NEW_MOUNTS)
        else:
            _call("unshare", NEW_MOUNTS | NEW_USERS)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        return SmallDisk(place, megabytes)
    except (OSError, AttributeError):  # unshare is Linux only
        return None


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
