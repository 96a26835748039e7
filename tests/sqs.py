"""An SQS in this process: moto's, with the verbs of redrive on top, which it lacks (moto#10265)."""

from __future__ import annotations

import json
import urllib.request
from functools import cache
from typing import Any

from moto.core.responses import BaseResponse
from moto.server import ThreadedMotoServer
from moto.sqs.models import Queue, SQSBackend, sqs_backends
from moto.sqs.responses import SQSResponse

ACCOUNT, REGION = "123456789012", "eu-west-1"
TASKS: dict[str, dict[str, Any]] = {}
"""The moves, by the queue's ARN."""
_SERVERS: list[ThreadedMotoServer] = []


class Redriving(BaseResponse):
    """Each look at a move moves as many messages as it may in a second."""

    sqs_backend: SQSBackend

    def start_message_move_task(self) -> str:
        arn, rate = self._get_param("SourceArn"), self._get_param("MaxNumberOfMessagesPerSecond")
        if TASKS.get(arn, {}).get("Status") == "RUNNING":
            raise AssertionError("only one move of a queue at a time")
        queue = _queue(arn)
        TASKS[arn] = {"TaskHandle": f"move-{len(TASKS)}", "Status": "RUNNING", "SourceArn": arn,
                      "ApproximateNumberOfMessagesMoved": 0,
                      "ApproximateNumberOfMessagesToMove": len(queue.messages)}  # fmt: skip
        if rate is not None:
            TASKS[arn]["MaxNumberOfMessagesPerSecond"] = int(rate)
        return json.dumps({"TaskHandle": TASKS[arn]["TaskHandle"]})

    def list_message_move_tasks(self) -> str:
        task = TASKS.get(self._get_param("SourceArn"))
        if task is not None and task["Status"] == "RUNNING":
            _move(task)
        return json.dumps({"Results": [] if task is None else [task]})

    def cancel_message_move_task(self) -> str:
        task = next(each for each in TASKS.values() if each["TaskHandle"] == self._get_param("TaskHandle"))
        task["Status"] = "CANCELLED"
        return json.dumps({"ApproximateNumberOfMessagesMoved": task["ApproximateNumberOfMessagesMoved"]})


def _queue(arn: str) -> Queue:
    return next(each for each in sqs_backends[ACCOUNT][REGION].queues.values() if each.queue_arn == arn)


def _move(task: dict[str, Any]) -> None:
    if task.get("stuck"):
        return
    dead = _queue(task["SourceArn"])
    origin = next(
        each
        for each in sqs_backends[ACCOUNT][REGION].queues.values()
        if each.dead_letter_queue is dead or not dead.messages
    )
    for message in list(dead.messages)[: task.get("MaxNumberOfMessagesPerSecond", 500)]:
        dead._messages.remove(message)
        origin.add_message(message)
        task["ApproximateNumberOfMessagesMoved"] += 1
    if not dead.messages:
        task["Status"] = "COMPLETED"


@cache
def address() -> str:
    """Of the server, which lives as long as the process."""
    for name in ("start_message_move_task", "list_message_move_tasks", "cancel_message_move_task"):
        setattr(SQSResponse, name, getattr(Redriving, name))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _SERVERS.append(server)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def ask(action: str, **fields: Any) -> dict[str, Any]:
    """As a program that sends and receives does."""
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}",
               "authorization": f"AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/sqs/aws4_request"}  # fmt: skip
    request = urllib.request.Request(f"{address()}/", json.dumps(fields).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read() or b"{}"))


def make_queues(dead: int) -> tuple[str, str]:
    """A queue and its dead-letter queue, in which so many messages died. Returns the URLs of both."""
    graveyard = ask("CreateQueue", QueueName="orders-dead")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders-dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    orders = ask("CreateQueue", QueueName="orders", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    for number in range(dead):
        attributes = {"tenant": {"DataType": "String", "StringValue": "acme"},
                      "ErrorMessage": {"DataType": "String", "StringValue": f"no answer from 10.0.0.{number}"},
                      }  # fmt: skip
        body = json.dumps({"n": 9007199254740993, "i": number})
        ask("SendMessage", QueueUrl=orders, MessageBody=body, MessageAttributes=attributes)
    for _ in range(dead):
        ask("ReceiveMessage", QueueUrl=orders, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return orders, graveyard


def waiting(queue: str) -> int:
    attributes = ask("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def prop() -> tuple[str, str]:
    """The URLs of two empty dead-letter queues for tests that need any: nothing moves out of the first, and out of the
    second something does, whatever a test before did to it.
    """
    TASKS.clear()
    idle = ask("CreateQueue", QueueName="idle-dead")["QueueUrl"]
    busy = ask("CreateQueue", QueueName="busy-dead")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:busy-dead"
    TASKS[arn] = {"TaskHandle": "busy", "Status": "RUNNING", "SourceArn": arn, "stuck": True,
                  "ApproximateNumberOfMessagesMoved": 1}  # fmt: skip
    return idle, busy


def settings(name: str, queue: str) -> str:
    """What the file of sources has of it."""
    return (
        f'[{name}]\nkind = "sqs"\nqueue = "{queue}"\nregion = "{REGION}"\naccess_key = "AKIDEXAMPLE"\n'
        'secret_key = "env:AWS_SECRET_ACCESS_KEY"\n'
    )
