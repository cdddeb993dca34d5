"""An HTTP address in front of a function, shaped as API Gateway's: a request becomes an event, the handler's answer the response."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from scripts.event_stream.function import LARGEST, Invocable, InvocationFailed

PATIENCE = 30.0
"""Seconds a client may take to send its request (docs.aws.amazon.com, "Quotas for HTTP APIs": 30 s)."""


@contextmanager
def gateway(function: Invocable, port: int = 0, version: str = "2.0") -> Iterator[str]:
    """Serve on 127.0.0.1 while the block lasts; gives the address events are sent to. `port` 0: any free one. `version` of the
    payload format, 2.0 as HTTP APIs speak it or 1.0 as REST APIs do.
    """

    class Handler(_Requests):
        pass

    Handler.function, Handler.version = function, version
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/events"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Requests(BaseHTTPRequestHandler):
    function: Invocable
    version: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = PATIENCE

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if "Origin" in self.headers:
            self._refuse(403)  # a page in the person's browser has no business here
        elif not length.isdecimal():
            self._refuse(411)
        elif int(length) * 4 // 3 > LARGEST:
            self._refuse(413)
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):  # else the client has gone
                self._hand_on(body)

    def do_GET(self) -> None:
        self._hand_on(b"")

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the handler logs what became of a request."""

    def _hand_on(self, body: bytes) -> None:
        try:
            answer = self.function.invoke(self._event(body))
            status, headers = int(answer["statusCode"]), dict(answer.get("headers") or {})
            text = str(answer.get("body") or "")
            content = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        except (InvocationFailed, KeyError, TypeError, ValueError):
            self._refuse(502)  # what API Gateway says of a function that failed, or answers in no shape it knows
            return
        self._answer(status, headers, content)

    def _event(self, body: bytes) -> dict[str, Any]:
        """Bodies that are no UTF-8 text come as base64, as behind API Gateway."""
        address = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            content: dict[str, Any] = {"body": body.decode() or None, "isBase64Encoded": False}
        except UnicodeDecodeError:
            content = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        query = dict(parse_qsl(address.query)) or None
        identity = {"requestId": str(uuid.uuid4()), "stage": "$default"}
        if self.version == "1.0":
            return {
                "version": "1.0",
                "resource": address.path,
                "path": address.path,
                "httpMethod": self.command,
                "headers": headers,
                "multiValueHeaders": {name: [value] for name, value in headers.items()},
                "queryStringParameters": query,
                "requestContext": {**identity, "httpMethod": self.command, "requestTimeEpoch": int(time.time() * 1000)},
                **content,
            }
        http = {"method": self.command, "path": address.path, "protocol": self.request_version, "sourceIp": "127.0.0.1"}
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": address.path,
            "rawQueryString": address.query,
            "headers": headers,
            "queryStringParameters": query,
            "requestContext": {**identity, "http": http, "timeEpoch": int(time.time() * 1000)},
            **content,
        }

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self._answer(status, {"content-type": "application/json"}, json.dumps({"message": self.responses[status][0]}).encode())

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
