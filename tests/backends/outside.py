"""Other systems with dead messages, in a PostgreSQL that is not the home: their tables as those systems make them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from backends.sources.mapping import Columns, Outbox, Sqs
from backends.sources.opening import open_sources
from backends.sources.outbox import OutboxSource
from backends.sources.sqs import SqsSource
from controlplane.clock import machine_now
from controlplane.queues.held import Sources
from controlplane.queues.source import Source
from controlplane.secrets import Reference, Secret

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
EXACT = "9007199254740993"
"""A number that a float cannot hold."""

SYSTEMS: Mapping[str, str] = {
    "aionis-outbox": f"""
        CREATE TABLE memory_outbox (
          id bigserial PRIMARY KEY, scope text NOT NULL, commit_id uuid, event_type text NOT NULL,
          payload jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), published_at timestamptz,
          claimed_at timestamptz,
          attempts int NOT NULL DEFAULT 0, last_error text, failed_at timestamptz, failed_reason text, job_key text,
          payload_sha256 text, UNIQUE (scope, event_type, job_key));
        INSERT INTO memory_outbox (scope, event_type, payload, attempts, last_error, failed_at, failed_reason,
          published_at)
        VALUES ('tenant:acme::scope:default', 'embed_nodes', '{{"n": {EXACT}}}', 25, 'no answer from 10.0.0.7', now(),
                'max_attempts_exceeded', NULL),
               ('default', 'embed_nodes', '{{}}', 25, NULL, now(), 'max_attempts_exceeded', NULL),
               ('default', 'embed_nodes', '{{}}', 3, 'later', NULL, NULL, NULL),
               ('default', 'embed_nodes', '{{}}', 25, 'done since', now(), 'max_attempts_exceeded', now());
    """,
    "aionis-publish": f"""
        CREATE TABLE control_incident_publish_jobs (
          id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id text NOT NULL, run_id text NOT NULL,
          source_dir text NOT NULL, target text NOT NULL, status text NOT NULL DEFAULT 'pending'
            CHECK (status IN ('pending', 'processing', 'succeeded', 'failed', 'dead_letter')),
          attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0), max_attempts int NOT NULL DEFAULT 5,
          next_attempt_at timestamptz NOT NULL DEFAULT now(), locked_at timestamptz, locked_by text, published_uri text,
          last_error text, last_response jsonb NOT NULL DEFAULT '{{}}', metadata jsonb NOT NULL DEFAULT '{{}}',
          created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
        INSERT INTO control_incident_publish_jobs (tenant_id, run_id, source_dir, target, status, attempts, last_error,
          last_response, metadata)
        VALUES ('acme', 'r1', '/x', 's3://b', 'dead_letter', 5, 'no such bucket "b1"', '{{"exit_code": 2}}',
                '{{"n": {EXACT}}}'),
               ('globex', 'r2', '/x', 's3://b', 'dead_letter', 5, 'no such bucket "b2"', '{{"exit_code": 2}}', '{{}}'),
               ('acme', 'r3', '/x', 's3://b', 'failed', 1, 'later', '{{}}', '{{}}');
    """,
    "procrastinate": f"""
        CREATE TYPE procrastinate_job_status AS ENUM ('todo', 'doing', 'succeeded', 'failed', 'cancelled',
          'aborting', 'aborted');
        CREATE TYPE procrastinate_job_event_type AS ENUM ('deferred', 'started', 'deferred_for_retry', 'failed',
          'succeeded', 'cancelled', 'abort_requested', 'aborted', 'scheduled');
        CREATE TABLE procrastinate_jobs (
          id bigserial PRIMARY KEY, queue_name varchar(128) NOT NULL, task_name varchar(128) NOT NULL,
          priority integer DEFAULT 0 NOT NULL, lock text, queueing_lock text, args jsonb DEFAULT '{{}}' NOT NULL,
          status procrastinate_job_status DEFAULT 'todo' NOT NULL, scheduled_at timestamptz,
          attempts integer DEFAULT 0 NOT NULL, abort_requested boolean DEFAULT false NOT NULL, worker_id varchar(36));
        CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs (queueing_lock)
          WHERE status = 'todo';
        CREATE TABLE procrastinate_events (
          id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES procrastinate_jobs ON DELETE CASCADE,
          type procrastinate_job_event_type, at timestamptz DEFAULT now());
        INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, attempts)
        VALUES ('mail', 'send', '{{"n": {EXACT}}}', 'failed', 3), ('mail', 'send', '{{}}', 'failed', 3),
               ('mail', 'send', '{{}}', 'todo', 0);
        INSERT INTO procrastinate_events (job_id, type, at)
        SELECT id, 'deferred'::procrastinate_job_event_type, now() - interval '2 hours' FROM procrastinate_jobs
        UNION ALL SELECT id, 'failed', now() - interval '5 minutes' FROM procrastinate_jobs WHERE status = 'failed';
    """,
    "pgque": f"""
        CREATE SCHEMA pgque;
        CREATE TABLE pgque.queue (queue_id serial PRIMARY KEY, queue_name text UNIQUE NOT NULL);
        CREATE TABLE pgque.consumer (co_id serial PRIMARY KEY, co_name text UNIQUE NOT NULL);
        CREATE TABLE pgque.dead_letter (
          dl_id bigserial PRIMARY KEY, dl_queue_id int4 NOT NULL REFERENCES pgque.queue ON DELETE CASCADE,
          dl_consumer_id int4 NOT NULL REFERENCES pgque.consumer ON DELETE CASCADE,
          dl_time timestamptz NOT NULL DEFAULT now(), dl_reason text, ev_id bigint NOT NULL,
          ev_time timestamptz NOT NULL, ev_txid xid8, ev_retry int4, ev_type text,
          ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text);
        CREATE TABLE pgque.sent (queue_name text, ev_type text, ev_data text);  -- in place of its rotating event tables
        CREATE FUNCTION pgque.dlq_replay(i_dead_letter_id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE
          dead record;
        BEGIN
          SELECT d.*, q.queue_name INTO dead FROM pgque.dead_letter d JOIN pgque.queue q ON q.queue_id = d.dl_queue_id
          WHERE d.dl_id = i_dead_letter_id;
          IF NOT FOUND THEN
            RAISE EXCEPTION 'dead letter entry not found: %', i_dead_letter_id;
          END IF;
          INSERT INTO pgque.sent VALUES (dead.queue_name, dead.ev_type, dead.ev_data);
          DELETE FROM pgque.dead_letter WHERE dl_id = i_dead_letter_id;
          RETURN dead.ev_id;
        END $$;
        INSERT INTO pgque.queue (queue_name) VALUES ('orders');
        INSERT INTO pgque.consumer (co_name) VALUES ('billing');
        INSERT INTO pgque.dead_letter (dl_queue_id, dl_consumer_id, dl_reason, ev_id, ev_time, ev_retry, ev_type,
          ev_data)
        VALUES (1, 1, 'card 4242 declined', 7, now(), 5, 'paid', '{{"n": {EXACT}}}'),
               (1, 1, 'card 4343 declined', 8, now(), 5, 'paid', 'not JSON');
    """,
    "oban": f"""
        CREATE TYPE oban_job_state AS ENUM ('available', 'scheduled', 'executing', 'retryable', 'completed',
          'discarded', 'cancelled');
        CREATE TABLE oban_jobs (
          id bigserial PRIMARY KEY, state oban_job_state NOT NULL DEFAULT 'available',
          queue text NOT NULL DEFAULT 'default', worker text NOT NULL, args jsonb NOT NULL DEFAULT '{{}}',
          errors jsonb[] NOT NULL DEFAULT '{{}}',
          attempt integer NOT NULL DEFAULT 0, max_attempts integer NOT NULL DEFAULT 20,
          inserted_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
          scheduled_at timestamp NOT NULL DEFAULT timezone('UTC', now()), attempted_at timestamp,
          completed_at timestamp, attempted_by text[], discarded_at timestamp, priority integer NOT NULL DEFAULT 0,
          tags text[] DEFAULT '{{}}',
          meta jsonb DEFAULT '{{}}', cancelled_at timestamp);
        INSERT INTO oban_jobs (state, worker, args, errors, attempt, discarded_at)
        VALUES ('discarded', 'App.Mailer', '{{"n": {EXACT}}}', ARRAY['{{"error": "first"}}'::jsonb,
                jsonb_build_object('attempt', 20, 'error', E'** (RuntimeError) no mail for 17\\n    lib/x.ex:1')], 20,
                timezone('UTC', now())),
               ('discarded', 'App.Mailer', '{{}}',
                ARRAY[jsonb_build_object('error', '** (RuntimeError) no mail for 18')], 20, timezone('UTC', now())),
               ('retryable', 'App.Mailer', '{{}}', '{{}}', 3, NULL);
    """,
}
PGMQ = f"""
    CREATE SCHEMA pgmq;
    CREATE TABLE pgmq.q_orders (
      msg_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, read_ct int NOT NULL DEFAULT 0,
      enqueued_at timestamptz NOT NULL DEFAULT now(), vt timestamptz NOT NULL, message jsonb, headers jsonb);
    CREATE TABLE pgmq.a_orders (
      msg_id bigint PRIMARY KEY, read_ct int NOT NULL DEFAULT 0, enqueued_at timestamptz NOT NULL DEFAULT now(),
      archived_at timestamptz NOT NULL DEFAULT now(), vt timestamptz NOT NULL, message jsonb, headers jsonb);
    INSERT INTO pgmq.a_orders (msg_id, read_ct, vt, message, headers)
    VALUES (11, 5, now(), '{{"n": {EXACT}}}', '{{"trace": "a1"}}'), (12, 1, now(), '{{"done": true}}', NULL);
    INSERT INTO pgmq.q_orders (read_ct, vt, message) VALUES (9, now() - interval '1 second', '{{"stuck": 1}}'),
      (9, now() + interval '1 hour', '{{"held": 1}}'), (0, now(), '{{}}');
"""


def url_of(conninfo: str) -> str:
    """A database of the tests as the file of sources names it: without its password."""
    parts: dict[str, Any] = conninfo_to_dict(conninfo)
    host, port = quote(str(parts["host"]), safe=""), parts.get("port", 5432)
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={host}&port={port}"


def password_of(conninfo: str) -> str:
    return str(conninfo_to_dict(conninfo)["password"])


def sources_of(folder: Path, text: str, password: str = "") -> dict[str, Source]:
    """The sources of a file with this text; every secret of theirs is `password`."""
    path = folder / "sources.toml"
    path.write_text(text, "utf-8")

    def secret(reference: Reference) -> Secret:
        return Secret(password, str(reference))

    return {source.name: source for source in open_sources(path, secret, machine_now)}


def booked(sources: dict[str, Source]) -> Sources:
    """What a home is given: as a command has it, which waits for each."""
    return Sources(lambda: list(sources.values()), lambda: NOW, patience=25.0)


OUTSIDE = """
CREATE TABLE public.outside (id bigint PRIMARY KEY, dead boolean NOT NULL);
INSERT INTO public.outside SELECT i, true FROM generate_series(1, 2) i;
GRANT SELECT, UPDATE, DELETE ON public.outside TO PUBLIC;
"""
"""Dead messages that everybody may act on."""


def outside(conninfo: str) -> Sources:
    """The source `orders` of what OUTSIDE made in a database, and two queues: out of `busy` something moves."""
    settings = Outbox(
        url=url_of(conninfo),
        password=Reference("env", "ORDERS"),
        table="public.outside",
        columns=Columns(id="id"),
        dead="t.dead",
        requeue="UPDATE $table SET dead = false WHERE id = ANY ($ids)",
        discard="DELETE FROM $table WHERE id = ANY ($ids)",
    )

    def secret(reference: Reference) -> Secret:
        return Secret(password_of(conninfo), str(reference))

    from tests.sqs import REGION, prop  # only here: it takes a second

    sources: dict[str, Source] = {"orders": OutboxSource("orders", settings, secret)}
    for name, queue in zip(("idle", "busy"), prop(), strict=True):
        sqs = Sqs(kind="sqs", queue=queue, region=REGION, access_key="AKIDEXAMPLE", secret_key=Reference("env", "X"))
        sources[name] = SqsSource(name, sqs, secret, machine_now)
    return booked(sources)
