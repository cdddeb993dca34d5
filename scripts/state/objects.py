"""The state in an object store: S3 and what speaks it (R2, MinIO, Tigris …), Google Cloud Storage, Azure Blob Storage.

The head changes by the store's own conditional write: `If-Match`/`If-None-Match` of S3 and Azure, the generation of Google.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from config.errors import HeadMoved, SettingsError, StateError, StateMissing
from scripts.state.remote import Head, Stored

if TYPE_CHECKING:
    from config.settings import Settings

_HEAD = "head"
_WHOLE = 8 << 20
"""Up to so many bytes an object is sent in one request, which the store itself refuses when the name is taken."""
_KINDS = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure"}


def open_objects(scheme: str, bucket: str, prefix: str, settings: Settings) -> ObjectRemote:
    """`Remote` below a prefix of a bucket; credentials come from the settings, else from the environment and the machine's role."""
    try:
        from obstore import store
    except ModuleNotFoundError:
        raise SettingsError(
            f"STATE_URL names a place in {_KINDS[scheme]}, but the package that speaks to it is not installed.",
            "Install it with: pip install obstore",
        ) from None
    retries: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=90)}
    options: Any = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "3600s"}
    config: Any = _credentials(scheme, settings)
    if str(config.get("endpoint", "")).startswith("http://"):
        options["allow_http"] = True
    make = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}[scheme]
    with _told():
        opened = make(bucket, prefix=prefix or None, config=config, client_options=options, retry_config=retries)
    return ObjectRemote(opened, f"{scheme}://{bucket}/{prefix}".rstrip("/"))


def _credentials(scheme: str, settings: Settings) -> dict[str, str]:
    """What the settings say; what they leave open is the environment's."""
    if scheme == "gs":
        from config.settings import secrets

        said: Mapping[str, Any] = {"service_account_key": secrets(settings)["google_credentials"]}
    elif scheme == "az":
        said = {
            "account_name": settings.azure_storage_account_name,
            "account_key": settings.azure_storage_account_key,
            "sas_key": settings.azure_storage_sas_key,
        }
    else:
        said = {
            "access_key_id": settings.aws_access_key_id,
            "secret_access_key": settings.aws_secret_access_key,
            "session_token": settings.aws_session_token,
            "region": settings.aws_region,
            "endpoint": settings.aws_endpoint_url,
        }
    plain = {name: value.get_secret_value() if hasattr(value, "get_secret_value") else value for name, value in said.items()}
    return {name: str(value) for name, value in plain.items() if value}


class ObjectRemote:
    """`Remote` over any store of the obstore package."""

    def __init__(self, store: Any, place: str) -> None:
        self._store = store
        self.place = place

    def read_head(self) -> Head | None:
        """See `Remote`."""
        return self._read(_HEAD)

    def commit_head(self, manifest: bytes, tag: str | None) -> str:
        """See `Remote`."""
        return self._commit(_HEAD, manifest, tag)

    def put(self, name: str, path: str) -> None:
        """See `Remote`. Nothing is sent when a large object is there already."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with _told(), open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size <= _WHOLE:
                with contextlib.suppress(AlreadyExistsError):
                    obstore.put(self._store, name, file.read(), mode="create")
            elif not self.exists(name):  # in parts: two who send the same at once store the same, whole either way
                obstore.put(self._store, name, file, use_multipart=True, max_concurrency=4)

    def get(self, name: str, path: str) -> None:
        """See `Remote`."""
        import obstore

        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file, _told():
            file.writelines(obstore.get(self._store, name).stream(min_chunk_size=1 << 20))

    def exists(self, name: str) -> bool:
        """See `Remote`."""
        import obstore

        try:
            with _told():
                obstore.head(self._store, name)
        except StateMissing:
            return False
        return True

    def list(self) -> Iterator[Stored]:
        """See `Remote`."""
        import obstore

        with _told():
            for some in obstore.list(self._store):
                for meta in some:
                    if "/" in meta["path"]:
                        yield Stored(meta["path"], meta["size"], meta["last_modified"].timestamp())

    def delete(self, names: Sequence[str]) -> None:
        """See `Remote`. One by one where the store has no request for many."""
        import obstore

        for start in range(0, len(names), 500):
            some = list(names[start : start + 500])
            try:
                with _told():
                    obstore.delete(self._store, some)
            except StateMissing:
                for name in some:
                    with contextlib.suppress(StateMissing), _told():
                        obstore.delete(self._store, name)

    def erase(self) -> None:
        """See `Remote`. Versions a bucket keeps by itself are for its owner to remove."""
        self.delete([_HEAD])
        self.delete([stored.name for stored in self.list()])

    def probe(self) -> None:
        """See `Remote`."""
        name = f"probe-{uuid.uuid4().hex}"
        try:
            tag = self._commit(name, b"one", None)
            self._commit(name, b"two", tag)
            with contextlib.suppress(HeadMoved):
                self._commit(name, b"three", tag)
                raise StateError(
                    "This store takes a change that should have been refused: it knows no conditional writes.",
                    "Use a store that does (S3, R2, MinIO, Google, Azure), or a newer version of it.",
                )
        finally:
            self.delete([name])

    def _read(self, name: str) -> Head | None:
        import obstore

        try:
            with _told():
                found = obstore.get(self._store, name)
                return Head(bytes(found.bytes()), json.dumps([found.meta["e_tag"], found.meta["version"]]))
        except StateMissing:
            return None

    def _commit(self, name: str, content: bytes, tag: str | None) -> str:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create"
        if tag is not None:
            e_tag, version = json.loads(tag)
            mode = {key: value for key, value in (("e_tag", e_tag), ("version", version)) if value is not None}
        with _told():
            try:
                done = obstore.put(self._store, name, content, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                raise HeadMoved("The remote state has been changed by somebody else.", "Push again.") from None
        return json.dumps([done["e_tag"], done["version"]])


@contextmanager
def _told() -> Iterator[None]:
    """The store's errors as sentences. Their own words hold addresses and request ids, and stay out."""
    from obstore import exceptions

    try:
        yield
    except (exceptions.NotFoundError, FileNotFoundError) as error:
        if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
            raise StateError("The bucket of the remote state is not there.", "Make it, or mend STATE_URL.") from None
        raise StateMissing(
            "The remote state has lost an object, or its bucket is gone.", "Look with: python main.py state verify"
        ) from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise StateError(
            "The store of the remote state refuses us: the credentials or their rights are wrong.",
            "It needs to list, read, write and delete below the prefix of STATE_URL; see docs/state.md.",
        ) from None
    except (exceptions.UnknownConfigurationKeyError, exceptions.NotSupportedError, exceptions.InvalidPathError):
        raise SettingsError("STATE_URL names a place this store cannot have.", "Example: STATE_URL=s3://bucket/prefix") from None
    except exceptions.GenericError as error:
        raise StateError(f"The store of the remote state cannot be reached: {_why(error)}.", "Try again later.") from None
    except OSError as error:
        raise StateError(
            f"A file could not be read or written: {error.strerror}.", "Free disk space or mend permissions."
        ) from None


def _why(error: Exception) -> str:
    text = str(error).lower()
    kinds = {"timed out": "it did not answer in time", "dns": "its name cannot be resolved", "connect": "no connection"}
    return next((why for key, why in kinds.items() if key in text), "it failed even after retries")
