"""The words of a command and the request that they become."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from app.cli.generated import fields_of
from app.cli.run import parsed
from controlplane.errors import Usage
from controlplane.operations import Request
from controlplane.previews import command_line
from controlplane.registry import named


def request_of(words: list[str]) -> Request:
    operation = named(f"{words[0]}.{words[1]}")
    _, bound = parsed(words)
    given = {name: value for name, value in bound.kwargs.items() if name != "asked"}
    fields, _ = fields_of(operation, bound.args, given)
    request: Request = operation.parse(fields)
    return request


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("tenants.rename", {"id": "acme", "version": 3, "name": 'Tom\'s "new" $(name) --yes'}),
        ("tenants.rename", {"id": "acme", "name": "-x"}),
        ("tenants.edit", {"id": "a", "metadata": {"x": [1, None], "y": {"z": "ü"}}, "replace_metadata": True}),
        ("tenants.edit", {"id": "a", "allowed_regions": ["eu", "us"], "owner_email": "ana@a.example"}),
        ("tenants.edit", {"id": "a", "allowed_regions": []}),
        ("tenants.edit", {"id": "a", "owner_email": ""}),
        ("tenants.delete", {"id": "a", "retention_days": 7}),
        ("projects.rename", {"tenant_id": "a", "id": "web", "name": "The web"}),
        ("operators.add", {"name": "ana", "role": "support"}),
    ],
)
def test_the_command_line_that_a_dialog_shows_asks_for_the_same(name: str, fields: dict[str, Any]) -> None:
    operation = named(name)
    words = shlex.split(command_line(operation, fields, None))
    assert words[0] == "watchfloor"
    assert request_of(words[1:]) == operation.parse(fields)


def test_what_is_left_out_is_not_asked_for() -> None:
    assert request_of(["tenants", "edit", "acme", "--plan", "pro"]).model_fields_set == {"id", "plan"}


def test_metadata_as_pairs_or_as_one_object() -> None:
    pairs = ["--metadata", "tier=1", "--metadata", "name=x=y", "--metadata", "old=null", "--metadata", 'list=["a"]']
    request: Any = request_of(["tenants", "edit", "acme", *pairs])
    assert request.metadata == {"tier": 1, "name": "x=y", "old": None, "list": ["a"]}
    whole: Any = request_of(["tenants", "edit", "acme", "--metadata", '{"tier": 1}'])
    assert whole.metadata == {"tier": 1}
    for wrong in ("tier", "=1", "{", "[1]"):
        with pytest.raises(Usage):
            request_of(["tenants", "edit", "acme", "--metadata", wrong])


def test_a_list_is_repeated_and_none_is_said() -> None:
    request: Any = request_of(["tenants", "edit", "a", "--allowed-regions", "eu", "--allowed-regions", "us"])
    assert request.allowed_regions == ["eu", "us"]
    nothing: Any = request_of(["tenants", "edit", "a", "--empty-allowed-regions"])
    assert nothing.allowed_regions == []


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "9" * 5000])
def test_numbers_that_json_does_not_have_stay_text(text: str) -> None:
    request: Any = request_of(["tenants", "edit", "a", "--metadata", f"x={text}"])
    assert request.metadata == {"x": text}


def test_a_secret_is_never_an_argument() -> None:
    with pytest.raises(Usage):
        request_of(["operators", "add", "ana", "--role", "viewer", "--password", "secret"])
