"""A relay in front of an object store, for what goes wrong on the way: lost and repeated requests, busy answers, damaged bytes."""

from __future__ import annotations

import copy
import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FAULTS = ("lost", "lost_after", "twice", "slow_down", "unavailable", "cut", "changed", "late")
_BUSY = {"slow_down": (503, "SlowDown"), "unavailable": (500, "InternalError")}
_OWN = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Relay:
    """How the relay behaves, and what it has seen."""

    target: str
    """Address of the store."""
    url: str = ""
    chance: float = 0.0
    """With which a request meets one of FAULTS."""
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    met: Counter[str] = field(default_factory=Counter)
    received: int = 0
    """Bytes of bodies that came."""
    sent: int = 0
    """Bytes of bodies that went."""
    guard: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, is_reading: bool) -> str:
        """What the next request meets; bytes are changed only where they are read."""
        with self.guard:
            kind = self.rng.choice(FAULTS) if self.chance and self.rng.random() < self.chance else ""
            kind = "" if kind == "changed" and not is_reading else kind
            if kind:
                self.met[kind] += 1
        return kind


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A relay to `target`, listening for the block."""
    made = Relay(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"relay": made}))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    relay: Relay
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *_: Any) -> None:
        pass

    def handle_expect_100(self) -> bool:
        return True

    def _pass(self) -> None:
        relay = self.relay
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with relay.guard:
            relay.received += len(body)
        fault = relay.fault(self.command == "GET")
        if fault == "lost":
            self.close_connection = True
        elif fault in _BUSY:
            status, code = _BUSY[fault]
            self._send(status, f"<Error><Code>{code}</Code></Error>".encode(), {"Content-Type": "application/xml"})
        else:
            for _ in range(2 if fault == "twice" else 1):
                status, answer, headers = self.asked(body)
            if fault == "late":  # it arrives once more, after others that were sent later
                threading.Timer(0.05, copy.copy(self).asked, (body,)).start()
            if fault == "lost_after":
                self.close_connection = True
                return
            if fault == "changed" and answer and status < 300:
                answer = answer[:-1] + bytes([answer[-1] ^ 1])
            self._send(status, answer, headers, cut=fault == "cut")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - the names http.server calls

    def asked(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """(status, body, headers) the store answers with; the signed headers arrive as they were sent."""
        connection = http.client.HTTPConnection(urlsplit(self.relay.target).netloc, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
            connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _OWN or (self.command == "HEAD" and name.lower() == "content-length"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        with self.relay.guard:
            self.relay.sent += len(body)
        self.close_connection = self.close_connection or cut
