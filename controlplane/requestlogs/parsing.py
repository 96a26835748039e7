"""Request logs: one line in, one request out, or the reason why not. Pure functions; backends read and store.

Lines are foreign and may be hostile. A parser never raises: a line that it cannot read is a Skip, and is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from controlplane.errors import Usage
from controlplane.requestlogs.combined import combined_lines
from controlplane.requestlogs.jsonlines import json_lines
from controlplane.requestlogs.mapped import mapped
from controlplane.requestlogs.mappings import LogMapping, TenantSource
from controlplane.requestlogs.model import MAX_LINE_BYTES, TENANT_ID, Format, RequestRow, Skip
from controlplane.requestlogs.nova import ends, nova_lines
from controlplane.tenants.refusals import TENANT_ID_FORMAT

Log = Format | LogMapping
Whose = str | TenantSource | None
"""The tenant of all lines, or where each line names it; None when the format has a field for it."""
Parser = Callable[[bytes], RequestRow | Skip]


def check_whose(log: Log, tenant_id: str | None, source: TenantSource | None) -> None:
    """Check that the tenant is named exactly once: by the log, or by the caller. Raises Usage."""
    if isinstance(log, LogMapping):
        if tenant_id is not None and source is not None:
            raise Usage(
                "tenant_twice", "--tenant and --tenant-from both say whose requests these are.", "Give one of them."
            )
        if tenant_id is None and source is None and log.tenant is None:
            hint = "Say it with --tenant ID, or --tenant-from host, host:N, path:N, header:NAME or field:PATH."
            raise Usage("tenant_needed", f"A log from {log} does not say whose requests it holds.", hint)
        if fault := log.fault(source):
            raise Usage("tenant_from_unknown", f"The format {log} {fault}.", "Name another place for the tenant.")
    elif source is not None:
        raise Usage("tenant_not_needed", f"--tenant-from is for mapped formats; {log} is not one.", "Leave it out.")
    elif log is Format.COMBINED and tenant_id is None:
        message = "A combined log does not say whose requests it holds."
        raise Usage("tenant_needed", message, "Say it with --tenant ID.")
    elif log is not Format.COMBINED and tenant_id is not None:
        raise Usage("tenant_not_needed", f"A log in {log} names its tenants itself.", "Leave --tenant out.")
    if tenant_id is not None and not TENANT_ID.fullmatch(tenant_id):
        raise TENANT_ID_FORMAT()


def reader(log: Log, whose: Whose = None) -> Callable[[str], RequestRow | Skip]:
    """A reader of lines that are text without NUL and not too long, which `parser` checks first."""
    if log is Format.OPENSTACK_NOVA:
        return nova_lines()
    if isinstance(log, LogMapping):
        whose = whose or log.tenant
        assert whose, "the mapping does not say whose requests a log holds"
        return mapped(log, whose)
    if log is Format.COMBINED:
        assert isinstance(whose, str), "a combined log does not say whose requests it holds"
        return combined_lines(whose)
    return json_lines()


def parser(log: Log, whose: Whose = None) -> Parser:
    """A parser for the lines of one log, without their line ends."""
    return guarded(reader(log, whose))


def guarded(read: Callable[[str], RequestRow | Skip]) -> Parser:
    """A reader made safe for any bytes. A crash, or a log that was cut, leaves NULs before a line; they are skipped."""

    def parse(line: bytes) -> RequestRow | Skip:
        if line[:1] == b"\0":
            line = line.lstrip(b"\0")
        if len(line) > MAX_LINE_BYTES:
            return Skip.TOO_LONG
        if b"\0" in line:
            return Skip.NOT_TEXT
        try:
            return read(line.decode())
        except UnicodeDecodeError:
            found = read(line.decode(errors="replace"))  # most often only a name is in another encoding
            return Skip.NOT_TEXT if found is Skip.UNREADABLE else found

    return parse


def parse(log: Log, line: bytes | str, whose: Whose = None) -> RequestRow | Skip:
    """One line by itself; for many, keep a `parser`."""
    return parser(log, whose)(line.encode(errors="surrogateescape") if isinstance(line, str) else line)


def is_whole(log: Log, line: bytes) -> bool:
    """Whether a last line without its line end is complete; if not, the program may still be writing it."""
    line = line.rstrip()
    if log is Format.OPENSTACK_NOVA:
        return ends(line)
    if isinstance(log, LogMapping) and not log.is_json:
        return False
    return line.endswith(b'"' if log is Format.COMBINED else b"}") and parse(log, line, "any") is not Skip.UNREADABLE
