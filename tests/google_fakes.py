"""A small Google over HTTP: token, Sheets v4 values, Drive v3 list, get and media; every fault a network has, on request."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
SHEET_ID = "sheet-0123456789"
FOLDER_ID = "folder-0123456789"


@cache
def private_key() -> str:
    """A throwaway key, made anew in every test run; short, because it guards nothing and is checked at every use."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose path holds `path`, after `skip` that go well."""

    path: str
    kind: str
    """status | drop | truncate | truncate_json | html | error200 | stall | corrupt | short | empty"""
    status: int = 500
    times: int = 1
    skip: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    reason: str = "backendError"


@dataclass
class FakeGoogle:
    """State of the fake and what was asked of it."""

    url: str = ""
    page_size: int = 1000
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    sheets: dict[str, list[list[Any]]] = field(default_factory=dict)
    locale: str = "pl_PL"
    time_zone: str = "Europe/Warsaw"
    faults: list[Fault] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer; `{n}` in a value becomes the number of the request, from 1."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(path with query, Range header)"""
    queries: list[dict[str, list[str]]] = field(default_factory=list)

    def credentials(self) -> str:
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

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "google_credentials": self.credentials(),
            "google_api_endpoint": self.url,
            "mi_band_drive_folder_id": FOLDER_ID,
            "google_sheets_bp_id": SHEET_ID,
            "google_sheets_worksheets": [],
            "origins_google_sheets": [],
            "origins_mi_fitness": [],
            "object_stores": "",
        } | more

    def folder(self, file_id: str = FOLDER_ID, name: str = "exports", parent: str = "root") -> None:
        self.files[file_id] = {"id": file_id, "name": name, "mimeType": FOLDER, "parents": [parent], "version": "1"}

    def put(
        self,
        file_id: str,
        name: str,
        content: bytes,
        parent: str = FOLDER_ID,
        checksums: tuple[str, ...] = ("sha256", "md5"),
        mime: str = "text/csv",
    ) -> None:
        before = self.files.get(file_id, {})
        entry = {
            "id": file_id,
            "name": name,
            "mimeType": mime,
            "parents": [parent],
            "size": str(len(content)),
            "version": str(int(before.get("version", "0")) + 1),
            "modifiedTime": "2026-01-01T00:00:00.000Z",
        }
        if "sha256" in checksums:
            entry["sha256Checksum"] = hashlib.sha256(content).hexdigest()
        if "md5" in checksums:
            entry["md5Checksum"] = hashlib.md5(content).hexdigest()
        self.files[file_id] = entry
        self.contents[file_id] = content

    def shortcut(self, file_id: str, target: str, mime: str = "text/csv", parent: str = FOLDER_ID) -> None:
        details = {"targetId": target, "targetMimeType": mime}
        self.files[file_id] = {
            "id": file_id,
            "name": "link",
            "mimeType": SHORTCUT,
            "parents": [parent],
            "shortcutDetails": details,
        }

    def fail(self, path: str, kind: str, **more: Any) -> None:
        self.faults.append(Fault(path, kind, **more))

    def asked(self, part: str) -> list[str]:
        return [path for path, _ in self.requests if part in path]

    def ranges(self) -> list[str]:
        return [r for path, r in self.requests if "alt=media" in path]

    def take_fault(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.path in path and fault.times > 0:
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


@contextmanager
def fake_google() -> Iterator[FakeGoogle]:
    google = FakeGoogle()
    google.folder()
    google.files[SHEET_ID] = {
        "id": SHEET_ID,
        "name": "log",
        "mimeType": "application/vnd.google-apps.spreadsheet",
        "version": "7",
    }
    handler = type("Handler", (_Handler,), {"google": google})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    google.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    google: FakeGoogle
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(lambda _query: self._json({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}))

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/v4/spreadsheets/"):
            self._answer(lambda query: self._sheet(path, query))
        elif path == "/drive/v3/files":
            self._answer(self._list)
        elif path.startswith("/drive/v3/files/"):
            self._answer(lambda query: self._file(unquote(path.rsplit("/", 1)[1]), query))
        else:
            self._error(404, "notFound")

    def _answer(self, give: Any) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.google.requests.append((unquote(self.path), self.headers.get("Range", "")))
        self.google.queries.append(query)
        if self.path != "/token" and self.headers.get("Authorization") != "Bearer token":
            self._error(401, "authError")
            return
        self.fault = self.google.take_fault(unquote(self.path))
        kind = self.fault.kind if self.fault else ""
        self.cut_json = kind == "truncate_json"
        if kind == "drop":
            self.close_connection = True
        elif kind == "stall":
            time.sleep(0.6)
            self.close_connection = True
        elif kind == "status" and self.fault:
            self._error(self.fault.status, self.fault.reason, self.fault.headers)
        elif kind == "html":
            self._send(200, b"<!DOCTYPE html><html>Sign in</html>", {"Content-Type": "text/html"})
        elif kind == "error200":
            self._json({"error": {"code": 500, "message": "oops"}})
        else:
            give(query)

    def _sheet(self, path: str, query: dict[str, list[str]]) -> None:
        rest = unquote(path.removeprefix("/v4/spreadsheets/"))
        sheet_id, _, values = rest.partition("/values/")
        if sheet_id != SHEET_ID:
            self._error(404, "notFound")
        elif values:
            title = values.strip("'").replace("''", "'")
            self._json({"range": values, "majorDimension": "ROWS", "values": self.google.sheets[title]})
        else:
            properties = {"title": "log", "locale": self.google.locale, "timeZone": self.google.time_zone}
            tabs = [
                {
                    "properties": {
                        "sheetId": n,
                        "title": t,
                        "index": n,
                        "sheetType": "GRID",
                        "gridProperties": {"rowCount": 9, "columnCount": 9},
                    }
                }
                for n, t in enumerate(self.google.sheets)
            ]
            tabs.append({"properties": {"sheetId": 99, "title": "Chart", "index": 99, "sheetType": "OBJECT"}})
            self._json({"spreadsheetId": SHEET_ID, "properties": properties, "sheets": tabs})

    def _list(self, query: dict[str, list[str]]) -> None:
        match = re.fullmatch(r"'([^']+)' in parents and trashed = false", query["q"][0])
        assert match is not None
        found = [f for f in self.google.files.values() if match[1] in f.get("parents", [])]
        start = int(query.get("pageToken", ["0"])[0])
        page = found[start : start + self.google.page_size]
        answer: dict[str, Any] = {"files": [{k: v for k, v in f.items() if k != "parents"} for f in page]}
        if start + len(page) < len(found):
            answer["nextPageToken"] = str(start + len(page))
        self._json(answer)

    def _file(self, file_id: str, query: dict[str, list[str]]) -> None:
        if file_id not in self.google.files:
            self._error(404, "notFound")
        elif query.get("alt") == ["media"]:
            self._media(self.google.contents[file_id])
        else:
            wanted = query["fields"][0].split(",")
            self._json({k: v for k, v in self.google.files[file_id].items() if k in wanted})

    def _media(self, content: bytes) -> None:
        kind = self.fault.kind if self.fault else ""
        if kind == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if kind == "short":
            content = content[: len(content) // 2]
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        assert match is not None
        start, end = int(match[1]), min(int(match[2]) + 1, len(content))
        if start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}", "Content-Type": "application/octet-stream"}
        body = b"" if kind == "empty" else content[start:end]
        self._send(206, body, headers, cut=kind == "truncate")

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json; charset=UTF-8"}, cut=self.cut_json)

    def _error(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        error = {"code": status, "message": "secret-id must not be shown", "errors": [{"reason": reason, "domain": "global"}]}
        self._send(status, json.dumps({"error": error}).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        for name, value in self.google.headers.items():
            self.send_header(name, value.replace("{n}", str(len(self.google.requests))))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.close_connection = True
