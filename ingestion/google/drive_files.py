"""The files of one Drive folder, by version 2 of the API: the only one that changes a file on a condition.

A file of version 2 has an `etag`, and an update with `If-Match` is refused (412) once the file is another; in version 3 the last
writer wins. New files are made under an id that was asked for before, so a request that is sent twice makes one file.
"""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

import google_auth_httplib2
import httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

from config.errors import HeadMoved, PDPError, SourceDenied, SourceUnavailable, StateError, StateMissing
from ingestion.google import retry

FOLDER = "application/vnd.google-apps.folder"
_BYTES = "application/octet-stream"
_FIELDS = (
    "id,title,etag,mimeType,fileSize,sha256Checksum,md5Checksum,modifiedDate,labels/trashed,properties(key,value,visibility)"
)
_KIND = "pdp"
"""The property that tells our files from others; public, so that another client of the same person sees it."""
_PAGE = 1000
_IDS = 20
_CHUNK = 8 << 20
_WHOLE = 4 << 20
"""Up to here a file travels in one request; larger ones in pieces that go on after a broken connection."""
_TRIES = 3
_THING = "folder of the state on Drive"
_SHARE = "Let the account edit the folder, and see docs/state.md for the ways to set up Drive."
_CREDENTIALS = "Check the credentials, and that their Google project has the Drive API switched on; see docs/state.md."
_LATER = "Run again later; what is there stays valid."


class FileExistsOnDriveError(StateError):
    """There is a file of this id."""


class FullError(StateError):
    """The account may own no more bytes; a service account may own none at all."""


class ForbiddenError(StateError):
    """The account may not do this to this file."""


class DriveFile(NamedTuple):
    """One file as it was last heard of."""

    id: str
    title: str
    etag: str
    size: int
    sha256: str | None
    md5: str | None
    modified: float
    """Seconds since 1970, by Drive's clock."""
    properties: dict[str, str]
    """The public ones."""
    is_folder: bool
    trashed: bool

    @property
    def kind(self) -> str:
        """What it is to us; '' for a file that is nothing to us."""
        return self.properties.get(_KIND, "")


