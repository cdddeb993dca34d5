"""Small Mi Fitness exports for tests: rows in the vendor's own layout."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

FITNESS = ["Uid", "Sid", "Key", "Time", "Value", "UpdateTime"]
AGGREGATED = ["Uid", "Sid", "Tag", "Key", "Time", "Value", "UpdateTime"]
SPORT = ["Uid", "Sid", "Key", "Time", "Category", "Value", "UpdateTime"]
SOURCES = ["Uid", "Sid", "Identifier", "Model", "Name", "Alias", "Status", "CreateTime", "UpdateTime"]
OLDER = ["uid", "did", "tag", "key", "time", "last_modify", "metric", "value"]

BAND = "huami.6485"
PHONE = "hlth.gen_549"


def value(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))


def fitness(key: str, time: int, content: Any, sid: str = BAND, update: int | None = None) -> list[str]:
    return ["123", sid, key, str(time), value(content), str(time + 1 if update is None else update)]


def report(
    key: str, time: int, content: Any, tag: str = "daily_report", update: int | None = None, sid: str = "default"
) -> list[str]:
    return ["123", sid, tag, key, str(time), value(content), str(time + 86400 if update is None else update)]


def older(tag: str, key: str, time: int, content: Any) -> list[str]:
    return ["123", "99", tag, key, str(time), str(time + 5), "", value(content)]


def table(header: list[str], rows: list[list[str]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def archive(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


def utf7_mangled(text: str) -> bytes:
    """What some tool did to the copies found in the wild: everything but letters, digits and the plainest signs in UTF-7."""
    out = []
    run = ""
    for char in text:
        if char in '"_{}[]':
            run += char
            continue
        if run:
            out.append(run.encode("utf-7") if not set(run) <= set('"_{}[]') else _shift(run))
            run = ""
        out.append(b"+-" if char == "+" else char.encode("ascii"))
    if run:
        out.append(_shift(run))
    return b"".join(out)


def _shift(run: str) -> bytes:
    import base64

    return b"+" + base64.b64encode(run.encode("utf-16-be")).rstrip(b"=") + b"-"
