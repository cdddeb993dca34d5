"""A fake of somebody's API over a real socket: a function answers each request, every request is remembered. And runs in this process."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

import main
from tests import made_once
from tests.cli_bench import REPO, environment
from tests.web_bench import served


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]
    """By lower-case names."""


class Said(NamedTuple):
    """An answer: `body` as JSON, or bytes as they are."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


@dataclass
class Fake:
    """The server; `say` answers."""

    say: Callable[[Asked], Said]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]


class Held(NamedTuple):
    """A fake as `scripts.source_contract.assert_source` looks at it."""

    fake: Fake
    held: dict[str, list[Any]]
    """Stream → ids of what the API holds."""
    apart: tuple[str, ...] = ()
    """Paths that are no pages: a sign-in."""

    @property
    def url(self) -> str:
        return self.fake.url

    @property
    def asked(self) -> list[str]:
        pages = [asked for asked in self.fake.asked if asked.path not in self.apart]
        return [f"{asked.path}?{urlencode(asked.query | asked.form)}" for asked in pages]


@contextmanager
def serving(say: Callable[[Asked], Said]) -> Iterator[Fake]:
    """A fake that answers on this machine for as long as the block."""
    fake = Fake(say)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), dict(parse_qsl(body)), headers)
            fake.asked.append(asked)
            said = fake.say(asked)
            content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None: ...

    with served(Handler) as fake.url:
        yield fake


def run(data: Path, *arguments: str, **env: str) -> CompletedProcess[str]:
    """`python main.py …` on this data root, in this process: many runs cost one start."""
    made_once.answers(data)
    told, said = io.StringIO(), io.StringIO()
    mask = os.umask(0o077)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(said):
        for name in os.environ.keys() - environment(data).keys():
            patch.delenv(name)
        for name, value in environment(data, **env).items():
            patch.setenv(name, value)
        patch.chdir(REPO)
        code = main.main(arguments)
    os.umask(mask)
    return CompletedProcess(arguments, code, told.getvalue(), said.getvalue())
