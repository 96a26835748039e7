"""How the words of a command become its call, and its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.helping import command_help
from app.cli.known import FILE
from app.cli.parameters import Parameter, parse
from controlplane.errors import Usage
from tests.app.known import text


@dataclass(frozen=True, kw_only=True)
class Common:
    json: bool = False
    home: Annotated[str | None, Parameter(help="Where.")] = None
    hidden: Annotated[str, Parameter(parse=False)] = ""


def command(
    file: Path,
    number: int = 0,
    /,
    *,
    pair: Annotated[list[str] | None, Parameter(empty=True)] = None,
    reason: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    share: float = 0.5,
    form: Annotated[Literal["a", "b"], Parameter(name="--format")] = "a",
    keys: Annotated[tuple[Path, ...], Parameter(name=("--key", "--with"))] = (),
    asked: Common = Common(),
) -> None:
    """Do it.

    In more words.
    """


def words_of(*words: Annotated[str, Parameter(allow_leading_hyphen=True)], needed: str) -> None:
    """Take words."""


def of(line: str) -> dict[str, Any]:
    return dict(parse(command, line.split()).arguments)


def test_arguments_options_and_their_types() -> None:
    found = of("a 7 --pair x=1 --pair=y=2 --reason -x --share .25 --format b --key k --with l --json --home h")
    assert found == {
        **{"file": Path("a"), "number": 7, "pair": ["x=1", "y=2"], "reason": "-x", "share": 0.25, "form": "b"},
        **{"keys": [Path("k"), Path("l")], "asked": Common(json=True, home="h")},
    }
    assert of("a") == {"file": Path("a"), "asked": Common()}, "what is not given is left out"
    assert of("--empty-pair -- -a")["pair"] == [] and of("-- --json")["file"] == Path("--json")
    assert of("- -3")["number"] == -3, "a lone hyphen is stdin"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "FILE is needed"),
        ("a 1 b", "'b' is one word too many"),
        ("a x", "NUMBER is a whole number; 'x' is not"),
        ("a --share much", "--share is a number"),
        ("a --format c", "--format is one of a, b; not 'c'"),
        ("a --jsn", "There is no option --jsn. Did you mean --json?"),
        ("a --home", "--home needs a value"),
        ("a --home --json", "--home needs a value"),
        ("a --json=yes", "--json takes no value"),
        ("a --hidden x", "There is no option --hidden"),
        ("a --password=secret", "There is no option --password."),
    ],
)
def test_what_cannot_be_understood_is_said(line: str, said: str) -> None:
    with pytest.raises(Usage) as fault:
        of(line)
    assert said in fault.value.message and "secret" not in fault.value.message


@given(st.lists(st.text(), max_size=4))
def test_words_that_may_have_a_hyphen_come_through_as_they_are(words: list[str]) -> None:
    """After --, all are arguments; before it, all that are no option of the command."""
    assert parse(words_of, ["--needed", "x", "--", *words]).args == (*words,)
    before = [word for word in words if not word.startswith("--needed") and word != "--"]
    assert parse(words_of, [*before, "--needed=x"]).args == (*before,)


def test_an_option_without_a_default_is_needed() -> None:
    with pytest.raises(Usage, match="--needed is needed"):
        parse(words_of, ["a"])


def test_help_says_what_a_command_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    told = "\n".join(command_help("do", command))
    assert told.startswith("Usage: watchfloor do [OPTIONS] FILE [NUMBER]\n\nDo it.\n\nIn more words.\n")
    for part in ("--format a|b", "[a]", "--key, --with PATH", "--empty-pair", "--share NUMBER", "[0.5]", "--home TEXT"):
        assert part in told, part
    assert "hidden" not in told and max(map(len, told.splitlines())) <= 60


def test_the_list_of_commands_is_current() -> None:
    assert Path(FILE).read_text(encoding="utf-8") == text(), "run: .venv/bin/python -m tests.app.known"