class DriveFiles:
    """For several threads. Every method raises StateError with its mend when Drive refuses or stays away after retries."""

    def __init__(self, credentials: Any, endpoint: str | None) -> None:
        document = json.loads(get_static_doc("drive", "v2"))
        if endpoint:
            root = endpoint.rstrip("/") + "/"
            document.update(rootUrl=root, baseUrl=root + document["servicePath"], mtlsRootUrl=root)
        http = google_auth_httplib2.AuthorizedHttp(credentials, http=_Connections())
        weakref.finalize(self, http.close)
        self._api = build_from_document(document, http=http).files()
        self._ids: list[str] = []
        self._guard = threading.Lock()

    def file(self, file_id: str) -> DriveFile:
        """StateMissing when there is no such file, or the account does not see it."""
        return _file(self._ask(self._api.get(fileId=file_id, fields=_FIELDS, supportsAllDrives=True).execute))

    def children(self, folder_id: str, title: str | None = None) -> Iterator[DriveFile]:
        """The files of a folder, or those with this title. Lags behind: what was made just now may be missing."""
        query = f"'{folder_id}' in parents and trashed = false" + (f" and title = '{title}'" if title else "")
        token: str | None = None
        tokens: set[str] = set()
        while True:
            request = self._api.list(
                q=query,
                fields=f"nextPageToken,items({_FIELDS})",
                maxResults=_PAGE,
                pageToken=token,
                supportsAllDrives=True,
                includeItemsFromAllDrives=True,
            )
            answer = self._ask(request.execute, "items")
            yield from map(_file, answer["items"])
            token = answer.get("nextPageToken")
            if not token:
                return
            if token in tokens:
                raise StateError("Drive repeats the same page of the state's folder for ever.", _LATER)
            tokens.add(token)

    def create(self, folder_id: str, title: str, kind: str, content: BinaryIO) -> DriveFile:
        """A new file with this content. FullError when the account may own no more."""
        body = {"title": title, "parents": [{"id": folder_id}], **_marked(kind)}
        for _ in range(_TRIES):
            made = self._create(body | {"id": self._new_id()}, content)
            if holds(made, content):
                return made
            self.delete(made.id)
        raise StateError("What is sent to Drive arrives damaged, three times.", _LATER)

    def replace(self, file: DriveFile, content: BinaryIO, title: str = "", kind: str = "") -> DriveFile:
        """Other bytes for a file that still is as it was heard of, with a new title and kind if given. HeadMoved when it is not."""
        body = ({"title": title} if title else {}) | (_marked(kind) if kind else {})
        return self._sent(
            lambda media: self._api.update(fileId=file.id, body=body, media_body=media, supportsAllDrives=True, fields=_FIELDS),
            content,
            file.etag,
        )

    def describe(self, file: DriveFile, properties: dict[str, str]) -> DriveFile:
        """Other public properties for a file that still is as it was heard of. HeadMoved when it is not."""
        listed = [{"key": key, "value": value, "visibility": "PUBLIC"} for key, value in properties.items()]
        request = self._api.update(fileId=file.id, body={"properties": listed}, supportsAllDrives=True, fields=_FIELDS)
        request.headers["If-Match"] = file.etag
        return _file(self._ask(request.execute))

    def read(self, file: DriveFile, sink: BinaryIO) -> bool:
        """The file's bytes into `sink`, from its start; whether they are those Drive tells of."""
        sink.seek(0)
        sink.truncate()
        if file.size:
            request = self._api.get_media(fileId=file.id, supportsAllDrives=True)
            download = MediaIoBaseDownload(sink, request, chunksize=_CHUNK)
            done = False
            while not done:
                before = sink.tell()
                _, done = self._ask(download.next_chunk, None)
                if sink.tell() == before and not done:
                    raise StateError("Drive sends a file without any bytes.", _LATER)
        return holds(file, sink)

    def delete(self, file_id: str) -> None:
        """Remove a file for good; one that is gone is no error. ForbiddenError when the account may not."""
        request = self._api.delete(fileId=file_id, supportsAllDrives=True)
        self._gone(lambda: _answered(None if (answer := request.execute()) == "" else answer))

    def trash(self, file_id: str) -> None:
        """Put a file into Drive's bin, from where Drive removes it after 30 days. ForbiddenError when the account may not."""
        request = self._api.trash(fileId=file_id, supportsAllDrives=True, fields="id")
        self._gone(lambda: _answered(request.execute()))

    def _gone(self, remove: Callable[[], Any]) -> None:
        with suppress(StateMissing):
            self._ask(remove, None)

    def _create(self, body: dict[str, Any], content: BinaryIO) -> DriveFile:
        try:
            return self._sent(
                lambda media: self._api.insert(body=body, media_body=media, supportsAllDrives=True, fields=_FIELDS), content
            )
        except FileExistsOnDriveError:  # the answer to an earlier try was lost
            return self.file(body["id"])

    def _sent(self, make: Callable[[Any], Any], content: BinaryIO, etag: str | None = None) -> DriveFile:
        """In one request, or in pieces; after a session that Drive has forgotten, from the start."""
        for _ in range(_TRIES):
            size = content.seek(0, 2)
            request = make(_Pieces(content, _BYTES, chunksize=_CHUNK, resumable=size > _WHOLE))
            if etag is not None:
                request.headers["If-Match"] = etag
            if size <= _WHOLE:
                return _file(self._ask(request.execute))
            try:
                while (answer := self._piece(request)) is None:
                    pass
                return _file(answer)
            except StateMissing:
                if request.resumable_uri is None:
                    raise
        raise StateError("Drive forgets the upload before it ends, three times.", _LATER)

    def _piece(self, request: Any) -> Any:
        """Send the next piece; what Drive answers to the last one."""
        return self._ask(lambda: _answered(request.next_chunk()[1]), None)

    def _new_id(self) -> str:
        with self._guard:
            if not self._ids:
                self._ids = list(self._ask(self._api.generateIds(maxResults=_IDS).execute, "ids")["ids"])
            return self._ids.pop()

    def _ask(self, action: Callable[[], Any], proof: str | None = "id") -> Any:
        """What Drive answers, after retries; `proof`: a field every proper answer has."""

        def asked() -> Any:
            try:
                answer = action()
            except HttpError as error:
                raise _refusal(error) or error from None
            return answer if proof is None else retry.require(answer, proof, _THING)

        try:
            return retry.call(asked, _THING)
        except SourceDenied as error:
            raise StateError(error.what, _CREDENTIALS) from None
        except SourceUnavailable as error:
            raise StateError(error.what, _LATER) from None


