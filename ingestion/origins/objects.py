"""Exports below a prefix of an object store: S3 and what speaks it, Google Cloud Storage, Azure Blob Storage."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from config.errors import SettingsError, SourceDenied, SourceUnavailable
from config.origins import Origin
from ingestion.calls import Call
from ingestion.google.names import safe_name
from ingestion.origins.remote import Remote, token

_KINDS = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure"}
_MOST = 100_000
"""Objects below one prefix: more are no exports of a person."""


def files(origin: Origin, settings: Mapping[str, Any]) -> list[Remote]:
    """Every object below the prefix, by name. Secrets: object_stores, google_credentials; else the machine's own role.

    Raises SourceDenied, SourceUnavailable, SettingsError.
    """
    store = _open(origin, settings)
    import obstore

    found: list[Remote] = []
    with _told(origin.kind):
        for some in obstore.list(store):
            found += [_remote(origin, store, meta) for meta in some if not meta["path"].endswith("/")]
            if len(found) > _MOST:
                raise SourceDenied(f"More than {_MOST:,} objects lie below the prefix.", "Name the folder of the exports.")
    return sorted(found, key=lambda file: file.path)


class Listed(NamedTuple):
    """An object as its store lists it."""

    name: str
    """Below the prefix."""
    etag: str
    """Changes with its bytes."""
    size: int


def listed(origin: Origin, settings: Mapping[str, Any]) -> Iterator[Listed]:
    """Every object below the prefix, as the store lists them, however many. Raises as `files`."""
    store = _open(origin, settings)
    import obstore

    with _told(origin.kind):
        for some in obstore.list(store):
            yield from (
                Listed(m["path"], m.get("e_tag") or str(m["last_modified"]), m["size"]) for m in some if m["path"][-1:] != "/"
            )


def content(origin: Origin, settings: Mapping[str, Any], thing: Listed) -> bytes | None:
    """The bytes of an object; None when it is no more what was listed. Raises as `files`."""
    store = _open(origin, settings)
    import obstore
    from obstore import exceptions

    with _told(origin.kind):
        try:
            answer = obstore.get(store, thing.name)
            meta = answer.meta
            if (meta.get("e_tag") or str(meta["last_modified"]), meta["size"]) != (thing.etag, thing.size):
                return None
            body = bytes(answer.bytes())
        except (exceptions.NotFoundError, FileNotFoundError):
            return None
    return body if len(body) == thing.size else None


def _remote(origin: Origin, store: Any, meta: Mapping[str, Any]) -> Remote:
    name = meta["path"]
    path = "/".join(safe_name(part) for part in name.split("/") if part)
    state = token(meta.get("e_tag"), meta.get("version"), meta["size"], str(meta["last_modified"]))
    return Remote(path, name, state, meta["size"], lambda target: _fetch(origin, store, name, target, state))


def _fetch(origin: Origin, store: Any, name: str, path: str, state: str) -> Call:
    import obstore

    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as sink, _told(origin.kind):
        sink.writelines(obstore.get(store, name).stream(min_chunk_size=1 << 20))
    return Call.answered("", f"https://{origin.kind}/{{bucket}}/{{object}}", 200, {})._replace(state=state)


def _open(origin: Origin, settings: Mapping[str, Any]) -> Any:
    try:
        from obstore import store
    except ModuleNotFoundError:
        raise SettingsError(
            f"An origin lies in {_KINDS[origin.kind]}, but the package that speaks to it is not installed.",
            "Install it with: pip install 'personal-data-platform[remote]'.",
        ) from None
    config: Any = _credentials(origin.kind, settings)
    options: Any = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "3600s"}
    if str(config.get("endpoint", "")).startswith("http://"):
        options["allow_http"] = True
    retries: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=90)}
    make: Any = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}[origin.kind]
    with _told(origin.kind):
        return make(origin.place, prefix=origin.prefix or None, config=config, client_options=options, retry_config=retries)


def _credentials(kind: str, settings: Mapping[str, Any]) -> dict[str, str]:
    if kind == "gs":
        key = settings["google_credentials"]
        return {"service_account_key": key} if key else {}
    said = json.loads(settings["object_stores"] or "{}")
    return dict(said.get(kind, {}))


@contextmanager
def _told(kind: str) -> Iterator[None]:
    """The store's errors as sentences. Their own words hold addresses and request ids, and stay out."""
    from obstore import exceptions

    place = _KINDS[kind]
    try:
        yield
    except (exceptions.NotFoundError, FileNotFoundError):
        raise SourceDenied(f"The bucket or object in {place} is not there.", "Check the origin's address.") from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
        raise SourceDenied(f"{place} refuses us.", "The credentials need to list and read below the origin's prefix.") from None
    except (exceptions.UnknownConfigurationKeyError, exceptions.NotSupportedError, exceptions.InvalidPathError):
        raise SettingsError(f"An origin names a place that {place} cannot have.", "Example: s3://bucket/prefix") from None
    except exceptions.GenericError as error:
        if any(word in str(error) for word in ("NoSuchBucket", "ContainerNotFound")):
            raise SourceDenied(f"The bucket in {place} is not there.", "Check the origin's address.") from None
        raise SourceUnavailable(f"{place} cannot be reached, even after retries.", "Run again later.") from None
