"""Where a source's exports may lie besides its inbox: a Drive folder, a web address, a prefix of an object store. As a person writes it."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from config.addresses import safe_address

EXAMPLES = ("drive:YOUR_FOLDER_ID", "https://cloud.example.org/s/token/download", "s3://bucket/prefix")
_DRIVE = re.compile(
    r"drive:([A-Za-z0-9_-]{10,200})|https://drive\.google\.com/(?:[^?#]*/)?folders/([A-Za-z0-9_-]{10,200})(?:[?#].*)?"
)
_OBJECTS = re.compile(r"(s3|gs|az)://([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(.*))?")


class Origin(NamedTuple):
    """One origin, taken apart."""

    kind: str
    """drive | url | s3 | gs | az."""
    place: str
    """The Drive folder's id, the address, or the bucket."""
    prefix: str = ""
    """Below which names of the bucket; no slash at either end."""

    @property
    def folder(self) -> str:
        """Below which its files stand among the raw artifacts: `url/3fa4c21b`. Says nothing of the address."""
        return f"{self.kind}/{hashlib.sha256(f'{self.place}/{self.prefix}'.encode()).hexdigest()[:8]}"


def origin(text: str) -> Origin:
    """An origin as it is written in the settings. Raises ValueError, which says what is wrong with it."""
    if found := _DRIVE.fullmatch(text):
        return Origin("drive", found[1] or found[2])
    if text.startswith("drive:"):
        raise ValueError("after drive: comes the id of a folder, the part after /folders/ of its link")
    if found := _OBJECTS.fullmatch(text):
        prefix = (found[3] or "").strip("/")
        if not prefix.isprintable() or ".." in prefix.split("/"):
            raise ValueError("the prefix holds what no prefix has")
        return Origin(found[1], found[2], prefix)
    if urlsplit(text).scheme in ("http", "https"):
        return Origin("url", safe_address(text))
    raise ValueError(f"it should be one of: {', '.join(EXAMPLES)}")
