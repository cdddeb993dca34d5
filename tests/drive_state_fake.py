"""A small Drive over HTTP, version 2 as the remote state uses it: conditions, generated ids, uploads in one and in pieces, listings.

Listings may lag behind, come in any order and hold several files of one name, as Drive's do. `faults` says what goes wrong on the
way: answers lost after the deed, requests that arrive twice, busy servers, bytes cut off or changed.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.google_fakes import private_key

FOLDER_ID = "state-folder-0123456789"
FOLDER = "application/vnd.google-apps.folder"
FAULTS = (
    *("lost", "lost_after", "twice", "rate_limit", "too_many", "unavailable"),
    *("html", "cut", "changed", "changed_upload", "forgotten_session", "late"),
)
"""Kinds of faults; those that do not fit a request leave it alone."""
_BUSY = {
    "rate_limit": (403, "userRateLimitExceeded"),
    "too_many": (429, "rateLimitExceeded"),
    "unavailable": (503, "backendError"),
}


@dataclass
class Entry:
    """A file of the fake."""

    id: str
    title: str
    parent: str
    content: bytes = b""
    mime: str = "application/octet-stream"
    version: int = 1
    trashed: bool = False
    properties: list[dict[str, str]] = field(default_factory=list)
    modified: float = 0.0
    listed: float = 0.0

    @property
    def etag(self) -> str:
        return f'"{self.id}/{self.version}"'

    def told(self) -> dict[str, Any]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.modified)) + f".{int(self.modified % 1 * 1000):03d}Z"
        told: dict[str, Any] = {"id": self.id, "title": self.title, "etag": self.etag, "mimeType": self.mime}
        told |= {"labels": {"trashed": self.trashed}, "properties": self.properties, "modifiedDate": moment}
        if self.mime != FOLDER:
            told["fileSize"] = str(len(self.content))
            told["sha256Checksum"] = hashlib.sha256(self.content).hexdigest()
            told["md5Checksum"] = hashlib.md5(self.content).hexdigest()
        return told


@dataclass
class FakeDrive:
    """State of the fake, what was asked of it, and how it shall behave."""

    url: str = ""
    rights: str = "owner"
    """owner | manager (may not delete, only bin) | visitor (may own nothing, only change what is there)"""
    honours: bool = True
    """Whether conditions are looked at."""
    lag: float = 0.0
    """Seconds until a listing knows of a change."""
    page_size: int = 1000
    entries: dict[str, Entry] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    """Ids of all files ever made: none is given to another."""
    sessions: dict[str, tuple[dict[str, Any], str | None, str | None, bytearray]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """Met by the next requests, one each, in turn; '' for none."""
    chance: float = 0.0
    """With which each further request meets one of FAULTS."""
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    met: Counter[str] = field(default_factory=Counter)
    requests: list[str] = field(default_factory=list)
    received: int = 0
    """Bytes of bodies that came."""
    sent: int = 0
    """Bytes of bodies that went."""
    guard: threading.RLock = field(default_factory=threading.RLock)

    def environment(self) -> dict[str, str]:
        """Variables that make the platform keep its state here, as a person with an OAuth client."""
        return {
            "STATE_URL": f"drive:{FOLDER_ID}",
            "GOOGLE_API_ENDPOINT": self.url,
            "GOOGLE_OAUTH_CLIENT_ID": "client",
            "GOOGLE_OAUTH_CLIENT_SECRET": "secret",
            "GOOGLE_OAUTH_REFRESH_TOKEN": "refresh",
        }

    def key(self) -> str:
        """A service account's JSON key that gets its tokens here."""
        return json.dumps(
            {
                "type": "service_account",
                "client_email": "robot@example.invalid",
                "private_key_id": "1",
                "private_key": private_key(),
                "token_uri": f"{self.url}/token",
            }
        )

    def folder(self) -> str:
        """The id of a new empty folder."""
        made = Entry(f"state-folder-{uuid.uuid4().hex}", "state", "root", mime=FOLDER)
        self.entries[made.id] = made
        return made.id

    def add(self, title: str, content: bytes = b"", kind: str = "") -> Entry:
        """A file somebody has put into the folder."""
        now = time.time()
        entry = Entry(uuid.uuid4().hex, title, FOLDER_ID, content, modified=now, listed=now)
        if kind:
            entry.properties = [{"key": "pdp", "value": kind, "visibility": "PUBLIC"}]
        self.entries[entry.id] = entry
        return entry

    def named(self, title: str) -> list[Entry]:
        """The files with this title that are not in the bin."""
        return [e for e in self.entries.values() if e.title == title and not e.trashed]

    def fault(self) -> str:
        """What the next request meets."""
        with self.guard:
            kind = self.faults.pop(0) if self.faults else ""
            if not kind and self.chance and self.rng.random() < self.chance:
                kind = self.rng.choice(FAULTS)
            return kind


