"""Zip archives from strangers: members streamed one at a time, an archive that is not what it claims to be is refused whole.

Everything is checked before the first member is handed out (names, kinds, sizes, every CRC), so a refused archive has given
nothing. Members are unpacked into memory or, when large, into an unnamed temporary file; no member name ever becomes a path.
The rules answer items 50 to 60 of `docs/malformed.md`. Encrypted archives (WinZip AES and the older kind) are read with their
password; without the right one they are refused like any other that cannot be trusted.
"""

from __future__ import annotations

import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import IO, BinaryIO, NamedTuple, cast

from config.errors import SourceRefused

MAX_RATIO = 100
"""Unpacked to packed; real exports reach 30. Deflate itself ends at 1,032."""
RATIO_FREE = 1 << 20
"""A member or archive that unpacks to less than this may have any ratio."""
MAX_TOTAL = 8 << 30
MAX_MEMBERS = 200_000
"""A Fitbit archive of ten years holds 33,000 files, a Garmin one 20,000."""
MAX_DEPTH = 2
"""An archive within an archive is read; one level more is refused."""
_SPOOL = 8 << 20
_CHUNK = 1 << 20
_AES = 99
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_BAD_NAME = re.compile(r"^[/\\]|^[A-Za-z]:|\\|[\x00-\x1f\x7f]|(?:^|/)\.\.(?:/|$)")
_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


class Member(NamedTuple):
    """One file of an archive."""

    name: str
    """As the archive says; of a nested one `inner.zip/data.csv`."""
    file: BinaryIO
    """Its bytes, seekable; closed when the next member is asked for."""
    size: int


class _Budget:
    """What an archive and all that is in it may still unpack to."""

    def __init__(self, packed: int) -> None:
        self.members = 0
        self.total = 0
        self.limit = min(MAX_TOTAL, max(RATIO_FREE, packed * MAX_RATIO))

    def take(self, size: int) -> None:
        self.total += size
        if self.total > self.limit:
            raise _refused("bomb")


def is_zip(head: bytes) -> bool:
    """Whether a file that begins like this is a zip archive, whatever its name."""
    return head.startswith(_MAGIC)


def members(path: str, password: str = "") -> Iterator[Member]:
    """The files of a zip archive, nested archives included. SourceRefused, before the first, when it cannot be trusted.

    `password` opens encrypted members, those of nested archives too: reasons `encrypted` without it, `wrong_password` with another.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        _verify(file, _Budget(size), 1, password)
        yield from _unpack(file, "", 1, password)


def _verify(file: IO[bytes], budget: _Budget, depth: int, password: str) -> None:
    with _open(file, password) as archive:
        infos = archive.infolist()
        budget.members += len(infos)
        if budget.members > MAX_MEMBERS:
            raise _refused("too_many_members")
        _check_names(infos)
        _check_overlap(infos)
        for info in infos:
            _check_member(info, password)
            if info.is_dir():
                continue
            if _is_archive_name(info.filename):
                if depth >= MAX_DEPTH:
                    raise _refused("nested_too_deep")
                with _unpacked(archive, info, budget) as inner:
                    _verify(inner, budget, depth + 1, password)
            else:
                for chunk in _chunks(archive, info):
                    budget.take(len(chunk))


def _unpack(file: IO[bytes], prefix: str, depth: int, password: str) -> Iterator[Member]:
    with _open(file, password) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            with _unpacked(archive, info, None) as inner:
                if _is_archive_name(info.filename):
                    yield from _unpack(inner, f"{prefix}{info.filename}/", depth + 1, password)
                else:
                    yield Member(prefix + info.filename, cast("BinaryIO", inner), info.file_size)


@contextmanager
def _open(file: IO[bytes], password: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
        if password and any(_is_encrypted(info) for info in archive.infolist()):
            archive = _with_password(file, password)
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, EOFError):
        raise _refused("bad_zip") from None
    with archive:
        yield archive


def _with_password(file: IO[bytes], password: str) -> zipfile.ZipFile:
    """The archive read by a copy of `zipfile` that knows WinZip AES."""
    import pyzipper  # type: ignore[import-untyped]

    try:
        archive = pyzipper.AESZipFile(file)
    except (pyzipper.BadZipFile, struct.error):
        raise _refused("bad_zip") from None
    archive.setpassword(password.encode())
    return cast("zipfile.ZipFile", archive)


def _is_encrypted(info: zipfile.ZipInfo) -> bool:
    return bool(info.flag_bits & 0x41) or info.compress_type == _AES  # 0x1 encrypted, 0x40 strongly encrypted


@contextmanager
def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget | None) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
        for chunk in _chunks(archive, info):
            if budget is not None:
                budget.take(len(chunk))
            spool.write(chunk)
        spool.seek(0)
        yield cast("IO[bytes]", spool)


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The member's bytes; its checksum is checked with the last of them, and its size, which no checksum of AES covers."""
    came, size = 0, info.file_size
    if not isinstance(archive, zipfile.ZipFile):
        info = copy(info)
        info.file_size = MAX_TOTAL  # read on beyond the size it claims
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                came += len(chunk)
                yield chunk
    except _damage(archive) as error:
        raise _refused("wrong_password" if "password" in str(error) else "bad_member") from None
    if came != size:
        raise _refused("bad_member")


