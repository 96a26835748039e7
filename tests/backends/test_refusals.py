"""What is refused has words, in one place: each constraint of the home, each code of a noun."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import backends.postgres.refusals as refusals
from controlplane import errors
from controlplane.nouns import NOUNS
from tests.backends.psql import logins
from tests.postgres import Database

ROOT = Path(refusals.__file__).parents[2]
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.Refusal)}
# Checks of what the home itself writes, and no login has a word in.
HOMES_OWN = {
    "audit_actor", "audit_carried_by", "audit_noun", "audit_operation", "audit_origin_form", "audit_reason",
    "audit_request", "audit_tenant", "change_carried_for", "change_fingerprint", "checkpoint_head", "checkpoint_size",
    "import_left_out", "import_marks", "import_source", "personal_after", "personal_before", "personal_field",
    "gate_version_definition", "personal_tenant", "quiet_requests", "request_dim",
    "approval_done", "approval_roles", "approval_sha256", "approval_state", "approval_vote", "approval_vote_role",
    "raise_ended", "raise_times", "raise_was",
}  # fmt: skip
NAMED = """
    SELECT conname FROM pg_constraint
    WHERE connamespace = 'wf'::regnamespace AND contype IN ('c', 'u', 'x') AND conname !~ '_(check|key)$'
"""
SOURCES = "SELECT prosrc FROM pg_proc WHERE pronamespace::regnamespace::text IN ('wf', 'wf_data')"


def test_every_constraint_that_has_a_name_and_every_guard_has_words(database: Database) -> None:
    with logins(database) as psql:
        named = {name for (name,) in psql("owner").execute(NAMED.encode())}
        sources = [source for (source,) in psql("owner").execute(SOURCES.encode())]
    raised = {name for source in sources for name in re.findall(r"\b(?:CONSTRAINT =|refused :=) '(\w+)'", source)}
    assert len(named) > 100
    assert len(raised) > 80
    assert (named | raised) - HOMES_OWN - set(refusals.words()) == set()


def test_no_code_is_worded_twice() -> None:
    """Who refuses what has words takes them: from `refusals.py`, not by writing the code again."""
    with_words = {path.parent.name for path in (ROOT / "controlplane").glob("*/refusals.py")}
    assert with_words == {noun.refusals.split(".")[1] for noun in NOUNS if noun.refusals}
    codes = Counter(each.code for each in refusals.said())
    assert [code for code, times in codes.items() if times > 1] == []
    assert [where for code, where in written() if code in codes] == []


def written() -> Iterator[tuple[str, str]]:
    """Each code that is spelled out where something is refused, and where."""
    for folder in ("app", "backends", "controlplane", "screens"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]) if name in KINDS:
                        yield code, f"{path.relative_to(ROOT)}:{node.lineno} {code}"


def test_words_with_places_are_filled_in() -> None:
    for each in refusals.said():
        if "{" in each.message:
            assert "{" not in str(each.of("acme", "web"))
            assert each.code.startswith("no_")  # of nothing but what is missing
            assert not each.constraint or "{" not in refusals.unnamed(each.message) + refusals.unnamed(each.hint)


def test_what_the_home_itself_does_not_find_is_said_without_its_name(database: Database) -> None:
    with logins(database) as psql, pytest.raises(errors.NotFound) as refused, refusals.as_refusals():
        psql("operator").execute("SELECT wf.evaluate_soon('nobody')")
    assert refused.value.message == "There is no such detector."