@contextmanager
def fake_drive(**behaviour: Any) -> Iterator[FakeDrive]:
    """The fake with an empty folder, listening for the block."""
    drive = FakeDrive(**behaviour)
    drive.entries[FOLDER_ID] = Entry(FOLDER_ID, "state", "root", mime=FOLDER)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"drive": drive}))
    server.daemon_threads = True
    drive.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield drive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


class _Handler(BaseHTTPRequestHandler):
    drive: FakeDrive
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        drive = self.drive
        with drive.guard:
            drive.requests.append(f"{self.command} {unquote(self.path)}")
            drive.received += len(body)
        fault, body = self._fault(body)
        if fault == "lost":
            self.close_connection = True
        elif fault in _BUSY:
            self._error(*_BUSY[fault])
        elif fault == "html":
            self._send(200, b"<!DOCTYPE html><html>Sign in</html>", {"Content-Type": "text/html"})
        else:
            self._serve_well(body, fault)

    def _serve_well(self, body: bytes, fault: str) -> None:
        """Do what is asked, whatever becomes of the answer."""
        try:
            with self.drive.guard:
                for _ in range(2 if fault == "twice" else 1):
                    status, answer, headers = self._deed(body)
                if fault == "late":  # it arrives once more, after others that were sent later
                    threading.Timer(0.05, copy.copy(self)._once_more, (body,)).start()
        except _RefusedError as refused:
            if fault == "lost_after":
                self.close_connection = True
            else:
                self._error(refused.status, refused.reason)
            return
        if fault == "lost_after":
            self.close_connection = True
            return
        if fault == "changed" and answer and "alt=media" in self.path:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        self._send(status, answer, headers, cut=fault == "cut")

    def _once_more(self, body: bytes) -> None:
        with suppress(_RefusedError, KeyError), self.drive.guard:  # the file may be gone by now
            self._deed(body)

    def _fault(self, body: bytes) -> tuple[str, bytes]:
        """(what this request meets, its body with the change that happened to it)."""
        fault = "" if self.path == "/token" else self.drive.fault()
        if fault == "changed_upload":
            fault, body = self._changed(body)
        if fault == "forgotten_session":
            fault = fault if self.path.startswith("/session/") else ""
            self.drive.sessions.pop(self.path.rsplit("/", 1)[1], None)
        if fault:
            with self.drive.guard:
                self.drive.met[fault] += 1
        return fault, body

    def _changed(self, body: bytes) -> tuple[str, bytes]:
        """A byte of the content is another; for requests that carry one."""
        if self.path.startswith("/session/") and body:
            return "changed_upload", body[:-1] + bytes([body[-1] ^ 1])
        if "uploadType=multipart" in self.path:
            end = body.rindex(b"\n--", 0, len(body) - 4) - 1
            if not body[:end].endswith(b"\n"):
                return "changed_upload", body[:end] + bytes([body[end] ^ 1]) + body[end + 1 :]
        return "", body

    def _deed(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """(status, body, headers) of what is asked."""
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), {k: v[0] for k, v in parse_qs(parts.query).items()}
        if path == "/token":
            return self._json({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})
        if self.headers.get("Authorization") != "Bearer token":
            raise _RefusedError(401, "authError")
        if path == "/drive/v2/files/generateIds":
            return self._json({"ids": [uuid.uuid4().hex for _ in range(int(query["maxResults"]))]})
        if path == "/drive/v2/files":
            return self._list(query)
        if path.startswith("/session/"):
            return self._piece(path.rsplit("/", 1)[1], body)
        file_id = path.removeprefix("/upload").removeprefix("/drive/v2/files").strip("/")
        if path.startswith("/upload/"):
            return self._upload(file_id, query, body)
        entry = self._entry(file_id.removesuffix("/trash"))
        if self.command == "DELETE" or path.endswith("/trash"):
            return self._remove(entry, path.endswith("/trash"))
        if self.command == "PUT":
            self._check(entry)
            self._change(entry, json.loads(body), None)
        elif query.get("alt") == "media":
            return self._media(entry)
        return self._json(entry.told())

    def _list(self, query: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        match = re.fullmatch(r"'([^']+)' in parents and trashed = false(?: and title = '([^']+)')?", query["q"])
        assert match is not None, query["q"]
        now = time.time()
        found = [e for e in self.drive.entries.values() if e.parent == match[1] and not e.trashed and e.listed <= now]
        found = [e for e in found if match[2] in (None, e.title)]
        start = int(query.get("pageToken", "0"))
        page = found[start : start + self.drive.page_size]
        more = {"nextPageToken": str(start + len(page))} if start + len(page) < len(found) else {}
        self.drive.rng.shuffle(page)
        return self._json({"items": [e.told() for e in page], **more})

    def _upload(self, file_id: str, query: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if query["uploadType"] == "resumable":
            described = json.loads(body)
            self._may(file_id, described)
            session = uuid.uuid4().hex
            self.drive.sessions[session] = (described, file_id or None, self.headers.get("If-Match"), bytearray())
            return 200, b"", {"Location": f"{self.drive.url}/session/{session}"}
        boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])
        assert boundary is not None
        _, first, second, _ = body.split(b"--" + boundary[1].encode())
        described = json.loads(first.partition(b"\n\n")[2])
        self._may(file_id, described)
        return self._keep(file_id, described, second.partition(b"\n\n")[2][:-1])

    def _piece(self, session: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if session not in self.drive.sessions:
            raise _RefusedError(404, "notFound")
        described, file_id, condition, content = self.drive.sessions[session]
        match = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\d+)", self.headers["Content-Range"])
        assert match is not None
        if match[1] is not None and int(match[1]) <= len(content):
            content[int(match[1]) :] = body
        if len(content) < int(match[3]):
            return 308, b"", {"Range": f"bytes=0-{len(content) - 1}"} if content else {}
        if file_id is not None and self.drive.entries[file_id].content == bytes(content):
            return self._json(self.drive.entries[file_id].told())
        answer = self._keep(file_id or "", described, bytes(content), condition)
        self.drive.sessions[session] = (described, file_id or described["id"], condition, content)
        return answer

    def _may(self, file_id: str, described: dict[str, Any]) -> None:
        if file_id:
            self._check(self._entry(file_id))
        elif self.drive.rights == "visitor":
            raise _RefusedError(403, "storageQuotaExceeded")
        elif described["id"] in self.drive.used:
            raise _RefusedError(409, "fileIdInUse")
        else:
            self._entry(described["parents"][0]["id"])

    def _keep(
        self, file_id: str, described: dict[str, Any], content: bytes, condition: str | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        if file_id:
            entry = self._entry(file_id)
            self._check(entry, condition)
        elif described["id"] in self.drive.used:
            raise _RefusedError(409, "fileIdInUse")
        else:
            listed = time.time() + self.drive.lag
            entry = Entry(described["id"], "", described["parents"][0]["id"], version=0, listed=listed)
            self.drive.entries[entry.id] = entry
            self.drive.used.add(entry.id)
        self._change(entry, described, content)
        return self._json(entry.told())

    def _change(self, entry: Entry, described: dict[str, Any], content: bytes | None) -> None:
        entry.version += 1
        entry.title = described.get("title", entry.title)
        entry.properties = described.get("properties", entry.properties)
        entry.content = entry.content if content is None else content
        entry.modified = time.time()

    def _remove(self, entry: Entry, trash: bool) -> tuple[int, bytes, dict[str, str]]:
        if self.drive.rights == "visitor" or (self.drive.rights == "manager" and not trash):
            raise _RefusedError(403, "insufficientFilePermissions")
        if trash:
            entry.trashed = True
            return self._json(entry.told())
        del self.drive.entries[entry.id]
        return 204, b"", {}

    def _media(self, entry: Entry) -> tuple[int, bytes, dict[str, str]]:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        assert match is not None
        piece = entry.content[int(match[1]) : int(match[2]) + 1]
        headers = {"Content-Type": "application/octet-stream"}
        headers["Content-Range"] = f"bytes {match[1]}-{int(match[1]) + len(piece) - 1}/{len(entry.content)}"
        return 206, piece, headers

    def _entry(self, file_id: str) -> Entry:
        if file_id not in self.drive.entries:
            raise _RefusedError(404, "notFound")
        return self.drive.entries[file_id]

    def _check(self, entry: Entry, condition: str | None = None) -> None:
        wanted = condition or self.headers.get("If-Match")
        if self.drive.honours and wanted not in (None, entry.etag):
            raise _RefusedError(412, "conditionNotMet")

    def _json(self, content: Any) -> tuple[int, bytes, dict[str, str]]:
        return 200, json.dumps(content).encode(), {"Content-Type": "application/json; charset=UTF-8"}

    def _error(self, status: int, reason: str) -> None:
        error = {"code": status, "message": "secret-id must not be shown", "errors": [{"reason": reason, "domain": "global"}]}
        headers = {"Content-Type": "application/json", "Retry-After": "0.02"}
        self._send(status, json.dumps({"error": error}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        with self.drive.guard:
            self.drive.sent += len(body)
        if cut:
            self.close_connection = True
