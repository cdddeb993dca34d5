"""The files of one raw artifact, a file of an export's tree or an archive of it; one that cannot be read does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TypeVar, cast

from config.errors import SourceRefused
from config.stage import File
from ingestion.archives import is_zip, members
from ingestion.records import DeadLetter

T = TypeVar("T")


class ExportFile(NamedTuple):
    """One file of an export."""

    name: str
    """Its path as the export says it."""
    where: str
    """What to write before a position; empty for an artifact that is the file itself."""
    file: BinaryIO
    """Its bytes, seekable."""


def each_file(file: File, read: Callable[[ExportFile], Iterator[T]]) -> Iterator[T | DeadLetter]:
    """What `read` makes of every file. SourceRefused for an artifact that is one file and refused; in an archive that is a dead letter."""
    with open(file.path, "rb") as opened:
        if not is_zip(opened.read(4)):
            opened.seek(0)
            yield from read(ExportFile(file.name, "", cast("BinaryIO", opened)))
            return
    for member in members(file.path):
        try:
            yield from read(ExportFile(member.name, member.name + " ", member.file))
        except SourceRefused as refused:
            yield DeadLetter(b"", refused.reason, refused.what, member.name)


def beginning(file: BinaryIO, size: int = 4096) -> bytes:
    """The file's first bytes; it is left at its start."""
    file.seek(0)
    head = file.read(size)
    file.seek(0)
    return head


def is_web_page(head: bytes) -> bool:
    """Whether a file that begins like this is the page a browser saved instead of the export."""
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<!doctype html", b"<html"))
