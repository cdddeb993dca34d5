"""A relay in front of the server, for faults on the wire: it may cut a connection at a COMMIT, and counts the errors that pass."""

from __future__ import annotations

import re
import select
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

_STATE = re.compile(rb"\0C([0-9A-Z]{5})\0M")
_COMMIT = b"COMMIT\0"
_PATIENCE, _SHORT = b"30s", b"1s "
"""The loader's patience with a lock, and what it becomes on the way: of equal length, so that the messages stay whole."""


class Relay:
    """Takes connections in `folder` as a server's socket would and passes them on to `target`, until it is closed.

    `cut`: number of the COMMIT, over all connections, at which one is cut, once; 0: none. `arrives`: that COMMIT still reaches the
    server and only its answer is lost. `hasty`: locks are waited for 1 s instead of 30.
    """

    def __init__(self, folder: Path, target: str, cut: int = 0, arrives: bool = True, hasty: bool = False) -> None:
        self.commits, self.cuts = 0, 0
        self.states: Counter[str] = Counter()
        self._target, self._cut, self._arrives, self._hasty = target, cut, arrives, hasty
        self._guard = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Take no more connections and wait for those that are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as backend, suppress(OSError):
            backend.connect(self._target)
            while True:
                for side in select.select([client, backend], [], [])[0]:
                    data = side.recv(1 << 16)
                    if not data or not self._pass(data, side is client, client, backend):
                        return

    def _pass(self, data: bytes, asked: bool, client: socket.socket, backend: socket.socket) -> bool:
        """Send it on; False when this was the moment to cut."""
        if not asked:
            with self._guard:
                self.states.update(state.decode() for state in _STATE.findall(data))
            client.sendall(data)
            return True
        if self._hasty:
            data = data.replace(_PATIENCE, _SHORT)
        if _COMMIT in data and self._is_the_one():
            if self._arrives:
                backend.sendall(data)
                backend.recv(1 << 16)
            return False
        backend.sendall(data)
        return True

    def _is_the_one(self) -> bool:
        with self._guard:
            self.commits += 1
            self.cuts += self.commits == self._cut
            return self.commits == self._cut
