"""The Lambda's zip: the same source gives the same bytes on every machine, so its hash says whether there is anything to deploy."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

HANDLER = "ingestion.events.lambda_handler.handler"
"""What the function is told to call."""
MEMBERS = (
    "config/__init__.py",
    "config/events.py",
    "ingestion/__init__.py",
    "ingestion/events/__init__.py",
    "ingestion/events/lambda_handler.py",
    "ingestion/events/objects.py",
    "ingestion/events/reading.py",
    "ingestion/strict_json.py",
)
"""All of the project that the handler reaches; beside it the function needs boto3 (its runtime has it) and pyarrow (a layer)."""

_HOME = Path(__file__).resolve().parents[2]
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build(path: Path) -> str:
    """Write the zip there, whole or not at all; gives its SHA-256 in hex. OSError if the disk refuses."""
    body = content()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, waiting = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body)
        os.chmod(waiting, 0o644)
        os.replace(waiting, path)
    except BaseException:
        Path(waiting).unlink(missing_ok=True)
        raise
    return hashlib.sha256(body).hexdigest()


def content() -> bytes:
    """The zip: sorted names, no clock, no compression (its output differs between versions of zlib), readable by every user."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(MEMBERS):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, (_HOME / name).read_bytes())
    return sink.getvalue()
