"""A command of one's own gets the row's fields as arguments, and what clashes or is missing is said."""

from __future__ import annotations

import pytest

from controlplane.errors import Usage
from controlplane.owncommands import OwnCommand, argv, faults

LOGS = OwnCommand("logs", "tenants", "L", ("logs", "--tenant={id}", "{region}", "a b", "{regions}"))


def test_each_field_stays_within_its_argument() -> None:
    record = {"id": "x; rm -rf / $(id) `id`\n{region}", "region": None, "regions": ["eu", "us"]}
    assert argv(LOGS, record) == ["logs", "--tenant=x; rm -rf / $(id) `id`\n{region}", "", "a b", "eu us"]


@pytest.mark.parametrize("value", ["--help", "-x", "a\0b", "x" * 5000])
def test_no_field_becomes_an_option_and_none_is_endless(value: str) -> None:
    with pytest.raises(Usage, match="command_argument"):
        argv(LOGS, {"id": "a", "region": value})


def test_what_cannot_be_is_said_by_setting() -> None:
    commands = [
        LOGS,
        OwnCommand("again", "tenants", "L", ("x",)),
        OwnCommand("stop", "tenants", "s", ("{id}", "{nosuch}")),
        OwnCommand("lost", "nothing", "x", ("x",)),
        OwnCommand("script", "keys", "x", ("/bin/sh", "-ec", "echo {id}", "{id}")),
        OwnCommand("fine", "keys", "L", ("x", "{id}")),
    ]
    found = list(
        faults(
            commands,
            lambda noun: {"s": "tenants.suspend"},
            lambda noun: None if noun == "nothing" else ["id", "region", "regions"],
        )
    )
    assert [(name, setting) for name, setting, _ in found] == [
        ("again", "key"), ("stop", "run"), ("stop", "run"), ("stop", "key"), ("lost", "noun"), ("script", "run"),
    ]  # fmt: skip
    words = " ".join(said for *_, said in found)
    assert "L is logs in the menu of tenants" in words and "s is tenants.suspend" in words
    assert "no field {nosuch}; they have id, region, regions" in words and "there is no list of nothing" in words


@pytest.mark.parametrize(
    ("run", "refused"),
    [
        (("sh", "-c", "echo {id}"), True),
        (("sh", "-x", "-c", "echo {id}"), True),
        (("env", "X=1", "/usr/bin/bash", "-lc", "echo {id}"), True),
        (("sudo", "-u", "ana", "sh", "-c", "echo {id}"), True),
        (("python3.11", "-Ic", "print('{id}')"), True),
        (("perl", "-e", "print '{id}'"), True),
        (("node", "-e", "f('{id}')"), True),
        (("sh", "-c", 'echo "$1"', "sh", "{id}"), False),
        (("bash", "tool.sh", "-c", "{id}"), False),
        (("python3", "tool.py", "-c", "{id}"), False),
        (("tool", "-c", "{id}"), False),
        (("python3", "-m", "tool", "-c", "{id}"), False),
    ],
)
def test_no_field_becomes_part_of_a_script(run: tuple[str, ...], refused: bool) -> None:
    found = list(faults([OwnCommand("x", "keys", "x", run)], lambda noun: {}, lambda noun: ["id"]))
    assert bool(found) is refused