class _Pieces(MediaIoBaseUpload):  # type: ignore[misc]
    """Sent as bytes: a stream would be at its end when httplib2 sends a request again by itself."""

    def has_stream(self) -> bool:
        """As googleapiclient asks."""
        return False


class _Connections:
    """Each thread's own: those of httplib2 cannot be shared."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._all: list[httplib2.Http] = []

    def request(self, *args: Any, **options: Any) -> tuple[httplib2.Response, bytes]:
        """As httplib2's."""
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = httplib2.Http(timeout=retry.TIMEOUT)
            connection.redirect_codes = connection.redirect_codes - {308}  # to an upload it means: go on
            self._all.append(connection)
        answer: tuple[httplib2.Response, bytes] = connection.request(*args, **options)
        return answer

    def close(self) -> None:
        """Close them all."""
        for connection in self._all:
            connection.close()


def _refusal(error: HttpError) -> PDPError | None:
    """The answers that mean something to the state; None for those that mean the same everywhere."""
    status, reasons = int(error.resp.status), retry.reasons(error.content)
    if status in (404, 410):
        return StateMissing("A file of the state is not on Drive, or the account does not see it.", _SHARE)
    if status == 409:
        return FileExistsOnDriveError("Drive has a file of this id.")
    if status == 412:
        return HeadMoved("The remote state has been changed by somebody else.", "Push again.")
    if status == 403 and reasons & {"storageQuotaExceeded", "quotaExceeded"}:
        return FullError(
            "There is no room on Drive for the state.", "Make room, or see docs/state.md for the ways to set up Drive."
        )
    if status == 403 and not reasons & (retry.RATE_LIMITS | {"accessNotConfigured", "SERVICE_DISABLED"}):
        return ForbiddenError("The account may not change the folder of the state on Drive.", _SHARE)
    return None


def _answered(answer: Any) -> Any:
    """A file's description, or None where no answer is due; 200 with something else is a failure that may pass."""
    return answer if answer is None else retry.require(answer, "id", _THING)


def _file(answer: dict[str, Any]) -> DriveFile:
    return DriveFile(
        id=answer["id"],
        title=answer.get("title", ""),
        etag=answer.get("etag", ""),
        size=int(answer.get("fileSize", 0)),
        sha256=answer.get("sha256Checksum"),
        md5=answer.get("md5Checksum"),
        modified=datetime.fromisoformat(answer["modifiedDate"]).timestamp() if "modifiedDate" in answer else 0.0,
        properties={p["key"]: p["value"] for p in answer.get("properties", []) if p.get("visibility") == "PUBLIC"},
        is_folder=answer.get("mimeType") == FOLDER,
        trashed=bool(answer.get("labels", {}).get("trashed")),
    )


def _marked(kind: str) -> dict[str, Any]:
    return {"properties": [{"key": _KIND, "value": kind, "visibility": "PUBLIC"}]}


def holds(file: DriveFile, content: BinaryIO) -> bool:
    """Whether size and checksums of the file are those of `content`."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    content.seek(0)
    while block := content.read(1 << 20):
        sha256.update(block)
        md5.update(block)
    return file.size == content.tell() and file.sha256 in (None, sha256.hexdigest()) and file.md5 in (None, md5.hexdigest())
