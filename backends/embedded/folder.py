"""The folder of an embedded home: what is in it, who owns it, and the locks on it.

watchfloor-home        marks the folder as ours; locked by the program that starts or stops the home
data/                  PostgreSQL's data, owned by the account it runs as
run/                   its socket, 0700 (elsewhere when the path is too long for a socket: see `socket-folder`)
server.lock            held by the server's processes as long as one of them lives
worker.lock            held by the home's worker; holds the worker's pid
stopped                exists when the home was stopped on purpose: then only a program that opens it starts it again
owner.password, login-NAME.password    readable only by the user who runs the program
postgres.log, worker.log
scrap-*                unfinished work of a killed program
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backends.embedded.binaries import Account
from backends.postgres.troubles import trouble_of
from controlplane.errors import HomeUnreachable, NotPermitted, Refusal

MARK = "watchfloor-home"
STOPPED = "stopped"
SERVER_LOCK, WORKER_LOCK = "server.lock", "worker.lock"
OWNER_FILE = "owner.password"
MARK_TEXT = "This folder is an embedded home of Watchfloor. Remove it with: watchfloor home destroy\n"
SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_BYTES = 103  # bytes; macOS allows the least
MAX_LOG_BYTES = 10 * 1024 * 1024  # bytes; a larger one is emptied when its program starts
MIN_FREE_BYTES = 16 * 1024 * 1024
"""PostgreSQL's WAL grows by files of this size; without room for the next one it cannot run."""
FULL = ("No space left on device", "Disk quota exceeded")


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn the system's errors about files into refusals about the home."""
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from error


def unwritable(folder: Path, reason: str) -> Refusal:
    if reason in FULL:
        return _full(folder, reason)
    return HomeUnreachable(
        "home_folder_unwritable",
        f"The home's folder {folder} cannot be written: {reason}.",
        "Make room or give yourself access to it, or choose another folder with --home.",
    )


def out_of_room(folder: Path) -> HomeUnreachable | None:
    """The refusal for a disk that is too full for PostgreSQL to go on; None when there is room."""
    free = shutil.disk_usage(folder).free
    return _full(folder, f"{free / 1e6:.1f} MB are left") if free < MIN_FREE_BYTES else None


def _full(folder: Path, said: str) -> HomeUnreachable:
    trouble = trouble_of("53100", f"{folder}: {said}")
    assert trouble is not None
    return trouble


def make(folder: Path) -> None:
    """Make the folder and its missing parents; existing parents stay as they are. Refuses a folder that holds
    something else."""
    root = os.geteuid() == 0
    for missing in reversed([place for place in (folder, *folder.parents) if not os.path.lexists(place)]):
        try:
            missing.mkdir()
        except FileExistsError:  # another program was faster
            continue
        missing.chmod(0o755 if root else 0o700)
    check_ours(folder)
    # Root's server runs as another account, which must be able to pass through; it can read only what is meant for it.
    folder.chmod(0o711 if root else 0o700)


def check_ours(folder: Path) -> None:
    """Refuse a folder that belongs to another user (even for root: its owner could redirect root's writes) or that
    holds something else.
    """
    if folder.stat().st_uid != os.geteuid():
        raise _of_another(folder)
    # A home's other files are made after the mark, so look for the mark last.
    if any(entry.name != MARK for entry in folder.iterdir()) and not _marked(folder):
        raise Refusal(
            "home_folder_foreign",
            f"{folder} is not a home of Watchfloor, and it is not empty. It was left as it is.",
            "Choose an empty or a new folder with --home.",
        )


def _marked(folder: Path) -> bool:
    mark = folder / MARK
    return mark.is_file() and not mark.is_symlink() and mark.read_text() in ("", MARK_TEXT)


def _of_another(folder: Path) -> Refusal:
    return NotPermitted(
        "home_other_account",
        f"The home in {folder} belongs to another user of this machine.",
        "Use your own (without --home), or a PostgreSQL that both can reach by URL.",
    )


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """One program at a time. Yields the lock's descriptor, so that a child process can hold the lock too."""
    import fcntl

    while True:
        lock = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _still_there(lock, folder / MARK):
                continue  # the home was destroyed while we waited
            if os.fstat(lock).st_size == 0:
                os.write(lock, MARK_TEXT.encode())
            yield lock
            return
        finally:
            os.close(lock)


@contextmanager
def locked_now(folder: Path) -> Iterator[int | None]:
    """Like `locked`, but neither waits nor makes anything: None when another program holds it or there is no home."""
    with held(folder, MARK) as lock:
        yield lock if lock is not None and _still_there(lock, folder / MARK) else None


