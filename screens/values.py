"""`plan:` in a list's filter: the values that the field has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.errors import Refusal
from controlplane.filters.grammar import parse
from controlplane.filters.values import asked_field, values_words

if TYPE_CHECKING:
    from screens.lists import ListScreen


async def words_of(screen: ListScreen[Any], text: str) -> str:
    """What the field that ends a filter holds, in words; "" when none does, or it cannot be read."""
    if (alone := asked_field(text, screen.fields)) is None:
        return ""
    before, field = alone
    try:
        terms = (*screen.fixed, *parse(before, screen.fields))
        return values_words(field, await screen.listing().values(screen.declared.column(field.name), terms))
    except Refusal as refusal:
        return values_words(field, None) if refusal.code == "too_slow" else ""
