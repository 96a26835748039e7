"""`find`, `tenants impersonations` and the operations of support, on the command line."""

from __future__ import annotations

import io

import pytest

from tests.app.commands import Cli

SECRET = "wf_live_8sKq2LmVx0TzR4bNc7Yd"
KEY = "key_01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
def estate(cli: Cli) -> Cli:
    cli.sql("INSERT INTO wf.tenants (id, name, owner_email) VALUES ('acme', 'Acme', 'ada@lovelace.example')")
    cli.sql(
        "INSERT INTO wf.api_keys (id, tenant_id, env, display, hash) VALUES (%s, 'acme', 'live', 'wf_live_8sKq',"
        " sha256(convert_to(%s, 'UTF8')))",
        KEY,
        SECRET,
    )
    return cli


def test_find_prints_a_list_like_every_other(estate: Cli) -> None:
    found = estate.done("find", "acm")
    assert found["items"] == [{"kind": "tenant", "id": "acme", "tenant_id": "acme", "words": "Acme", "state": "active"}]
    assert (found["next"], found["total"]) == (None, 1) and found["as_of"]
    assert estate.done("find", "nobody-at-all")["items"] == []
    answer = estate("find", "ACME")
    assert answer.code == 0 and "acme" in answer.out and "1 found" in answer.err
    assert estate("find", "").code == 2


@pytest.mark.parametrize("words", [("find",), ("find", "-"), ("find", SECRET)])
def test_a_secret_is_found_and_kept_nowhere(
    estate: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    estate.log_in("viewer")
    answer = estate(*words, "--json")
    assert [item["id"] for item in answer.document["items"]] == [KEY, "acme"]
    assert SECRET not in answer.out + answer.err
    kept = estate.sql(
        "SELECT string_agg(a::text, '') FROM wf.audit a UNION ALL SELECT string_agg(c::text, '') FROM wf.changes c"
    )
    assert SECRET not in str(kept)
    refused = estate("find", f"the key {SECRET}", "--json")
    assert refused.code == 2 and SECRET not in refused.out + refused.err


def test_an_impersonation_from_begin_to_end(estate: Cli) -> None:
    estate.log_in("support")
    begun = estate.done("tenants", "impersonate", "acme", "--ticket", "T-1", "--reason", "on the phone", "--yes")
    number = str(begun["result"]["id"])
    assert begun["undo"]["operation"] == "tenants.end-impersonation"
    [listed] = estate.done("tenants", "impersonations", "state:open", "tenant:acme")["items"]
    assert (listed["actor"], listed["mode"], listed["ticket"]) == ("t_support", "read", "T-1")
    table = estate("tenants", "impersonations")
    assert "TICKET" in table.out and "on the phone" in table.out and "1 of 1 impersonations" in table.err
    estate.log_in("operator")
    estate.done("tenants", "approve-writing", number, "--reason", "agreed", "--yes")
    estate.log_in("support")
    revealed = estate.done("tenants", "reveal", "acme", "--reason", "ticket T-1")
    row = estate.done("audit", "show", str(revealed["audit_ids"][0]))["item"]
    assert row["impersonation"] == int(number) and row["actor"] == "t_support"
    assert f"impersonation  {number}" in estate("audit", "show", str(revealed["audit_ids"][0])).out
    ended = estate.done("undo", str(begun["audit_ids"][0]), "--yes")
    assert ended["result"]["state"] == "ended"
    assert estate("tenants", "end-impersonation", number).code == 1
    assert estate.done("tenants", "impersonations", "state:open")["items"] == []


def test_minutes_are_at_most_sixty(estate: Cli) -> None:
    answer = estate("tenants", "impersonate", "acme", "--ticket", "T", "--minutes", "61", "--reason", "x", "--yes")
    assert answer.code == 2 and "60" in answer.err


def test_provision_is_one_step_and_a_repeat_is_harmless(estate: Cli) -> None:
    words = ("tenants", "provision", "new", "--yes", "--request-id", "sign-up-7")
    done = estate.done(*words)
    assert [change["noun"] for change in done["changes"]] == ["tenants", "projects", "keys"]
    assert done["secret"].startswith(done["result"]["display"]) and done["result"]["state"] == "trial"
    again = estate.done(*words)
    assert again.get("secret") is None, "a secret is told once"
    assert again["repeated"] and again["result"] == done["result"]
    assert done["undo"]["operation"] == "tenants.delete"
    assert [item["kind"] for item in estate.done("find", "sign-up-7")["items"]] == ["change"]
