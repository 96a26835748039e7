"""Silences on the command line."""

from __future__ import annotations

import psycopg
import pytest

from tests.app.commands import Cli
from tests.backends.silences import fire

CREATE = ("silences", "create", "--matchers", 'tenant="acme"', "--for", "2h", "--comment", "new disks", "--yes")


@pytest.fixture
def firing(cli: Cli) -> Cli:
    with psycopg.connect(cli.database.owner, autocommit=True) as owner:
        fire(owner, number=2)
    cli.log_in("operator")
    return cli


def test_a_silence_is_made_listed_shown_edited_and_ended(firing: Cli) -> None:
    preview = firing(*CREATE[:-1], "--dry-run")
    assert "hides 2 open alerts now" in preview.out
    number = str(firing.done(*CREATE)["result"]["id"])
    [item] = firing.done("silences", "list", "state:active")["items"]
    assert (item["state"], item["hides"], item["matches"]) == ("active", 2, 'tenant="acme"')
    shown = firing("silences", "show", number).out
    assert "by t_operator: new disks" in shown and "error, acme, burn_rate: as the test says" in shown
    assert len(firing.done("silences", "show", number)["item"]["hidden"]) == 2
    far = firing("silences", "edit", number, "--until", "2099-01-01 02:30 America/New_York", "--yes")
    assert far.code == 1 and "silence_length" in far.err
    firing.done("silences", "edit", number, "--comment", "old disks", "--yes")


def test_what_it_ends_with_is_said(firing: Cli) -> None:
    number = str(firing.done(*CREATE)["result"]["id"])
    ended = firing.done("silences", "end", number, "--yes")
    assert ended["undo"] is not None
    assert "ended now by t_operator" in firing("silences", "show", number).out
    again = firing("silences", "end", number, "--yes")
    assert again.code == 1 and "is over" in again.err
    firing.done("undo", str(ended["audit_ids"][0]), "--yes")
    assert [each["state"] for each in firing.done("silences", "list")["items"]] == ["active", "expired"]
    assert firing("silences", "show", "99").code == 4
    assert firing("silences", "create", "--matchers", "acme", "--for", "2h", "--comment", "x").code == 2
