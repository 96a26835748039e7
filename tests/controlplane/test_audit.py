"""What a row of the trail says that it changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.audit.model import AuditRow, as_record, differences

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def row(before: dict[str, Any] | None, after: dict[str, Any] | None, **fields: Any) -> AuditRow:
    return AuditRow(
        7, NOW, "ana", "tenants.edit", "tenants", "acme", "acme", None, None, False, before, after, **fields
    )


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"name": "A", "plan": "free"}, {"name": "B", "plan": "free"}, {"name": ["A", "B"]}),
        ({"version": 1, "updated_at": 1, "created_at": 1}, {"version": 2, "updated_at": 2, "created_at": 2}, {}),
        (None, {"name": "A", "note": "", "limit": None, "seats": 0}, {"name": [None, "A"]}),
        ({"note": "x"}, {"note": ""}, {"note": ["x", ""]}),
        ({"name": "A"}, None, {"name": ["A", None]}),
        ({"old": 1}, {"new": 2}, {"old": [1, None], "new": [None, 2]}),
        (None, None, {}),
    ],
)
def test_a_record_names_each_field_that_changed(before: Any, after: Any, changed: dict[str, Any]) -> None:
    assert as_record(row(before, after))["changed"] == changed
    assert row(before, after).was == {name: old for name, (old, _) in changed.items()}


def test_who_may_see_personal_fields_sees_them_changed_and_no_record_holds_them() -> None:
    seen = row({"email": "a…"}, {"email": "a…"}, personal={"email": ("ana@x.example", "ann@x.example")})
    assert [(each.before, each.after) for each in differences(seen)] == [("ana@x.example", "ann@x.example")]
    record = as_record(seen)
    assert "personal" not in record and record["seq"] == 7 and record["before"] == {"email": "a…"}
