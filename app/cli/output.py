"""What a command prints: one JSON document, or lines for a person. Only the answer goes to stdout."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Literal, NamedTuple

from controlplane.errors import AnswerLost, Refusal
from controlplane.text import cells, clean, clean_lines, fit, printable_ascii
from controlplane.urls import without_secrets

MAX_COLUMN_CELLS = 48
"""Cells of a table's column; what is longer is cut, and whole in --json."""


def document(value: Mapping[str, Any]) -> None:
    """Print the one JSON document. All but ASCII is escaped, so that no text in it can control a terminal."""
    say(json.dumps(jsonable(value), allow_nan=False))


def listed(items: Sequence[Any], as_of: datetime, **more: Any) -> None:
    """The document of a whole list."""
    document({"items": items, "next": None, "total": len(items), "as_of": as_of} | more)


def changed(
    result: Any,
    request_id: str,
    *,
    changes: Sequence[Any] = (),
    audit_ids: Sequence[int] = (),
    undo: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    repeated: bool = False,
    **more: Any,
) -> None:
    """The document of a change."""
    document(
        {
            "result": result,
            "changes": changes,
            "audit_ids": audit_ids,
            "undo": undo,
            "dry_run": dry_run,
            "request_id": request_id,
            "repeated": repeated,
        }
        | more
    )


def jsonable(value: Any) -> Any:
    """Times as ISO-8601, and what is not a number as null: unknown is never a value."""
    if isinstance(value, Mapping):
        return {str(name): jsonable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def say(line: str = "") -> None:
    """A line of the answer; `line` is clean. Raises Refusal `output_failed`; BrokenPipeError when nobody reads it."""
    with _written():
        print(_encodable(line, sys.stdout.encoding))


def write(text: str) -> None:
    """A piece of a file that goes to stdout; raises as `say` does."""
    with _written():
        sys.stdout.write(text)


def finish() -> None:
    """Flush the whole answer; raises as `say` does."""
    with _written():
        sys.stdout.flush()


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_stdout()
        raise Refusal("output_failed", f"The answer could not be written: {error.strerror}.") from None


def forget_stdout() -> None:
    """Point stdout at nothing: the interpreter flushes it once more at its end, and would print an error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


@contextmanager
def answering(where: str, keep: Callable[[], str] | None = None) -> Iterator[None]:
    """Around the printing of a committed change's answer. Raises AnswerLost `answer_lost`.

    `where` says how the answer can be read again; `keep` puts a secret that would be lost into a file, and says where.
    """
    try:
        yield
        finish()
    except (BrokenPipeError, Refusal) as error:
        if isinstance(error, Refusal) and error.code != "output_failed":
            raise
        why = error.message if isinstance(error, Refusal) else "The answer could not be written: its reader is gone."
        forget_stdout()
        kept = f" {keep()}" if keep else ""
        raise AnswerLost("answer_lost", f"It is done. {why}{kept}", where) from None


def tell(line: str, end: str = "\n") -> None:
    """A line on stderr, beside the answer; `line` is clean. When it cannot be written, nobody can be told."""
    with suppress(OSError):
        print(_encodable(line, sys.stderr.encoding), file=sys.stderr, end=end, flush=True)


def _encodable(line: str, encoding: str | None) -> str:
    return line if (encoding or "").lower().startswith("utf") else printable_ascii(line)


def refuse(refusal: Refusal, *, as_json: bool, request_id: str) -> int:
    """Print a refusal, and return its exit code."""
    if as_json and refusal.code not in ("output_failed", "answer_lost"):
        try:
            document({"error": error_of(refusal, request_id)})
            finish()
            return refusal.exit_code
        except Refusal:
            pass  # then on stderr
    tell(clean_lines(without_secrets(f"{refusal.message} {refusal.hint}".strip()) + f" [{refusal.code}]"))
    return refusal.exit_code


def error_of(refusal: Refusal, request_id: str) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "message": without_secrets(refusal.message),
        "hint": without_secrets(refusal.hint),
        "request_id": request_id,
        "why": list(map(without_secrets, refusal.why)),
    }


class Column(NamedTuple):
    """One column of a table: its words for a row."""

    title: str
    align: Literal["left", "right"] = "left"


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    for line in table_lines(columns, rows):
        say(line)


def table_lines(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligned lines of clean text; the heading also without rows, so that no rows do not look like a failure."""
    lines = [[column.title for column in columns], *[[clean(cell, 400) for cell in row] for row in rows]]
    widths = [min(MAX_COLUMN_CELLS, max(cells(line[at]) for line in lines)) for at in range(len(columns))]
    for line in lines:
        parts = [fit(cell, size, c.align) for cell, size, c in zip(line, widths, columns, strict=True)]
        yield "  ".join(parts).rstrip()


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    for line in fact_lines(pairs):
        say(line)


def fact_lines(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Label and value, a line each."""
    known = [(label, clean(value)) for label, value in pairs]
    size = max((cells(label) for label, _ in known), default=0)
    for label, value in known:
        yield f"{fit(label, size)}  {value}".rstrip()
