"""The sentences in the menu of what can be done: none is cut within a clause."""

from __future__ import annotations

import pytest

from controlplane.operations import Operation
from controlplane.registry import operations
from screens.dialogs.menu import WIDTH, called, shortened


@pytest.mark.parametrize("operation", operations().values(), ids=lambda operation: operation.name)
def test_what_an_operation_does_fits_in_one_line_of_its_menu(operation: Operation[object]) -> None:
    names = [called(each, operation.noun) for each in operations().values() if each.noun == operation.noun]
    widest = max(15, *(len(name) for name in names))  # as wide as incidents.open and silences.create, named whole
    assert not shortened(operation.summary, WIDTH - widest - 5).endswith("…")


def test_a_sentence_is_shortened_by_whole_clauses() -> None:
    sentence = "Suspend a tenant: its keys are refused; resume it later"
    assert shortened(sentence, 70) == sentence
    assert shortened(sentence, 45) == "Suspend a tenant: its keys are refused"
    assert shortened(sentence, 37) == "Suspend a tenant"
    assert shortened(sentence, 10) == "Suspend a…"