def _damage(archive: zipfile.ZipFile) -> tuple[type[Exception], ...]:
    """What reading a damaged member raises; the copy for encrypted archives has a class of its own, and trusts their headers."""
    if isinstance(archive, zipfile.ZipFile):
        return _DAMAGE
    import pyzipper

    return (*_DAMAGE, pyzipper.BadZipFile, LookupError, struct.error)


_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)


def _check_names(infos: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in infos:
        # orig_filename: zipfile itself cuts a name at a NUL byte and would hide it
        name = info.orig_filename
        if not name or len(name.encode("utf-8", "surrogatepass")) > 1024 or _BAD_NAME.search(name):
            raise _refused("bad_member_name")
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise _refused("duplicate_member")
        seen.add(folded)


def _check_overlap(infos: list[zipfile.ZipInfo]) -> None:
    """Members that share bytes: how a small archive claims to hold petabytes."""
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise _refused("overlapping_members")
        end = info.header_offset + info.compress_size


def _check_member(info: zipfile.ZipInfo, password: str) -> None:
    if _is_encrypted(info) and (not password or info.flag_bits & 0x40):
        raise _refused("encrypted")
    if info.compress_type not in _READABLE:
        raise _refused("unknown_compression")
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or mode & (stat.S_ISUID | stat.S_ISGID):
        raise _refused("special_member")
    if info.file_size > RATIO_FREE and info.file_size > MAX_RATIO * info.compress_size:
        raise _refused("bomb")


def _is_archive_name(name: str) -> bool:
    return name.lower().endswith(".zip")


_WHY = {
    "bad_zip": ("The archive is damaged or no zip file.", "Download it again."),
    "bad_member": ("A file in the archive is damaged: it does not match its checksum.", "Download the archive again."),
    "bad_member_name": ("The archive holds a file name that points outside of it.", "Do not trust where it came from."),
    "duplicate_member": ("The archive holds two files of one name.", "Unpack it and drop the right one."),
    "overlapping_members": ("The archive's files overlap.", "Do not trust where it came from."),
    "special_member": ("The archive holds a link or a device instead of files.", "Pack the plain files."),
    "encrypted": (
        "The archive is encrypted.",
        "Set its password if its source has a setting for it, or unpack it and drop the files.",
    ),
    "wrong_password": ("The archive is encrypted with another password.", "Set the one that came with this archive."),
    "unknown_compression": ("The archive uses a compression that cannot be read here.", "Unpack it and drop the files."),
    "too_many_members": ("The archive holds more than 200,000 files.", "Unpack it and drop the ones that matter."),
    "nested_too_deep": ("The archive holds archives within archives.", "Unpack it and drop the files."),
    "bomb": ("The archive unpacks to far more than its size allows.", "Do not trust where it came from."),
}


def _refused(reason: str) -> SourceRefused:
    return SourceRefused(*_WHY[reason], reason)
