"""Sources outside on the command line, with the file of docs/queues.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import psycopg
import pytest

from tests.app.commands import Cli
from tests.backends.outside import password_of, url_of
from tests.postgres import Database
from tests.sqs import ACCOUNT, REGION, TASKS, prop

GUIDE = (Path(__file__).parents[2] / "docs" / "queues.md").read_text("utf-8").partition("## Other systems")[2]
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"^```sh\n(.*?)^```", GUIDE, re.S | re.M)
    for line in block.splitlines()
]
TABLES = """
CREATE TABLE outbox (
  id bigserial PRIMARY KEY, body jsonb, last_error text, tries int, status text, created_at timestamp DEFAULT now(),
  failed_at timestamptz, tenant_id text, topic text);
INSERT INTO outbox (body, last_error, tries, status, failed_at, tenant_id, topic)
SELECT jsonb_build_object('kind', 'paid', 'n', 9007199254740993), 'no answer from 10.0.0.' || i, 7, 'failed',
       now() - interval '3 days', 'acme', 'orders' FROM generate_series(1, 9) i;
CREATE SCHEMA pgmq;
CREATE TABLE pgmq.q_mail (msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, read_ct int NOT NULL DEFAULT 0,
  enqueued_at timestamptz NOT NULL DEFAULT now(), vt timestamptz NOT NULL, message jsonb, headers jsonb);
CREATE TABLE pgmq.a_mail (msg_id bigint PRIMARY KEY, read_ct int NOT NULL DEFAULT 0,
  enqueued_at timestamptz NOT NULL DEFAULT now(), archived_at timestamptz NOT NULL DEFAULT now(),
  vt timestamptz NOT NULL, message jsonb, headers jsonb);
INSERT INTO pgmq.a_mail (msg_id, read_ct, vt, message) VALUES (3, 5, now(), '{}');
"""


@pytest.fixture
def cli(cli: Cli, empty_database: Database, tmp_path: Path) -> Cli:
    """With the sources of the guide, in a database of their own."""
    url, password = url_of(empty_database.owner), password_of(empty_database.owner)
    cli.monkeypatch.setenv("ORDERS_PASSWORD", password)
    blocks = [block for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.S) if "[profiles" not in block]
    text = re.sub(
        r'^url = "postgresql.*"', f'url = "{url}"\npassword = "env:ORDERS_PASSWORD"', "\n".join(blocks), flags=re.M
    )
    text = re.sub(r'^password = "keyring:orders.*\n', "", text, flags=re.M)
    text = re.sub(r'^queue = "https://sqs.*"', f'queue = "{prop()[0]}"\nregion = "{REGION}"', text, flags=re.M)
    text = text.replace("tls://nats.acme.example:4222", "nats://127.0.0.1:9")  # nothing is there
    text = text.replace("keyring:nats/watchfloor", "env:ORDERS_PASSWORD")
    text = text.replace("keyring:aws/orders-dead", "env:AWS_SECRET_ACCESS_KEY")
    cli.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for tests only")
    (tmp_path / "sources.toml").write_text(text, "utf-8")
    profile = 'url = "{}"\npassword = "env:PGPASSWORD"\nenvironment = "testing"\nsources = "sources.toml"\n'
    cli.log_in("operator")
    import os

    settings = tmp_path / "settings.toml"
    settings.write_text("[profiles.here]\n" + profile.format(os.environ["WATCHFLOOR_HOME"]))
    cli.monkeypatch.setenv("WATCHFLOOR_SETTINGS", str(settings))
    cli.monkeypatch.setenv("WATCHFLOOR_HOME", "here")
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        owner.execute(TABLES.encode())
    return cli


def test_every_command_of_the_guide_runs_and_does_what_it_says(cli: Cli, empty_database: Database) -> None:
    sources = {item["id"]: item for item in cli.done("sources", "list")["items"]}
    assert {*sources} == {"jobs", "deliveries", "orders", "mail", "dead-orders", "dead-ships"}
    assert [sources["orders"][name] for name in ("state", "waiting", "entered", "kind")] == ["ok", 9, 0, "outbox"]
    assert sources["mail"]["waiting"] == 1 and sources["dead-orders"]["state"] == "ok"
    assert (sources["dead-ships"]["state"], sources["dead-ships"]["code"]) == ("down", "source_unreachable")
    [cause] = cli.done("queues", "list", "source:orders")["items"]
    assert (cause["waiting"], cause["error_class"], cause["tenants"], cause["whole"]) == (9, "paid", 1, True)
    said = {}
    for words in COMMANDS:
        if words[:2] == ["sources", "cancel"]:
            TASKS[f"arn:aws:sqs:{REGION}:{ACCOUNT}:idle-dead"] |= {"Status": "RUNNING", "stuck": True}
        words = [word.replace("0123456789abcdef", cause["id"]) for word in words]
        answer = cli(*words, "--json", *([] if words[1] in ("list", "show") else ["--yes"]))
        assert answer.code == 0, (words, answer)
        said[" ".join(words[:3])] = answer.document
    assert said["messages list source:orders"]["total"] == 9
    assert said["messages discard orders/9"]["result"]["verdicts"] == {"done": 1}
    two = said["messages replay orders/7"]["result"]
    assert (two["done"], two["state"]) == (2, "done")
    assert said["messages replay --filter"]["result"]["done"] == 6  # of the cause
    assert said["sources redrive dead-orders"]["result"]["said"].startswith("it moves as")
    assert said["sources cancel dead-orders"]["result"]["said"].startswith("stopped; about")
    with psycopg.connect(empty_database.owner) as owner:
        rows = owner.execute("SELECT status, tries, count(*) FROM outbox GROUP BY 1, 2 ORDER BY 3").fetchall()
    assert rows == [("given_up", 7, 1), ("new", 0, 8)]
    shown = bytes.fromhex(said["messages show orders/7"]["item"]["message"]["payload"])
    assert b'"n": 9007199254740993' in shown
    again = cli("messages", "replay", "orders/7", "--reason", "again", "--yes")
    assert again.code == 1 and "messages_settled" in again.err
    assert cli("messages", "show", "orders/7").code == 4
    assert {row["operation"] for row in cli.done("audit", "list", "noun:messages")["items"]} == {
        "messages.replay", "messages.discard", "messages.settle"}  # fmt: skip


def test_faults_of_the_file_are_told_with_their_line_and_no_secret(cli: Cli, tmp_path: Path) -> None:
    secret = "hunter2"
    (tmp_path / "sources.toml").write_text(
        f'[a]\nurl = "postgresql://me:{secret}@h/d"\ntable = "t"\ndead = ["x"]\nrequeue = "DELETE"\n'
        '[a.columns]\nid = "id"\nerorr = "x"\n[jobs]\n[b]\nkind = "kafka"\n[c]\nmapping = "obann"\n[D]\n'
    )
    answer = cli("sources", "list", "--json")
    assert answer.code == 0 and secret not in answer.out + answer.err
    [fault] = [item for item in answer.document["items"] if item["state"] == "down"]
    for words in ("a.url: holds a password", "a.requeue: expected SQL in quotes with $ids", "a.columns.erorr",
                  "jobs: this is the name of a source of the home", "b: kind: expected one of",
                  "c: mapping: expected one of", "D: a source is called by"):  # fmt: skip
        assert words in fault["fault"], words
    assert cli("messages", "replay", "a/1", "--reason", "x", "--yes").code == 2
