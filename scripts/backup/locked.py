"""The lock of a backup: the key of the state, or a key made of a passphrase.

Layout of the file: `PDPBACKUP` and a line feed, the kind of key (1 byte: 0 STATE_KEY, 1 passphrase), 16 bytes of salt for the
passphrase (scrypt, N = 2¹⁷, r = 8, p = 1), then one object as the remote state keeps them (`scripts.state.seal`).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import IO, BinaryIO, NamedTuple, cast

from config.errors import PDPError, SettingsError, StateError, UsageError
from scripts.state.seal import Sealer

_MAGIC = b"PDPBACKUP\n"
_STATE_KEY, _PASSPHRASE = 0, 1
_SALT_BYTES = 16
_NAME = "backup"
_SHORTEST = 12


class Lock(NamedTuple):
    """What opens a backup: one of the two."""

    state_key: str
    passphrase: str


def lock_of(state_key: str, passphrase_file: str) -> Lock:
    """From the settings and the option. SettingsError without either, UsageError for a file that cannot be used."""
    if not passphrase_file:
        if not state_key:
            raise SettingsError(
                "A backup holds everything there is, so it is always encrypted, and there is no key.",
                "Set STATE_KEY (openssl rand -base64 32), or give --passphrase-file FILE.",
            )
        return Lock(state_key, "")
    try:
        with open(os.path.expanduser(passphrase_file), encoding="utf-8") as file:
            passphrase = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            "The file with the passphrase cannot be read.", "Name a text file with the passphrase in one line."
        ) from None
    if len(passphrase) < _SHORTEST:
        raise UsageError(
            f"The passphrase has fewer than {_SHORTEST} characters.", "Take several words; it is all that protects the file."
        )
    return Lock("", passphrase)


def lock(write: Callable[[IO[bytes]], None], target: IO[bytes], key: Lock) -> None:
    """Encrypt what `write` writes to the file it is given, as it is written: nothing of it touches a disk in the clear."""
    salt = os.urandom(_SALT_BYTES)  # impure: no two backups share a key
    target.write(_MAGIC + bytes([_PASSPHRASE if key.passphrase else _STATE_KEY]) + salt)
    with _Beside(write) as plain:
        _sealer(key, salt).pack(cast("BinaryIO", plain), cast("BinaryIO", target), _NAME)


def unlock(source: IO[bytes], read: Callable[[IO[bytes]], None], key: Lock) -> None:
    """Hand the plain bytes to `read`. SettingsError for another key, StateError for a file that is damaged, cut off or no backup:
    what `read` was given before that is not to be trusted."""
    head = source.read(len(_MAGIC) + 1 + _SALT_BYTES)
    if len(head) < len(_MAGIC) + 1 + _SALT_BYTES or not head.startswith(_MAGIC):
        raise StateError("This is no backup of this program.", "Name a file that python main.py backup has written.")
    kind, salt = head[len(_MAGIC)], head[-_SALT_BYTES:]
    if kind != (_PASSPHRASE if key.passphrase else _STATE_KEY):
        mend = (
            "Give it with --passphrase-file FILE." if kind == _PASSPHRASE else "Set STATE_KEY, and leave --passphrase-file out."
        )
        raise SettingsError(f"This backup was locked with {'a passphrase' if kind == _PASSPHRASE else 'STATE_KEY'}.", mend)
    sealer = _sealer(key, salt)
    with _Ahead(read) as sink:
        try:
            sealer.unpack(cast("BinaryIO", source), cast("BinaryIO", sink), _NAME)
        except SettingsError:
            what = "That is not the passphrase" if key.passphrase else "STATE_KEY is not the key"
            raise SettingsError(f"{what} this backup was locked with.", "Use the one it was made with.") from None
        except StateError:
            raise StateError("The backup is damaged or cut off.", "Take another one; nothing was replaced.") from None


def _sealer(key: Lock, salt: bytes) -> Sealer:
    if not key.passphrase:
        return Sealer(key.state_key)
    made = hashlib.scrypt(key.passphrase.encode(), salt=salt, n=1 << 17, r=8, p=1, maxmem=256 << 20, dklen=32)
    return Sealer(made.hex())


class _Piped:
    """A thread at the other end of a pipe; what goes wrong there is raised here."""

    def __init__(self, work: Callable[[IO[bytes]], None]) -> None:
        self._work = work
        self._failure: BaseException | None = None

    def _run(self, end: IO[bytes]) -> None:
        try:
            with end:
                self._work(end)
        except BrokenPipeError:
            return  # we have stopped, and say why
        except BaseException as failure:  # noqa: BLE001 - raised again by the one who waits
            self._failure = failure

    def _ended(self, thread: threading.Thread, failed: BaseException | None) -> None:
        thread.join()
        if self._failure is not None and not isinstance(failed, PDPError):
            raise self._failure


class _Beside(_Piped):
    """Gives the end to read from while `work` writes."""

    def __enter__(self) -> IO[bytes]:
        reading, writing = os.pipe()
        self._end = open(reading, "rb")
        self._thread = threading.Thread(target=self._run, args=(open(writing, "wb"),))
        self._thread.start()
        return self._end

    def __exit__(self, kind: object, failed: BaseException | None, trace: object) -> None:
        self._end.close()
        self._ended(self._thread, failed)


class _Ahead(_Piped):
    """Gives the end to write to while `work` reads."""

    def __enter__(self) -> IO[bytes]:
        reading, writing = os.pipe()
        self._end = open(writing, "wb")
        self._thread = threading.Thread(target=self._run, args=(open(reading, "rb"),))
        self._thread.start()
        return self._end

    def __exit__(self, kind: object, failed: BaseException | None, trace: object) -> None:
        try:
            self._end.close()
        except BrokenPipeError:
            """The reader has stopped and says why."""
        self._ended(self._thread, failed)
