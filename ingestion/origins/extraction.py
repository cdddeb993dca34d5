"""What comes in from a source's inbox and from its origins, as raw artifacts: the extract step of every source.

Setting `origins_<source>`: a list of addresses (`config.origins`). A file that its origin says has not changed is carried over, not
fetched. All files of an origin stand below a folder of its own, so that origins never get in each other's way.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from config.origins import Origin, origin
from config.stage import Finding, Inputs, Outputs, Report
from ingestion.calls import RAW, Calls
from ingestion.google.installed import google_libraries
from ingestion.google.names import distinct
from ingestion.inbox import copy_inbox, fate_of
from ingestion.origins.remote import MAX_FILE, Remote
from ingestion.reports import joined


def fingerprint(source: str, settings: Mapping[str, Any], own: str | None = "") -> str | None:
    """Changes when a file of an origin does; None when there are no origins, or one does not say.

    `own`: the fingerprint of what the source looks at by itself; empty when that is nothing.
    Raises SourceDenied, SourceUnavailable, SettingsError.
    """
    origins = _origins(source, settings)
    if own is None or not (origins or own):
        return None
    seen: list[Any] = [own] if own else []
    for each in origins:
        with _files(each, settings) as found:
            if any(file.state is None for file in found):
                return None
            seen.append([each.folder, sorted((file.path, file.state) for file in found)])
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def extract(source: str, inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox` and the origins → collections `raw` and `calls` (`ingestion.calls`).

    Raises SourceDenied, SourceUnavailable, SettingsError.
    """
    return with_origins(source, copy_inbox(inputs, outputs), outputs, settings)


def with_origins(source: str, report: Report, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """The same, after what the report tells of. Fates: accepted (fetched), kept (unchanged), those of the inbox, rejected:too_big."""
    calls = Calls(outputs)
    for each in _origins(source, settings):
        with _files(each, settings) as found:
            report = joined(report, _bring(each, found, outputs, calls))
    return report


def count(text: str, settings: Mapping[str, Any]) -> tuple[str, int]:
    """(kind of origin, how many files it has). Raises as `fingerprint`."""
    each = origin(text)
    with _files(each, settings) as found:
        return each.kind, len(found)


def _origins(source: str, settings: Mapping[str, Any]) -> list[Origin]:
    return [origin(text) for text in dict.fromkeys(settings[f"origins_{source}"])]


@contextmanager
def _files(each: Origin, settings: Mapping[str, Any]) -> Iterator[Sequence[Remote]]:
    """The files of an origin; what they are fetched through lives as long as the block."""
    if each.kind == "drive":
        with google_libraries():
            from ingestion.origins import drive
        with drive.files(each, settings) as found:
            yield found
    elif each.kind == "url":
        from ingestion.origins import web

        yield web.files(each.place)
    else:
        from ingestion.origins import objects

        yield objects.files(each, settings)


def _bring(each: Origin, found: Sequence[Remote], outputs: Outputs, calls: Calls) -> Report:
    fates: Counter[str] = Counter()
    findings: list[Finding] = []
    members = distinct([(f"{each.folder}/{file.path}", file.ident) for file in found])
    for file, member in zip(found, members, strict=True):
        fate = fate_of(member)
        if fate == "accepted" and (file.size or 0) > MAX_FILE:
            fate = "rejected:too_big"
            findings.append({"code": "too_big", "message": _TOO_BIG, "where": member, "count": 1})
        if fate == "accepted" and file.state is not None and calls.state(member) == file.state:
            calls.keep(member)
            fate = "kept"
        elif fate == "accepted":
            path = outputs.path(RAW, member)
            call = file.fetch(path)
            calls.note(member, _sha256(path), call)
        fates[fate] += 1
    return {
        "rows": {},
        "balance": {"unit": "file", "came": sum(fates.values()), "fates": dict(sorted(fates.items()))},
        "findings": findings,
    }


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_TOO_BIG = f"A file at an origin is larger than {MAX_FILE >> 30} GB; it is not fetched."
