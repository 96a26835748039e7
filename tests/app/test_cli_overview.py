"""`watchfloor overview`: the console's numbers as one document and as lines."""

from __future__ import annotations

from controlplane.overview.entries import PARTS
from tests.app.commands import Cli
from tests.postgres import Database


def test_the_overview_is_one_document_with_every_part(cli: Cli, fleet: Database) -> None:
    cli.database = fleet
    cli.log_in("viewer")
    found = cli.done("overview")
    assert list(found["parts"]) == [part.name for part in PARTS]
    parts = found["parts"]
    assert parts["keys"]["late"] == {"number": 1, "capped": False, "near": False}
    assert parts["failing"][0]["id"] == "umbrella" and parts["plans"]["quotas"]["number"] == 2
    assert round(parts["traffic"]["now"]["error_share"], 2) == 0.25 and len(parts["traffic"]["day"]) == 24
    lines = cli("overview")
    assert lines.code == 0 and "FAILING MOST" in lines.out and "dead letters" in lines.out


def test_a_part_that_cannot_be_read_says_so_and_the_others_stand(cli: Cli) -> None:
    cli.sql("REVOKE SELECT ON wf.audit FROM wf_viewer")
    try:
        cli.log_in("viewer")
        answer = cli("overview", "--json")
        assert answer.code == 3 and "error" in answer.document["parts"]["changes"]
        assert answer.document["parts"]["work"]["alive"] == 0
        lines = cli("overview")
        assert lines.code == 3 and "not read:" in lines.out and "dead letters" in lines.out
    finally:
        cli.sql("GRANT SELECT ON wf.audit TO wf_viewer")


def test_names_that_are_no_good_do_nothing_to_the_terminal(cli: Cli) -> None:
    cli.sql("INSERT INTO wf.tenants (id, name, region) VALUES ('acme', 'A', E'\\x1b[31mred')")
    answer = cli("overview")
    assert "\x1b" not in answer.out and "[31mred" in answer.out
