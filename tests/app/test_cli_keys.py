"""Keys from the command line: a secret is printed once, many go to a file, none is ever an argument."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from backends.secrets.handed_out import SecretsFile
from controlplane.errors import Refusal
from controlplane.find import seek
from controlplane.keys import secret
from controlplane.keys.verify import check
from controlplane.runs.engine import start_run
from tests.app.commands import Cli, program
from tests.backends.keys import make_calls, make_keys, rotating
from tests.backends.runs import opened


@pytest.fixture
def acme(cli: Cli) -> Cli:
    cli.done("tenants", "create", "acme")
    return cli


def test_the_secret_of_a_made_key_is_printed_once(acme: Cli) -> None:
    preview = acme.done("keys", "create", "acme", "--label", "ci", "--dry-run")
    assert preview["secret"] is None and preview["dry_run"]
    made = acme.done("keys", "create", "acme", "--label", "ci", "--scopes", "read", "--request-id", "once")
    assert secret.is_whole(made["secret"]) and "secret" not in made["result"]
    again = acme("keys", "create", "acme", "--label", "ci", "--scopes", "read", "--request-id", "once")
    assert again.code == 0 and "shown once" in again.err and made["secret"] not in again.out + again.err
    assert (
        acme.done("keys", "create", "acme", "--label", "ci", "--scopes", "read", "--request-id", "once")["secret"]
        is None
    )
    told = acme("keys", "rotate", made["result"]["id"], "--grace", "1h", "--yes")
    [line] = [line for line in told.out.splitlines() if line.startswith("secret: ")]
    assert secret.is_whole(line.removeprefix("secret: ")) and "keep it now" in told.err


def test_the_prefix_comes_from_the_settings(acme: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('key_prefix = "shop"\n')
    monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(path))
    assert acme.done("keys", "create", "acme", "--env", "test")["secret"].startswith("shop_test_")
    path.write_text('key_prefix = "sh_op"\n')
    refused = acme("keys", "list")
    assert refused.code == 2 and "letters and digits" in refused.err


def test_keys_are_listed_shown_and_found(acme: Cli) -> None:
    made = acme.done("keys", "create", "acme", "--label", "ci", "--expires-in", "90d")
    listed = acme.done("keys", "list", "tenant:acme", "state:active")
    assert [item["id"] for item in listed["items"]] == [made["result"]["id"]] and "hash" not in listed["items"][0]
    new = acme.done("keys", "rotate", made["result"]["id"], "--yes")["result"]["id"]
    item = acme.done("keys", "show", new)["item"]
    assert item["chain"] == [made["result"]["id"], new] and item["calls"] == []
    shown = acme("keys", "show", new)
    assert "no call of it is stored" in shown.out and "rotations, oldest first" in shown.out
    [rotation] = acme.done("keys", "rotations")["items"]
    assert rotation["successor_id"] == new and rotation["old_calls"] is None and rotation["late"] is False
    assert "–" in acme("keys", "rotations").out.splitlines()[1]
    acme.done("keys", "leak", new, "--reason", "in a paste", "--yes")
    assert [leak["reason"] for leak in acme.done("keys", "show", new)["item"]["leaks"]] == ["in a paste"]
    assert "in a paste" in acme("keys", "show", new).out
    assert acme("keys", "show", "key_none").code == 4


def test_who_calls_with_a_key_is_told_and_foreign_text_is_inert(acme: Cli) -> None:
    [key] = make_keys(acme.database.owner, 1)
    make_calls(acme.database.owner, key, 3)
    acme.sql("UPDATE wf.api_keys SET label = %s", "\x1b]0;owned\x07[red]x")
    for answer in (acme("keys", "show", key), acme("keys", "list")):
        assert answer.code == 0 and all(line.isprintable() for line in answer.out.splitlines()), answer
        assert "[red]x" in answer.out
    assert "192.0.2.7  /v1/things" in acme("keys", "show", key).out
    acme.log_in("viewer")
    assert "address not known" in acme("keys", "show", key).out
    refused = acme("keys", "rotate", key, "--yes")
    assert refused.code == 3 and "[role_too_low]" in refused.err


def test_stale_keys_are_counted_and_its_limits_checked(acme: Cli) -> None:
    acme.sql("UPDATE wf.tenants SET created_at = now() - interval '90 days'")
    acme.done("keys", "create", "acme")
    found = acme.done("keys", "stale")
    assert found["counts"]["keys"] == 1 and found["counts"]["tenants_unrotated"] == 1 and found["total"] == 1
    assert acme.done("keys", "stale", "--window", "100d")["items"] == []
    assert "1 of 1 tenants rotated none" in acme("keys", "stale").err
    refused = acme("keys", "stale", "--warn", "31d")
    assert refused.code == 2 and "[stale_warn_after_max]" in refused.err


def test_many_are_rotated_into_a_file_for_its_owner_alone(acme: Cli, tmp_path: Path) -> None:
    for _ in range(3):
        acme.done("keys", "create", "acme")
    path = tmp_path / "secrets"
    rotate = ("keys", "rotate", "--filter", "tenant:acme state:active", "--yes")
    assert "[secrets_to_needed]" in acme(*rotate).err
    assert acme.done(*rotate, "--dry-run")["result"]["total"] == 3 and not path.exists()
    answer = acme(*rotate, "--secrets-to", str(path), "--json")
    assert answer.code == 0 and answer.document["result"]["done"] == 3
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 3 and path.stat().st_mode & 0o777 == 0o600
    for line in lines:
        assert secret.is_whole(line["secret"]) and line["secret"] not in answer.out + answer.err
        assert line["display"] == secret.display(line["secret"]) and line["tenant_id"] == "acme"
    refused = acme(*rotate, "--secrets-to", str(path))
    assert refused.code == 5 and "[secrets_file_exists]" in refused.err
    assert len(acme.done("runs", "list")["items"]) == 1, "no run was begun"


def test_a_paused_run_goes_on_without_its_file(acme: Cli, tmp_path: Path) -> None:
    make_keys(acme.database.owner, 2)
    path = tmp_path / "secrets"
    run = str(asyncio.run(_started(acme, path)))
    acme.done("runs", "pause", run)
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    path.rename(moved)
    assert acme.done("runs", "resume", run)["result"]["done"] == 2
    for line in moved.read_text().splitlines():
        told = json.loads(line)
        assert acme.done("keys", "show", told["id"])["item"]["rotated_from"] == told["rotated_from"]


async def _started(cli: Cli, path: Path) -> int:
    with SecretsFile(path) as file:
        async with opened(cli.database.login("admin")) as home:
            return (await start_run(home, rotating(), None, keep=file.keep)).id


def test_it_is_said_which_secrets_are_good_for_nothing(acme: Cli, tmp_path: Path) -> None:
    keys = make_keys(acme.database.owner, 3)
    acme.done("keys", "disable", keys[2], "--yes")
    path = tmp_path / "secrets"
    answer = acme("keys", "rotate", *keys, "--yes", "--secrets-to", str(path))
    assert answer.code == 1 and "2 done, 1 refused" in answer.out and f"{keys[2]}: " in answer.out
    assert "secrets of keys that were refused or skipped never work" in answer.out
    assert "never work" in acme("runs", "show", "1").out
    assert len(path.read_text().splitlines()) == 3


def test_verify_takes_a_secret_from_stdin_and_never_as_an_argument(acme: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = acme.done("keys", "create", "acme", "--expires-in", "90d")
    monkeypatch.setattr("sys.stdin", io.StringIO(made["secret"] + "\n"))
    item = acme.done("keys", "verify")["item"]
    assert (item["tenant_id"], item["state"], item["env"]) == ("acme", "active", "live")
    monkeypatch.setattr("sys.stdin", io.StringIO(made["secret"] + "\n"))
    told = acme("keys", "verify")
    assert "a live key: active" in told.out and made["secret"] not in told.out + told.err
    wrong = made["secret"][:-1] + ("0" if made["secret"][-1] != "0" else "1")
    monkeypatch.setattr("sys.stdin", io.StringIO(wrong))
    refused = acme("keys", "verify")
    assert refused.code == 1 and "[key_checksum]" in refused.err and wrong not in refused.err
    argument = acme("keys", "verify", made["secret"])
    assert argument.code == 2 and "never an argument" in argument.err and made["secret"] not in argument.err


def test_verify_on_a_terminal_shows_nothing_of_what_is_typed(acme: Cli) -> None:
    made = acme.done("keys", "create", "acme")["secret"]
    answer = program("keys", "verify", typed=[("not shown): ", made + "\n")])
    assert answer.code == 0 and "a live key: active" in answer.out and made not in answer.out + answer.err


AROUND = ("{}", "'{}'\n", '"{}"', "\n  {}  \r\n", "“{}”", '"{}",', "\ufeff{}\xa0")


@pytest.mark.parametrize("around", AROUND)
def test_a_pasted_secret_is_read_alike_by_all(acme: Cli, monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    made = acme.done("keys", "create", "acme")
    pasted = around.format(made["secret"])
    for words in (["keys", "verify"], ["find"]):
        monkeypatch.setattr("sys.stdin", io.StringIO(pasted + "\n"))
        answer = acme(*words)
        assert answer.code == 0 and made["result"]["id"] in answer.out, answer
        assert made["secret"] not in answer.out + answer.err
    assert seek(pasted).hash == secret.digest(made["secret"])
    wrong = made["secret"][:-1] + "!"
    with pytest.raises(Refusal, match="checksum"):
        check(around.format(wrong), "wf")
