"""A proxy between a worker and one AWS endpoint that counts: calls, their time, DynamoDB's units, lost conditions.

The worker is pointed at it by the same `AWS_ENDPOINT_URL_<SERVICE>` variable as at the service itself. It forwards every
byte of a request but one thing: DynamoDB is asked to return the capacity it consumed.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
LOST_CONDITION = "ConditionalCheckFailedException"


@dataclass(frozen=True)
class Call:
    """One call as it passed."""

    began: float  # wall clock, to be held against the worker's log
    seconds: float  # until the service had answered
    operation: str
    status: int
    error: str
    read_units: float
    write_units: float


class Meter:
    """A proxy on a free port; `calls` grows as they pass."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urllib.parse.urlsplit(upstream).netloc
        self.calls: list[Call] = []
        meter = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            _connection: http.client.HTTPConnection | None = None

            def setup(self) -> None:
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                operation = _operation(self.command, self.path, self.headers.get("X-Amz-Target"), body)
                dynamodb = (self.headers.get("X-Amz-Target") or "").startswith("DynamoDB")
                if dynamodb:
                    body = json.dumps({**json.loads(body), "ReturnConsumedCapacity": "TOTAL"}).encode()
                headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
                began, clock = time.time(), time.monotonic()
                answer, text = self._ask(body, headers)
                seconds = time.monotonic() - clock
                meter.calls.append(_call(began, seconds, operation, answer.status, text, dynamodb))
                head = [f"HTTP/1.1 {answer.status} {answer.reason}"]
                head += [f"{key}: {value}" for key, value in answer.getheaders() if key.lower() not in _HOP]
                head += [f"Content-Length: {len(text)}", "", ""]
                self.wfile.write("\r\n".join(head).encode() + text)

            def _ask(self, body: bytes, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(meter._upstream, timeout=60)
                    self._connection.connect()
                    self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    self._connection.request(self.command, self.path, body, headers)
                    answer = self._connection.getresponse()
                    return answer, answer.read()
                except (OSError, http.client.HTTPException):
                    # The service closed a connection it had kept open; the worker's own client asks again.
                    self._connection = None
                    self.close_connection = True
                    raise

            do_GET = do_POST = do_PUT = do_DELETE = _pass

            def log_message(self, *arguments: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *arguments: Any) -> None:
                return  # a worker that ends drops its connections

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="meter")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def lost_conditions(self) -> int:
        return sum(call.error == LOST_CONDITION for call in self.calls)


def _operation(method: str, path: str, target: str | None, body: bytes) -> str:
    if target:
        return target.rpartition(".")[2]
    action = re.search(rb"(?:^|&)Action=(\w+)", body)
    return action.group(1).decode() if action else f"{method} {path.split('?')[0]}".removeprefix("POST /")


def _call(began: float, seconds: float, operation: str, status: int, text: bytes, dynamodb: bool) -> Call:
    error, read, write = "", 0.0, 0.0
    if dynamodb:
        answer = json.loads(text or b"{}")
        error = str(answer.get("__type", "")).rpartition("#")[2]
        if operation in ("GetItem", "Query"):
            items = answer.get("Items", [answer["Item"]] if "Item" in answer else [])
            # A strongly consistent read costs a unit per 4 KB begun, a query by the sum of what it returns.
            read = max(1.0, float(-(-sum(map(item_bytes, items)) // 4096)))
        elif "ConsumedCapacity" in answer:
            write = float(answer["ConsumedCapacity"]["CapacityUnits"])
        elif error == LOST_CONDITION:
            write = 1.0  # at least: it is charged by the size of the item that stood in the way
    return Call(began, seconds, operation, status, error, read, write)


def item_bytes(item: dict[str, Any]) -> int:
    """An item's size by DynamoDB's rules (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, inner),) = value.items()
    if kind == "S":
        return len(inner.encode())
    if kind == "N":
        return (len(inner.lstrip("-").replace(".", "").strip("0")) + 1) // 2 + 1
    if kind == "M":
        return 3 + sum(len(name.encode()) + 1 + _value_bytes(one) for name, one in inner.items())
    if kind == "L":
        return 3 + sum(1 + _value_bytes(one) for one in inner)
    if kind in ("SS", "NS"):
        return sum(len(one.encode()) for one in inner)
    return 1
