"""A Drive folder as a list of files, and their bytes: paged, shared drives too, resumed after a broken connection, verified.

The API is described by the discovery document that comes with the client library, so nothing is fetched to learn it; the setting
`google_api_endpoint` turns it to an emulator.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, Self, cast

import google_auth_httplib2
import httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.http import MediaIoBaseDownload

from config.errors import SettingsError, SourceDenied, SourceUnavailable
from ingestion.calls import Call
from ingestion.google import retry
from ingestion.google.names import safe_name
from ingestion.google.retry import call, require

FOLDER = "application/vnd.google-apps.folder"
_SHORTCUT = "application/vnd.google-apps.shortcut"
_FIELDS = "id,name,mimeType,md5Checksum,sha256Checksum,size,modifiedTime,version,shortcutDetails"
_PAGE = 1000
_CHUNK = 8 << 20
_DOWNLOADS = 3
_DEPTH = 10
_THING = "Drive folder"
_ENDINGS = (".csv", ".zip")


class DriveFile(NamedTuple):
    """One file of a folder."""

    id: str
    path: str
    """Below the folder, safe as a path; not necessarily the only one of its name."""
    mime: str
    size: int | None
    sha256: str | None
    md5: str | None
    version: str
    """Grows with every change; with the time of the last one."""


class Fetched(NamedTuple):
    """What a download came to."""

    sha256: str
    call: Call
    """The call that gave its last piece."""


class Drive:
    """The Drive API for one service account. Close it."""

    def __init__(self, credentials: Any, endpoint: str | None) -> None:
        document = json.loads(get_static_doc("drive", "v3"))
        if endpoint:
            root = endpoint.rstrip("/") + "/"
            document.update(rootUrl=root, baseUrl=root + document["servicePath"], mtlsRootUrl=root)
        self._version = document["version"]
        self._endpoint = document["baseUrl"] + document["resources"]["files"]["methods"]["get"]["path"]
        self._http = _Listening(credentials, http=httplib2.Http(timeout=retry.TIMEOUT))
        self._files = build_from_document(document, http=self._http).files()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def state(self, file_id: str, thing: str) -> str:
        """What changes when the file changes: its version and time of change."""
        found = self._get(file_id, "version,modifiedTime", thing)
        return f"{found.get('version')}@{found.get('modifiedTime')}"

    def folder(self, folder_id: str) -> list[DriveFile]:
        """Every file below the folder, sorted by path and id. Shortcuts are followed where they lead to something shared."""
        top = self._get(folder_id, "id,mimeType", _THING)
        if top.get("mimeType") != FOLDER:
            raise SettingsError("The id of a Drive folder names a file, not a folder.", "Copy the id from the folder's own link.")
        return sorted(self._walk(folder_id, "", {folder_id}), key=lambda f: (f.path, f.id))

    def download(self, file: DriveFile, sink: BinaryIO) -> Fetched:
        """The file's bytes into `sink`, only when size and checksum agree. SourceUnavailable after three tries."""
        for _ in range(_DOWNLOADS):
            with tempfile.SpooledTemporaryFile(max_size=2 * _CHUNK) as spool:
                self._fetch(file, cast("BinaryIO", spool))
                answer = self._http.heard
                if sha256 := _whole(file, cast("BinaryIO", spool)):
                    spool.seek(0)
                    while block := spool.read(1 << 20):
                        sink.write(block)
                    return Fetched(sha256, Call.answered(self._version, self._endpoint, answer.status, answer))
            file = self._file(self._get(file.id, _FIELDS, "file on Drive"), "") or file  # it may have changed meanwhile
        raise SourceUnavailable("A file on Drive arrived damaged three times.", "Run again later.")

    def _fetch(self, file: DriveFile, spool: BinaryIO) -> None:
        """Chunk by chunk: after a broken connection the next request asks for the rest only."""
        buffer = io.BytesIO()
        request = self._files.get_media(fileId=file.id, supportsAllDrives=True)
        downloader = MediaIoBaseDownload(buffer, request, chunksize=_CHUNK)
        done = False
        while not done:
            _, done = call(downloader.next_chunk, "file on Drive")
            got = buffer.getvalue()
            if not got and not done:
                raise SourceUnavailable("Drive sends a file without any bytes.", "Run again later.")
            spool.write(got)
            buffer.seek(0)
            buffer.truncate()

    def _walk(self, folder_id: str, prefix: str, seen: set[str], depth: int = 0) -> Iterator[DriveFile]:
        for entry in self._children(folder_id):
            target = self._target(entry)
            if target is None or target["id"] in seen:
                continue
            if target.get("mimeType") == FOLDER:
                seen.add(target["id"])
                if depth < _DEPTH:
                    yield from self._walk(target["id"], prefix + _folder_name(entry["name"]) + "/", seen, depth + 1)
            elif (file := self._file(target, prefix)) is not None:
                seen.add(file.id)
                yield file

    def _children(self, folder_id: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        tokens: set[str] = set()
        while True:
            request = self._files.list(
                q=f"'{folder_id}' in parents and trashed = false",
                fields=f"nextPageToken,files({_FIELDS})",
                pageSize=_PAGE,
                pageToken=token,
                supportsAllDrives=True,
                includeItemsFromAllDrives=True,
            )
            answer = self._ask(request, "files", _THING)
            yield from answer["files"]
            token = answer.get("nextPageToken")
            if not token:
                return
            if token in tokens:
                raise SourceUnavailable("Drive repeats the same page of the folder for ever.", "Run again later.")
            tokens.add(token)

    def _target(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """The entry itself, or what a shortcut leads to; None when that is not shared."""
        if entry.get("mimeType") != _SHORTCUT:
            return entry
        try:
            return self._get(entry.get("shortcutDetails", {}).get("targetId", ""), _FIELDS, "target of a shortcut")
        except SourceDenied:
            return None

    def _get(self, file_id: str, fields: str, thing: str) -> dict[str, Any]:
        request = self._files.get(fileId=file_id, fields=fields, supportsAllDrives=True)
        return self._ask(request, fields.split(",", 1)[0], thing)

    def _ask(self, request: Any, proof: str, thing: str) -> dict[str, Any]:
        return cast("dict[str, Any]", call(lambda: require(request.execute(), proof, thing), thing))

    def _file(self, entry: dict[str, Any], prefix: str) -> DriveFile | None:
        """The file, unless it is a Google document without bytes of its own."""
        if entry.get("mimeType", "").startswith("application/vnd.google-apps."):
            return None
        return DriveFile(
            id=entry["id"],
            path=prefix + safe_name(entry["name"]),
            mime=entry.get("mimeType", ""),
            size=int(entry["size"]) if "size" in entry else None,
            sha256=entry.get("sha256Checksum"),
            md5=entry.get("md5Checksum"),
            version=f"{entry.get('version')}@{entry.get('modifiedTime')}",
        )


def _folder_name(name: str) -> str:
    """A folder called `x.csv` must not stand where the file `x.csv` wants to be."""
    safe = safe_name(name)
    return safe + "_" if safe.lower().endswith(_ENDINGS) else safe


def md5_of(path: str) -> str:
    """MD5 of a file, the only checksum Drive has for old files; no secret depends on it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _whole(file: DriveFile, spool: BinaryIO) -> str | None:
    """The SHA-256 of the bytes, if size and checksums are those Drive tells."""
    if file.size is not None and spool.seek(0, 2) != file.size:
        return None
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    spool.seek(0)
    while block := spool.read(1 << 20):
        sha256.update(block)
        md5.update(block)
    agree = file.sha256 in (None, sha256.hexdigest()) and file.md5 in (None, md5.hexdigest())
    return sha256.hexdigest() if agree else None


class _Listening(google_auth_httplib2.AuthorizedHttp):  # type: ignore[misc]
    """Remembers the last answer: the client library gives a download's content only."""

    heard: httplib2.Response

    def request(self, *args: Any, **kwargs: Any) -> tuple[httplib2.Response, bytes]:
        self.heard, content = super().request(*args, **kwargs)
        return self.heard, content
