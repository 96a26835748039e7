"""Where runbooks come from. What reads them is loaded when one is first read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.errors import Usage
from controlplane.runbooks.files import File, Shelf
from controlplane.runbooks.refusals import NO_RUNBOOK
from controlplane.text import clean

if TYPE_CHECKING:
    from controlplane.runbooks.document import Runbook


def read(file: File) -> Runbook:
    """Raises Usage `runbook_unreadable`, whose `why` has its faults."""
    from controlplane.runbooks.parsing import parse

    if file.body is None:
        raise Usage("runbook_unreadable", f"{file.name}.md: {file.trouble}.", why=[f"{file.name}.md: {file.trouble}"])
    return parse(file.name, file.body)


def named(shelf: Shelf, name: str) -> Runbook:
    """Blocks. Raises NotFound, Usage `runbook_unreadable`."""
    file = next((each for each in shelf.files() if each.name == name), None)
    if file is None:
        raise NO_RUNBOOK.of(clean(name, 100))
    return read(file)
