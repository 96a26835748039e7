"""Recognises what of a log is stored already: compares what comes with the known chunks that may come next."""

from __future__ import annotations

from dataclasses import replace

from backends.postgres.import_ledger import MARK, Known, marks_of, running_hash
from backends.postgres.logfile import LogFile
from controlplane.requestlogs.mappings import LogMapping
from controlplane.requestlogs.model import Format
from controlplane.requestlogs.parsing import is_whole


def recognised(file: LogFile, running: bytes, known: list[Known], log: Format | LogMapping) -> Known | None:
    """The known chunk that comes next; where the log ends within it, cut to what there is of it.

    The marks are compared line by line, so a new line never waits for others that may not come. A line that does wait
    for the rest of its chunk is stored already.
    """
    size = lines = 0  # compared so far
    while known:
        if len(file.buffer) >= known[0].size:
            if running_hash(running, bytes(file.buffer[: known[0].size])) == known[0].running:
                return known[0]
            known = known[1:]
            continue
        end = file.buffer.rfind(b"\n") + 1
        marks = marks_of(bytes(file.buffer[size:end]))
        known = [each for each in known if each.marks[lines * MARK :].startswith(marks)]
        size, lines = end, lines + len(marks) // MARK
        if known and not file.more():
            return _cut(known[0], file, lines, log)
    return None


def _cut(known: Known, file: LogFile, lines: int, log: Format | LogMapping) -> Known | None:
    """The part of the chunk that a log ending here has. Its left-out tenants are only filled in from a whole chunk."""
    size = file.buffer.rfind(b"\n") + 1
    rest = bytes(file.buffer[size:])
    whole = file.ended and bool(rest) and is_whole(log, rest)
    if whole:
        if not known.marks[lines * MARK :].startswith(marks_of(rest + b"\n")):
            return None
        size, lines = size + len(rest), lines + 1
    return replace(known, size=size, lines=lines, ends_open=whole, left_out=[]) if size else None
