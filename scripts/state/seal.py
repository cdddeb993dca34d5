"""Files as they lie in the remote state: compressed where it pays, sealed frame by frame, under names that tell nobody the content.

Layout: `PDPSTATE`, format (1 byte), flags (1 byte: 1 zlib, 2 sealed, 4 LZMA), key id (8 bytes), salt (32 bytes), then frames: 4 bytes of
length and the bytes. Every object has a key of its own, derived from STATE_KEY, the salt and the object's name; a frame's nonce is its
number and whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015), so frames cannot be
dropped, swapped or cut off and an object cannot stand in for another. Memory use is one frame, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from config.errors import SettingsError, StateError
from config.sealing import key_id, key_of

_MAGIC, _FORMAT = b"PDPSTATE", 1
_ZLIB, _SEALED, _LZMA = 1, 2, 4
_HEADER_BYTES = len(_MAGIC) + 2 + 8 + 32
_FRAME = 1 << 20
_TAG_BYTES = 16
_SAMPLE, _PAYS = 256 << 10, 0.9
_PRESET = 4
"""Of LZMA: sees what repeats within 4 MiB, needs 48 MB."""


class Sealer:
    """Packs and unpacks with one STATE_KEY; without a key nothing is secret, and packing only compresses and checks."""

    def __init__(self, state_key: str = "") -> None:
        key = key_of(state_key) if state_key.strip() else b""
        self.key_id = key_id(key) if key else ""
        self._names = _derived(key, b"pdp state names") if key else b""
        self._objects = _derived(key, b"pdp state objects") if key else b""

    def name(self, sha256: str) -> str:
        """Under which name content is kept; with a key nobody without it can tell which content that is."""
        told = hmac.new(self._names, sha256.encode(), hashlib.sha256).hexdigest() if self._names else sha256
        return f"blobs/{told[:2]}/{told}"

    def pack(self, source: BinaryIO, target: BinaryIO, name: str, *, tight: bool = False) -> str:
        """Write all of `source` packed as the object `name`; gives the content's SHA-256. `tight` takes longer and makes it smaller."""
        sample, digest = source.read(_SAMPLE), hashlib.sha256()
        pays = len(zlib.compress(sample, 6)) < _PAYS * len(sample)
        salt = os.urandom(32)  # impure: no two objects may share a key
        flags = (_LZMA if tight else _ZLIB) * pays | _SEALED * bool(self._objects)
        header = _MAGIC + bytes([_FORMAT, flags]) + bytes.fromhex(self.key_id or "0" * 16) + salt
        cipher = self._cipher(header, name)
        target.write(header)
        waiting = b""
        number = 0
        chunks = _hashed(digest, source, sample)
        for frame in _frames(_compressed(chunks, tight=tight) if pays else chunks):
            if number:
                _write(target, _closed(cipher, waiting, number, header, last=False))
            waiting, number = frame, number + 1
        _write(target, _closed(cipher, waiting, max(number, 1), header, last=True))
        return digest.hexdigest()

    def unpack(self, source: BinaryIO, target: BinaryIO, name: str, limit: int | None = None) -> str:
        """Write the content of a packed object; gives its SHA-256. Nothing unverified counts: on an error throw `target` away.

        `limit` is how many bytes the content may have. Raises SettingsError for another key, StateError for what is damaged, cut off,
        of another name or larger than it may be.
        """
        header = source.read(_HEADER_BYTES)
        flags = self._checked(header)
        cipher = self._cipher(header, name) if flags & _SEALED else None
        inflate = lzma.LZMADecompressor() if flags & _LZMA else zlib.decompressobj() if flags & _ZLIB else None
        digest, left = hashlib.sha256(), limit
        for frame in _opened(source, cipher, header):
            for content in _inflated(inflate, frame):
                digest.update(content)
                target.write(content)
                if left is not None:
                    left -= len(content)
                    if left < 0:
                        raise _damaged()
        if inflate and not inflate.eof:
            raise _damaged()
        return digest.hexdigest()

    def packed(self, content: bytes, name: str) -> bytes:
        """A small content packed."""
        target = io.BytesIO()
        self.pack(io.BytesIO(content), target, name)
        return target.getvalue()

    def unpacked(self, packed: bytes, name: str, limit: int = 64 << 20) -> bytes:
        """A small content unpacked."""
        target = io.BytesIO()
        self.unpack(io.BytesIO(packed), target, name, limit)
        return target.getvalue()

    def _checked(self, header: bytes) -> int:
        """The flags, if we can read what follows."""
        if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
            raise _damaged()
        if header[len(_MAGIC)] != _FORMAT:
            raise StateError("The remote state is of a newer format than this program knows.", "Update the program.")
        flags = header[len(_MAGIC) + 1]
        theirs = header[len(_MAGIC) + 2 : len(_MAGIC) + 10].hex()
        if flags & _SEALED and not self.key_id:
            raise SettingsError(
                "The remote state is sealed, and STATE_KEY is not set.", "Set STATE_KEY to the key it was made with."
            )
        if flags & _SEALED and theirs != self.key_id:
            raise SettingsError(
                "STATE_KEY is not the key the remote state was sealed with.",
                "Set the key it was made with; a new key comes in with: python main.py state rotate",
            )
        if not flags & _SEALED and self.key_id:
            raise StateError(
                "The remote state is not sealed, though STATE_KEY is set: anybody may have written it.",
                "Leave STATE_KEY empty and set state_plain to read it, or push to an empty place.",
            )
        return flags

    def _cipher(self, header: bytes, name: str) -> Any:
        if not self._objects:
            return None
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ModuleNotFoundError:
            raise SettingsError(
                "STATE_KEY is set, but the package that encrypts is not installed.", "Install it with: pip install cryptography"
            ) from None
        return AESGCM(_derived(self._objects, header[-32:] + name.encode()))


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()