@contextmanager
def held(folder: Path, name: str) -> Iterator[int | None]:
    """Takes a free lock and yields its descriptor; the block, and whoever inherits the descriptor, hold it. None when
    somebody holds it or there is no such file. The kernel keeps the lock, so it is right where a pid is not: after a
    crash, a reboot, or when a pid is reused.
    """
    import fcntl

    try:
        descriptor = os.open(folder / name, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield descriptor if free else None
    finally:
        os.close(descriptor)


def is_held(folder: Path, name: str) -> bool:
    with held(folder, name) as free:
        return free is None and (folder / name).exists()


def touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def server_alive(folder: Path) -> bool:
    return is_held(folder, SERVER_LOCK)


def read_secret(path: Path) -> str | None:
    """None when there is none yet."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def write_secret(path: Path, text: str) -> None:
    """Readable only by us; written whole or not at all, even when the power fails."""
    scrap = path.with_name(f"scrap-{secrets.token_hex(4)}")
    descriptor = os.open(scrap, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    scrap.rename(path)


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in a file; it is made when there is none. Of two programs that make it at once, one's is kept."""
    if (found := read_secret(path)) is not None:
        return found
    made = path.with_name(f"scrap-{secrets.token_hex(4)}")
    write_secret(made, make())
    try:
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink()
    found = read_secret(path)
    assert found is not None
    return found


def data_version(folder: Path) -> str | None:
    """The PostgreSQL major version of the data; None when the data is missing or incomplete."""
    try:
        return (folder / "data" / "PG_VERSION").read_text().strip() or None
    except FileNotFoundError:
        return None


def socket_folder(folder: Path) -> Path | None:
    """Where the server's socket belongs; None when there is no such folder that only the server's account can enter."""
    place = folder / "run"
    if not _fits_a_socket(place):
        try:
            place = Path((folder / "socket-folder").read_text())
        except FileNotFoundError:
            return None
    try:
        found = place.lstat()
    except FileNotFoundError:
        return None
    # Anyone can make folders in the temporary folder: it must belong to whoever owns the data.
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    try:
        return place if private and found.st_uid == (folder / "data").stat().st_uid else None
    except FileNotFoundError:
        return None


def _fits_a_socket(place: Path) -> bool:
    # A comma separates folders for the server, and hosts for the client.
    return len(os.fsencode(place / SOCKET_NAME)) <= MAX_SOCKET_BYTES and not set(str(place)) & set(',"')


def make_socket_folder(folder: Path, account: Account) -> Path:
    if place := socket_folder(folder):
        return place
    place = folder / "run"
    if _fits_a_socket(place):
        place.mkdir(exist_ok=True)
    else:
        place = _made_again(folder / "socket-folder") or _short_folder()
        write_secret(folder / "socket-folder", str(place))
    give(place, account, 0o700)
    return place


def _made_again(noted: Path) -> Path | None:
    """Make the earlier folder again, where running programs look, if it was only removed."""
    try:
        place = Path(noted.read_text())
        place.mkdir(mode=0o700)
    except OSError:
        return None
    return place


def _short_folder() -> Path:
    short = Path(tempfile.gettempdir()).resolve()
    if not _fits_a_socket(short / "watchfloor-12345678"):
        short = Path("/tmp")
    return Path(tempfile.mkdtemp(prefix="watchfloor-", dir=short))


def give(path: Path, account: Account, mode: int) -> None:
    path.chmod(mode)
    if not account.is_us:
        os.chown(path, account.uid, account.gid)


def open_log(folder: Path, name: str) -> int:
    path = folder / name
    large = path.exists() and path.stat().st_size > MAX_LOG_BYTES
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | (os.O_TRUNC if large else 0)
    return os.open(path, flags, 0o600)


def sweep(folder: Path) -> None:
    """Remove what killed programs left unfinished. Under the lock only."""
    for scrap in folder.glob("scrap-*"):
        if scrap.is_dir():
            shutil.rmtree(scrap)
        else:
            scrap.unlink()


def remove(folder: Path) -> None:
    """Remove a stopped home, under the lock. The data goes first, by one rename, so that half of it is never used."""
    place = socket_folder(folder)
    if place and place.parent != folder:
        shutil.rmtree(place)
    if (folder / "data").exists():
        (folder / "data").rename(folder / f"scrap-{secrets.token_hex(4)}")
    for entry in folder.iterdir():
        if entry.name != MARK:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    (folder / MARK).unlink()
    # What may remain is an empty folder that we may not remove (its parent's mode), or another program's new home.
    with suppress(OSError):
        folder.rmdir()


def size_of(folder: Path) -> int:
    """The size in bytes of the files below; files that are removed meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return total
