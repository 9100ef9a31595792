"""The meter passes calls on unchanged and counts what passes."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from measure import LAG_SPEED, POLL, Task, on_aws, waiting_ms
from meter import Call, Meter, item_bytes

PREFIX = "DynamoDB_20120810."


class Service(HTTPServer):
    """Answers a GetItem with five kilobytes, a PutItem with twelve units, an UpdateItem with a lost condition."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Answers)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = {
            "GetItem": (200, {"Item": {"id": {"S": "x" * 5000}}}),
            "PutItem": (200, {"ConsumedCapacity": {"CapacityUnits": 12.0}}),
            "UpdateItem": (400, {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}),
            "": (200, {"said": "hello"}),
        }[self.headers.get("X-Amz-Target", "").removeprefix(PREFIX)]
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("x-amzn-requestid", "r-1")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield service
    service.shutdown()
    service.server_close()


def test_calls_pass_and_are_counted(service: Service) -> None:
    with Meter(f"http://127.0.0.1:{service.server_address[1]}") as meter:
        connection = http.client.HTTPConnection(meter.url.removeprefix("http://"), timeout=10)
        answers = []
        for operation in ("GetItem", "PutItem", "UpdateItem"):
            connection.request("POST", "/", b'{"TableName":"t"}', {"X-Amz-Target": PREFIX + operation})
            answer = connection.getresponse()
            answers.append((answer.status, answer.getheader("x-amzn-requestid"), json.loads(answer.read())))
        connection.request("POST", "/DescribeJobs", b"{}", {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read()) == {"said": "hello"}
        connection.request("POST", "/", b"Action=DescribeInstances&Version=2016-11-15", {})
        connection.getresponse().read()
        connection.close()
    assert [status for status, _, _ in answers] == [200, 200, 400] and answers[0][1] == "r-1"
    assert [call.operation for call in meter.calls] == [
        "GetItem",
        "PutItem",
        "UpdateItem",
        "DescribeJobs",
        "DescribeInstances",
    ]
    assert [(call.read_units, call.write_units) for call in meter.calls[:3]] == [(2.0, 0.0), (0.0, 12.0), (0.0, 1.0)]
    assert meter.lost_conditions() == 1
    assert all(json.loads(body)["ReturnConsumedCapacity"] == "TOTAL" for body in service.bodies[:3])
    assert service.bodies[3:] == [b"{}", b"Action=DescribeInstances&Version=2016-11-15"]


def test_an_items_size_follows_dynamodbs_rules() -> None:
    """Developer Guide, "DynamoDB item sizes and formats": names and texts in UTF-8, two digits a byte, 3 for a container."""
    assert item_bytes({"id": {"S": "äb"}}) == 2 + 3
    assert item_bytes({"n": {"N": "1234"}}) == 1 + 3
    assert item_bytes({"b": {"BOOL": True}}) == 1 + 1
    assert item_bytes({"l": {"L": [{"S": "a"}, {"S": "b"}]}}) == 1 + 3 + 2 * (1 + 1)
    assert item_bytes({"m": {"M": {"k": {"S": "v"}}}}) == 1 + 3 + (1 + 1 + 1)


def test_waiting_counts_calls_side_by_side_once() -> None:
    def call(began: float, seconds: float) -> Call:
        return Call(began, seconds, "DeleteItem", 200, "", 0.0, 1.0)

    task = Task("finalize-execution-v1", 10.0, 11.0, 1000.0)
    calls = [call(10.1, 0.2), call(10.2, 0.2), call(10.8, 0.1), call(11.5, 0.1), call(9.0, 0.5)]
    assert waiting_ms(task, calls) == pytest.approx(400.0)


def test_lag_multiplies_waits_and_not_handlers() -> None:
    """Half a second between the job's end and the verdict, of which two polls worked for a tenth each."""
    polls = [Task(POLL, 9.9, 10.1, 200.0, "a"), Task(POLL, 10.4, 10.6, 200.0, "a"), Task(POLL, 10.2, 10.3, 100.0, "b")]
    assert on_aws("a", 10.0, 10.5, polls) == pytest.approx(0.3 * LAG_SPEED + 0.2)
