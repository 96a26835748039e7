"""Unexpected errors: into a log that only its owner can read, and one line on the screen."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

EXIT_CODE = 1
MAX_LOG_BYTES = 5_000_000  # bytes; an older log is kept beside it once


def log_path() -> Path:
    from platformdirs import user_log_path

    return user_log_path("watchfloor", appauthor=False) / "watchfloor.log"


def report(error: BaseException, *, as_json: bool, request_id: str = "") -> int:
    """Log an error with its traceback (no values of local variables) and say where. Returns the exit code."""
    if not request_id:
        import secrets

        request_id = f"wf-{secrets.token_hex(12)}"
    from controlplane.clock import machine_now

    text = "".join(traceback.format_exception(error))
    where = write(f"{machine_now().isoformat()} {request_id} {' '.join(sys.argv[1:2])}\n{text}")
    message = f"Something went wrong that nobody foresaw ({type(error).__name__}), request {request_id}."
    hint = f"The details are in {where}." if where else "The log could not be written either."
    if as_json:
        import json

        fault = {"code": "unexpected", "message": message, "hint": hint, "request_id": request_id, "why": []}
        print(json.dumps({"error": fault}))
    else:
        print(f"{message} {hint} [unexpected]", file=sys.stderr)
    return EXIT_CODE


def write(text: str) -> Path | None:
    """Append to the log, which is made with the mode 0600. None when it cannot be written."""
    try:
        path = log_path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > MAX_LOG_BYTES:
                path.replace(path.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text.rstrip("\n") + "\n")
        return path
    except OSError:
        return None


class LogHandler(logging.Handler):
    """Warnings of the program and its libraries go to the same log, never to the screen."""

    def emit(self, record: logging.LogRecord) -> None:
        write(f"{datetime.fromtimestamp(record.created, UTC).isoformat()} {record.name}: {record.getMessage()}")


def log_warnings() -> None:
    root = logging.getLogger()
    if not any(isinstance(handler, LogHandler) for handler in root.handlers):
        root.addHandler(LogHandler(logging.WARNING))
