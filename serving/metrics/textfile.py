"""The two places a batch job leaves metrics at: a file for node_exporter's textfile collector, and a Pushgateway."""

from __future__ import annotations

import contextlib
import os
import uuid

from config.errors import DeliveryError
from scripts.project import Project

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the text format."""


def textfile(project: Project) -> str:
    """Where the file goes; a relative path counts from the data root."""
    return os.path.join(project.data_dir, os.path.expanduser(str(project.settings["metrics_textfile"])))


def write(path: str, text: bytes, data_dir: str) -> None:
    """Replace the file at once, so that nobody reads half of it. Raises DeliveryError.

    Below the data root it is its owner's alone; elsewhere all may read it, because node_exporter is somebody else.
    """
    inside = os.path.realpath(path).startswith(os.path.join(os.path.realpath(data_dir), ""))
    building = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        with open(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o600 if inside else 0o644)
        os.replace(building, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(building)
        mend = "Name a file in a folder you may write to."
        raise DeliveryError(f"the file of METRICS_TEXTFILE cannot be written: {error.strerror}.", mend) from None


def push(url: str, environment: str, text: bytes, *, anew: bool) -> None:
    """Give it to the Pushgateway: all `anew`, or only the metrics in `text`. Raises DeliveryError."""
    from serving.delivery import deliver

    where = f"{url.rstrip('/')}/metrics/job/pdp/environment/{environment}"
    deliver(where, text, {"Content-Type": CONTENT_TYPE}, "PUT" if anew else "POST")
