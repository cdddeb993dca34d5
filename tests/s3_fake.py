"""A bucket over a real socket that takes objects only where there is none, and refuses or dies when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

from tests.web_bench import served


class S3Fake:
    """Objects by /bucket/key, and how many requests there were."""

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, bytes] = {}
        self.puts = 0
        self.refuse: Callable[[str], bool] = lambda _: False
        """Whether a PUT to this path is refused (AccessDenied, which no client tries again)."""
        self.before: Callable[[int], None] = lambda _: None
        """Called with the number of a PUT before it is stored."""
        self.after: Callable[[int], None] = lambda _: None
        """Called with the number of a PUT once it is stored, before it is answered."""

    def put(self, path: str, body: bytes, condition: str | None) -> tuple[int, str]:
        """Status and error code of a PUT."""
        self.puts += 1
        number = self.puts
        self.before(number)
        if self.refuse(path):
            return 403, "AccessDenied"
        if condition != "*":
            return 400, "WouldOverwrite"
        if path in self.objects:
            return 412, "PreconditionFailed"
        self.objects[path] = body
        self.after(number)
        return 200, ""


@contextmanager
def s3_fake() -> Iterator[S3Fake]:
    """One behind an address of its own (`url`, for AWS_ENDPOINT_URL)."""
    fake = S3Fake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_PUT(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # S3 stores no half object
                self.close_connection = True
                return
            status, code = fake.put(unquote(self.path), body, self.headers.get("If-None-Match"))
            answer = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with served(Handler) as fake.url:
        yield fake