def _hashed(digest: Any, source: BinaryIO, first: bytes) -> Iterator[bytes]:
    """All of the source, `first` being what was read of it already."""
    chunk = first
    while chunk:
        digest.update(chunk)
        yield chunk
        chunk = source.read(_FRAME)


def _compressed(chunks: Iterator[bytes], *, tight: bool) -> Iterator[bytes]:
    deflate = lzma.LZMACompressor(preset=_PRESET) if tight else zlib.compressobj(6)
    for chunk in chunks:
        yield deflate.compress(chunk)
    yield deflate.flush()


def _frames(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size, the last one shorter."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= _FRAME:
            yield bytes(waiting[:_FRAME])
            del waiting[:_FRAME]
    if waiting:
        yield bytes(waiting)


def _closed(cipher: Any, frame: bytes, number: int, header: bytes, *, last: bool) -> bytes:
    return bytes(cipher.encrypt(_nonce(number, last), frame, header)) if cipher else frame


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _write(target: BinaryIO, frame: bytes) -> None:
    target.write(len(frame).to_bytes(4, "big"))
    target.write(frame)


def _opened(source: BinaryIO, cipher: Any, header: bytes) -> Iterator[bytes]:
    """The frames' plain bytes; the last one is known by nothing following it, and proven by its nonce."""
    number, frame = 1, _read(source)
    while True:
        if frame is None:
            raise _damaged()
        following = _read(source)
        yield _plain(cipher, frame, number, header, last=following is None)
        if following is None:
            return
        number, frame = number + 1, following


def _read(source: BinaryIO) -> bytes | None:
    size = source.read(4)
    if not size:
        return None
    length = int.from_bytes(size, "big")
    if len(size) < 4 or length > _FRAME + _TAG_BYTES:
        raise _damaged()
    frame = source.read(length)
    if len(frame) < length:
        raise _damaged()
    return frame


def _plain(cipher: Any, frame: bytes, number: int, header: bytes, *, last: bool) -> bytes:
    if cipher is None:
        return frame
    from cryptography.exceptions import InvalidTag

    with suppress(InvalidTag):
        return bytes(cipher.decrypt(_nonce(number, last), frame, header))
    raise _damaged()


def _inflated(inflate: Any, frame: bytes) -> Iterator[bytes]:
    """What a frame holds, in pieces: a small frame may inflate to a thousand times its size."""
    if inflate is None:
        yield frame
        return
    try:
        yield inflate.decompress(frame, _FRAME)
        while _has_more(inflate):
            yield inflate.decompress(getattr(inflate, "unconsumed_tail", b""), _FRAME)
    except (zlib.error, lzma.LZMAError, EOFError):
        raise _damaged() from None
    if inflate.unused_data:
        raise _damaged()


def _has_more(inflate: Any) -> bool:
    """Whether what was given is not all inflated yet; zlib hands the rest back, LZMA keeps it."""
    if isinstance(inflate, lzma.LZMADecompressor):
        return not inflate.eof and not inflate.needs_input
    return bool(inflate.unconsumed_tail)


def _damaged() -> StateError:
    return StateError(
        "An object of the remote state is damaged, cut off or not what it says.",
        "Look with: python main.py state verify; an earlier generation may be whole.",
    )
