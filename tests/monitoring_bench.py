"""Servers to be told of runs: a Pushgateway, a webhook and a mail server, each over a real socket; and facts to judge."""

from __future__ import annotations

import base64
import json
import os
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from serving.metrics.facts import Facts
from serving.metrics.registry_facts import Attempts, History, LastRun, Step
from serving.metrics.storage import Storage
from tests.made_once import answers, cluster

REPO = Path(__file__).resolve().parent.parent
NOW = 1_800_000_000.0
CANARY = "CANARY"
SHEET = (
    "Date,Time,SYS,DIA,Pulse,Notes\n2025-03-01,07:30,128,82,61,CANARY\n2025-03-01,20:15,124,80,64,\n2025-03-02,07:40,119/,,60,\n"
)
CSV = "Date,Heart rate,Systolic,Diastolic,Comments\n2025-03-03 06:27:47,56,121,79,CANARY\n"


Server = TypeVar("Server", bound=socketserver.BaseServer)


class Cli:
    """The program over a data root of its own, as a person starts it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        mine = {"DATABASE_URL", "PG_HOST", "METRICS_TEXTFILE", "METRICS_PUSH_URL", "ALERTS", "ALERT_WEBHOOK_URL"}
        self.env = {name: value for name, value in os.environ.items() if name not in mine}
        self.env |= {"DATA_DIR": str(data), "TIMEZONE": "Europe/Warsaw"}

    def feed(self, **extra: str) -> None:
        """Two sources with readings of 2025 and an empty database; `extra` is appended to the sheet's or CSV's text."""
        cluster(self.data)
        texts = {"google_sheets": ("CANARY log.csv", SHEET), "bp_csv": ("CANARY bp.csv", CSV)}
        for source, (name, text) in texts.items():
            folder = self.data / "inbox" / source
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text + extra.get(source, ""))

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        if not arguments:
            answers(self.data)
        return subprocess.run(
            [sys.executable, "main.py", *arguments],
            cwd=REPO,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )


class HttpFake(ThreadingHTTPServer):
    """Keeps what it is sent and answers `status`; a status of 0 drops the connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.taken: list[tuple[str, str, dict[str, str], bytes]] = []
        """(method, path, headers, body)"""
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, _, body in self.taken]


class _Handler(BaseHTTPRequestHandler):
    server: HttpFake

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.status:
            self.close_connection = True
            return
        self.server.taken.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()
        self.wfile.write(b"CANARY of the server")

    do_POST = do_PUT = _take

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class SmtpFake(socketserver.ThreadingTCPServer):
    """A mail server that knows one user: STARTTLS, or TLS from the first byte; keeps the mails it takes."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, certificate: Path, *, tls: bool = False, offers: tuple[str, ...] = ("STARTTLS", "AUTH PLAIN")) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.tls, self.offers = tls, offers
        self.refuses = ""
        """The command that is answered with 550."""
        self.mails: list[str] = []
        self.commands: list[str] = []
        self.port = self.server_address[1]

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        return (self.context.wrap_socket(connection, server_side=True) if self.tls else connection), address

    def handle_error(self, *_: Any) -> None:
        """A client that does not like the certificate hangs up."""


class _Mail(socketserver.StreamRequestHandler):
    server: SmtpFake

    def handle(self) -> None:
        encrypted, signed_in = self.server.tls, False
        self._say("220 fake")
        while command := self.rfile.readline().decode().strip():
            self.server.commands.append(command)
            word = command.split(" ")[0].split(":")[0].upper()
            if word == self.server.refuses:
                self._say("550 CANARY of the server")
            elif word == "EHLO":
                offers = [o for o in self.server.offers if o != "STARTTLS" or not encrypted]
                self._say("250-fake", *[f"250-{offer}" for offer in offers], "250 SIZE 1000000")
            elif word == "STARTTLS":
                self._say("220 go on")
                self.finish()
                self.request = self.server.context.wrap_socket(self.request, server_side=True)
                self.setup()
                encrypted = True
            elif word == "AUTH":
                signed_in = encrypted and base64.b64decode(command.split(" ")[2]) == b"\0me\0secret word"
                self._say("235 welcome" if signed_in else "535 CANARY no")
            elif word == "DATA":
                self._say("354 send")
                lines = []
                while (line := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(line.removeprefix(".") if line.startswith("..") else line)
                self.server.mails.append("".join(lines))
                self._say("250 taken")
            else:
                self._say("221 bye" if word == "QUIT" else "250 ok" if encrypted else "530 encrypt first")

    def finish(self) -> None:
        """Close what was opened; TLS has a socket of its own."""
        super().finish()
        if isinstance(self.request, ssl.SSLSocket):
            self.request.close()

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server answers inside the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path, name: str = "localhost") -> Path:
    """A key and a certificate that signs itself, in one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    found = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + found.public_bytes(serialization.Encoding.PEM))
    return path


def step(node: str = "validation.sleep", **changed: Any) -> Step:
    """A step with nothing wrong; `changed` replaces fields."""
    plain = Step(node, node.split(".")[0], "", NOW - 60, 1.0, 1000, 1000.0, 5, 1 << 20, 1000, {}, [])
    return plain._replace(**changed)


def facts(**changed: Any) -> Facts:
    """A platform with nothing wrong; `changed` replaces fields."""
    history = History({"succeeded": 1}, (1, 2.0), LastRun("succeeded", NOW - 60, 2.0, []), NOW - 60, [])
    history = history._replace(attempts=[Attempts("validation.sleep", "validation", {"committed": 1}, 1.0, False)])
    plain = Facts(NOW, NOW - 62, history, [step()], [], [], Storage({"store": 1000}, 50_000, 100_000), None)
    return plain._replace(**changed)
