"""One folding for what is stored and asked: capitals of every script, composed or not, with or without joiners."""

from __future__ import annotations

import pytest

from tests.app.commands import Cli

COMPOSED, DECOMPOSED = "Caf\u00e9", "Cafe\u0301"
PERSIAN, PLAIN = "می\u200cخواهم", "میخواهم"
SINHALA = "ශ්\u200dරී"


def _capital(letter: str) -> str:
    return letter.upper() if len(letter.upper()) == 1 else letter


def ids(cli: Cli, *words: str, field: str = "id") -> list[str]:
    return [row[field] for row in cli.done(*words)["items"]]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Ärzte", "Ärzte ärzte ÄRZTE rzt ÄR är"),
        ("ÉLAN Straße", "élan ÉLAN straße"),
        ("Общество", "общество ОБЩЕСТВО Общ"),
        ("ΑΘΗΝΑ", "αθηνα ΑΘΗΝΑ Αθη"),
        (COMPOSED, f"{COMPOSED} {DECOMPOSED} CAFE\u0301 CAF\u00c9 cafe\u0301"),
        (DECOMPOSED, f"{COMPOSED} {DECOMPOSED} caf\u00e9"),
        (PERSIAN, f"{PERSIAN} {PLAIN}"),
        (PLAIN, f"{PERSIAN} {PLAIN}"),
        (SINHALA, f"{SINHALA} {SINHALA.replace(chr(0x200D), '')}"),
        ("क्\u200dष", "क्\u200dष क्ष"),
        ("Ｆull Ｗidth", "Ｆull ｆull"),
    ],
)
def test_a_tenant_is_found_by_its_name_however_it_is_written(cli: Cli, name: str, asked: str) -> None:
    cli.done("tenants", "create", "de1", "--name", name)
    cli.done("tenants", "create", "de2", "--name", "Nobody")
    assert cli.done("tenants", "show", "de1")["item"]["name"] == name, "it is kept as it was given"
    for word in asked.split():
        assert ids(cli, "tenants", "list", word) == ["de1"], word
        assert "de1" in ids(cli, "find", word), word
        assert ids(cli, "tenants", "list", f"-{word}") == ["default", "de2"], word
    for form in (name, "".join(map(_capital, name)), name.lower()):
        assert ids(cli, "tenants", "list", f'name:"{form}"') == ["de1"], form


def test_of_two_letters_the_beginning_is_found(cli: Cli) -> None:
    cli.done("tenants", "create", "de1", "--name", "Ärzte")
    cli.done("tenants", "create", "fr1", "--name", "E\u0301lan")
    assert "de1" in ids(cli, "find", "är") and "fr1" in ids(cli, "find", "él")


def test_names_are_sorted_without_regard_to_case(cli: Cli) -> None:
    for id, name in (("a", "Öl"), ("b", "öde"), ("c", "Zeder"), ("d", "zart")):
        cli.done("tenants", "create", id, "--name", name)
    found = [row for row in ids(cli, "tenants", "list", "--sort", "name") if row != "default"]
    assert found == ["d", "c", "b", "a"]


def test_every_other_text_is_folded_alike(cli: Cli) -> None:
    cli.done("tenants", "create", "de1", "--name", "x", "--region", "Île", "--owner-email", "Åsa@ÉX.example")
    cli.done("projects", "create", "de1", "p1", "--name", "Übung")
    key = cli.done("keys", "create", "de1", "--label", "ÄRGER", "--scopes", "Œuvre", "--owner-email", "Ö@x.example")
    key = key["result"]["id"]
    cli.done("tenants", "suspend", "de1", "--reason", "Größe ÜBERSCHRITTEN", "--yes", "--request-id", "REQ-Ä")
    plan = cli.database.login("admin") and cli.sql(
        "INSERT INTO wf.plans (code, version, name, currency, month_price, year_price, billing)"
        " VALUES ('élite', 1, 'Élite', 'EUR', 1, 1, 'arrears') RETURNING code"
    )
    assert plan == [("élite",)]
    for found, words, expected in (
        ("tenants", "region:île", "de1"),
        ("tenants", "owner:åsa@éx.example", "de1"),
        ("tenants", "owner:A\u030asa@E\u0301X.example", "de1"),
        ("projects", "übung", "p1"),
        ("keys", "ärger", key),
        ("keys", "label:ärger", key),
        ("keys", "scope:œuvre", key),
        ("keys", "owner:ö@x.example", key),
        ("plans", "ÉLITE", "élite"),
        ("plans", "name:e\u0301lite", "élite"),
    ):
        fields = {"plans": "code"}
        assert ids(cli, found, "list", words, field=fields.get(found, "id")) == [expected], words
    for words in (
        "größe",
        "request:req-ä",
        "REQUEST:Req-A\u0308",
        "actor:T_ADMIN operation:tenants.suspend",
    ):
        things = ids(cli, "audit", "list", *words.split(), field="operation")
        assert "tenants.suspend" in things, words
    assert "de1" in ids(cli, "find", "ÅSA@éx.example")


@pytest.mark.parametrize("name", ["a\u200cb", "\u200cمی", "می\u200d", "a\u200d", "می\u200c\u200cخ", "x\u202ey"])
def test_a_joiner_that_only_hides_is_refused(cli: Cli, name: str) -> None:
    answer = cli("tenants", "create", "x1", "--name", name)
    assert answer.code == 2 and "cannot be shown" in answer.err
